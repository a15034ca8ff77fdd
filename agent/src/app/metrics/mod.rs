//! How the agent is, in Prometheus' text form, in a file: for node_exporter's textfile collector or
//! whoever reads it. Nothing listens for it.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use kakou_contract::{CameraState as State, ClockState, PartState, Priority, StatusMessage};
use kakou_outbox::Stats;
use kakou_uplink::Status;

use super::camera_view::CameraView;
use super::overview::Sources;
use super::settings::Settings;
use super::supervise::{Pulse, TaskPart};

/// How often the file is written.
const EVERY: Duration = Duration::from_secs(5);

/// Writes the file again and again, where the config names one.
pub struct MetricsPart {
    pub sources: Sources,
    pub settings: Settings,
}

impl TaskPart for MetricsPart {
    async fn run_once(&mut self, pulse: &Pulse) -> anyhow::Result<()> {
        loop {
            if let Some(file) = self.settings.metrics_file() {
                let overview = self.sources.look();
                let mut text = text(&overview.status, &overview.outbox, &overview.link);
                delays(&mut text, &self.sources.views.all());
                // A disk may let a write wait.
                tokio::task::spawn_blocking(move || write(&file, &text.0)).await??;
            }
            pulse.working();
            tokio::time::sleep(EVERY).await;
        }
    }
}

/// Writes the file anew, as a whole or not at all.
fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    // Whoever reads it, a node_exporter say, needs not be in our group: it holds counts alone.
    kakou_guard::file::replace(file, text.as_bytes(), 0o644)
        .with_context(|| format!("{}: the metrics cannot be written", file.display()))
}

struct Text(String);

impl Text {
    /// A metric with its help, and a value per set of labels. Ids are of letters, digits, `-` and
    /// `_`: nothing to escape.
    fn add(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        values: impl IntoIterator<Item = (String, f64)>,
    ) {
        // Writing to a string does not fail.
        let _ = writeln!(
            self.0,
            "# HELP kakou_{name} {help}\n# TYPE kakou_{name} {kind}"
        );
        for (labels, value) in values {
            let _ = match labels.is_empty() {
                true => writeln!(self.0, "kakou_{name} {value}"),
                false => writeln!(self.0, "kakou_{name}{{{labels}}} {value}"),
            };
        }
    }
}

fn delays(t: &mut Text, cameras: &[Arc<CameraView>]) {
    let help = "From a frame's capture to the end of the look at it, of the last thousand looks.";
    let values = cameras
        .iter()
        .filter_map(|c| Some((c.id(), c.delay()?)))
        .flat_map(|(id, (middle, most))| {
            [("0.5", middle), ("0.99", most)]
                .map(|(q, v)| (format!("camera=\"{id}\",quantile=\"{q}\""), f64::from(v)))
        });
    t.add("camera_look_delay_seconds", "gauge", help, values);
}

fn text(status: &StatusMessage, outbox: &Stats, uplink: &Status) -> Text {
    let mut t = Text(String::new());
    let one = |value: f64| [(String::new(), value)];
    let flag = |on: bool| f64::from(u8::from(on));
    let cameras = || status.cameras.iter();
    let of = |c: &kakou_contract::CameraStatus| format!("camera=\"{}\"", c.camera);
    let states = cameras().flat_map(|c| {
        let (labels, now) = (of(c), c.state);
        State::ALL
            .iter()
            .map(move |s| (format!("{labels},state=\"{s}\""), flag(now == Some(*s))))
    });
    t.add(
        "camera_state",
        "gauge",
        "1 for the state a camera is in.",
        states,
    );
    t.add(
        "camera_fps",
        "gauge",
        "Frames received a second, lately.",
        cameras().map(|c| (of(c), c.fps.map_or(0.0, |f| f.get().into()))),
    );
    let looked = |c: &kakou_contract::CameraStatus| c.fps_looked.map_or(0.0, |f| f.get().into());
    t.add(
        "camera_fps_looked",
        "gauge",
        "Frames looked at a second, lately.",
        cameras().map(|c| (of(c), looked(c))),
    );
    t.add(
        "camera_frames_looked_total",
        "counter",
        "Frames looked at.",
        cameras().map(|c| (of(c), c.frames as f64)),
    );
    let still = |c: &kakou_contract::CameraStatus| c.frames_still.unwrap_or(0) as f64;
    t.add(
        "camera_frames_still_total",
        "counter",
        "Frames in which nothing moved.",
        cameras().map(|c| (of(c), still(c))),
    );
    let dropped = "Frames that a newer one displaced.";
    t.add(
        "camera_frames_dropped_total",
        "counter",
        dropped,
        cameras().map(|c| (of(c), c.frames_dropped as f64)),
    );
    let broken = "Complaints of the decoder.";
    t.add(
        "camera_frames_broken_total",
        "counter",
        broken,
        cameras().map(|c| (of(c), c.frames_broken as f64)),
    );
    let restarts = |c: &kakou_contract::CameraStatus| c.restarts.unwrap_or(0) as f64;
    t.add(
        "camera_restarts_total",
        "counter",
        "Connections made anew.",
        cameras().map(|c| (of(c), restarts(c))),
    );
    let parts = status.parts.iter().flat_map(|p| {
        PartState::ALL.iter().map(move |s| {
            let labels = format!("part=\"{}\",state=\"{s}\"", p.name);
            (labels, flag(p.state == *s))
        })
    });
    t.add(
        "part_state",
        "gauge",
        "1 for the state a supervised part of the agent is in.",
        parts,
    );
    t.add(
        "part_restarts_total",
        "counter",
        "Starts of a part after a failure.",
        status
            .parts
            .iter()
            .map(|p| (format!("part=\"{}\"", p.name), p.restarts as f64)),
    );
    if let Some(list) = &status.watchlist {
        t.add(
            "watchlist_entries",
            "gauge",
            "Plates in the list in use.",
            one(list.entries as f64),
        );
        t.add(
            "watchlist_in_use",
            "gauge",
            "1 while the configured list is the one in use.",
            one(flag(list.health == kakou_contract::Health::Ok)),
        );
    }
    let lanes = || {
        Priority::ALL
            .iter()
            .map(|l| (format!("lane=\"{l}\""), &outbox.counts[l.index()]))
    };
    t.add(
        "outbox_waiting",
        "gauge",
        "Messages not yet acknowledged.",
        lanes().map(|(l, s)| (l, s.waiting as f64)),
    );
    t.add(
        "outbox_evicted_total",
        "counter",
        "Messages given up.",
        lanes().map(|(l, s)| (l, s.evicted as f64)),
    );
    t.add(
        "disk_free_bytes",
        "gauge",
        "Free on the outbox's disk.",
        one(outbox.space.disk_free as f64),
    );
    t.add(
        "uplink_connected",
        "gauge",
        "1 while connected to a broker.",
        one(flag(uplink.connected)),
    );
    t.add(
        "uplink_connections_total",
        "counter",
        "Connections made.",
        one(uplink.connections as f64),
    );
    t.add(
        "uplink_acked_total",
        "counter",
        "Messages acknowledged.",
        one(uplink.acked as f64),
    );
    let clock = status.clock;
    let synchronised = clock.is_some_and(|c| c.state == ClockState::Synchronised);
    t.add(
        "clock_synchronised",
        "gauge",
        "1 while a time source disciplines the clock.",
        one(flag(synchronised)),
    );
    if let Some(offset) = clock.and_then(|c| c.offset_ms) {
        t.add(
            "clock_offset_seconds",
            "gauge",
            "The source's time less ours.",
            one(offset as f64 / 1000.0),
        );
    }
    t
}
