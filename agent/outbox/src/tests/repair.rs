//! Databases damaged at random places, and repaired: what was whole is there and goes out, what is
//! lost is told.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

use kakou_contract::{
    AuditEvent, AuditMessage, Committed, Cursor, Held, Message, Priority, Ranges,
};
use std::collections::BTreeMap;
use std::path::Path;

use kakou_contract::seal::Seal;

use super::{block, envelope, options};
use crate::*;

fn fetch(outbox: &Outbox) -> Vec<Committed> {
    block(outbox.fetch(Cursor::default(), &Priority::ORDER, 10_000, 1 << 30)).unwrap()
}

/// 60 messages, of which 6 the platform has, 2 are held and 2 were given up; and what waits of
/// them, by number.
fn fill(folder: &Path) -> BTreeMap<u64, bytes::Bytes> {
    let outbox = Outbox::open(options(folder)).unwrap();
    for n in 0..30 {
        let mut picture = envelope(Priority::Picture, &n.to_string());
        (picture.numbered, picture.payload) = (false, vec![n; 3000 + 400 * usize::from(n)].into());
        outbox
            .append(vec![
                envelope(Priority::ORDER[usize::from(n) % 3], &n.to_string()),
                picture,
            ])
            .unwrap();
    }
    block(async {
        for n in [1, 2, 3, 20, 21, 22] {
            outbox.acked(n).await.unwrap();
        }
        outbox
            .hold(31, Held::TooLarge, "too large".into())
            .await
            .unwrap();
        outbox
            .hold(33, Held::Refused, "refused".into())
            .await
            .unwrap();
        outbox.settle().await.unwrap();
    });
    let waiting = fetch(&outbox)
        .into_iter()
        .map(|p| (p.sequence, p.envelope.payload))
        .collect();
    outbox.close().unwrap();
    waiting
}

fn no_progress(_: u64) {}

fn done(folder: &Path) -> Repaired {
    match repair(folder, &RepairOptions::default(), no_progress).unwrap() {
        Repair::Done(repaired) => repaired,
        Repair::NotNeeded { .. } => panic!("there was damage"),
    }
}

fn damage_told(all: &[Committed]) -> Ranges {
    let mut told = Ranges::new();
    for p in all
        .iter()
        .filter(|p| p.envelope.priority == Priority::Control)
    {
        if let Ok(audit) = AuditMessage::from_json(&p.envelope.payload)
            && let AuditEvent::Damage { ranges, .. } = audit.event
        {
            ranges
                .iter()
                .for_each(|[first, last]| told.insert(*first, *last));
        }
    }
    told
}

#[test]
fn random_damage_is_repaired_and_what_is_lost_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let waiting = fill(dir.path());
    let good = std::fs::read(dir.path().join("outbox.db")).unwrap();
    let pages = good.len() / 8192;
    let mut chance = 0x6b61_6b6f_u64;
    let mut below = |n: usize| {
        chance = chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (chance >> 33) as usize % n
    };
    let (mut saved, mut repaired_rounds) = (0, 0);
    for round in 0..80 {
        let dir_now = tempfile::tempdir().unwrap();
        let now = dir_now.path();
        std::fs::copy(dir.path().join("agent.key"), now.join("agent.key")).unwrap();
        let mut bad = good.clone();
        let mut hit_pages = 1;
        match round % 5 {
            0 => {
                let at = below(bad.len());
                bad[at] ^= 1 << below(8);
            }
            1 => {
                let at = below(bad.len() - 512);
                bad[at..at + 512].fill(0xa5);
                hit_pages = 2;
            }
            2 => {
                let page = below(pages) * 8192;
                bad[page..page + 8192].fill(0);
            }
            3 => {
                for _ in 0..3 {
                    let page = below(pages) * 8192;
                    bad[page..page + 8192].fill(0x5a);
                }
                hit_pages = 3;
            }
            _ => {
                // The end of the file is gone.
                let lost = 1 + below(pages / 4);
                bad.truncate((pages - lost) * 8192);
                hit_pages = lost;
            }
        }
        std::fs::write(now.join("outbox.db"), &bad).unwrap();
        let before = Inspection::open(now).and_then(|i| i.verify(|_| ()));
        let repaired = match repair(
            now,
            &RepairOptions {
                agent: Some("s/a".into()),
                above: 0,
            },
            no_progress,
        )
        .unwrap()
        {
            Repair::NotNeeded { .. } => {
                assert!(before.unwrap().is_whole(), "round {round}");
                continue;
            }
            Repair::Done(repaired) => repaired,
        };
        repaired_rounds += 1;
        assert_eq!(
            std::fs::read(repaired.aside.unwrap()).unwrap(),
            bad,
            "round {round}: kept as it was"
        );
        assert!(
            Inspection::open(now)
                .unwrap()
                .verify(|_| ())
                .unwrap()
                .is_whole(),
            "round {round}"
        );

        let outbox = Outbox::open(options(now)).unwrap();
        assert!(repaired.next > 60, "round {round}: {}", repaired.next);
        let read = fetch(&outbox);
        let told = damage_told(&read);
        let there: BTreeMap<u64, &Committed> = read.iter().map(|p| (p.sequence, p)).collect();
        for (n, payload) in &waiting {
            match there.get(n) {
                Some(p) => {
                    assert_eq!(&p.envelope.payload, payload, "round {round}: message {n}");
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
                }
                None => assert!(
                    told.contains(*n) || block(outbox.stored_payload(*n)).unwrap().is_some(),
                    "round {round}: message {n} is lost and not told"
                ),
            }
        }
        for n in 1..=60 {
            let is_there = block(outbox.stored_payload(n)).unwrap().is_some();
            assert!(
                is_there != told.contains(n),
                "round {round}: {n} is there: {is_there}, told as lost: {}",
                told.contains(n)
            );
        }
        let whole = (1..=60).filter(|n| !told.contains(*n)).count();
        // A page holds a handful of messages at most, but a table's root or the end of a file may
        // hold the way to many.
        if round % 5 < 3 {
            assert!(
                whole + 20 * hit_pages >= 60,
                "round {round}: {whole} of 60 saved"
            );
        }
        saved += whole;
        assert!(
            outbox.append(vec![envelope(Priority::Hit, "new")]).unwrap()[0] > repaired.next,
            "round {round}"
        );
        outbox.close().unwrap();
    }
    eprintln!(
        "{repaired_rounds} repaired, {saved} messages saved of {}",
        60 * repaired_rounds
    );
    assert!(
        repaired_rounds > 50 && saved > 40 * repaired_rounds,
        "{repaired_rounds} repaired, {saved} saved"
    );
}

