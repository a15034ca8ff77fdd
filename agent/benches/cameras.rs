//! What live cameras cost and how they come back: `kakou run` with a real RTSP server, as in the
//! tests.
//!
//! `make bench-cameras`, or `cargo bench --bench cameras -- busy swap empty back reconnects memory`.
//! The environment: `KAKOU_BENCH_SECONDS` (180) for how long cameras are watched,
//! `KAKOU_BENCH_CAMERAS` (4) for how many there are in busy, swap and empty,
//! `KAKOU_BENCH_RECONNECTS` (200), `KAKOU_BENCH_RETURNS` (10), `KAKOU_BENCH_VISION` for further
//! lines of `[vision]`, `KAKOU_BENCH_CAMERA` for further lines of each `[[camera]]`.
//! `KAKOU_BENCH_AGENT` names another kakou to measure instead, an older one for comparison. Cores
//! are those of the agent and its ffmpeg children; the server's and the broker's are not counted.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "../tests/cameras/checkpoint.rs"]
#[allow(dead_code)]
mod checkpoint;
#[path = "../tests/cameras/footage.rs"]
#[allow(dead_code)]
mod footage;
#[path = "../tests/uplink/mosquitto.rs"]
#[allow(dead_code)]
mod mosquitto;
#[path = "../tests/cameras/proc.rs"]
#[allow(dead_code)]
mod proc;
#[path = "../tests/cameras/server.rs"]
#[allow(dead_code)]
mod server;
#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use checkpoint::{Checkpoint, Passed, bare_camera, passed};
use chrono::{DateTime, TimeDelta, Utc};
use footage::{
    BUSY_SECONDS, Codec, SECOND_LANE_SECONDS, Scene, busy_road, clip, empty_road, large_road,
};
use kakou_contract::{HitMessage, HitState, Message, PassageMessage};
use server::Cameras;

const IDS: [&str; 4] = ["north", "east", "south", "west"];

/// The cameras that are measured.
fn ids() -> &'static [&'static str] {
    &IDS[..setting("KAKOU_BENCH_CAMERAS", 4).clamp(1, 4) as usize]
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |n| {
        n.parse()
            .unwrap_or_else(|_| panic!("{name}={n} is no number"))
    })
}

fn lines(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

fn main() {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with('-'))
        .collect();
    let all: [(&str, fn()); 6] = [
        ("busy", busy),
        ("swap", swap),
        ("empty", empty),
        ("back", back),
        ("reconnects", reconnects),
        ("memory", memory),
    ];
    for (name, bench) in all {
        if wanted.is_empty() || wanted.iter().any(|w| w == name) {
            bench();
        }
    }
}

/// Four cameras at 1920x1080 and 25 frames/s, all looking at the empty road.
fn four() -> (Cameras, Checkpoint) {
    let mut server = Cameras::start();
    let mut cameras = Vec::new();
    for id in ids() {
        let path = format!("/{id}");
        server.mount(&path, &[("empty", &empty_road()), ("busy", &busy_road())]);
        cameras.push(bare_camera(
            id,
            &server.url(&path),
            &lines("KAKOU_BENCH_CAMERA"),
        ));
    }
    let more = format!(
        "{}\n[watchlist]\nfile = \"list.csv\"\n[hits]\nstory_s = 0\n",
        lines("KAKOU_BENCH_VISION"),
    );
    let mut gate = Checkpoint::new(&cameras, &more);
    std::fs::write(gate.dir.path().join("list.csv"), listed()).unwrap();
    gate.start();
    for id in ids() {
        gate.state(id, "ok", 0);
    }
    // What is loaded and learned at the start is not what is measured.
    std::thread::sleep(Duration::from_secs(15));
    (server, gate)
}

/// Every plate of the busy road.
fn listed() -> String {
    let plates = truth().into_iter().filter_map(|passed| passed.text);
    let rows: String = plates
        .map(|text| format!("{text},red,stolen,bench\n"))
        .collect();
    format!("plate,level,category,reason\n{rows}")
}

/// The vehicles of the busy road.
fn truth() -> Vec<Passed> {
    let truth =
        std::fs::read_to_string(support::root().join("agent/samples/day/truth.jsonl")).unwrap();
    let truth: serde_json::Value = serde_json::from_str(truth.lines().next().unwrap()).unwrap();
    let one = |p: &serde_json::Value| Passed {
        lane: p["lane"].as_str().unwrap().to_owned(),
        text: p["text"].as_str().map(str::to_owned),
    };
    truth["passages"]
        .as_array()
        .unwrap()
        .iter()
        .map(one)
        .collect()
}

