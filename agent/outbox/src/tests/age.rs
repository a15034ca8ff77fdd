//! Deletion by age: only by what is proven, whatever the wall clock says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use kakou_contract::{ClockState, ClockStatus, Priority};
use kakou_time::{Clock as _, SimulatedClock};
use rusqlite::Connection;

use super::{acknowledge, block, clock, envelope, options, wait_until};
use crate::*;

const NOW: i64 = 1_800_000_000_000;
const DAY: Duration = Duration::from_secs(24 * 3600);

fn open_at(folder: &Path, clock: &Arc<SimulatedClock>) -> Outbox {
    let mut options = options(folder);
    options.clock = Arc::clone(clock) as _;
    Outbox::open(options).unwrap()
}

/// How many of the first messages are still there after a look at the ages: by default passages
/// wait at most 60 days, hits 90, pictures 14, and passages are kept for a day.
fn left(outbox: &Outbox, messages: u64) -> u64 {
    block(outbox.upkeep_now(OutboxLimits::default(), Retention::default())).unwrap();
    (1..=messages)
        .filter(|n| block(outbox.stored_payload(*n)).unwrap().is_some())
        .count() as u64
}

/// A hit, a passage and a picture wait; a passage is kept.
fn fill(outbox: &Outbox) {
    let all = [
        Priority::Hit,
        Priority::Passage,
        Priority::Picture,
        Priority::Passage,
    ];
    outbox
        .append(all.map(|priority| envelope(priority, "x")).into())
        .unwrap();
    acknowledge(outbox, [4]);
    assert_eq!(left(outbox, 4), 4);
}

fn set(clock: &SimulatedClock, state: ClockState) {
    clock.set_status(ClockStatus {
        state,
        offset_ms: None,
    });
}

#[test]
fn a_clock_far_ahead_gives_nothing_up_however_steadily_it_runs() {
    for state in [ClockState::Synchronised, ClockState::Unsynchronised] {
        let dir = tempfile::tempdir().unwrap();
        let clock = clock(NOW);
        let outbox = open_at(dir.path(), &clock);
        fill(&outbox);
        set(&clock, state);
        clock.step(TimeDelta::days(400));
        for _ in 0..5 {
            clock.advance(Duration::from_secs(4 * 3600));
            assert_eq!(left(&outbox, 4), 4, "{state}");
        }
        outbox.close().unwrap();
    }
}

#[test]
fn a_clock_far_ahead_after_a_restart_gives_nothing_up_unless_it_is_synchronised() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open_at(dir.path(), &clock(NOW));
    fill(&outbox);
    outbox.close().unwrap();
    let ahead = clock(NOW + 400 * 24 * 3_600_000);
    set(&ahead, ClockState::Unsynchronised);
    let outbox = open_at(dir.path(), &ahead);
    for _ in 0..5 {
        ahead.advance(Duration::from_secs(4 * 3600));
        assert_eq!(left(&outbox, 4), 4);
    }
    // It was right after all: the box was off for 400 days.
    set(&ahead, ClockState::Synchronised);
    assert_eq!(left(&outbox, 4), 0);
    outbox.close().unwrap();
}

#[test]
fn a_box_that_never_has_a_synchronised_clock_counts_its_uptime() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock(5_000);
    set(&clock, ClockState::Unsynchronised);
    let mut outbox = open_at(dir.path(), &clock);
    fill(&outbox);
    let mut seen = Vec::new();
    for _ in 0..95 {
        // Restarts prove nothing, and take nothing back.
        outbox.close().unwrap();
        outbox = open_at(dir.path(), &clock);
        clock.advance(DAY);
        seen.push(left(&outbox, 4));
    }
    let days_with = |n: u64| seen.iter().filter(|left| **left == n).count();
    // The kept passage goes after 1 day, the picture after 14, the passage after 60, the hit after
    // 90.
    assert_eq!(
        [days_with(3), days_with(2), days_with(1), days_with(0)],
        [13, 46, 30, 6],
        "{seen:?}"
    );
    outbox.close().unwrap();
}