#[test]
fn places_counters_and_what_was_deleted_stay_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    let db = dir.path().join("outbox.db");
    let conn = rusqlite::Connection::open(&db).unwrap();
    conn.execute("UPDATE message SET payload = x'00' WHERE seq = 40", [])
        .unwrap();
    drop(conn);
    let before = Inspection::open(dir.path()).unwrap().overview().unwrap();
    let repaired = done(dir.path());
    assert_eq!((repaired.messages, repaired.lost), (59, vec![[40, 40]]));
    let after = Inspection::open(dir.path()).unwrap().overview().unwrap();
    assert_eq!(
        (&after.agent, after.public_key.as_ref().map(|k| &k.base64)),
        (&before.agent, before.public_key.as_ref().map(|k| &k.base64))
    );
    assert_eq!(after.held, before.held);
    let count = |o: &Overview| {
        o.counts.iter().fold((0, 0, 0), |s, c| {
            (s.0 + c.waiting, s.1 + c.held, s.2 + c.kept)
        })
    };
    // One lost, and the message that tells it.
    assert_eq!((count(&before), count(&after)), ((52, 2, 6), (52, 2, 6)));
    assert!(matches!(
        repair(dir.path(), &RepairOptions::default(), no_progress).unwrap(),
        Repair::NotNeeded { messages: 60 }
    ));
}

/// SQLite reads such a database without an error.
#[test]
fn values_of_no_form_are_repaired_at_the_start() {
    for damage in [
        "UPDATE head SET hash = x'00'",
        "UPDATE lane SET waiting = -1 WHERE lane = 0",
    ] {
        let dir = tempfile::tempdir().unwrap();
        let waiting = fill(dir.path());
        let conn = rusqlite::Connection::open(dir.path().join("outbox.db")).unwrap();
        assert_eq!(conn.execute(damage, []).unwrap(), 1, "{damage}");
        drop(conn);
        let told = Outbox::open(options(dir.path())).err().unwrap();
        assert!(matches!(told, OutboxError::Form { .. }), "{told}");
        let (outbox, repaired) = Outbox::open_or_repair(options(dir.path())).unwrap();
        let repaired = repaired.unwrap();
        assert_eq!(
            (repaired.messages, repaired.lost),
            (60, Vec::new()),
            "{damage}"
        );
        assert!(repaired.aside.unwrap().is_file(), "{damage}");
        let there: BTreeMap<u64, bytes::Bytes> = fetch(&outbox)
            .into_iter()
            .map(|p| (p.sequence, p.envelope.payload))
            .collect();
        for (n, payload) in &waiting {
            assert_eq!(there.get(n), Some(payload), "{damage}: message {n}");
        }
        outbox.close().unwrap();
        let verdict = Inspection::open(dir.path())
            .unwrap()
            .verify(|_| ())
            .unwrap();
        assert!(verdict.is_whole(), "{damage}: {verdict:?}");
    }
}

