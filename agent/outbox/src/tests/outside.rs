//! Looking at an outbox while an agent works on it holds up nobody.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::sync::atomic::{AtomicU64, Ordering};

use kakou_contract::{Held, Priority};
use rusqlite::Connection;

use super::{acknowledge, block, envelope, open, picture};
use crate::store::{Db, key};
use crate::*;

/// Bytes that a checkpoint would give back, if no reader held it up.
#[test]
fn a_checkpoint_does_not_wait_for_a_reader() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).close().unwrap();
    let key = key::read(dir.path()).unwrap().unwrap();
    let mut db = Db::open(dir.path(), key).unwrap();
    let reader = Connection::open(dir.path().join("outbox.db")).unwrap();
    reader
        .execute_batch("BEGIN; SELECT count(*) FROM message;")
        .unwrap();
    db.transact(|tx| tx.append(picture(1, 100_000), 1)).unwrap();
    // A checkpoint that waited would wait for the database's patience, ten seconds, and say so by
    // an error.
    assert!(!db.checkpoint().unwrap(), "held up");
    db.shrink(10).unwrap();
    let log = dir.path().join("outbox.db-wal");
    assert!(std::fs::metadata(&log).unwrap().len() > 100_000);
    let told = db.close_in_one_file().unwrap_err();
    assert!(told.to_string().contains("write-ahead log"), "{told}");
    reader.execute_batch("ROLLBACK").unwrap();
    drop(reader);
    let key = crate::store::key::read(dir.path()).unwrap().unwrap();
    Db::open(dir.path(), key)
        .unwrap()
        .close_in_one_file()
        .unwrap();
    assert!(!log.exists());
    let verdict = Inspection::open(dir.path())
        .unwrap()
        .verify(|_| ())
        .unwrap();
    assert!(verdict.is_whole() && verdict.messages == 1, "{verdict:?}");
}

/// What was committed between two of its statements once looked like messages behind the end.
#[test]
fn a_database_opens_beside_an_agent_that_commits_all_the_time() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    let key = key::read(dir.path()).unwrap().unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|s| {
        s.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                outbox
                    .append(vec![envelope(Priority::Passage, "live")])
                    .unwrap();
            }
        });
        let opened: Vec<_> = (0..300)
            .map(|_| Db::open(dir.path(), key.clone()).map(|db| db.head().sequence))
            .collect();
        done.store(true, Ordering::Relaxed);
        for result in opened {
            result.unwrap();
        }
    });
}

/// The write-ahead log can be emptied while something is verified or exported.
#[test]
fn neither_verify_nor_export_keeps_one_state_of_the_database_for_the_whole_run() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    for chunk in 0..5 {
        let all = (0..1000).map(|n| envelope(Priority::Passage, &format!("{chunk}-{n}")));
        outbox.append(all.collect()).unwrap();
    }
    let writer = Connection::open(dir.path().join("outbox.db")).unwrap();
    let emptied = AtomicU64::new(0);
    let checkpoint = || {
        let busy: i64 = writer
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |r| r.get(0))
            .unwrap();
        emptied.fetch_add(u64::from(busy == 0), Ordering::Relaxed);
    };
    let inspection = Inspection::open(dir.path()).unwrap();
    let mut next = 5000;
    let verdict = inspection
        .verify(|_| {
            // An agent writes on: the chain is followed all the same.
            next += 1;
            outbox
                .append(vec![envelope(Priority::Hit, "live")])
                .unwrap();
            acknowledge(&outbox, [next, next - 4000]);
            checkpoint();
        })
        .unwrap();
    assert!(verdict.is_whole(), "{verdict:?}");
    assert_eq!(verdict.messages, 5000);
    assert!(emptied.swap(0, Ordering::Relaxed) > 3);
    let count = inspection
        .export(
            1,
            u64::MAX,
            None,
            |_, _, _| Ok(None),
            |line| {
                if line["sequence"].as_u64().unwrap().is_multiple_of(1000) {
                    checkpoint();
                }
                Ok(())
            },
        )
        .unwrap();
    assert!(count > 5000);
    assert!(emptied.load(Ordering::Relaxed) > 3);
    outbox.close().unwrap();
}

#[test]
fn verify_sees_a_fault_beside_a_live_agent() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    let all = (0..10).map(|n| envelope(Priority::Passage, &n.to_string()));
    outbox.append(all.collect()).unwrap();
    let conn = Connection::open(dir.path().join("outbox.db")).unwrap();
    for (fault, told) in [
        (
            "UPDATE message SET topic = 'x' WHERE seq = 3",
            "message 3 is not what was committed",
        ),
        (
            "DELETE FROM waiting WHERE seq = 5",
            "message 5 is in (0, 0, 0)",
        ),
        (
            "DELETE FROM message WHERE seq = 7",
            "messages 7 to 7 are missing",
        ),
        (
            "UPDATE lane SET held = held + 1 WHERE lane = 2",
            "the counters say",
        ),
        (
            "UPDATE head SET hash = zeroblob(32)",
            "not the one that was signed",
        ),
    ] {
        conn.execute_batch(fault).unwrap();
        let verdict = Inspection::open(dir.path())
            .unwrap()
            .verify(|_| ())
            .unwrap();
        assert!(
            verdict.faults.iter().any(|fault| fault.contains(told)),
            "{told}: {verdict:?}"
        );
    }
    let _ = block(outbox.settle());
    let _ = outbox.close();
}

#[test]
fn what_a_file_says_of_itself_steers_no_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    outbox.append(vec![envelope(Priority::Hit, "x")]).unwrap();
    block(outbox.hold(1, Held::Refused, "why".into())).unwrap();
    outbox.close().unwrap();
    Connection::open(dir.path().join("outbox.db"))
        .unwrap()
        .execute_batch(
            "UPDATE setting SET value = 's/a' || char(27) || ']0;x' WHERE key = 'agent';
             UPDATE held SET why = char(10) || 'forged' || char(155) || char(8238);",
        )
        .unwrap();
    let told = Inspection::open(dir.path()).unwrap().overview().unwrap();
    assert_eq!(told.agent.unwrap(), "s/a\\u{1b}]0;x");
    assert_eq!(told.held[0].2, "\\nforged\\u{9b}\\u{202e}");
}
