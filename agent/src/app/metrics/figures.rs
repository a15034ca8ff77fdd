//! The metrics themselves: one function per group, in the order in which they are written.

use std::sync::Arc;

use chrono::{DateTime, FixedOffset};
use kakou_contract::{
    CameraState, CameraStatus, ClockState, Health, Id, PartState, Priority, StatusMessage,
};
use kakou_entry::metrics::{Text, label, labels};
use kakou_outbox::Stats;
use kakou_uplink::Status;

use super::super::camera_view::CameraView;
use super::super::overview::Sources;
use super::super::tally::CameraTally;
use super::text::{histograms, summaries};

/// All of them, as they stand now.
pub fn figures(sources: &Sources) -> String {
    let overview = sources.look();
    let (status, tallies) = (&overview.status, sources.tallies.all());
    let mut t = Text::new("kakou_");
    box_(&mut t, status);
    cameras(&mut t, &status.cameras);
    look_delays(&mut t, &sources.views.all());
    passages(&mut t, &tallies);
    hits(&mut t, &tallies);
    delays(&mut t, &tallies);
    parts(&mut t, status);
    watchlist(&mut t, status);
    outbox(&mut t, status, &overview.outbox);
    uplink(&mut t, &overview.link);
    clock(&mut t, status);
    temperatures(&mut t);
    t.into_string()
}

fn flag(on: bool) -> f64 {
    f64::from(u8::from(on))
}

fn seconds(time: DateTime<FixedOffset>) -> f64 {
    time.timestamp_millis() as f64 / 1000.0
}

/// No more digits than a figure has: `12.1`, and not what is left of it in binary.
fn short(value: f32) -> f64 {
    (f64::from(value) * 1000.0).round() / 1000.0
}

fn box_(t: &mut Text, status: &StatusMessage) {
    let (site, agent) = (status.site.as_str(), status.agent.as_str());
    let version = status.software.version.as_str();
    let all = labels([("site", site), ("agent", agent), ("version", version)]);
    let help = "1; the labels say which box this is and what runs on it.";
    t.add("build_info", "gauge", help, [(all, 1.0)]);
    let started = seconds(status.started_at);
    let help = "When the agent started, in seconds since 1970.";
    t.one("start_time_seconds", "gauge", help, started);
    let health = Health::ALL.iter().map(|health| {
        let is = flag(status.health == *health);
        (label("health", health.as_str()), is)
    });
    t.add("health", "gauge", "1 for how the box is.", health);
}

/// What is taken of one camera's status.
type OfCamera = fn(&CameraStatus) -> f64;

fn cameras(t: &mut Text, all: &[CameraStatus]) {
    let of = |c: &CameraStatus| label("camera", c.camera.as_str());
    let states = all.iter().flat_map(|c| {
        CameraState::ALL.iter().map(move |state| {
            let is = flag(c.state == Some(*state));
            let (camera, state) = (c.camera.as_str(), state.as_str());
            (labels([("camera", camera), ("state", state)]), is)
        })
    });
    let help = "1 for the state that a camera is in.";
    t.add("camera_state", "gauge", help, states);
    let rest: [(&str, &str, &str, OfCamera); 9] = [
        (
            "camera_up",
            "gauge",
            "1 unless the camera has failed: a degraded one still counts as up.",
            |c| flag(c.health != Health::Failed),
        ),
        (
            "camera_last_frame_timestamp_seconds",
            "gauge",
            "When the newest frame was captured, in seconds since 1970; 0: none came yet.",
            |c| c.last_frame.map_or(0.0, seconds),
        ),
        (
            "camera_fps",
            "gauge",
            "Frames received a second, over the last 10 s.",
            |c| c.fps.map_or(0.0, |f| short(f.get())),
        ),
        (
            "camera_fps_looked",
            "gauge",
            "Frames looked at a second, over the last 10 s.",
            |c| c.fps_looked.map_or(0.0, |f| short(f.get())),
        ),
        (
            "camera_frames_looked_total",
            "counter",
            "Frames looked at.",
            |c| c.frames as f64,
        ),
        (
            "camera_frames_still_total",
            "counter",
            "Frames not looked at because nothing moved.",
            |c| c.frames_still.unwrap_or(0) as f64,
        ),
        (
            "camera_frames_dropped_total",
            "counter",
            "Frames not looked at because a newer one came first.",
            |c| c.frames_dropped as f64,
        ),
        (
            "camera_frames_broken_total",
            "counter",
            "Complaints of the decoder.",
            |c| c.frames_broken as f64,
        ),
        (
            "camera_restarts_total",
            "counter",
            "Connections to the camera that were made anew.",
            |c| c.restarts.unwrap_or(0) as f64,
        ),
    ];
    for (name, kind, help, value) in rest {
        t.add(name, kind, help, all.iter().map(|c| (of(c), value(c))));
    }
}