#[test]
fn a_lost_or_empty_database_is_told_and_a_new_one_begins_above_all_numbers() {
    for content in [None, Some("")] {
        let dir = tempfile::tempdir().unwrap();
        fill(dir.path());
        let db = dir.path().join("outbox.db");
        match content {
            None => std::fs::remove_file(&db).unwrap(),
            Some(text) => std::fs::write(&db, text).unwrap(),
        }
        let told = Outbox::open(options(dir.path())).err().unwrap().to_string();
        assert!(
            told.contains("outbox.db is gone") && told.contains("kakou outbox repair"),
            "{told}"
        );
        let told = repair(dir.path(), &RepairOptions::default(), no_progress)
            .unwrap_err()
            .to_string();
        assert!(told.contains("--agent SITE/AGENT"), "{told}");
        let options_given = RepairOptions {
            agent: Some("s/a".into()),
            above: 5_000_000_000_000,
        };
        let Repair::Done(repaired) = repair(dir.path(), &options_given, no_progress).unwrap()
        else {
            panic!()
        };
        assert_eq!((repaired.messages, repaired.next), (0, 5_000_000_000_001));
        let outbox = Outbox::open(options(dir.path())).unwrap();
        assert!(damage_told(&fetch(&outbox)).contains(60));
        outbox.close().unwrap();
        assert!(
            Inspection::open(dir.path())
                .unwrap()
                .verify(|_| ())
                .unwrap()
                .is_whole()
        );
    }
}

/// The states that a kill can leave behind, made by hand; the real binary is killed in
/// tests/whole/repair.rs.
#[test]
fn an_interrupted_repair_leaves_the_old_or_the_new() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    let at = |name: &str| dir.path().join(name);
    // Before the new one counts: the workshop is there, half made.
    std::fs::create_dir(at("outbox.repair")).unwrap();
    std::fs::write(at("outbox.repair/outbox.db"), "half").unwrap();
    Outbox::open(options(dir.path())).unwrap().close().unwrap();
    let conn = rusqlite::Connection::open(at("outbox.db")).unwrap();
    conn.execute("DELETE FROM waiting WHERE seq = 11", [])
        .unwrap();
    drop(conn);
    let repaired = done(dir.path());
    assert_eq!(repaired.lost, Vec::<[u64; 2]>::new());
    // After: the new one has its name, the old one and its log are still in their places.
    std::fs::rename(at("outbox.db"), at("outbox.db.repaired")).unwrap();
    std::fs::copy(repaired.aside.unwrap(), at("outbox.db")).unwrap();
    std::fs::write(at("outbox.db-wal"), "the old log").unwrap();
    let told = Inspection::open(dir.path()).err().unwrap().to_string();
    assert!(told.contains("interrupted"), "{told}");
    let outbox = Outbox::open(options(dir.path())).unwrap();
    assert_eq!(
        outbox
            .append(vec![envelope(Priority::Hit, "next")])
            .unwrap(),
        [repaired.next + 1]
    );
    outbox.close().unwrap();
    assert!(!at("outbox.db.repaired").exists());
    assert!(
        Inspection::open(dir.path())
            .unwrap()
            .verify(|_| ())
            .unwrap()
            .is_whole()
    );
}

#[test]
fn a_live_outbox_is_not_repaired() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(options(dir.path())).unwrap();
    let told = repair(dir.path(), &RepairOptions::default(), no_progress)
        .unwrap_err()
        .to_string();
    assert!(told.contains("in use"), "{told}");
    outbox.close().unwrap();
}

/// A cell on a message's page whose number is the largest there is, and none that was given: the
/// walk over the numbers ends all the same.
#[test]
fn a_number_beyond_all_numbers_ends_no_walk() {
    const PAGE: usize = 8192;
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    let db = dir.path().join("outbox.db");
    let mut bytes = std::fs::read(&db).unwrap();
    // Its size, its number, and fifteen columns that are NULL.
    let mut cell = vec![16];
    cell.extend([0xff; 9]);
    cell.push(16);
    cell.extend([0; 15]);
    let mut laid = 0;
    for page in bytes.chunks_exact_mut(PAGE).skip(1) {
        let count = usize::from(page[3]) << 8 | usize::from(page[4]);
        let content = usize::from(page[5]) << 8 | usize::from(page[6]);
        let free = 8 + 2 * count;
        if page[0] != 0x0d || count == 0 || content < free + cell.len() {
            continue;
        }
        page[free..free + cell.len()].copy_from_slice(&cell);
        page[8..10].copy_from_slice(&(free as u16).to_be_bytes());
        laid += 1;
    }
    assert!(laid > 0);
    std::fs::write(&db, bytes).unwrap();
    let repaired = done(dir.path());
    assert!(repaired.messages > 0);
    let verdict = Inspection::open(dir.path())
        .unwrap()
        .verify(|_| ())
        .unwrap();
    assert!(verdict.is_whole(), "{verdict:?}");
}
