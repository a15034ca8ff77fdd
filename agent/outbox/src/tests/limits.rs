//! What is given up or deleted, in which order, and what the platform is told of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::time::Duration;

use kakou_contract::{AuditEvent, AuditMessage, Cursor, DeletionReason, Keep, Message, Priority};

use super::{acknowledge, block, clock, envelope, fetch, open, options, picture, wait_until};
use crate::*;

#[test]
fn limits_take_pictures_first_and_tell_the_platform() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(dir.path());
    options.limits.by_priority[Priority::Picture.index()].bytes = 10_000;
    let outbox = Outbox::open(options).unwrap();
    for n in 0..20 {
        outbox
            .append(vec![
                envelope(Priority::Passage, &n.to_string()),
                picture(n, 1000),
            ])
            .unwrap();
    }
    wait_until(|| outbox.stats().counts[Priority::Picture.index()].evicted > 0);
    let found = fetch(&outbox, Cursor::default());
    let of = |priority| {
        found
            .iter()
            .filter(|p| p.envelope.priority == priority)
            .count()
    };
    let evicted = outbox.stats().counts[Priority::Picture.index()].evicted as usize;
    assert_eq!(
        (of(Priority::Passage), of(Priority::Picture)),
        (20, 20 - evicted)
    );
    let audit = found
        .iter()
        .find(|p| p.envelope.priority == Priority::Control)
        .expect("a record of the eviction");
    let audit: kakou_contract::AuditMessage =
        kakou_contract::Message::from_json(&audit.envelope.payload).unwrap();
    assert_eq!(audit.event.kind(), "eviction");
    assert_eq!(audit.event.gone()[0], [2, 2], "the oldest picture's number");
}

#[test]
fn limits_that_are_set_later_hold_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    for n in 0..20 {
        outbox.append(vec![picture(n, 1000)]).unwrap();
    }
    let mut limits = OutboxLimits::default();
    limits.by_priority[Priority::Picture.index()].bytes = 10_000;
    block(outbox.set_limits(limits)).unwrap();
    wait_until(|| outbox.stats().counts[Priority::Picture.index()].evicted > 0);
    let left = outbox.stats().counts[Priority::Picture.index()];
    assert!(
        left.waiting_bytes <= 10_000 && left.waiting + left.evicted == 20,
        "{left:?}"
    );
}

#[test]
fn what_was_kept_long_enough_is_deleted_with_a_record() {
    const NOW: i64 = 1_800_000_000_000;
    let dir = tempfile::tempdir().unwrap();
    let clock = clock(NOW);
    let mut options = options(dir.path());
    options.clock = clock.clone();
    options.retention.passage = Duration::from_secs(3600);
    let outbox = Outbox::open(options).unwrap();
    outbox
        .append(vec![
            envelope(Priority::Passage, "gone"),
            envelope(Priority::Hit, "stays"),
            envelope(Priority::Passage, "waits"),
        ])
        .unwrap();
    acknowledge(&outbox, [1, 2]);
    let standing = outbox.retention();
    block(outbox.upkeep_now(OutboxLimits::default(), standing)).unwrap();
    clock.advance(Duration::from_secs(3600));
    // The writer sees by itself that the time has come.
    wait_until(|| outbox.stats().head.sequence == 4);
    assert_eq!(block(outbox.stored_payload(1)).unwrap(), None);
    assert!(block(outbox.stored_payload(2)).unwrap().is_some());
    let resent = block(outbox.resend(1, 3)).unwrap();
    assert_eq!(
        resent,
        Resent {
            messages: 1,
            missing: vec![[1, 1]]
        }
    );
    let found = fetch(&outbox, Cursor::default());
    let audit = AuditMessage::from_json(&found[1].envelope.payload).unwrap();
    let AuditEvent::Deletion {
        keep,
        reason,
        older_than,
        ..
    } = audit.event
    else {
        unreachable!("{audit:?}");
    };
    assert_eq!((keep, reason), (Keep::Passage, DeletionReason::Retention));
    assert_eq!(older_than.timestamp_millis(), NOW + 1);
}

#[test]
fn a_hits_picture_goes_after_a_passages_and_the_record_tells_the_truth() {
    for kept in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let outbox = open(dir.path());
        // A hit's pictures are the oldest.
        for n in 1..=30 {
            let mut picture = picture(n, 1000);
            picture.keep = if n <= 5 { Keep::Hit } else { Keep::Passage };
            outbox.append(vec![picture]).unwrap();
        }
        if kept {
            acknowledge(&outbox, 1..=30);
        }
        let mut limits = OutboxLimits::default();
        limits.by_priority[Priority::Picture.index()].bytes = 8_000;
        block(outbox.upkeep_now(limits, Retention::default())).unwrap();
        let left = |n: u64| block(outbox.stored_payload(n)).unwrap().is_some();
        let found: Vec<u64> = (1..=30).filter(|n| left(*n)).collect();
        assert_eq!(found, [1, 2, 3, 4, 5, 28, 29, 30], "kept: {kept}");
        let audits: Vec<_> = fetch(&outbox, Cursor::default())
            .iter()
            .filter(|p| p.envelope.priority == Priority::Control)
            .map(|p| AuditMessage::from_json(&p.envelope.payload).unwrap().event)
            .collect();
        assert_eq!(audits.len(), 1);
        assert_eq!(audits[0].gone(), [[6, 27]]);
        match &audits[0] {
            AuditEvent::Deletion { keep, reason, .. } if kept => {
                assert_eq!((*keep, *reason), (Keep::Passage, DeletionReason::Room));
            }
            AuditEvent::Eviction { messages: 22, .. } if !kept => {}
            other => unreachable!("{other:?}"),
        }
        // Nothing else is left to give up: now the hit's go, oldest first.
        limits.by_priority[Priority::Picture.index()].bytes = 3_000;
        block(outbox.upkeep_now(limits, Retention::default())).unwrap();
        let found: Vec<u64> = (1..=30).filter(|n| left(*n)).collect();
        assert_eq!(found, [3, 4, 5], "kept: {kept}");
        outbox.close().unwrap();
    }
}
