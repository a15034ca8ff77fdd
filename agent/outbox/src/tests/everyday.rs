//! What an outbox does on an ordinary day.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::path::Path;

use kakou_contract::seal::Seal;
use kakou_contract::{Continuity, Cursor, Held, Id, Priority};

use super::{block, envelope, fetch, open, options, texts, wait_until};
use crate::*;

#[test]
fn hits_leave_first_and_the_oldest_of_a_priority_before_the_others() {
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
        .append(all.iter().map(|(p, t)| envelope(*p, t)).collect())
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
                envelope(Priority::Passage, &n.to_string()),
                envelope(Priority::Picture, &n.to_string()),
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
                .map(|n| envelope(Priority::Passage, &n.to_string()))
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
    assert_eq!(
        outbox.append(vec![envelope(Priority::Hit, "5")]).unwrap(),
        [5]
    );
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
            .answer("r1".into(), vec![envelope(Priority::Control, "answer")])
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
            envelope(Priority::Passage, "one"),
            envelope(Priority::Passage, "two"),
            envelope(Priority::Passage, "three"),
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
    wait_until(|| outbox.stats().counts[Priority::Passage.index()].held == 1);
}

#[test]
fn a_cut_chain_and_a_lost_key_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    outbox
        .append(vec![
            envelope(Priority::Passage, "one"),
            envelope(Priority::Passage, "two"),
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
    crate::store::key::create(dir.path()).unwrap();
    let told = Outbox::open(options(dir.path())).err().unwrap().to_string();
    assert!(told.contains("is damaged"), "{told}");
}

/// `schema_v1.sql` is the schema as version 1 made it; it is never changed.
#[test]
fn a_database_of_an_old_version_is_brought_up_to_date_with_all_that_is_in_it() {
    let (new, old) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let outbox = open(new.path());
    outbox
        .append(
            (0..20)
                .map(|n| envelope(Priority::ORDER[n % 4], &n.to_string()))
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
    conn.execute_batch(include_str!("../store/schema_v1.sql"))
        .unwrap();
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
        outbox
            .append(vec![envelope(Priority::Hit, "next")])
            .unwrap(),
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
                            .append(vec![envelope(Priority::Passage, &format!("{t}-{n}"))])
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
