//! The session against its promises, without any I/O.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const HIT: usize = 0;
const PASSAGE: usize = 2;

fn session(window: u16) -> Session<u64> {
    let mut s = Session::new(window, usize::MAX);
    s.connected(u16::MAX);
    s
}

/// Hands over and sends what the window allows; the ids as rumqttc counts them.
fn send(s: &mut Session<u64>, id: &mut u16, ids: u16) -> Vec<u64> {
    let mut out = Vec::new();
    while let Some((_, m)) = s.next() {
        out.push(*m);
        s.hand_over();
        *id = *id % ids + 1;
        assert!(s.sent(*id));
    }
    out
}

#[test]
fn a_hit_goes_before_every_passage_that_waits() {
    let mut s = session(2);
    let mut id = 0;
    for n in 1..=5 {
        s.push((PASSAGE, n), 10, n);
    }
    assert_eq!(send(&mut s, &mut id, 2), [1, 2]);
    s.push((HIT, 6), 10, 6);
    assert!(matches!(
        s.acked(1, AckReason::Success),
        Verdict::Delivered { message: 1, .. }
    ));
    assert_eq!(send(&mut s, &mut id, 2), [6]);
}

#[test]
fn the_window_counts_bytes_too_and_a_large_message_goes_alone() {
    let mut s = Session::new(100, 1000);
    s.connected(50);
    let mut id = 0;
    for (n, bytes) in [(1, 600), (2, 300), (3, 200), (4, 5000), (5, 1)] {
        s.push((PASSAGE, n), bytes, n);
    }
    assert_eq!(send(&mut s, &mut id, 50), [1, 2]);
    s.acked(1, AckReason::Success);
    assert_eq!(send(&mut s, &mut id, 50), [3]);
    s.acked(2, AckReason::Success);
    assert!(
        send(&mut s, &mut id, 50).is_empty(),
        "4 waits for an empty window"
    );
    s.acked(3, AckReason::Success);
    assert_eq!(send(&mut s, &mut id, 50), [4]);
    assert!(send(&mut s, &mut id, 50).is_empty(), "and nothing joins it");
}

#[test]
fn what_may_pass_later_keeps_its_place() {
    let mut s = session(3);
    let mut id = 0;
    for n in 1..=4 {
        s.push((PASSAGE, n), 1, n);
    }
    send(&mut s, &mut id, 3);
    assert_eq!(
        s.acked(2, AckReason::QuotaExceeded),
        Verdict::Again((PASSAGE, 2), AckReason::QuotaExceeded)
    );
    s.acked(1, AckReason::Success);
    assert_eq!(send(&mut s, &mut id, 3), [2, 4]);
    assert!(matches!(
        s.acked(3, AckReason::NotAuthorised),
        Verdict::Refused((PASSAGE, 3), 3, AckReason::NotAuthorised)
    ));
    assert_eq!(s.acked(9, AckReason::Success), Verdict::Unknown);
}

#[test]
fn a_loss_forgets_everything_and_what_is_read_again_is_taken() {
    let mut s = session(2);
    let mut id = 0;
    s.push((PASSAGE, 1), 1, 1);
    assert!(!s.push((PASSAGE, 1), 1, 1), "once");
    send(&mut s, &mut id, 2);
    assert_eq!(s.lost(Culprit::None), None);
    assert!(s.is_empty() && s.next().is_none());
    assert!(s.push((PASSAGE, 1), 1, 1));
    assert!(s.next().is_none(), "no connection");
    s.connected(2);
    assert_eq!(s.next().unwrap().1, &1);
}

/// A broker that takes at most `receive_max` messages, acknowledges in any order, loses
/// connections, and closes the connection over one of them. Nothing else may be given up, nothing
/// delivered twice on one connection.
fn run(messages: u64, window: u16, receive_max: u16, poison: Option<u64>, chances: &[u8]) {
    let mut s: Session<u64> = Session::new(window, 64);
    let mut outbox: BTreeSet<u64> = (0..messages).collect();
    let mut given_up = Vec::new();
    let mut chances = chances.iter().copied().cycle();
    let mut connections = 0;
    let ids = window.min(receive_max);
    while !outbox.is_empty() {
        connections += 1;
        assert!(connections < 500, "stuck with {outbox:?}");
        s.connected(receive_max);
        let mut id = 0;
        let mut flight: BTreeMap<u16, u64> = BTreeMap::new();
        for n in &outbox {
            s.push((PASSAGE, *n), 7, *n);
        }
        loop {
            while let Some((_, m)) = s.next() {
                let m = *m;
                s.hand_over();
                id = id % ids + 1;
                assert!(s.sent(id), "id {id} is in use");
                assert!(flight.insert(id, m).is_none());
            }
            assert!(flight.len() <= usize::from(ids));
            if flight.is_empty() {
                break;
            }
            if flight.values().any(|m| Some(*m) == poison) {
                let culprit = match flight.len() {
                    1 => Culprit::TheOnlyOne,
                    _ => Culprit::OneOfThem,
                };
                if let Some((_, m)) = s.lost(culprit) {
                    given_up.push(m);
                    outbox.remove(&m);
                }
                break;
            }
            let chance = chances.next().unwrap();
            if chance < 20 {
                assert_eq!(s.lost(Culprit::None), None);
                break;
            }
            let key = *flight
                .keys()
                .nth(usize::from(chance) % flight.len())
                .unwrap();
            let m = flight.remove(&key).unwrap();
            if chance < 40 {
                assert!(matches!(
                    s.acked(key, AckReason::QuotaExceeded),
                    Verdict::Again(_, AckReason::QuotaExceeded)
                ));
            } else {
                assert!(
                    matches!(s.acked(key, AckReason::Success), Verdict::Delivered { message, .. } if message == m)
                );
                assert!(outbox.remove(&m), "{m} twice");
            }
        }
        s.lost(Culprit::None);
    }
    assert_eq!(
        given_up,
        poison
            .into_iter()
            .filter(|p| *p < messages)
            .collect::<Vec<_>>()
    );
}

proptest! {
    #[test]
    fn everything_is_delivered_but_what_the_broker_chokes_on(
        messages in 0_u64..40, window in 1_u16..12, receive_max in 1_u16..20, poison in proptest::option::of(0_u64..40),
        mut chances in proptest::collection::vec(any::<u8>(), 1..60),
    ) {
        chances.push(200); // at least one acknowledgement now and then
        run(messages, window, receive_max, poison, &chances);
    }
}
