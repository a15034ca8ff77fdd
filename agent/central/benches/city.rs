//! A city at the real program, through a real Mosquitto and a real PostgreSQL. Prints figures and
//! asserts none:
//!
//!   KAKOU_BENCH_ONLY      `hits` or `backlog` (both)
//!   KAKOU_BENCH_AGENTS    2,000 agents for `hits`
//!   KAKOU_BENCH_RATE      2,000 passages a second of all of them
//!   KAKOU_BENCH_SECONDS   for so long (120)
//!   KAKOU_BENCH_HISTORY   200 agents come back with 24 hours of this many passages a second of all
//!                         of them (10)
//!
//! `hits`: one agent tells hits one by one, and each is timed from where it is given to the broker to
//! the request at a recipient's webhook, beside a fleet. `backlog`: a fleet comes back with what it
//! kept for a day, all at once; the same hits are timed beside it, the memory of the program is
//! watched, and it is told when the hits of the day were rows and when all of it was.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../tests/whole/support/mod.rs"]
mod support;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::StatusCode;
use kakou_fleet::{Fleet, FleetOptions, Summary};
use kakou_time::Stopwatch;
use kakou_uplink::{Call, CallEvent, Caller, Received};
use support::agent::{Agent, connect, publish};
use support::process::Process;
use support::{World, begin};
use tokio::runtime::Handle;
use tokio::time::sleep;

const KEY: &str = "a-key-of-more-than-24-bytes";
/// Between two hits that are timed.
const BETWEEN: Duration = Duration::from_millis(97);
const BACKLOG_AGENTS: u32 = 200;
const DAY: Duration = Duration::from_secs(24 * 3600);
const PASSAGES: &str = "SELECT coalesce(sum(n_tup_ins), 0)::int8 FROM pg_stat_user_tables \
     WHERE relname ~ '^passages_[0-9]'";
const HITS: &str = "SELECT count(*) FROM hits";

fn setting(name: &str, otherwise: f64) -> f64 {
    let given = std::env::var(name).ok();
    given.and_then(|n| n.parse().ok()).unwrap_or(otherwise)
}

/// Agents have a runtime of their own: they would keep the receiver at the webhook from answering.
fn main() {
    begin();
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(2).enable_all().build().unwrap()
    };
    let (here, agents) = (runtime(), runtime());
    let only = std::env::var("KAKOU_BENCH_ONLY").unwrap_or_default();
    if only != "backlog" {
        here.block_on(hits(agents.handle()));
    }
    if only != "hits" {
        here.block_on(backlog(agents.handle()));
    }
}

fn start(runtime: &Handle, options: FleetOptions, platform: &Platform) -> Fleet {
    let _of_theirs = runtime.enter();
    Fleet::start(options, vec![platform.world.broker.address()]).unwrap()
}

/// The program, and when each hit came to the webhook, by its event id.
struct Platform {
    world: World,
    process: Process,
    came: Arc<Mutex<HashMap<String, Duration>>>,
    clock: Stopwatch,
}

impl Platform {
    async fn start() -> Self {
        let world = World::start().await;
        let (clock, came) = (Stopwatch::start(), Arc::default());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(receive(listener, clock, Arc::clone(&came)));
        let secret = world.folder.path().join("key");
        std::fs::write(&secret, KEY).unwrap();
        let config = world.folder.path().join("a.toml");
        let text = format!(
            "{}[[recipient]]\nname = \"duty\"\nlevels = [\"red\", \"orange\", \"yellow\", \"blue\"]\n\
             states = [\"provisional\", \"confirmed\", \"retracted\", \"unresolved\"]\nareas = [\"all\"]\n\
             prefecture = \"130100\"\n[recipient.webhook]\nurl = \"{url}\"\nsecret_file = \"{}\"\n",
            world.config_text("a"),
            secret.display()
        );
        std::fs::write(&config, text).unwrap();
        let process = Process::start(config);
        Self {
            world,
            process,
            came,
            clock,
        }
    }

