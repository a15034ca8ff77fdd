//! The outbox as the rest of the agent sees it. What they share is here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod age;
mod blocked;
mod damage;
mod everyday;
mod limits;
mod model;
mod open_hits;
mod outside;
mod repair;
mod requests;
mod unreadable;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use kakou_contract::{Committed, Cursor, Envelope, Id, Keep, Priority};
use kakou_time::SimulatedClock;

use crate::{Outbox, OutboxOptions};

pub(crate) fn envelope(priority: Priority, text: &str) -> Envelope {
    Envelope {
        priority,
        keep: if priority == Priority::Hit {
            Keep::Hit
        } else {
            Keep::Passage
        },
        id: format!("id-{text}"),
        topic: format!("kakou/v1/s/a/{priority}/c"),
        content_type: Some("application/json".into()),
        user_properties: vec![("id".into(), format!("id-{text}"))],
        correlation: None,
        retain: false,
        captured_ms: None,
        numbered: true,
        payload: format!("{{\"text\":\"{text}\"}}").into_bytes().into(),
    }
}

/// Of a passage, with so many bytes.
fn picture(n: u64, bytes: usize) -> Envelope {
    let mut picture = envelope(Priority::Picture, &n.to_string());
    (picture.numbered, picture.payload) = (false, vec![n as u8; bytes].into());
    picture
}

pub(crate) fn options(folder: &Path) -> OutboxOptions {
    OutboxOptions::new(
        folder,
        Id::new("site", "s").unwrap(),
        Id::new("agent", "a").unwrap(),
    )
}

/// Synchronised, at this wall time.
pub(crate) fn clock(wall_ms: i64) -> Arc<SimulatedClock> {
    let wall = DateTime::from_timestamp_millis(wall_ms).unwrap();
    Arc::new(SimulatedClock::new(wall.fixed_offset(), Duration::ZERO))
}

fn open(folder: &Path) -> Outbox {
    Outbox::open(options(folder)).unwrap()
}

fn block<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(work)
}

fn fetch(outbox: &Outbox, after: Cursor) -> Vec<Committed> {
    block(outbox.fetch(after, &Priority::ORDER, 1000, 1 << 20)).unwrap()
}

fn texts(all: &[Committed]) -> Vec<String> {
    let text = |p: &Committed| {
        serde_json::from_slice::<serde_json::Value>(&p.envelope.payload).unwrap()["text"].clone()
    };
    all.iter()
        .map(|p| text(p).as_str().unwrap().to_owned())
        .collect()
}

/// The platform has these.
fn acknowledge(outbox: &Outbox, numbers: impl IntoIterator<Item = u64>) {
    block(async {
        for n in numbers {
            outbox.acked(n).await.unwrap();
        }
        outbox.settle().await.unwrap();
    });
}

/// For what another thread does; how fast the machine is decides nothing.
#[track_caller]
fn wait_until(mut done: impl FnMut() -> bool) {
    #[allow(clippy::disallowed_methods)] // Only so that a failing test ends.
    let began = std::time::Instant::now();
    while !done() {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "it did not happen within a minute"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}
