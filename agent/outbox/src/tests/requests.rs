//! A request that cannot be carried out fails alone; a large one lets others have their turn.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kakou_contract::{Cursor, Held, Priority};

use super::{acknowledge, block, envelope, fetch, open, picture, wait_until};
use crate::*;

/// A reader that is past everything.
const PAST: Cursor = Cursor([1 << 50; 4]);

#[test]
fn numbers_that_are_none_are_refused_and_nobody_else_notices() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    let stop = Arc::new(AtomicBool::new(false));
    let producer = std::thread::spawn({
        let (outbox, stop) = (outbox.clone(), Arc::clone(&stop));
        move || {
            let mut committed = 0;
            while !stop.load(Ordering::Relaxed) {
                outbox
                    .append(vec![envelope(Priority::Hit, "hit")])
                    .expect("a hit beside a wrong request");
                committed += 1;
            }
            committed
        }
    });
    block(async {
        for n in [0, (1 << 53) + 1, 1 << 63, u64::MAX] {
            for _ in 0..20 {
                let told = [
                    outbox.resend(n, n).await.unwrap_err(),
                    outbox.resend(1, n).await.unwrap_err(),
                    outbox.acked(n).await.unwrap_err(),
                    outbox.hold(n, Held::Refused, "x".into()).await.unwrap_err(),
                    outbox.stored_payload(n).await.unwrap_err(),
                ];
                for e in told {
                    assert_eq!(e.concern(), Concern::Message, "{e}");
                    assert!(e.to_string().contains(&n.to_string()), "{e}");
                }
            }
        }
        // Backwards, and far beyond the end: nothing to do.
        assert_eq!(outbox.resend(5, 3).await.unwrap(), Resent::default());
        assert_eq!(
            outbox.resend(1 << 52, 1 << 53).await.unwrap(),
            Resent::default()
        );
        let nothing = outbox.fetch(Cursor([u64::MAX; 4]), &Priority::ORDER, 10, 10);
        assert_eq!(nothing.await.unwrap(), []);
    });
    stop.store(true, Ordering::Relaxed);
    assert!(producer.join().unwrap() > 0);
    wait_until(|| outbox.stats().state == OutboxState::Ok);
    assert_eq!(outbox.stats().unrecorded, 0);
    outbox.close().unwrap();
}

/// Rows that no request can bring about: the request that meets them fails, the appends of the same
/// group do not.
#[test]
fn a_request_that_meets_a_broken_row_fails_alone() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    outbox
        .append(vec![envelope(Priority::Passage, "1")])
        .unwrap();
    acknowledge(&outbox, [1]);
    let conn = rusqlite::Connection::open(dir.path().join("outbox.db")).unwrap();
    // Acknowledging message 2 will find that it is kept already.
    conn.execute_batch("INSERT INTO kept SELECT keep, lane, committed, 2 FROM kept WHERE seq = 1")
        .unwrap();
    let committed = conn
        .query_row("SELECT committed FROM message", [], |r| r.get::<_, i64>(0))
        .unwrap();
    outbox
        .append(vec![envelope(Priority::Passage, "2")])
        .unwrap();
    conn.execute(
        "UPDATE message SET committed = ? WHERE seq = 2",
        [committed],
    )
    .unwrap();
    drop(conn);
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let outbox = outbox.clone();
            std::thread::spawn(move || {
                for _ in 0..50 {
                    outbox
                        .append(vec![envelope(Priority::Hit, "hit")])
                        .expect("a hit beside a broken row");
                }
            })
        })
        .collect();
    block(async {
        for _ in 0..50 {
            outbox.acked(2).await.unwrap();
        }
        outbox.settle().await.unwrap();
    });
    threads.into_iter().for_each(|t| t.join().unwrap());
    let stats = outbox.stats();
    assert_eq!(stats.unrecorded, 0);
    wait_until(|| matches!(outbox.stats().state, OutboxState::Damaged { .. }));
    outbox.append(vec![envelope(Priority::Hit, "on")]).unwrap();
    outbox.close().unwrap();
}

#[test]
fn what_is_set_is_answered_and_holds() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    let wanted = Retention {
        passage: std::time::Duration::from_secs(7200),
        ..Retention::default()
    };
    block(outbox.set_retention(wanted)).unwrap();
    assert_eq!(outbox.retention(), wanted);
    outbox.close().unwrap();
    let outbox = open(dir.path());
    wait_until(|| outbox.retention() == wanted);
    outbox.close().unwrap();
}

#[test]
fn what_a_reload_set_does_not_outlive_the_config() {
    let dir = tempfile::tempdir().unwrap();
    let hit = |seconds: u64| Retention {
        hit: std::time::Duration::from_secs(seconds),
        ..Retention::default()
    };
    let start = |config: Retention| {
        let mut options = super::options(dir.path());
        options.retention = config;
        Outbox::open(options).unwrap()
    };
    let outbox = start(hit(1800));
    block(outbox.set_retention(hit(900))).unwrap();
    block(outbox.follow_config(hit(7200))).unwrap();
    assert_eq!(outbox.retention(), hit(7200));
    outbox.close().unwrap();
    // The config was changed once more while the agent was down.
    let outbox = start(hit(3600));
    wait_until(|| outbox.stats().retention == hit(3600));
    // What the platform sets after a reload holds over the config.
    block(outbox.set_retention(hit(900))).unwrap();
    outbox.close().unwrap();
    let outbox = start(hit(3600));
    wait_until(|| outbox.stats().retention == hit(900));
    outbox.close().unwrap();
}

