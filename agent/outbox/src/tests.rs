//! The outbox as the rest of the agent sees it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use kakou_contract::{Committed, Continuity, Cursor, Envelope, Held, Id, Keep, Priority};
use std::path::Path;
use std::time::Duration;

use kakou_contract::seal::Seal;

use super::*;

pub(super) fn draft(lane: Priority, text: &str) -> Envelope {
    Envelope {
        priority: lane,
        keep: if lane == Priority::Hit {
            Keep::Hit
        } else {
            Keep::Passage
        },
        id: format!("id-{text}"),
        topic: format!("kakou/v1/s/a/{lane}/c"),
        content_type: Some("application/json".into()),
        user_properties: vec![("id".into(), format!("id-{text}"))],
        correlation: None,
        retain: false,
        captured_ms: None,
        numbered: true,
        payload: format!("{{\"text\":\"{text}\"}}").into_bytes().into(),
    }
}

pub(super) fn options(folder: &Path) -> OutboxOptions {
    OutboxOptions::new(
        folder,
        Id::new("site", "s").unwrap(),
        Id::new("agent", "a").unwrap(),
    )
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

#[test]
fn hits_leave_first_and_the_oldest_of_a_lane_before_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    let all = [
        (Priority::Passage, "p1"),
        (Priority::Picture, "i1"),
        (Priority::Control, "s1"),
        (Priority::Passage, "p2"),
        (Priority::Hit, "h1"),
    ];
    let numbers = outbox
        .append(all.iter().map(|(l, t)| draft(*l, t)).collect())
        .unwrap();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
    let found = fetch(&outbox, Cursor::default());
    assert_eq!(texts(&found), ["h1", "s1", "p1", "p2", "i1"]);
    let mut after = Cursor::default();
    after.advance(Priority::Hit, 5);
    after.advance(Priority::Passage, 1);
    assert_eq!(texts(&fetch(&outbox, after)), ["s1", "p2", "i1"]);
}

#[test]
fn every_message_is_numbered_chained_and_signed() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    for n in 0..5 {
        outbox
            .append(vec![
                draft(Priority::Passage, &n.to_string()),
                draft(Priority::Picture, &n.to_string()),
            ])
            .unwrap();
    }
    let mut chain = Continuity::new();
    for p in fetch(&outbox, Cursor::default()) {
        let seal = Seal::from_properties(&p.envelope.user_properties).unwrap();
        let id = &p.envelope.user_properties[0].1;
        seal.verify(
            &outbox.public_key(),
            &p.envelope.topic,
            id,
            p.envelope.content_type.as_deref(),
            &p.envelope.payload,
        )
        .unwrap();
        assert_eq!(
            serde_json::from_slice::<serde_json::Value>(&p.envelope.payload).unwrap()["sequence"],
            p.sequence
        );
        chain.seal(&seal);
    }
    assert_eq!((chain.complete_to(), chain.gaps().len()), (10, 0));
}

#[test]
fn what_is_acknowledged_is_kept_and_can_be_sent_again_and_the_rest_survives() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    outbox
        .append(
            (1..=4)
                .map(|n| draft(Priority::Passage, &n.to_string()))
                .collect(),
        )
        .unwrap();
    let seen = fetch(&outbox, Cursor::default());
    block(async {
        outbox.acked(2).await.unwrap();
        outbox.acked(2).await.unwrap();
        outbox
            .hold(3, Held::TooLarge, "too large".into())
            .await
            .unwrap();
        outbox.settle().await.unwrap();
    });
    assert_eq!(texts(&fetch(&outbox, Cursor::default())), ["1", "4"]);
    outbox.close().unwrap();

    let outbox = open(dir.path());
    let again = fetch(&outbox, Cursor::default());
    assert_eq!(texts(&again), ["1", "4"]);
    assert_eq!(
        again[0], seen[0],
        "the same bytes, number, hash and signature"
    );
    let past = Cursor([9; 4]);
    assert_eq!(block(outbox.release(Held::TooLarge, 10)).unwrap(), 1);
    assert_eq!(
        texts(&fetch(&outbox, past)),
        ["3"],
        "behind the reader, and found all the same"
    );
    let resent = block(outbox.resend(1, 100)).unwrap();
    assert_eq!(
        resent,
        Resent {
            messages: 1,
            missing: vec![]
        }
    );
    assert_eq!(texts(&fetch(&outbox, past)), ["2"]);
    assert!(fetch(&outbox, past).is_empty(), "once");
    assert_eq!(outbox.append(vec![draft(Priority::Hit, "5")]).unwrap(), [5]);
}

