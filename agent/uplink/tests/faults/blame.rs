//! A broker that closes the connection over a message holds up no other message.

use std::time::Duration;

use kakou_contract::{Envelope, Held, Priority};
use kakou_uplink::{Drain, UplinkConfig};

use super::memory::Fate;
use super::rig::{LONG, Rig, on, quick, until};
use super::scripted::{Answer, Script, Scripted, Seen};

const FORBIDDEN: &str = "kakou/v1/site-1/agent-1/passage/forbidden";

/// One forbidden message before many others; the broker does this about it.
async fn others_flow_past_a_topic_that_ends_the_connection(with: Answer) {
    let broker = Scripted::start(20, move |seen: &Seen| {
        if seen.topic == FORBIDDEN {
            with
        } else {
            Answer::Ack(0)
        }
    })
    .await;
    let rig = Rig::start(vec![broker.address()], quick());
    let first = rig.store.append(on(FORBIDDEN, "forbidden"));
    for n in 1..100 {
        rig.store.append(on("allowed", n.to_string()));
    }
    let last = rig.store.append(on(FORBIDDEN, "forbidden as well"));
    until("all others", || rig.store.acked() == 99).await;
    until("the forbidden ones", || rig.store.held() == 2).await;
    for sequence in [first, last] {
        let fate = rig.store.fate(sequence);
        assert!(
            matches!(fate, Fate::Held(Held::NotAuthorised, _)),
            "{fate:?}"
        );
    }
    let status = rig.status();
    assert_eq!(status.refused_topics, [FORBIDDEN]);
    assert!(status.connected, "and it stays connected: {status:?}");
    let (before, seen) = (broker.connections(), broker.seen());
    let tried = seen.iter().filter(|s| s.topic == FORBIDDEN);
    assert!(
        tried.clone().all(|s| s.payload == "forbidden"),
        "one is enough"
    );
    assert!(tried.count() <= 20);
    rig.store.append(on("allowed", "one more"));
    until("one more", || rig.store.acked() == 100).await;
    assert_eq!(broker.connections(), before);
}

#[tokio::test]
async fn a_disconnect_for_lack_of_permission() {
    others_flow_past_a_topic_that_ends_the_connection(Answer::Disconnect(0x87)).await;
}

#[tokio::test]
async fn a_disconnect_for_a_quota_or_by_an_administrator() {
    others_flow_past_a_topic_that_ends_the_connection(Answer::Disconnect(0x97)).await;
    others_flow_past_a_topic_that_ends_the_connection(Answer::Disconnect(0x98)).await;
}

#[tokio::test]
async fn a_close_without_a_word() {
    others_flow_past_a_topic_that_ends_the_connection(Answer::Cut).await;
}

#[tokio::test]
async fn a_broker_that_closes_over_everything_holds_nothing_back() {
    let broker = Scripted::start(20, |seen: &Seen| {
        if seen.connection <= 60 {
            Answer::Cut
        } else {
            Answer::Ack(0)
        }
    })
    .await;
    let rig = Rig::start(vec![broker.address()], quick());
    for n in 0..30 {
        rig.store
            .append(on(&format!("topic/{}", n % 3), n.to_string()));
    }
    until("all", || rig.store.acked() == 30).await;
    assert_eq!(rig.status().refused, 0, "it was the broker");
}

#[tokio::test]
async fn a_kick_by_an_administrator_costs_a_connection_and_no_message() {
    let kicked = std::sync::atomic::AtomicUsize::new(0);
    let broker = Scripted::start(1, move |_: &Seen| {
        match kicked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            3 => Answer::Disconnect(0x98),
            _ => Answer::Ack(0),
        }
    })
    .await;
    let rig = Rig::start(vec![broker.address()], quick());
    for n in 0..10 {
        rig.store.append(on("topic", n.to_string()));
    }
    until("all", || rig.store.acked() == 10).await;
    assert_eq!((rig.store.held(), broker.connections()), (0, 2));
}

#[tokio::test]
async fn a_forbidden_subscription_is_given_up_and_messages_flow() {
    for answer in [Answer::Disconnect(0x87), Answer::Cut] {
        let broker = Scripted::run(Script {
            subscribe: Box::new(move |_| answer),
            ..Script::default()
        })
        .await;
        let config = UplinkConfig {
            commands: Some("cmd/+".into()),
            ..quick()
        };
        let rig = Rig::start(vec![broker.address()], config);
        for n in 0..50 {
            rig.store.append(on("topic", n.to_string()));
        }
        until("all", || rig.store.acked() == 50).await;
        let status = rig.status();
        assert!(rig.store.held() == 0 && !status.listening, "{status:?}");
    }
}