fn look_delays(t: &mut Text, all: &[Arc<CameraView>]) {
    let values = all
        .iter()
        .filter_map(|c| Some((c.id().as_str(), c.delay()?)))
        .flat_map(|(id, (middle, most))| {
            [("0.5", middle), ("0.99", most)]
                .map(|(q, v)| (labels([("camera", id), ("quantile", q)]), short(v)))
        });
    let help = "From a frame's capture to the end of the look at it: median and 99th of a hundred \
                of the last thousand looks.";
    t.add("camera_look_delay_seconds", "gauge", help, values);
}

type Tallied = [(Id, CameraTally)];

fn passages(t: &mut Text, all: &Tallied) {
    let lanes = || {
        all.iter().flat_map(|(camera, tally)| {
            tally.lanes.iter().map(move |(lane, counts)| {
                let lane = lane.as_ref().map_or("", Id::as_str);
                ((camera.as_str(), lane), counts)
            })
        })
    };
    let of = |(camera, lane): (&str, &str)| labels([("camera", camera), ("lane", lane)]);
    let counts = lanes().flat_map(|((camera, lane), counts)| {
        let with =
            move |plate: &str| labels([("camera", camera), ("lane", lane), ("plate", plate)]);
        let unread = counts.unread.iter();
        let unread = unread.map(move |(reason, n)| (with(reason), *n as f64));
        [(with("read"), counts.read as f64)]
            .into_iter()
            .chain(unread)
    });
    let help = "Vehicles that passed. plate: read, or why it was not. lane: empty without lanes.";
    t.add("passages_total", "counter", help, counts);
    let help = "Confidence of the plates that were read, 0 to 1.";
    let values = lanes().map(|(at, counts)| (of(at), counts.confidence));
    summaries(t, "plate_confidence", help, values);
    let help = "Width in pixels of the plates that were read.";
    let values = lanes().map(|(at, counts)| (of(at), counts.width));
    summaries(t, "plate_width_pixels", help, values);
    for (name, help, time) in [
        (
            "last_passage_timestamp_seconds",
            "When a vehicle passed last, in seconds since 1970; 0: none since the start.",
            (|c: &CameraTally| c.last_passage) as fn(&CameraTally) -> _,
        ),
        (
            "last_read_timestamp_seconds",
            "When a vehicle passed last whose plate was read, likewise.",
            |c: &CameraTally| c.last_read,
        ),
    ] {
        let values = all
            .iter()
            .map(|(id, c)| (label("camera", id.as_str()), time(c).map_or(0.0, seconds)));
        t.add(name, "gauge", help, values);
    }
}

fn hits(t: &mut Text, all: &Tallied) {
    let values = all.iter().flat_map(|(camera, tally)| {
        tally.hits.iter().map(move |((level, state), n)| {
            let all = [
                ("camera", camera.as_str()),
                ("level", level),
                ("state", state),
            ];
            (labels(all), *n as f64)
        })
    });
    let help =
        "Hits, each time one was told: provisional, confirmed, again, retracted, unresolved.";
    t.add("hits_total", "counter", help, values);
}

fn delays(t: &mut Text, all: &Tallied) {
    let of = |id: &Id| label("camera", id.as_str());
    let looks = all.iter().map(|(id, c)| (of(id), c.looks.clone()));
    let help = "From a frame's capture to the end of the look at it.";
    histograms(t, "look_delay_seconds", help, looks);
    let passages = all.iter().map(|(id, c)| (of(id), c.passage_delay.clone()));
    let help = "From the moment of a passage until its record is handed to the outbox.";
    histograms(t, "passage_delay_seconds", help, passages);
    let hits = all.iter().map(|(id, c)| (of(id), c.hit_delay.clone()));
    let help = "From the frame that decided a hit until it is handed to the outbox.";
    histograms(t, "hit_delay_seconds", help, hits);
}

fn parts(t: &mut Text, status: &StatusMessage) {
    let states = status.parts.iter().flat_map(|part| {
        PartState::ALL.iter().map(move |state| {
            let all = [("part", part.name.as_str()), ("state", state.as_str())];
            (labels(all), flag(part.state == *state))
        })
    });
    let help = "1 for the state that a supervised part of the agent is in.";
    t.add("part_state", "gauge", help, states);
    let restarts = status.parts.iter();
    let restarts = restarts.map(|p| (label("part", &p.name), p.restarts as f64));
    let help = "Starts of a part after a failure.";
    t.add("part_restarts_total", "counter", help, restarts);
}