#[test]
fn a_command_is_known_again() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    block(async {
        assert_eq!(outbox.claim("r1".into()).await.unwrap(), Claim::New);
        assert_eq!(
            outbox.claim("r1".into()).await.unwrap(),
            Claim::Known { answer: None }
        );
        let numbers = outbox
            .answer("r1".into(), vec![draft(Priority::Control, "answer")])
            .await
            .unwrap();
        assert_eq!(
            outbox.claim("r1".into()).await.unwrap(),
            Claim::Known {
                answer: Some(numbers[0])
            }
        );
        let payload = outbox.stored_payload(numbers[0]).await.unwrap().unwrap();
        assert_eq!(payload, br#"{"text":"answer","sequence":1}"#);
    });
}

#[test]
fn limits_take_pictures_first_and_tell_the_platform() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(dir.path());
    options.limits.lanes[Priority::Picture.index()].bytes = 10_000;
    let outbox = Outbox::open(options).unwrap();
    for n in 0..20 {
        let mut picture = draft(Priority::Picture, &n.to_string());
        (picture.numbered, picture.payload) = (false, vec![n; 1000].into());
        outbox
            .append(vec![draft(Priority::Passage, &n.to_string()), picture])
            .unwrap();
    }
    wait_until(|| outbox.stats().lanes[Priority::Picture.index()].evicted > 0);
    let found = fetch(&outbox, Cursor::default());
    let of = |lane| found.iter().filter(|p| p.envelope.priority == lane).count();
    let evicted = outbox.stats().lanes[Priority::Picture.index()].evicted as usize;
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
        let mut picture = draft(Priority::Picture, &n.to_string());
        (picture.numbered, picture.payload) = (false, vec![n; 1000].into());
        outbox.append(vec![picture]).unwrap();
    }
    let mut limits = Limits::default();
    limits.lanes[Priority::Picture.index()].bytes = 10_000;
    block(outbox.set_limits(limits)).unwrap();
    wait_until(|| outbox.stats().lanes[Priority::Picture.index()].evicted > 0);
    let left = outbox.stats().lanes[Priority::Picture.index()];
    assert!(
        left.waiting_bytes <= 10_000 && left.waiting + left.evicted == 20,
        "{left:?}"
    );
}

#[test]
fn what_was_kept_long_enough_is_deleted_with_a_record() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(dir.path());
    options.retention.passage = Duration::ZERO;
    let outbox = Outbox::open(options).unwrap();
    outbox
        .append(vec![
            draft(Priority::Passage, "gone"),
            draft(Priority::Hit, "stays"),
            draft(Priority::Passage, "waits"),
        ])
        .unwrap();
    block(async {
        outbox.acked(1).await.unwrap();
        outbox.acked(2).await.unwrap();
        outbox.settle().await.unwrap();
        // Takes effect at the next look, at the latest after half a minute; a restart looks at once.
    });
    outbox.close().unwrap();
    let mut options = super::tests::options(dir.path());
    options.retention.passage = Duration::ZERO;
    let outbox = Outbox::open(options).unwrap();
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
    assert!(String::from_utf8_lossy(&found[1].envelope.payload).contains("deletion"));
}

#[test]
fn a_folder_has_one_agent() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path());
    let told = Outbox::open(options(dir.path())).err().unwrap();
    assert!(matches!(told, OutboxError::InUse { .. }), "{told}");
    first.close().unwrap();
    let mut other = options(dir.path());
    other.agent = Id::new("agent", "other").unwrap();
    let told = Outbox::open(other).err().unwrap().to_string();
    assert!(told.contains("belongs to s/a"), "{told}");
}

#[test]
fn a_changed_message_is_held_and_not_sent() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    outbox
        .append(vec![
            draft(Priority::Passage, "one"),
            draft(Priority::Passage, "two"),
            draft(Priority::Passage, "three"),
        ])
        .unwrap();
    outbox.close().unwrap();
    let conn = rusqlite::Connection::open(dir.path().join("outbox.db")).unwrap();
    conn.execute(
        "UPDATE message SET payload = CAST(replace(payload, 'two', 'six') AS BLOB) WHERE seq = 2",
        [],
    )
    .unwrap();
    drop(conn);
    let outbox = open(dir.path());
    assert_eq!(texts(&fetch(&outbox, Cursor::default())), ["one", "three"]);
    block(outbox.settle()).unwrap();
    wait_until(|| outbox.stats().lanes[Priority::Passage.index()].held == 1);
}

