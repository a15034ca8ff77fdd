//! What follows from connections that end, without any I/O.

use super::*;

const SILENT: Blame = Blame::Perhaps { with_reason: false };
const QUOTA: Blame = Blame::Perhaps { with_reason: true };

fn open(all: &[(u64, &str)]) -> BTreeMap<Place, String> {
    all.iter()
        .map(|(n, topic)| ((4, *n), (*topic).to_owned()))
        .collect()
}

fn convicted(topic: &str) -> Finding {
    Finding::Convicted(topic.to_owned())
}

#[test]
fn a_forbidden_topic_is_found_when_its_message_is_alone() {
    let mut suspicion = Suspicion::default();
    let many = open(&[(1, "bad"), (2, "good")]);
    assert_eq!(
        suspicion.lost(Blame::NotAuthorised, false, &many),
        Finding::OneAtATime
    );
    assert_eq!(
        suspicion.lost(Blame::NotAuthorised, false, &open(&[(1, "bad")])),
        convicted("bad")
    );
    assert!(suspicion.is_convicted("bad") && !suspicion.is_convicted("good"));
}

#[test]
fn a_packet_at_fault_speaks_against_itself_alone() {
    let mut suspicion = Suspicion::default();
    assert_eq!(
        suspicion.lost(Blame::Packet, false, &open(&[(1, "t")])),
        Finding::Message
    );
    assert!(suspicion.is_idle());
}

#[test]
fn closes_without_a_word_convict_only_once_another_topic_is_delivered() {
    let mut suspicion = Suspicion::default();
    let many = open(&[(1, "bad"), (2, "good")]);
    assert_eq!(suspicion.lost(SILENT, false, &many), Finding::Nothing);
    assert_eq!(suspicion.lost(SILENT, false, &many), Finding::Nothing);
    assert_eq!(suspicion.lost(SILENT, false, &many), Finding::OneAtATime);
    for _ in 1..ALONE_SILENT {
        suspicion.lost(SILENT, false, &open(&[(1, "bad")]));
        assert!(!suspicion.is_on_trial("bad"));
    }
    suspicion.lost(SILENT, false, &open(&[(1, "bad")]));
    assert!(suspicion.is_on_trial("bad") && !suspicion.is_convicted("bad"));
    assert_eq!(suspicion.delivered("good"), Some("bad".to_owned()));
    assert!(suspicion.is_convicted("bad"));
}

#[test]
fn a_broker_that_closes_over_anything_convicts_nothing() {
    let mut suspicion = Suspicion::default();
    for _ in 0..ALONE_WITH_REASON {
        suspicion.lost(QUOTA, false, &open(&[(1, "one")]));
    }
    assert!(suspicion.is_on_trial("one"));
    let last = (0..ALONE_WITH_REASON)
        .map(|_| suspicion.lost(QUOTA, false, &open(&[(2, "two")])))
        .last();
    assert_eq!(last, Some(Finding::Broker));
    assert!(!suspicion.is_on_trial("one") && !suspicion.is_on_trial("two"));
    for n in 0..50 {
        let finding = suspicion.lost(QUOTA, false, &open(&[(n, "three")]));
        assert_eq!(finding, Finding::Nothing, "until it takes something");
    }
    assert_eq!(suspicion.delivered("three"), None);
}

#[test]
fn a_network_that_fails_now_and_then_raises_no_suspicion() {
    let mut suspicion = Suspicion::default();
    for n in 0..100 {
        // Each time other messages are open: the ones before were delivered.
        let finding = suspicion.lost(SILENT, false, &open(&[(2 * n, "t"), (2 * n + 1, "t")]));
        assert_eq!(finding, Finding::Nothing);
        suspicion.delivered("t");
        assert_eq!(
            suspicion.lost(Blame::Nobody, false, &open(&[(n, "t")])),
            Finding::Nothing
        );
    }
}

#[test]
fn a_subscription_is_found_before_any_message_is_blamed() {
    let mut suspicion = Suspicion::default();
    let many = open(&[(1, "good"), (2, "good")]);
    assert_eq!(
        suspicion.lost(Blame::NotAuthorised, true, &many),
        Finding::OneAtATime
    );
    assert_eq!(
        suspicion.lost(Blame::NotAuthorised, true, &open(&[(1, "good")])),
        Finding::OneAtATime
    );
    assert_eq!(
        suspicion.lost(Blame::NotAuthorised, true, &open(&[])),
        Finding::Subscription
    );
    assert!(!suspicion.is_convicted("good"));
}

#[test]
fn a_trial_without_another_topic_to_compare_with_ends() {
    let mut suspicion = Suspicion::default();
    for _ in 0..ALONE_WITH_REASON {
        suspicion.lost(QUOTA, false, &open(&[(1, "one")]));
    }
    assert!(suspicion.is_on_trial("one") && suspicion.is_undecided());
    assert!(suspicion.let_go());
    assert!(!suspicion.is_on_trial("one") && !suspicion.is_convicted("one"));
    assert!(!suspicion.let_go());
}

#[test]
fn a_topic_let_go_is_convicted_again_at_once_and_acquitted_by_delivery() {
    let mut suspicion = Suspicion::default();
    suspicion.lost(Blame::NotAuthorised, false, &open(&[(1, "bad")]));
    suspicion.let_go();
    assert!(!suspicion.is_convicted("bad"));
    let many = open(&[(1, "bad"), (2, "good"), (3, "good")]);
    assert_eq!(
        suspicion.lost(Blame::NotAuthorised, false, &many),
        convicted("bad")
    );
    suspicion.let_go();
    assert_eq!(suspicion.delivered("bad"), None);
    assert!(suspicion.is_idle());
}
