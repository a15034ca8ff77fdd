//! The session against a model of rumqttc's packet ids and a broker that answers as it likes.
#![allow(clippy::unwrap_used)]

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

/// Hands over all that may go, as rumqttc would send it; returns the ids.
fn send_all(session: &mut Session<u32>, wire: &mut Wire) -> Vec<(u16, u32)> {
    let mut out = Vec::new();
    while let Some(&message) = session.next() {
        session.hand_over();
        let id = wire.send(message);
        assert!(session.sent(id), "id {id} not taken");
        out.push((id, message));
    }
    out
}

/// rumqttc's side of one connection: ids count from 1 to `ids` and come round without a look.
struct Wire {
    ids: u16,
    last: u16,
    open: BTreeMap<u16, u32>,
}

impl Wire {
    fn new(ids: u16) -> Self {
        Self { ids, last: 0, open: BTreeMap::new() }
    }

    fn send(&mut self, message: u32) -> u16 {
        let id = self.last + 1;
        self.last = if id == self.ids { 0 } else { id };
        let collided = self.open.insert(id, message);
        assert_eq!(collided, None, "packet id {id} was still in use: rumqttc would stall");
        assert!(self.open.len() <= usize::from(self.ids), "window exceeded");
        id
    }
}

fn session_of(messages: u32, window: u16) -> Session<u32> {
    let mut session = Session::new(window);
    (0..messages).for_each(|message| session.push(message));
    session
}

#[test]
fn only_its_own_ack_delivers_a_message() {
    let mut session = session_of(3, 10);
    assert_eq!(session.next(), None, "nothing leaves before the broker accepted us");
    session.connected(u16::MAX);
    assert_eq!(send_all(&mut session, &mut Wire::new(10)), [(1, 0), (2, 1), (3, 2)]);
    assert_eq!(session.acked(2, AckReason::Success), Verdict::Delivered(1, AckReason::Success));
    assert_eq!(session.acked(2, AckReason::Success), Verdict::Unknown);
    assert_eq!(session.acked(9, AckReason::Success), Verdict::Unknown);
    assert_eq!(session.len(), 2);
}

#[test]
fn the_brokers_receive_maximum_narrows_the_window() {
    let mut session = session_of(50, 40);
    session.connected(20);
    assert_eq!(send_all(&mut session, &mut Wire::new(20)).len(), 20);
}

#[test]
fn an_id_in_use_is_not_used_again() {
    let mut session = session_of(6, 3);
    let mut wire = Wire::new(3);
    session.connected(u16::MAX);
    send_all(&mut session, &mut wire);
    wire.open.remove(&2);
    session.acked(2, AckReason::Success);
    assert_eq!(session.next(), None, "id 1 would be next, and is still open");
    wire.open.remove(&1);
    session.acked(1, AckReason::Success);
    assert_eq!(send_all(&mut session, &mut wire), [(1, 3), (2, 4)]);
}

#[test]
fn a_lost_connection_sends_again_in_the_old_order() {
    let mut session = session_of(4, 3);
    session.connected(u16::MAX);
    send_all(&mut session, &mut Wire::new(3));
    session.acked(2, AckReason::Success);
    session.push(4);
    assert_eq!(session.lost(false), None);
    assert_eq!(session.next(), None);
    session.connected(u16::MAX);
    assert_eq!(send_all(&mut session, &mut Wire::new(3)), [(1, 0), (2, 2), (3, 3)]);
}

#[test]
fn each_reason_has_its_consequence() {
    let mut session = session_of(4, 4);
    session.connected(u16::MAX);
    let mut wire = Wire::new(4);
    send_all(&mut session, &mut wire);
    let verdicts = [
        session.acked(1, AckReason::NoSubscribers),
        session.acked(2, AckReason::QuotaExceeded),
        session.acked(3, AckReason::NotAuthorised),
        session.acked(4, AckReason::PayloadInvalid),
    ];
    assert_eq!(
        verdicts,
        [
            Verdict::Delivered(0, AckReason::NoSubscribers),
            Verdict::Again(AckReason::QuotaExceeded),
            Verdict::Refused(2, AckReason::NotAuthorised),
            Verdict::Refused(3, AckReason::PayloadInvalid),
        ]
    );
    assert_eq!((session.len(), session.next()), (1, Some(&1)));
}

#[test]
fn the_message_that_breaks_the_connection_is_found_and_set_aside() {
    let mut session = session_of(10, 8);
    let poison = 5;
    let (mut delivered, mut culprits) = (Vec::new(), Vec::new());
    for _connection in 0..10 {
        let mut wire = Wire::new(8);
        session.connected(u16::MAX);
        loop {
            let sent = send_all(&mut session, &mut wire);
            if sent.is_empty() || sent.iter().any(|&(_, message)| message == poison) {
                break;
            }
            for (id, message) in sent {
                wire.open.remove(&id);
                assert_eq!(session.acked(id, AckReason::Success), Verdict::Delivered(message, AckReason::Success));
                delivered.push(message);
            }
        }
        culprits.extend(session.lost(true));
    }
    assert_eq!(culprits, [poison]);
    delivered.sort_unstable();
    assert_eq!(delivered, [0, 1, 2, 3, 4, 6, 7, 8, 9], "its neighbours are delivered");
}

