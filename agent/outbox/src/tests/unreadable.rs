//! A page of an open database cannot be read any more: what lies on it is held, everything else
//! goes on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;

use kakou_contract::{AuditEvent, AuditMessage, Cursor, Message, Priority};

use super::{acknowledge, block, envelope, open, options, wait_until};
use crate::*;

const PAGE: u64 = 8192;
/// More than the caches of both connections hold.
const MESSAGES: u64 = 8000;

/// An outbox with messages in line, all of it in the database's file, opened anew.
fn filled(folder: &Path) -> Outbox {
    let outbox = open(folder);
    for chunk in 0..MESSAGES / 500 {
        let all = (0..500).map(|n| {
            let text = format!("{chunk}-{n}-{}", "x".repeat(2500));
            envelope(Priority::Passage, &text)
        });
        outbox.append(all.collect()).unwrap();
    }
    outbox.close().unwrap();
    open(folder)
}

/// The leaf pages of a table, in the order of its rows.
fn leaves(folder: &Path, table: &str) -> Vec<u64> {
    let conn = rusqlite::Connection::open(folder.join("outbox.db")).unwrap();
    let root: u64 = conn
        .query_row(
            "SELECT rootpage FROM sqlite_schema WHERE name = ?",
            [table],
            |r| r.get(0),
        )
        .unwrap();
    let file = std::fs::File::open(folder.join("outbox.db")).unwrap();
    let mut found = Vec::new();
    descend(&file, root, &mut found);
    found
}

fn descend(file: &std::fs::File, page: u64, leaves: &mut Vec<u64>) {
    let mut bytes = vec![0; PAGE as usize];
    file.read_exact_at(&mut bytes, (page - 1) * PAGE).unwrap();
    let at =
        |offset: usize| u32::from_be_bytes(bytes[offset..offset + 4].try_into().unwrap()).into();
    match bytes[0] {
        // An interior page of a table or of an index.
        0x05 | 0x02 => {
            let cells = usize::from(u16::from_be_bytes([bytes[3], bytes[4]]));
            for cell in 0..cells {
                let pointer = 12 + 2 * cell;
                let offset = u16::from_be_bytes([bytes[pointer], bytes[pointer + 1]]);
                descend(file, at(offset.into()), leaves);
            }
            descend(file, at(8), leaves);
        }
        _ => leaves.push(page),
    }
}

fn destroy(folder: &Path, page: u64) {
    OpenOptions::new()
        .write(true)
        .open(folder.join("outbox.db"))
        .unwrap()
        .write_all_at(&[0; PAGE as usize], (page - 1) * PAGE)
        .unwrap();
}

/// Reads all passages in line as the uplink does, and acknowledges them.
fn deliver(outbox: &Outbox) -> Vec<u64> {
    let (mut after, mut numbers) = (Cursor::default(), Vec::new());
    loop {
        let got = block(outbox.fetch(after, &[Priority::Passage], 100, 1 << 20)).unwrap();
        let Some(last) = got.last() else {
            return numbers;
        };
        after.advance(Priority::Passage, last.sequence);
        acknowledge(outbox, got.iter().map(|p| p.sequence));
        numbers.extend(got.iter().map(|p| p.sequence));
    }
}

fn missing(numbers: &[u64]) -> Vec<u64> {
    let there: BTreeSet<u64> = numbers.iter().copied().collect();
    (1..=MESSAGES).filter(|n| !there.contains(n)).collect()
}