#[test]
fn a_cut_chain_and_a_lost_key_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    outbox
        .append(vec![
            draft(Priority::Passage, "one"),
            draft(Priority::Passage, "two"),
        ])
        .unwrap();
    outbox.close().unwrap();
    let db = dir.path().join("outbox.db");
    let conn = rusqlite::Connection::open(&db).unwrap();
    conn.execute("UPDATE head SET seq = 1", []).unwrap();
    drop(conn);
    let told = Outbox::open(options(dir.path())).err().unwrap().to_string();
    assert!(
        told.contains("outbox.db") && told.contains("kakou outbox verify"),
        "{told}"
    );
    std::fs::remove_file(dir.path().join("agent.key")).unwrap();
    let told = Outbox::open(options(dir.path())).err().unwrap().to_string();
    assert!(told.contains("agent.key"), "{told}");
    std::fs::write(
        &db,
        "no database at all, but text that is long enough to be taken for one",
    )
    .unwrap();
    key::create(dir.path()).unwrap();
    let told = Outbox::open(options(dir.path())).err().unwrap().to_string();
    assert!(told.contains("is damaged"), "{told}");
}

#[test]
fn a_clock_that_steps_deletes_nothing() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};
    const DAY: i64 = 24 * 3_600_000;
    const NOW: i64 = 1_800_000_000_000;
    let dir = tempfile::tempdir().unwrap();
    let now = Arc::new(AtomicI64::new(NOW));
    let with = |at: i64| {
        let now = Arc::clone(&now);
        now.store(at, Ordering::SeqCst);
        let mut options = options(dir.path());
        options.wall_ms = Arc::new(move || now.load(Ordering::SeqCst));
        Outbox::open(options).unwrap()
    };
    let outbox = with(NOW);
    outbox
        .append(
            (0..4)
                .map(|n| draft(Priority::Passage, &n.to_string()))
                .collect(),
        )
        .unwrap();
    block(async {
        (
            outbox.acked(1).await.unwrap(),
            outbox.settle().await.unwrap(),
        )
    });
    outbox.close().unwrap();
    // 1970, a year ahead, and a day behind: the first look at the ages is right after a start.
    for wrong in [5_000, NOW + 365 * DAY, NOW - DAY] {
        let outbox = with(wrong);
        std::thread::sleep(Duration::from_millis(1500));
        assert_eq!(outbox.stats().head.sequence, 4, "at {wrong}");
        outbox.close().unwrap();
    }
    // A time that fits: a day has passed.
    let outbox = with(NOW + DAY - 1000);
    outbox.append(vec![draft(Priority::Passage, "5")]).unwrap();
    outbox.close().unwrap();
    let outbox = with(NOW + DAY + 1000);
    wait_until(|| outbox.stats().head.sequence == 6);
    assert_eq!(block(outbox.stored_payload(1)).unwrap(), None);
    outbox.close().unwrap();
}

#[test]
fn what_was_committed_before_the_clock_was_set_is_kept_its_time_from_then_on() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};
    const HOUR: i64 = 3_600_000;
    const NOW: i64 = 1_800_000_000_000;
    let dir = tempfile::tempdir().unwrap();
    let now = Arc::new(AtomicI64::new(7_000));
    let mut options = options(dir.path());
    let clock = Arc::clone(&now);
    options.wall_ms = Arc::new(move || clock.load(Ordering::SeqCst));
    let outbox = Outbox::open(options).unwrap();
    outbox
        .append(vec![draft(Priority::Passage, "of 1970")])
        .unwrap();
    block(async {
        (
            outbox.acked(1).await.unwrap(),
            outbox.settle().await.unwrap(),
        )
    });
    let look = || {
        let retention = Retention {
            passage: Duration::from_secs(24 * 3600),
            ..Retention::default()
        };
        block(outbox.upkeep_now(Limits::default(), retention)).unwrap();
        block(outbox.stored_payload(1)).unwrap().is_some()
    };
    now.store(NOW, Ordering::SeqCst);
    assert!(look(), "the clock was set right a moment ago");
    now.store(NOW + 23 * HOUR, Ordering::SeqCst);
    assert!(look());
    now.store(NOW + 25 * HOUR, Ordering::SeqCst);
    assert!(!look());
    outbox.close().unwrap();
}