#[test]
fn a_broker_that_merely_goes_away_blames_nobody() {
    let mut session = session_of(1, 8);
    for _ in 0..20 {
        session.connected(u16::MAX);
        send_all(&mut session, &mut Wire::new(8));
        assert_eq!(session.lost(false), None);
    }
    assert_eq!(session.len(), 1);
}

#[derive(Debug, Clone)]
enum Step {
    Push,
    /// Hand over one, and send it at once or leave it in the channel.
    HandOver,
    SendHanded,
    /// Acknowledge the nth of those in flight, with the nth reason.
    Ack(usize, usize),
    /// An acknowledgement of something that was never sent.
    StrayAck(u16),
    Lose(bool),
    Connect(u16),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => Just(Step::Push),
        6 => Just(Step::HandOver),
        6 => Just(Step::SendHanded),
        5 => (any::<usize>(), 0..9usize).prop_map(|(which, reason)| Step::Ack(which, reason)),
        1 => (40..60u16).prop_map(Step::StrayAck),
        1 => any::<bool>().prop_map(Step::Lose),
        2 => (1..30u16).prop_map(Step::Connect),
    ];
    prop::collection::vec(step, 0..200)
}

const REASONS: [AckReason; 9] = [
    AckReason::Success,
    AckReason::NoSubscribers,
    AckReason::Unspecified,
    AckReason::Implementation,
    AckReason::NotAuthorised,
    AckReason::TopicInvalid,
    AckReason::IdInUse,
    AckReason::QuotaExceeded,
    AckReason::PayloadInvalid,
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Every message that was pushed ends exactly once, whatever the broker does, and no packet id is
    /// used twice at a time.
    #[test]
    fn every_message_ends_exactly_once(window in 1..20u16, steps in steps()) {
        let mut session: Session<u32> = Session::new(window);
        let mut wire: Option<Wire> = None;
        let mut channel: VecDeque<u32> = VecDeque::new();
        let mut ended: Vec<u32> = Vec::new();
        let mut pushed = 0;
        for step in steps {
            match step {
                Step::Push => {
                    session.push(pushed);
                    pushed += 1;
                }
                Step::HandOver => {
                    if let Some(&message) = session.next() {
                        prop_assert!(wire.is_some());
                        session.hand_over();
                        channel.push_back(message);
                    }
                }
                Step::SendHanded => {
                    if let (Some(wire), Some(message)) = (wire.as_mut(), channel.pop_front()) {
                        prop_assert!(session.sent(wire.send(message)));
                    }
                }
                Step::Ack(which, reason) => {
                    let Some(wire) = wire.as_mut().filter(|wire| !wire.open.is_empty()) else { continue };
                    let id = *wire.open.keys().nth(which % wire.open.len()).unwrap();
                    let message = wire.open.remove(&id).unwrap();
                    match session.acked(id, REASONS[reason]) {
                        Verdict::Delivered(got, told) => {
                            prop_assert!(reason < 2 && told == REASONS[reason]);
                            prop_assert_eq!(got, message);
                            ended.push(got);
                        }
                        Verdict::Refused(got, _) => {
                            prop_assert_eq!(got, message);
                            ended.push(got);
                        }
                        Verdict::Again(_) => {}
                        Verdict::Unknown => prop_assert!(false, "id {} is in flight", id),
                    }
                }
                Step::StrayAck(id) => {
                    prop_assert_eq!(session.acked(id, AckReason::Success), Verdict::Unknown);
                }
                Step::Lose(blame) => {
                    wire = None;
                    channel.clear();
                    let open = session.unanswered();
                    if let Some(culprit) = session.lost(blame) {
                        prop_assert!(blame && open == 1);
                        ended.push(culprit);
                    }
                }
                Step::Connect(receive_max) => {
                    if wire.is_none() {
                        session.connected(receive_max);
                        wire = Some(Wire::new(window.min(receive_max)));
                    }
                }
            }
            prop_assert_eq!(session.len() + ended.len(), pushed as usize);
        }
        // A well-behaved broker takes the rest, in the order of pushing.
        session.lost(false);
        session.connected(u16::MAX);
        let mut wire = Wire::new(window);
        let mut rest = Vec::new();
        while !session.is_empty() {
            let sent = send_all(&mut session, &mut wire);
            prop_assert!(!sent.is_empty(), "stuck with {} messages", session.len());
            for (id, message) in sent {
                wire.open.remove(&id);
                session.acked(id, AckReason::Success);
                rest.push(message);
            }
        }
        prop_assert!(rest.is_sorted(), "{:?}", rest);
        ended.extend(rest);
        ended.sort_unstable();
        prop_assert_eq!(ended, (0..pushed).collect::<Vec<_>>());
    }
}
