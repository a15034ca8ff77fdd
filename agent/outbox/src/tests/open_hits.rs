//! Provisional hits are noted with the message that tells them, until the message that ends them.

use kakou_contract::Priority;

use super::{envelope, open};
use crate::{Repair, RepairOptions, repair};

const HIT: &str = "01c2abf3-496c-73d0-8dee-7c50f6fb1202";

fn told(state: &str) -> kakou_contract::Envelope {
    let mut told = envelope(Priority::Hit, state);
    told.id = format!("{HIT}/{state}");
    told
}

fn payload(state: &str) -> Vec<u8> {
    told(state).payload.to_vec()
}

#[test]
fn a_provisional_hit_is_open_until_its_end_is_committed() {
    for end in ["confirmed", "retracted", "unresolved"] {
        let folder = tempfile::tempdir().unwrap();
        let outbox = open(folder.path());
        outbox.append(vec![told("provisional")]).unwrap();
        assert_eq!(outbox.open_hits().unwrap(), [payload("provisional")]);
        outbox.close().unwrap();
        let outbox = open(folder.path());
        assert_eq!(outbox.open_hits().unwrap(), [payload("provisional")]);
        // Its picture, and a passage whose id looks like it, end nothing.
        let mut picture = told("provisional");
        (picture.priority, picture.id) = (Priority::Picture, format!("{HIT}/frame"));
        let mut passage = told("confirmed");
        passage.priority = Priority::Passage;
        outbox.append(vec![picture, passage]).unwrap();
        assert_eq!(outbox.open_hits().unwrap().len(), 1);
        outbox.append(vec![told(end)]).unwrap();
        assert_eq!(outbox.open_hits().unwrap(), [[0_u8; 0]; 0], "{end}");
        outbox.close().unwrap();
    }
}

#[test]
fn seen_again_elsewhere_ends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = open(folder.path());
    let again = told("again/01c2abf3-45ca-7f24-9866-babef5c81ab8");
    outbox.append(vec![told("provisional")]).unwrap();
    outbox.append(vec![again.clone()]).unwrap();
    assert_eq!(outbox.open_hits().unwrap(), [payload("provisional")]);
    outbox.append(vec![told("confirmed"), again]).unwrap();
    assert_eq!(outbox.open_hits().unwrap().len(), 0);
    outbox.close().unwrap();
}

#[test]
fn both_in_one_transaction_leave_nothing_open() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = open(folder.path());
    outbox
        .append(vec![told("provisional"), told("confirmed")])
        .unwrap();
    assert_eq!(outbox.open_hits().unwrap().len(), 0);
}

#[test]
fn a_repair_keeps_what_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = open(folder.path());
    outbox.append(vec![told("provisional")]).unwrap();
    outbox.close().unwrap();
    let conn = rusqlite::Connection::open(folder.path().join("outbox.db")).unwrap();
    conn.execute_batch("UPDATE head SET hash = zeroblob(32)")
        .unwrap();
    drop(conn);
    let done = repair(folder.path(), &RepairOptions::default(), |_| ()).unwrap();
    assert!(matches!(done, Repair::Done(_)));
    let outbox = open(folder.path());
    assert_eq!(outbox.open_hits().unwrap(), [payload("provisional")]);
}