#[test]
fn messages_on_an_unreadable_page_are_held_and_all_others_go_out_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = filled(dir.path());
    let leaves = leaves(dir.path(), "message");
    destroy(dir.path(), leaves[leaves.len() / 2]);
    let numbers = deliver(&outbox);
    assert!(numbers.is_sorted(), "in order");
    let missing = missing(&numbers);
    assert!((1..=20).contains(&missing.len()), "{missing:?}");
    assert!(missing.windows(2).all(|pair| pair[0] + 1 == pair[1]));
    // Commits go on, and the state says what is wrong.
    outbox
        .append(vec![envelope(Priority::Hit, "a new one")])
        .unwrap();
    let expected = vec![[missing[0], missing[missing.len() - 1]]];
    wait_until(
        || matches!(outbox.stats().state, OutboxState::Damaged { ranges, .. } if ranges == expected),
    );
    let control = block(outbox.fetch(Cursor::default(), &[Priority::Control], 10, 1 << 20));
    let events: Vec<_> = control
        .unwrap()
        .iter()
        .map(|p| AuditMessage::from_json(&p.envelope.payload).unwrap().event)
        .collect();
    assert!(
        matches!(&events[..], [AuditEvent::Damage { detail, ranges }]
            if detail.contains(&missing[0].to_string()) && ranges.is_empty()),
        "{events:?}"
    );
    // After a restart it says the same, and nothing is sent twice.
    outbox.close().unwrap();
    let outbox = open(dir.path());
    assert_eq!(deliver(&outbox), Vec::<u64>::new());
    wait_until(
        || matches!(outbox.stats().state, OutboxState::Damaged { ranges, .. } if ranges == expected),
    );
    // Sending again what the platform had meets the page as well, and passes it by.
    let resent = block(outbox.resend(1, MESSAGES)).unwrap();
    assert_eq!(resent.messages, MESSAGES - missing.len() as u64);
    outbox.close().unwrap();
}

#[test]
fn where_it_cannot_be_read_what_waits_everything_that_may_wait_goes_out_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = filled(dir.path());
    let leaves = leaves(dir.path(), "waiting");
    destroy(dir.path(), leaves[leaves.len() / 2]);
    let numbers = deliver(&outbox);
    assert!(numbers.is_sorted(), "in order");
    assert_eq!(missing(&numbers), Vec::<u64>::new());
    outbox
        .append(vec![envelope(Priority::Hit, "a new one")])
        .unwrap();
    wait_until(|| matches!(outbox.stats().state, OutboxState::Damaged { .. }));
    assert_eq!(outbox.stats().unrecorded, 0);
    let _ = outbox.close();
}

#[test]
fn where_commits_fail_for_good_the_state_says_so_and_a_repair_at_the_next_start_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = filled(dir.path());
    let pages = leaves(dir.path(), "head");
    destroy(dir.path(), pages[0]);
    // What the writer's cache holds of the page is gone after another process has written.
    let conn = rusqlite::Connection::open(dir.path().join("outbox.db")).unwrap();
    conn.execute_batch("INSERT INTO setting (key, value) VALUES ('test', '')")
        .unwrap();
    drop(conn);
    let told = outbox
        .append(vec![envelope(Priority::Hit, "lost here")])
        .unwrap_err();
    assert_eq!(told.concern(), Concern::Database, "{told}");
    let stats = outbox.stats();
    assert!(matches!(stats.state, OutboxState::Broken(_)), "{stats:?}");
    assert!(outbox.is_alive(), "it goes on trying");
    assert_eq!(stats.unrecorded, 1);
    // What waits goes out all the same.
    let got = block(outbox.fetch(Cursor::default(), &Priority::ORDER, 10, 1 << 20)).unwrap();
    assert_eq!(got.len(), 10);
    let _ = outbox.close();

    let (outbox, repaired) = Outbox::open_or_repair(options(dir.path())).unwrap();
    let repaired = repaired.unwrap();
    assert_eq!((repaired.messages, repaired.lost), (MESSAGES, vec![]));
    assert!(repaired.aside.unwrap().exists());
    let number = outbox
        .append(vec![envelope(Priority::Hit, "next")])
        .unwrap()[0];
    assert!(number > repaired.next, "{number}");
    assert_eq!(deliver(&outbox).len() as u64, MESSAGES);
    // The hit that was refused before the repair is told, as soon as it is clear that nobody tries
    // it again.
    assert_eq!(outbox.stats().unrecorded, 1);
    outbox.close().unwrap();
    let control = block(async {
        let outbox = open(dir.path());
        let control = outbox
            .fetch(Cursor::default(), &[Priority::Control], 10, 1 << 20)
            .await
            .unwrap();
        outbox.settle().await.map(|()| control).unwrap()
    });
    let told = control.iter().any(|p| {
        let audit = AuditMessage::from_json(&p.envelope.payload).unwrap();
        matches!(audit.event, AuditEvent::Unrecorded { messages: 1, .. })
    });
    assert!(told, "{control:?}");
}