    /// Megabytes of memory that the program holds, and seconds of a core that it has used.
    fn used(&self) -> (f64, f64) {
        let file = |name| std::fs::read_to_string(format!("/proc/{}/{name}", self.process.id()));
        let status = file("status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().nth(1));
        let stat = file("stat").unwrap();
        let after_name = stat.rsplit_once(')').unwrap().1;
        let fields: Vec<f64> = after_name
            .split_whitespace()
            .map(|field| field.parse().unwrap_or(0.0))
            .collect();
        let memory: f64 = kilobytes.unwrap().parse().unwrap();
        // Ticks of 10 ms on every Linux that there is.
        (memory / 1e3, (fields[11] + fields[12]) / 100.0)
    }

    /// Of these hits: how many came within a minute, and how long they took.
    async fn tell(&self, what: &str, told: &[(String, Duration)]) {
        let is_there = |(id, _): &(String, Duration)| self.came.lock().unwrap().contains_key(id);
        for _ in 0..60 {
            if told.iter().all(is_there) {
                break;
            }
            sleep(Duration::from_secs(1)).await;
        }
        let came = self.came.lock().unwrap();
        let took = told
            .iter()
            .filter_map(|(id, at)| Some(came.get(id)?.saturating_sub(*at)));
        let mut took: Vec<Duration> = took.collect();
        took.sort_unstable();
        assert!(!took.is_empty(), "{what}: no hit came to the webhook");
        let at = |part: f64| took[((took.len() - 1) as f64 * part) as usize];
        println!(
            "{what}: {} of {} hits at the webhook: p50 {:.1?}, p99 {:.1?}, most {:.1?}",
            took.len(),
            told.len(),
            at(0.5),
            at(0.99),
            at(1.0)
        );
    }
}

async fn receive(
    listener: tokio::net::TcpListener,
    clock: Stopwatch,
    came: Arc<Mutex<HashMap<String, Duration>>>,
) {
    let answer = move |body: Bytes| {
        let (at, came) = (clock.elapsed(), Arc::clone(&came));
        async move {
            let event: serde_json::Value = serde_json::from_slice(&body).unwrap();
            let id = event["id"].as_str().unwrap().to_owned();
            came.lock().unwrap().entry(id).or_insert(at);
            StatusCode::OK
        }
    };
    axum::serve(listener, axum::Router::new().fallback(answer))
        .await
        .unwrap();
}

/// An agent that tells nothing but hits, on one connection, each when it was made.
struct Probe {
    agent: Agent,
    caller: Caller,
    told: Vec<(String, Duration)>,
}

impl Probe {
    async fn start(platform: &Platform) -> Self {
        let mut agent = Agent::new("probe", 200);
        let broker = platform.world.broker.address();
        publish(&broker, &[agent.status()]).await;
        // It listens when it knows the agent, but for the lanes, which are not far behind.
        platform
            .world
            .becomes("SELECT count(*) FROM agents", 1)
            .await;
        sleep(Duration::from_secs(3)).await;
        // Whose hits the recipient has a right to.
        let sites = "INSERT INTO sites (site, name, prefecture) SELECT site, site, '130100' FROM ( \
             SELECT 'probe' AS site UNION SELECT 'site-' || lpad(n::text, 4, '0') \
             FROM generate_series(1, 9999) AS n) all_sites \
             ON CONFLICT (site) DO UPDATE SET prefecture = excluded.prefecture";
        let client = platform.world.client().await;
        client.execute(sites, &[]).await.unwrap();
        let caller = connect(&broker).await;
        Self {
            agent,
            caller,
            told: Vec::new(),
        }
    }