#[tokio::test]
async fn a_subscription_that_is_never_answered_does_not_stop_the_search() {
    let broker = Scripted::run(Script {
        subscribe: Box::new(|_| Answer::Ignore),
        publish: Box::new(|seen| {
            if seen.topic == FORBIDDEN {
                Answer::Disconnect(0x87)
            } else {
                Answer::Ack(0)
            }
        }),
        ..Script::default()
    })
    .await;
    let config = UplinkConfig {
        commands: Some("cmd/+".into()),
        answer_timeout: Duration::from_millis(300),
        ..quick()
    };
    let rig = Rig::start(vec![broker.address()], config);
    rig.store.append(on(FORBIDDEN, "forbidden"));
    for n in 0..20 {
        rig.store.append(on("allowed", n.to_string()));
    }
    until("all others", || rig.store.acked() == 20).await;
    until("the forbidden one", || rig.store.held() == 1).await;
}

#[tokio::test]
async fn a_broker_without_retained_messages_gets_all_of_them_unretained() {
    let broker = Scripted::run(Script {
        retain: false,
        ..Script::default()
    })
    .await;
    let rig = Rig::start(vec![broker.address()], quick());
    let retained = rig.store.append(Envelope {
        retain: true,
        ..on("status", "online")
    });
    for n in 0..20 {
        rig.store.append(on("topic", n.to_string()));
    }
    until("all of them", || rig.store.acked() == 21).await;
    assert_eq!(rig.store.fate(retained), Fate::Acked);
    assert_eq!(rig.store.held(), 0);
    assert_eq!(broker.connections(), 1);
}

#[tokio::test]
async fn a_broker_that_takes_one_message_at_a_time_gets_all_in_their_order() {
    let broker = Scripted::start(1, |_: &Seen| Answer::Ack(0)).await;
    let rig = Rig::start(vec![broker.address()], quick());
    for n in 0..100 {
        rig.store.append(on("topic", n.to_string()));
    }
    let store = rig.store.clone();
    let ended = rig.uplink.finish(Drain::Everything, None, LONG).await;
    assert_eq!((ended.unwrap().connections, store.acked()), (1, 100));
    let payloads: Vec<_> = broker.seen().into_iter().map(|s| s.payload).collect();
    let sent: Vec<_> = (0..100).map(|n| n.to_string()).collect();
    assert_eq!(payloads, sent);
}

#[tokio::test]
async fn pings_do_not_hide_a_broker_that_acknowledges_nothing() {
    let mute = Scripted::run(Script {
        publish: Box::new(|_| Answer::Ignore),
        chatter: Some(Duration::from_millis(20)),
        ..Script::default()
    })
    .await;
    let good = Scripted::start(10, |_: &Seen| Answer::Ack(0)).await;
    let config = UplinkConfig {
        answer_timeout: Duration::from_millis(300),
        ..quick()
    };
    let rig = Rig::start(vec![mute.address(), good.address()], config);
    rig.store.append(on("topic", "1"));
    until("delivery by the other broker", || rig.store.acked() == 1).await;
    assert_eq!(rig.status().broker, Some(good.address().to_string()));
}

#[tokio::test]
async fn a_snapshot_that_is_sent_holds_up_no_audit() {
    // The broker takes one at a time and acknowledges no snapshot before it saw the audits.
    let broker = Scripted::start(1, |_: &Seen| Answer::Ack(0)).await;
    let rig = Rig::start(Vec::new(), quick());
    let control = |payload: String| Envelope {
        priority: Priority::Control,
        ..on("control", payload)
    };
    for n in 0..5 {
        rig.store
            .append(control(format!("s{n}{}", "x".repeat(700_000))));
    }
    rig.store.append(control("audit".to_owned()));
    let config = UplinkConfig {
        brokers: vec![broker.address()],
        ..quick()
    };
    let clock = std::sync::Arc::new(kakou_time::SystemClock::new());
    let uplink = kakou_uplink::Uplink::start(config, rig.store.clone(), clock);
    until("all", || rig.store.acked() == 6).await;
    drop(uplink);
    let first = broker.seen().iter().position(|s| s.payload == "audit");
    assert!(first.is_some_and(|place| place <= 1), "{first:?}");
}
