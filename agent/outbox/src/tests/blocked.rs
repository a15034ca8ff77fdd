//! Another process has the database locked: nothing is lost, and nobody waits for ever.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::path::Path;

use kakou_contract::{Cursor, Held, Priority};
use rusqlite::Connection;

use super::{acknowledge, block, envelope, fetch, open, wait_until};
use crate::*;

fn lock(folder: &Path) -> Connection {
    let conn = Connection::open(folder.join("outbox.db")).unwrap();
    conn.execute_batch("BEGIN IMMEDIATE").unwrap();
    conn
}

fn is_blocked(outbox: &Outbox) -> bool {
    matches!(outbox.stats().state, OutboxState::Blocked { .. })
}

#[test]
fn whoever_appends_while_another_process_holds_the_lock_waits_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    outbox
        .append(vec![envelope(Priority::Passage, "before")])
        .unwrap();
    let other = lock(dir.path());
    let threads: Vec<_> = (0..6)
        .map(|n| {
            let outbox = outbox.clone();
            std::thread::spawn(move || {
                outbox.append(vec![envelope(Priority::Hit, &format!("hit {n}"))])
            })
        })
        .collect();
    wait_until(|| is_blocked(&outbox));
    let OutboxState::Blocked { since_ms, why } = outbox.stats().state else {
        unreachable!("it was blocked a moment ago, and still is");
    };
    assert!(since_ms > 0 && why.contains("outbox.db"), "{why}");
    // Many tries later it is still the same wait, and reading goes on.
    let mut stats = outbox.watch();
    block(async {
        for _ in 0..8 {
            stats.changed().await.unwrap();
        }
    });
    let state = outbox.stats().state;
    assert!(
        matches!(state, OutboxState::Blocked { since_ms: s, .. } if s == since_ms),
        "{state:?}"
    );
    assert_eq!(fetch(&outbox, Cursor::default()).len(), 1);
    other.execute_batch("ROLLBACK").unwrap();
    let mut numbers: Vec<u64> = threads
        .into_iter()
        .flat_map(|thread| thread.join().unwrap().unwrap())
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [2, 3, 4, 5, 6, 7]);
    wait_until(|| outbox.stats().state == OutboxState::Ok);
    assert_eq!(outbox.stats().unrecorded, 0);
    outbox.close().unwrap();
}

#[test]
fn once_the_queue_is_full_an_append_is_refused_with_an_error_that_says_for_now() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    let other = lock(dir.path());
    let waiting = std::thread::spawn({
        let outbox = outbox.clone();
        move || outbox.append(vec![envelope(Priority::Hit, "waits")])
    });
    wait_until(|| is_blocked(&outbox));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (told, queued) = runtime.block_on(async {
        let mut queued = Vec::new();
        loop {
            let outbox = outbox.clone();
            let append = tokio::spawn(async move {
                outbox
                    .append_async(vec![envelope(Priority::Passage, "queued")])
                    .await
            });
            // It is in the queue then, or refused.
            tokio::task::yield_now().await;
            if append.is_finished() {
                break (append.await.unwrap().unwrap_err(), queued);
            }
            queued.push(append);
        }
    });
    assert_eq!(told.concern(), Concern::Now, "{told}");
    assert!(queued.len() >= 1000, "{}", queued.len());
    let told = outbox
        .append(vec![envelope(Priority::Passage, "from a thread")])
        .unwrap_err();
    assert_eq!(told.concern(), Concern::Now, "{told}");
    other.execute_batch("ROLLBACK").unwrap();
    let expected = queued.len() as u64 + 1;
    runtime.block_on(async {
        for append in queued {
            append.await.unwrap().unwrap();
        }
    });
    waiting.join().unwrap().unwrap();
    assert_eq!(outbox.stats().unrecorded, 0);
    outbox.close().unwrap();
    let inspection = Inspection::open(dir.path()).unwrap();
    let verdict = inspection.verify(|_| ()).unwrap();
    assert_eq!(verdict.messages, expected);
}

#[test]
fn an_outbox_can_be_closed_while_another_process_holds_the_lock() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    let other = lock(dir.path());
    let waiting = std::thread::spawn({
        let outbox = outbox.clone();
        move || outbox.append(vec![envelope(Priority::Hit, "waits")])
    });
    wait_until(|| is_blocked(&outbox));
    let _ = outbox.close();
    let told = waiting.join().unwrap().unwrap_err();
    assert_eq!(told.concern(), Concern::Now, "{told}");
    other.execute_batch("ROLLBACK").unwrap();
}

/// Another process has put a message back in line, and the broker acknowledges it before the writer
/// has looked.
#[test]
fn counters_stay_right_when_another_process_requeues() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    outbox
        .append(vec![envelope(Priority::Passage, "1")])
        .unwrap();
    block(async {
        outbox.hold(1, Held::Refused, "test".into()).await.unwrap();
        outbox.settle().await.unwrap();
    });
    for _ in 0..20 {
        assert_eq!(
            requeue(dir.path(), Requeue::Range { first: 1, last: 1 }).unwrap(),
            1
        );
        acknowledge(&outbox, [1]);
    }
    outbox.close().unwrap();
    let inspection = Inspection::open(dir.path()).unwrap();
    let counts = inspection.overview().unwrap().counts[Priority::Passage.index()];
    assert_eq!((counts.waiting, counts.held, counts.kept), (0, 0, 1));
    let verdict = inspection.verify(|_| ()).unwrap();
    assert!(verdict.is_whole(), "{verdict:?}");
}