#[test]
fn a_setting_that_cannot_be_stored_changes_nothing_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    let conn = rusqlite::Connection::open(dir.path().join("outbox.db")).unwrap();
    conn.execute_batch(
        "CREATE TRIGGER no BEFORE INSERT ON setting WHEN NEW.key = 'retention'
         BEGIN SELECT RAISE(ABORT, 'not now'); END;",
    )
    .unwrap();
    let before = outbox.retention();
    let wanted = Retention {
        passage: std::time::Duration::from_secs(7200),
        ..Retention::default()
    };
    let told = block(outbox.set_retention(wanted)).unwrap_err();
    assert!(told.to_string().contains("not now"), "{told}");
    outbox.append(vec![envelope(Priority::Hit, "on")]).unwrap();
    block(outbox.settle()).unwrap();
    assert_eq!(outbox.retention(), before);
    outbox.close().unwrap();
}

#[test]
fn a_fetch_of_what_was_put_back_in_line_keeps_its_bounds_and_forgets_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    for n in 1..=40 {
        outbox.append(vec![picture(n, 20_000)]).unwrap();
    }
    acknowledge(&outbox, 1..=40);
    assert_eq!(block(outbox.resend(1, 40)).unwrap().messages, 40);
    let mut numbers = Vec::new();
    for bytes in [1, 50_000, 0, 100_000] {
        let got = block(outbox.fetch(PAST, &Priority::ORDER, 256, bytes)).unwrap();
        let before: usize = got
            .iter()
            .take(got.len() - 1)
            .map(|p| p.envelope.payload.len())
            .sum();
        assert!(before < bytes.max(1), "{} for {bytes}", got.len());
        numbers.extend(got.iter().map(|p| p.sequence));
    }
    loop {
        let got = block(outbox.fetch(PAST, &Priority::ORDER, 7, 1 << 20)).unwrap();
        if got.is_empty() {
            break;
        }
        assert!(got.len() <= 7);
        numbers.extend(got.iter().map(|p| p.sequence));
    }
    assert_eq!(numbers, (1..=40).collect::<Vec<_>>(), "each once, in order");
    outbox.close().unwrap();
}

#[test]
fn a_large_release_lets_appends_have_their_turn() {
    const MESSAGES: usize = 20_000;
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    for chunk in 0..MESSAGES / 1000 {
        let all = (0..1000).map(|n| envelope(Priority::Picture, &format!("{chunk}-{n}")));
        outbox.append(all.collect()).unwrap();
    }
    block(async {
        for n in 1..=MESSAGES as u64 {
            outbox
                .hold(n, Held::NotAuthorised, "acl".into())
                .await
                .unwrap();
        }
        outbox.settle().await.unwrap();
    });
    let (before, at_end) = block(async {
        let release = outbox.release(Held::NotAuthorised, usize::MAX);
        let append = async {
            // The release is asked for first.
            tokio::task::yield_now().await;
            outbox
                .append_async(vec![envelope(Priority::Hit, "hit")])
                .await
                .unwrap();
            outbox.transactions()
        };
        let (released, before) = tokio::join!(release, append);
        assert_eq!(released.unwrap(), MESSAGES);
        (before, outbox.transactions())
    });
    assert!(
        at_end > before + 5,
        "the hit was committed at transaction {before}, the release ended at {at_end}"
    );
    let mut read = 0;
    loop {
        let got = block(outbox.fetch(PAST, &Priority::ORDER, 1000, 1 << 24)).unwrap();
        if got.is_empty() {
            break;
        }
        read += got
            .iter()
            .filter(|p| p.envelope.priority == Priority::Picture)
            .count();
    }
    assert_eq!(read, MESSAGES);
    outbox.close().unwrap();
}

#[test]
fn a_resend_in_slices_is_answered_once_with_all_that_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    for chunk in 0..3 {
        let all = (0..1000).map(|n| envelope(Priority::Picture, &format!("{chunk}-{n}")));
        outbox.append(all.collect()).unwrap();
    }
    acknowledge(&outbox, (1..=3000).filter(|n| n % 2 == 0));
    wait_until(|| outbox.stats().counts[Priority::Picture.index()].kept == 1500);
    let mut limits = OutboxLimits::default();
    let bytes = outbox.stats().counts[Priority::Picture.index()].bytes();
    limits.by_priority[Priority::Picture.index()].bytes = bytes - 1;
    block(outbox.upkeep_now(limits, Retention::default())).unwrap();
    let resent = block(outbox.resend(1, 5000)).unwrap();
    assert_eq!(resent.messages, 1499);
    assert_eq!(resent.missing, [[2, 2]]);
    assert_eq!(fetch(&outbox, PAST).len(), 1000, "the first of them");
    outbox.close().unwrap();
}
