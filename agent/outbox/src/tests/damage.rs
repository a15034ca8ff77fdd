//! The file is damaged at random places: told, contained, and nothing false is sent.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use kakou_contract::{Cursor, Priority};
use std::collections::BTreeMap;

use super::{block, envelope, options};
use crate::*;

#[test]
fn damage_is_told_and_what_is_sent_is_what_was_committed() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(options(dir.path())).unwrap();
    for n in 0..40 {
        let mut picture = envelope(Priority::Picture, &n.to_string());
        (picture.numbered, picture.payload) = (false, vec![n; 9000].into());
        outbox
            .append(vec![envelope(Priority::Passage, &n.to_string()), picture])
            .unwrap();
    }
    let committed: BTreeMap<u64, bytes::Bytes> =
        block(outbox.fetch(Cursor::default(), &Priority::ORDER, 1000, 1 << 30))
            .unwrap()
            .into_iter()
            .map(|p| (p.sequence, p.envelope.payload))
            .collect();
    outbox.close().unwrap();
    let db = dir.path().join("outbox.db");
    let good = std::fs::read(&db).unwrap();
    let mut chance = 0x6b61_6b6f_u64;
    let mut below = |n: usize| {
        chance = chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (chance >> 33) as usize % n
    };
    let (mut told, mut whole) = (0, 0);
    for round in 0..60 {
        let mut bad = good.clone();
        let at = below(bad.len() - 4096);
        match round % 3 {
            0 => bad[at] ^= 1 << below(8),
            1 => bad[at..at + 512].fill(0xa5),
            _ => bad.truncate(at + 4096),
        }
        let _ = std::fs::remove_file(dir.path().join("outbox.db-wal"));
        let _ = std::fs::remove_file(dir.path().join("outbox.db-shm"));
        std::fs::write(&db, &bad).unwrap();
        let verdict = Inspection::open(dir.path()).and_then(|i| i.verify(|_| ()));
        let found = !verdict.as_ref().is_ok_and(Verdict::is_whole);
        told += usize::from(found);
        match Outbox::open(options(dir.path())) {
            Err(e) => assert!(e.to_string().contains("outbox.db"), "{e}"),
            Ok(outbox) => {
                // An error of the whole read is told too; what is read is right.
                let read = block(outbox.fetch(Cursor::default(), &Priority::ORDER, 1000, 1 << 30));
                for p in read.iter().flatten() {
                    assert_eq!(
                        committed.get(&p.sequence),
                        Some(&p.envelope.payload),
                        "round {round}"
                    );
                }
                let all = read.as_ref().is_ok_and(|r| r.len() == committed.len());
                assert!(
                    all || found,
                    "round {round}: messages are missing and verify found nothing"
                );
                whole += usize::from(all);
                let _ = outbox.close();
            }
        }
    }
    assert!(
        told > 20 && whole > 0,
        "{told} of 60 told, {whole} read whole"
    );
}