fn watchlist(t: &mut Text, status: &StatusMessage) {
    let Some(list) = &status.watchlist else {
        return;
    };
    let help = "Plates in the watchlists in use.";
    t.one("watchlist_entries", "gauge", help, list.entries as f64);
    let is_in_use = flag(list.health == Health::Ok);
    let help = "1 while the configured watchlists are those in use.";
    t.one("watchlist_in_use", "gauge", help, is_in_use);
    let written = list.modified.map_or(0.0, seconds);
    let help = "When the oldest list in use was written, in seconds since 1970; 0: none is in use.";
    t.one(
        "watchlist_modified_timestamp_seconds",
        "gauge",
        help,
        written,
    );
}

fn outbox(t: &mut Text, status: &StatusMessage, stats: &Stats) {
    let by_priority = |count: fn(&Stats, usize) -> u64| {
        Priority::ALL.iter().map(move |p| {
            let n = count(stats, p.index());
            (label("priority", p.as_str()), n as f64)
        })
    };
    let waiting = by_priority(|s, at| s.counts[at].waiting);
    let help = "Messages not yet acknowledged by the broker.";
    t.add("outbox_waiting", "gauge", help, waiting);
    let evicted = by_priority(|s, at| s.counts[at].evicted);
    let help = "Messages given up for want of room or by age, ever.";
    t.add("outbox_evicted_total", "counter", help, evicted);
    let oldest = status.outbox.as_ref().and_then(|o| o.oldest);
    let help = "When the oldest message that waits was committed, in seconds since 1970; 0: none.";
    t.one(
        "outbox_oldest_timestamp_seconds",
        "gauge",
        help,
        oldest.map_or(0.0, seconds),
    );
    let help = "1 while the outbox takes records.";
    let takes = status
        .outbox
        .as_ref()
        .is_some_and(|o| o.health != Health::Failed);
    t.one("outbox_records", "gauge", help, flag(takes));
    let help = "Free on the outbox's disk.";
    t.one(
        "disk_free_bytes",
        "gauge",
        help,
        stats.space.disk_free as f64,
    );
    let help = "Size of the outbox's disk.";
    t.one(
        "disk_size_bytes",
        "gauge",
        help,
        stats.space.disk_total as f64,
    );
}

fn uplink(t: &mut Text, link: &Status) {
    let help = "1 while connected to a broker.";
    t.one("uplink_connected", "gauge", help, flag(link.connected));
    let help = "Connections made.";
    t.one(
        "uplink_connections_total",
        "counter",
        help,
        link.connections as f64,
    );
    let help = "Messages acknowledged.";
    t.one("uplink_acked_total", "counter", help, link.acked as f64);
    let help = "Topics that the broker does not let the agent use.";
    t.one(
        "uplink_refused_topics",
        "gauge",
        help,
        link.refused_topics.len() as f64,
    );
}

fn clock(t: &mut Text, status: &StatusMessage) {
    let clock = status.clock;
    let synchronised = clock.is_some_and(|c| c.state == ClockState::Synchronised);
    let help = "1 while a time source disciplines the clock.";
    t.one("clock_synchronised", "gauge", help, flag(synchronised));
    if let Some(offset) = clock.and_then(|c| c.offset_ms) {
        let help = "The source's time less ours.";
        t.one(
            "clock_offset_seconds",
            "gauge",
            help,
            offset as f64 / 1000.0,
        );
    }
}

/// As the kernel says them, in thousandths: Documentation/ABI/testing/sysfs-class-thermal.
fn temperatures(t: &mut Text) {
    let zones = std::fs::read_dir("/sys/class/thermal")
        .into_iter()
        .flatten();
    let mut values: Vec<(String, f64)> = zones
        .flatten()
        .filter_map(|zone| {
            let read = |file| std::fs::read_to_string(zone.path().join(file)).ok();
            let name = zone.file_name().into_string().ok()?;
            let milli: f64 = read("temp")?.trim().parse().ok()?;
            let kind = read("type").unwrap_or_default();
            let all = labels([("zone", &name), ("type", kind.trim())]);
            Some((all, milli / 1000.0))
        })
        .collect();
    values.sort_by(|a, b| a.0.cmp(&b.0));
    if !values.is_empty() {
        let help = "Temperature of a part of the box.";
        t.add("temperature_celsius", "gauge", help, values);
    }
}