/// As a law may ask: minutes after the platform has it, nothing of a passage is in any file.
#[test]
fn what_was_kept_for_a_minute_is_in_no_file_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock(NOW);
    let outbox = open_at(dir.path(), &clock);
    let plate = "PLATE-THAT-NOBODY-LOOKS-FOR";
    outbox
        .append(vec![
            envelope(Priority::Passage, plate),
            envelope(Priority::Hit, "wanted"),
        ])
        .unwrap();
    acknowledge(&outbox, [1, 2]);
    let stands_in_a_file = || {
        let files = std::fs::read_dir(dir.path()).unwrap();
        files.flatten().any(|file| {
            let bytes = std::fs::read(file.path()).unwrap_or_default();
            bytes.windows(plate.len()).any(|w| w == plate.as_bytes())
        })
    };
    let wanted = Retention {
        passage: Duration::from_secs(60),
        ..Retention::default()
    };
    block(outbox.set_retention(wanted)).unwrap();
    let look = || block(outbox.upkeep_now(OutboxLimits::default(), wanted)).unwrap();
    look();
    assert!(stands_in_a_file());
    clock.advance(Duration::from_secs(55));
    look();
    assert!(stands_in_a_file(), "a minute is not over");
    // As in service: the writer looks by itself.
    clock.advance(Duration::from_secs(10));
    wait_until(|| !stands_in_a_file());
    assert!(
        block(outbox.stored_payload(2)).unwrap().is_some(),
        "the hit stays"
    );
    outbox.close().unwrap();
}

#[test]
fn a_clock_that_is_set_back_makes_nothing_older_or_younger() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock(NOW);
    let outbox = open_at(dir.path(), &clock);
    fill(&outbox);
    clock.advance(Duration::from_secs(23 * 3600));
    clock.step(TimeDelta::days(-3000));
    assert_eq!(left(&outbox, 4), 4);
    clock.advance(Duration::from_secs(3600));
    assert_eq!(left(&outbox, 4), 3, "the kept passage is a day old");
    outbox.close().unwrap();
}

#[test]
fn a_command_is_known_again_whatever_the_clock_does() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock(NOW);
    let outbox = open_at(dir.path(), &clock);
    block(outbox.claim("r1".into())).unwrap();
    clock.step(TimeDelta::days(400));
    clock.advance(DAY);
    left(&outbox, 0);
    let known = Claim::Known { answer: None };
    assert_eq!(block(outbox.claim("r1".into())).unwrap(), known);
    clock.advance(DAY * 30);
    assert!(clock.wall_ms() > NOW);
    left(&outbox, 0);
    assert_eq!(block(outbox.claim("r1".into())).unwrap(), Claim::New);
    outbox.close().unwrap();
}

#[test]
fn a_flood_of_requests_pushes_out_the_oldest_alone() {
    const MOST: u64 = 100_000;
    let dir = tempfile::tempdir().unwrap();
    let clock = clock(NOW);
    open_at(dir.path(), &clock).close().unwrap();
    Connection::open(dir.path().join("outbox.db"))
        .unwrap()
        .execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1 + 3) \
             INSERT INTO command (request, at) SELECT 'r' || i, ?2 + i FROM n",
            [MOST as i64, NOW - 1_000_000],
        )
        .unwrap();
    let outbox = open_at(dir.path(), &clock);
    left(&outbox, 0);
    let claim = |n: u64| block(outbox.claim(format!("r{n}"))).unwrap();
    let known = Claim::Known { answer: None };
    assert_eq!(claim(MOST + 3), known);
    assert_eq!(claim(4), known, "the newest {MOST} are known");
    for old in 1..=3 {
        assert_eq!(claim(old), Claim::New, "{old}");
    }
    outbox.close().unwrap();
}