/// `schema_v1.sql` is the schema as version 1 made it; it is never changed.
#[test]
fn a_database_of_an_old_version_is_brought_up_to_date_with_all_that_is_in_it() {
    let (new, old) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let outbox = open(new.path());
    outbox
        .append(
            (0..20)
                .map(|n| draft(Priority::ORDER[n % 4], &n.to_string()))
                .collect(),
        )
        .unwrap();
    block(async {
        outbox.acked(1).await.unwrap();
        outbox.hold(2, Held::Refused, "test".into()).await.unwrap();
        outbox.claim("r1".into()).await.unwrap();
        outbox.settle().await.unwrap();
    });
    let waiting = fetch(&outbox, Cursor::default());
    outbox.close().unwrap();
    std::fs::copy(new.path().join("agent.key"), old.path().join("agent.key")).unwrap();
    let conn = rusqlite::Connection::open(old.path().join("outbox.db")).unwrap();
    conn.execute_batch(
        "PRAGMA page_size = 8192; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;",
    )
    .unwrap();
    conn.execute_batch(include_str!("schema_v1.sql")).unwrap();
    conn.execute(
        "ATTACH ? AS new",
        [new.path().join("outbox.db").to_str().unwrap()],
    )
    .unwrap();
    for table in [
        "message", "waiting", "held", "kept", "gone", "lane", "head", "revived", "command",
        "setting",
    ] {
        conn.execute_batch(&format!(
            "DELETE FROM main.{table}; INSERT INTO main.{table} SELECT * FROM new.{table};"
        ))
        .unwrap();
    }
    conn.execute_batch("DETACH new; PRAGMA user_version = 1;")
        .unwrap();
    drop(conn);

    let outbox = open(old.path());
    assert_eq!(fetch(&outbox, Cursor::default()), waiting);
    assert_eq!(block(outbox.release(Held::Refused, 10)).unwrap(), 1);
    assert_eq!(
        outbox.append(vec![draft(Priority::Hit, "next")]).unwrap(),
        [21]
    );
    outbox.close().unwrap();
    let schema = |folder: &Path| -> Vec<(String, Option<String>)> {
        let conn = rusqlite::Connection::open(folder.join("outbox.db")).unwrap();
        let mut statement = conn
            .prepare("SELECT name, sql FROM sqlite_schema ORDER BY name")
            .unwrap();
        statement
            .query_map([], |r| Ok((r.get(0)?, r.get(1)?)))
            .unwrap()
            .map(Result::unwrap)
            .collect()
    };
    assert_eq!(schema(old.path()), schema(new.path()));
    assert!(
        Inspection::open(old.path())
            .unwrap()
            .verify(|_| ())
            .unwrap()
            .is_whole()
    );
    // A newer one is not touched.
    let conn = rusqlite::Connection::open(old.path().join("outbox.db")).unwrap();
    conn.execute_batch("PRAGMA user_version = 99").unwrap();
    drop(conn);
    let told = Outbox::open(options(old.path())).err().unwrap().to_string();
    assert!(told.contains("schema 99"), "{told}");
}

#[test]
fn many_producers_share_a_transaction_and_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    let threads: Vec<_> = (0..8)
        .map(|t| {
            let outbox = outbox.clone();
            std::thread::spawn(move || {
                (0..50)
                    .flat_map(|n| {
                        outbox
                            .append(vec![draft(Priority::Passage, &format!("{t}-{n}"))])
                            .unwrap()
                    })
                    .collect::<Vec<_>>()
            })
        })
        .collect();
    let mut all: Vec<u64> = threads
        .into_iter()
        .flat_map(|t| t.join().unwrap())
        .collect();
    all.sort_unstable();
    assert_eq!(all, (1..=400).collect::<Vec<_>>());
    outbox.close().unwrap();
    assert_eq!(fetch(&open(dir.path()), Cursor::default()).len(), 400);
}

#[track_caller]
fn wait_until(mut done: impl FnMut() -> bool) {
    let limit = std::time::Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(
            std::time::Instant::now() < limit,
            "it did not happen within 20 s"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}