    async fn tell(&mut self, clock: &Stopwatch) {
        let hit: Received = self.agent.hit("京A12345");
        let id = hit.user_properties.iter().find(|(name, _)| name == "id");
        let id = id.unwrap().1.clone();
        let call = Call {
            topic: hit.topic,
            payload: hit.payload,
            user_properties: hit.user_properties,
            expires_s: 3600,
            ..Call::default()
        };
        self.told.push((id, clock.elapsed()));
        self.caller.send(&call).unwrap();
        loop {
            match self.caller.next().await.unwrap() {
                CallEvent::Taken => break,
                CallEvent::Message(_) => {}
                other => panic!("{other:?}"),
            }
        }
        sleep(BETWEEN).await;
    }
}

async fn hits(agents: &Handle) {
    let platform = Platform::start().await;
    let mut probe = Probe::start(&platform).await;
    for _ in 0..300 {
        probe.tell(&platform.clock).await;
    }
    platform.tell("beside nothing", &probe.told).await;
    probe.told.clear();

    let mut options = FleetOptions::new(setting("KAKOU_BENCH_AGENTS", 2_000.0) as u32);
    options.rate = setting("KAKOU_BENCH_RATE", 2_000.0);
    let count = options.agents as usize;
    let fleet = start(agents, options, &platform);
    while fleet.progress().connected < count {
        sleep(Duration::from_millis(100)).await;
    }
    // What waited while they connected.
    sleep(Duration::from_secs(20)).await;
    let (before, lap) = (fleet.progress(), Stopwatch::start());
    let rows = platform.world.number(PASSAGES).await;
    let (_, spent) = platform.used();
    while lap.elapsed().as_secs_f64() < setting("KAKOU_BENCH_SECONDS", 120.0) {
        probe.tell(&platform.clock).await;
    }
    let (after, seconds) = (fleet.progress(), lap.elapsed().as_secs_f64());
    let rows = platform.world.number(PASSAGES).await - rows;
    let (memory, cores) = platform.used();
    let each = |before: u64, after: u64| (after - before) as f64 / seconds;
    println!(
        "{count} agents for {seconds:.0} s: {:.0} passages a second acknowledged, {:.0} rows; {:.2} of a core, {memory:.0} MB",
        each(before.passages, after.passages),
        rows as f64 / seconds,
        (cores - spent) / seconds
    );
    platform.tell("beside them", &probe.told).await;
    tell_summary(&fleet.stop_and_drain().await.unwrap().summary);
}

async fn backlog(agents: &Handle) {
    let platform = Platform::start().await;
    let mut probe = Probe::start(&platform).await;
    probe.tell(&platform.clock).await;
    let mut options = FleetOptions::new(BACKLOG_AGENTS);
    options.rate = 1.0;
    options.backlog = DAY;
    options.backlog_rate = Some(setting("KAKOU_BENCH_HISTORY", 10.0));
    options.drain = Duration::from_secs(3600);
    options.count = Some(1);
    let lap = Stopwatch::start();
    let fleet = start(agents, options, &platform);
    let mut memory = Vec::new();
    let mut hits = Vec::new();
    let (mut last, mut since) = (0, lap.elapsed());
    // Until nothing has come for a while.
    while (lap.elapsed() - since).as_secs() < 15 {
        for _ in 0..10 {
            probe.tell(&platform.clock).await;
        }
        memory.push(platform.used().0);
        hits.push((lap.elapsed(), platform.world.number(HITS).await));
        let made = fleet.progress().acknowledged;
        if made > last {
            (last, since) = (made, lap.elapsed());
        }
        if memory.len() % 30 == 1 {
            let rows = platform.world.number(PASSAGES).await;
            println!(
                "{:4.0} s: {rows} passages and {} hits are rows, {:.0} MB",
                lap.elapsed().as_secs_f64(),
                hits.last().unwrap().1,
                memory.last().unwrap()
            );
        }
    }
    let (_, cores) = platform.used();
    let truth = fleet.stop_and_drain().await.unwrap().summary;
    sleep(Duration::from_secs(2)).await;
    let rows = platform.world.number("SELECT count(*) FROM passages").await;
    let all = truth.hits as i64;
    let nearly = hits.iter().find(|(_, n)| *n >= all * 99 / 100);
    println!(
        "a day of {BACKLOG_AGENTS} agents: {rows} of {} passages are rows after {:.0} s, 99 % of {all} hits after {:.0} s; {cores:.0} s of a core",
        truth.passages,
        since.as_secs_f64(),
        nearly.map_or(f64::NAN, |(at, _)| at.as_secs_f64())
    );
    let most = |part: &[f64]| part.iter().copied().fold(0.0, f64::max);
    let half = memory.len() / 2;
    println!(
        "memory: at most {:.0} MB in the first half, {:.0} MB in the second",
        most(&memory[..half]),
        most(&memory[half..])
    );
    platform.tell("beside the backlog", &probe.told).await;
    tell_summary(&truth);
}

fn tell_summary(truth: &Summary) {
    println!(
        "the fleet: {} messages acknowledged, {} not; within {:.1} ms in the median, {:.1} ms at p99",
        truth.acknowledged,
        truth.unacknowledged + truth.untold,
        truth.acknowledged_median_ms,
        truth.acknowledged_p99_ms
    );
}