/// From when on each plate of the busy road can be read, in seconds: the first of its pictures in
/// which the reader, asked for that picture alone, finds the whole text.
fn readable() -> BTreeMap<String, f64> {
    let day = support::root().join("agent/samples/day");
    let mut pictures: Vec<_> = std::fs::read_dir(day)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "jpg"))
        .collect();
    pictures.sort();
    let names = pictures.iter().map(|path| path.to_str().unwrap());
    let read = support::succeed(
        &["read", "--json"]
            .into_iter()
            .chain(names)
            .collect::<Vec<_>>(),
    );
    let lanes = truth().into_iter();
    let lanes: BTreeMap<String, String> = lanes.filter_map(|p| Some((p.text?, p.lane))).collect();
    let mut first = BTreeMap::new();
    for (n, line) in support::stdout(&read).lines().enumerate() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        for plate in line["plates"].as_array().into_iter().flatten() {
            let text = plate["text"].as_str().unwrap_or_default();
            if let Some(lane) = lanes.get(text) {
                // The second lane has its vehicles later.
                let shift = if lane == "2" {
                    SECOND_LANE_SECONDS
                } else {
                    0.0
                };
                first
                    .entry(text.to_owned())
                    .or_insert(n as f64 / 10.0 + shift);
            }
        }
    }
    first
}

/// When hits came: by their state, with what a subscriber on the box waited for. `began`: when each
/// camera began to show the busy road.
fn show_hits(gate: &Checkpoint, began: &BTreeMap<&str, DateTime<Utc>>) {
    let mut states: BTreeMap<&str, u32> = BTreeMap::new();
    let (mut decided, mut first, mut before_end) = (Vec::new(), Vec::new(), Vec::new());
    let (readable, mut read) = (readable(), Vec::new());
    let passages: Vec<PassageMessage> = ids()
        .iter()
        .flat_map(|id| gate.passages(id))
        .map(|(_, passage)| passage)
        .collect();
    for heard in gate.heard(0).iter().filter(|h| h.topic.contains("/hit/")) {
        let hit = HitMessage::from_json(&heard.payload).unwrap();
        *states.entry(hit.state.as_str()).or_default() += 1;
        if hit.state != HitState::Provisional {
            continue;
        }
        let since = |t: DateTime<chrono::FixedOffset>| (heard.at - t.to_utc()).as_seconds_f64();
        let sure = hit.decided_at.unwrap();
        decided.push(since(sure));
        let begin = began.get(hit.camera.as_str());
        if let (Some(begin), Some(at)) = (begin, readable.get(&hit.entry.plate)) {
            let rounds = ((sure.to_utc() - begin).as_seconds_f64() / BUSY_SECONDS as f64).floor();
            let seconds = rounds * BUSY_SECONDS as f64 + at;
            let shown = *begin + TimeDelta::milliseconds((seconds * 1e3) as i64);
            read.push(since(shown.fixed_offset()));
        }
        if let Some(passage) = passages.iter().find(|p| p.id == hit.passage_id) {
            first.push(since(passage.first_seen));
            before_end.push(-since(passage.last_seen));
        }
    }
    println!("busy: messages of hits by state: {states:?}");
    println!(
        "busy: from the frame that made the plate sure to the provisional hit at a subscriber: {}",
        median_and_p99(decided)
    );
    println!(
        "busy: from the first picture in which its plate can be read to the provisional hit: {}",
        median_and_p99(read)
    );
    println!(
        "busy: from the first frame with the vehicle to its provisional hit: {}",
        median_and_p99(first)
    );
    println!(
        "busy: from its provisional hit to the last frame with the vehicle: {}",
        median_and_p99(before_end)
    );
}

/// A counter of each camera from the metrics, and when they were written.
fn counter(gate: &Checkpoint, name: &str) -> (Instant, BTreeMap<String, f64>) {
    let prefix = format!("kakou_camera_{name}{{camera=\"");
    let value = |l: &str| {
        let (camera, value) = l.strip_prefix(&prefix)?.split_once("\"} ")?;
        Some((camera.to_owned(), value.parse().ok()?))
    };
    let old = gate.metrics();
    let limit = Instant::now() + Duration::from_secs(30);
    // Just written, so that its time is known.
    while gate.metrics() == old {
        assert!(
            Instant::now() < limit,
            "the metrics are not written: {}",
            gate.log()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    (
        Instant::now(),
        gate.metrics().lines().filter_map(value).collect(),
    )
}

/// What was counted a second between two readings, camera by camera.
fn per_second(
    from: &(Instant, BTreeMap<String, f64>),
    to: &(Instant, BTreeMap<String, f64>),
) -> String {
    let time = (to.0 - from.0).as_secs_f64();
    let rate = |id: &&str| (to.1.get(*id).unwrap_or(&0.0) - from.1.get(*id).unwrap_or(&0.0)) / time;
    ids()
        .iter()
        .map(|id| format!("{:.1}", rate(id)))
        .collect::<Vec<_>>()
        .join(", ")
}

fn median_and_p99(mut values: Vec<f64>) -> String {
    values.sort_by(f64::total_cmp);
    let at = |part: f64| {
        values
            .get(((values.len().max(1) - 1) as f64 * part).round() as usize)
            .copied()
    };
    match (at(0.5), at(0.99)) {
        (Some(median), Some(p99)) => {
            format!("{median:.2} s median, {p99:.2} s p99 of {}", values.len())
        }
        _ => "nothing to measure".to_owned(),
    }
}

fn busy() {
    let loops = (setting("KAKOU_BENCH_SECONDS", 180) as usize).div_ceil(BUSY_SECONDS);
    let (mut server, gate) = four();
    let looked = counter(&gate, "frames_looked_total");
    let dropped = counter(&gate, "frames_dropped_total");
    let (cpu, from) = (proc::cpu_seconds(gate.pid()), Instant::now());
    // Each camera at its own time, as roads are.
    let shift = Duration::from_secs_f64(BUSY_SECONDS as f64 / ids().len() as f64);
    let mut began: Vec<DateTime<Utc>> = Vec::new();
    for id in ids() {
        began.push(server.show(&format!("/{id}"), "busy"));
        std::thread::sleep(shift);
    }
    let length = TimeDelta::seconds((loops * BUSY_SECONDS) as i64);
    for (id, began) in ids().iter().zip(&began) {
        // The last second of the loop is empty road.
        let left = (*began + length - TimeDelta::milliseconds(500) - Utc::now())
            .to_std()
            .unwrap_or_default();
        std::thread::sleep(left);
        server.show(&format!("/{id}"), "empty");
    }
    let cores = (proc::cpu_seconds(gate.pid()) - cpu) / from.elapsed().as_secs_f64();
    let (looked_then, dropped_then) = (
        counter(&gate, "frames_looked_total"),
        counter(&gate, "frames_dropped_total"),
    );
    std::thread::sleep(Duration::from_secs(10));

    let truth = truth();
    let (mut right, mut missed, mut extra) = (0, Vec::new(), Vec::new());
    let (mut since_seen, mut since_picture) = (Vec::new(), Vec::new());
    for (id, began) in ids().iter().zip(&began) {
        let all = gate.passages(id);
        for n in 0..loops {
            let start =
                *began + TimeDelta::milliseconds(n as i64 * BUSY_SECONDS as i64 * 1000 - 500);
            let end = start + TimeDelta::seconds(BUSY_SECONDS as i64);
            let mut found = passed(all.iter().map(|(_, m)| m), start, end);
            for wanted in &truth {
                match found.iter().position(|f| f == wanted) {
                    Some(i) => {
                        found.remove(i);
                        right += 1;
                    }
                    None => missed.push(format!("{id} {n} {wanted:?}")),
                }
            }
            extra.extend(found.iter().map(|f| format!("{id} {n} {f:?}")));
        }
        for (at, m) in &all {
            since_seen.push((*at - m.last_seen.to_utc()).as_seconds_f64());
            since_picture.push((*at - m.time.to_utc()).as_seconds_f64());
        }
    }
    let total = truth.len() * loops * ids().len();
    println!(
        "busy: passages right {right} of {total}, missed {}, extra {}",
        missed.len(),
        extra.len()
    );
    println!("busy: missed {missed:?}");
    println!("busy: extra {extra:?}");
    println!(
        "busy: {cores:.2} cores of the agent and its decoders, over {:.0} s",
        from.elapsed().as_secs_f64()
    );
    println!(
        "busy: frames looked at a second, by camera: {}",
        per_second(&looked, &looked_then)
    );
    println!(
        "busy: frames dropped a second, by camera: {}",
        per_second(&dropped, &dropped_then)
    );
    println!(
        "busy: from the last frame with the vehicle to the subscriber: {}",
        median_and_p99(since_seen)
    );
    println!(
        "busy: from the moment of the passage to the subscriber: {}",
        median_and_p99(since_picture)
    );
    let delays = gate.metrics();
    let delays: Vec<&str> = delays
        .lines()
        .filter_map(|l| l.strip_prefix("kakou_camera_look_delay_seconds"))
        .collect();
    println!(
        "busy: from capture to a look's end, which is the first read where a plate is new: {delays:?}"
    );
    show_hits(&gate, &ids().iter().copied().zip(began).collect());
    println!("busy: states told: {:?}", gate.states(0));
}

/// A list of a million entries takes the place of a short one while four cameras are busy.
fn swap() {
    const ENTRIES: usize = 1_000_000;
    let (mut server, gate) = four();
    for id in ids() {
        server.show(&format!("/{id}"), "busy");
    }
    let count = |gate: &Checkpoint| {
        (
            counter(gate, "frames_looked_total"),
            counter(gate, "frames_dropped_total"),
        )
    };
    let show = |when: &str, from: &Counts, to: &Counts| {
        println!(
            "swap: {when}: frames looked at a second {}, dropped {}",
            per_second(&from.0, &to.0),
            per_second(&from.1, &to.1)
        );
    };
    let before = count(&gate);
    std::thread::sleep(Duration::from_secs(45));
    let begun = count(&gate);
    show("before", &before, &begun);
    let mut text = listed();
    for n in 0..ENTRIES {
        let (letter, serial) = (char::from(b"ABCDEFGHJK"[n / 100_000]), n % 100_000);
        text.push_str(&format!("新{letter}{serial:05},orange,stolen,case {n}\n"));
    }
    let list = gate.dir.path().join("list.csv");
    std::fs::write(list.with_extension("new"), text).unwrap();
    let renamed = Instant::now();
    std::fs::rename(list.with_extension("new"), &list).unwrap();
    let in_use = |gate: &Checkpoint| {
        let metrics = gate.metrics();
        let entries = metrics
            .lines()
            .find_map(|l| l.strip_prefix("kakou_watchlist_entries "));
        entries.is_some_and(|n| n.parse::<usize>().is_ok_and(|n| n >= ENTRIES))
    };
    while !in_use(&gate) {
        assert!(
            renamed.elapsed() < Duration::from_secs(600),
            "{}",
            gate.log()
        );
        std::thread::sleep(Duration::from_millis(200));
    }
    println!(
        "swap: {ENTRIES} entries in use {:.0} s after the rename",
        renamed.elapsed().as_secs_f64()
    );
    let meanwhile = count(&gate);
    show("meanwhile", &begun, &meanwhile);
    std::thread::sleep(Duration::from_secs(45));
    show("after", &meanwhile, &count(&gate));
    show_hits(&gate, &BTreeMap::new());
}

/// Frames looked at, and dropped.
type Counts = (
    (Instant, BTreeMap<String, f64>),
    (Instant, BTreeMap<String, f64>),
);

fn empty() {
    let (_server, gate) = four();
    let pid = gate.pid();
    let looked = counter(&gate, "frames_looked_total");
    let still = counter(&gate, "frames_still_total");
    let (all, own, from) = (
        proc::cpu_seconds(pid),
        proc::own_cpu_seconds(pid),
        Instant::now(),
    );
    std::thread::sleep(Duration::from_secs(setting("KAKOU_BENCH_SECONDS", 180)));
    let time = from.elapsed().as_secs_f64();
    let (all, own) = (
        (proc::cpu_seconds(pid) - all) / time,
        (proc::own_cpu_seconds(pid) - own) / time,
    );
    println!(
        "empty: {all:.2} cores in all, {own:.2} of them the agent, {:.2} its decoders, over {time:.0} s",
        all - own
    );
    println!(
        "empty: frames looked at a second: {}",
        per_second(&looked, &counter(&gate, "frames_looked_total"))
    );
    println!(
        "empty: still frames a second: {}",
        per_second(&still, &counter(&gate, "frames_still_total"))
    );
    println!(
        "empty: passages {}",
        ids()
            .iter()
            .map(|id| gate.passages(id).len())
            .sum::<usize>()
    );
}

/// One camera with a small picture.
fn small() -> (Cameras, Checkpoint) {
    let mut server = Cameras::start();
    server.mount("/one", &[("empty", &clip(Scene::Empty, Codec::H264))]);
    let mut gate = Checkpoint::new(
        &[bare_camera(
            "one",
            &server.url("/one"),
            &lines("KAKOU_BENCH_CAMERA"),
        )],
        "",
    );
    gate.start();
    gate.state("one", "ok", 0);
    (server, gate)
}

fn back() {
    let (mut server, gate) = small();
    let mut times = Vec::new();
    for away in (0..setting("KAKOU_BENCH_RETURNS", 10)).map(|n| 2 + n % 5 * 3) {
        let mark = gate.mark();
        server.kill();
        gate.wait("a fault", mark, |h| {
            h.topic.ends_with("/audit").then_some(())
        });
        std::thread::sleep(Duration::from_secs(away));
        let mark = gate.mark();
        server.restart();
        let returned = Utc::now();
        times.push((gate.state("one", "ok", mark) - returned).as_seconds_f64());
    }
    let most = times.iter().copied().fold(0.0, f64::max);
    println!(
        "back: state ok after the stream's return: {}, {most:.2} s at most",
        median_and_p99(times)
    );
}

fn reconnects() {
    let (mut server, gate) = small();
    let count = setting("KAKOU_BENCH_RECONNECTS", 200);
    let pid = gate.pid();
    let mut plays = server.stats("/one").plays;
    for n in 1..=count {
        server.drop_clients();
        let limit = Instant::now() + Duration::from_secs(60);
        while server.stats("/one").plays == plays {
            assert!(
                Instant::now() < limit,
                "the agent does not come back: {}",
                gate.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        plays = server.stats("/one").plays;
        // It is to see something, too.
        std::thread::sleep(Duration::from_millis(700));
        if n == 10.min(count) || n % 50 == 0 || n == count {
            let (memory, descriptors) = (proc::memory(pid), proc::descriptors(pid));
            let (threads, children) = (proc::threads(pid), proc::descendants(pid).len());
            println!(
                "reconnects: after {n}: {memory:.1} MiB, {descriptors} descriptors, {threads} threads, {children} children"
            );
        }
    }
}

/// Resident memory with 1, 2, 4 and 8 cameras at 1280x720 on a road with traffic, and with one at
/// 3840x2160.
fn memory() {
    let road = clip(Scene::Day, Codec::H264);
    for cameras in [1, 2, 4, 8] {
        resident(&format!("{cameras} at 1280x720"), cameras, &road);
    }
    resident("1 at 3840x2160", 1, &large_road());
}

fn resident(what: &str, cameras: usize, road: &std::path::Path) {
    let mut server = Cameras::start();
    let ids: Vec<String> = (0..cameras).map(|n| format!("cam-{n}")).collect();
    let configured: Vec<String> = ids
        .iter()
        .map(|id| {
            let path = format!("/{id}");
            server.mount(&path, &[("road", road)]);
            bare_camera(id, &server.url(&path), &lines("KAKOU_BENCH_CAMERA"))
        })
        .collect();
    let mut gate = Checkpoint::new(&configured, &lines("KAKOU_BENCH_VISION"));
    gate.start();
    for id in &ids {
        gate.state(id, "ok", 0);
    }
    let until = Instant::now() + Duration::from_secs(setting("KAKOU_BENCH_SECONDS", 180));
    let mut seen = Vec::new();
    while Instant::now() < until {
        seen.push(proc::memory(gate.pid()));
        std::thread::sleep(Duration::from_millis(100));
    }
    let last = seen.last().copied().unwrap_or_default();
    let most = seen.iter().copied().fold(0.0, f64::max);
    let passages: usize = ids.iter().map(|id| gate.passages(id).len()).sum();
    println!(
        "memory: {what}: {last:.0} MiB in the end, {most:.0} MiB at most, {passages} passages"
    );
}
