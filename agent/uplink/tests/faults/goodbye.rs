//! The ordered end, and the return to the first broker.

use std::sync::Arc;
use std::time::Duration;

use kakou_contract::Envelope;
use kakou_uplink::{BrokerAddress, Drain, UplinkConfig};

use super::rig::{LONG, Rig, on, quick, until};
use super::scripted::{Answer, Script, Scripted, Seen};

fn offline() -> Envelope {
    Envelope {
        retain: true,
        ..on("status", "offline")
    }
}

#[tokio::test]
async fn the_end_waits_for_what_is_on_its_way_and_sends_nothing_that_was_read_ahead() {
    // Four are on their way; the broker acknowledges them when it sees the fifth message, the last
    // one.
    let broker = Scripted::start(10, |seen: &Seen| {
        if seen.topic == "status" {
            Answer::Ack(0)
        } else {
            Answer::Hold
        }
    })
    .await;
    let config = UplinkConfig {
        window_bytes: 64 << 10,
        ..quick()
    };
    let rig = Rig::start(vec![broker.address()], config);
    for n in 0..100 {
        rig.store.append(on("topic", format!("{n:>15000}")));
    }
    until("a full window", || broker.seen().len() == 4).await;
    let store = rig.store.clone();
    let ended = rig.uplink.finish(Drain::InFlight, Some(offline()), LONG);
    assert_eq!(ended.await.unwrap().acked, 5);
    until("DISCONNECT", || broker.disconnects() == 1).await;
    assert_eq!((broker.seen().len(), store.acked()), (5, 4));
}

#[tokio::test]
async fn a_broker_that_does_not_acknowledge_gets_the_offline_status_and_disconnect_in_time() {
    let broker = Scripted::start(10, |_: &Seen| Answer::Ignore).await;
    for drain in [Drain::InFlight, Drain::Everything] {
        let before = broker.disconnects();
        let rig = Rig::start(vec![broker.address()], quick());
        rig.store.append(on("topic", "1"));
        let sent = broker.seen().len();
        until("it is on its way", || broker.seen().len() > sent).await;
        let within = Duration::from_millis(600);
        let ended = rig.uplink.finish(drain, Some(offline()), within).await;
        assert!(ended.is_err(), "{ended:?}");
        until("DISCONNECT", || broker.disconnects() == before + 1).await;
        let last = broker.seen().pop().map(|s| s.payload);
        assert_eq!(last.as_deref(), Some("offline"), "{drain:?}");
    }
}

#[tokio::test]
async fn the_first_broker_is_gone_back_to_under_a_constant_backlog() {
    // The first one is away at the start; its port stays the same.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let first = port.local_addr().unwrap().port();
    drop(port);
    let backup = Scripted::run(Script::default()).await;
    let config = UplinkConfig {
        return_after: Duration::from_millis(50),
        will: Some(Arc::new(|| Some(offline()))),
        ..quick()
    };
    let brokers = vec![BrokerAddress::new("127.0.0.1", first), backup.address()];
    let rig = Rig::start(brokers, config);
    // There is always more than a window.
    let store = rig.store.clone();
    let feeding = tokio::spawn(async move {
        for n in 0_usize.. {
            while n > store.acked() + 200 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            store.append(on("topic", n.to_string()));
        }
    });
    until("the backup", || backup.seen().len() > 100).await;
    let first = Scripted::run_on(first, Script::default()).await;
    until("the first", || first.seen().len() > 100).await;
    assert_eq!(rig.status().broker, Some(first.address().to_string()));
    let seen = backup.seen();
    let last = seen.last().map(|s| s.payload.as_str());
    assert_eq!(last, Some("offline"), "no \"online\" is left behind");
    assert_eq!(backup.disconnects(), 1, "in good order");
    feeding.abort();
    let mut all: Vec<_> = seen.iter().chain(&first.seen()).cloned().collect();
    all.retain(|s| s.topic == "topic");
    let different: std::collections::BTreeSet<_> = all.iter().map(|s| &s.payload).collect();
    assert_eq!(different.len(), all.len(), "and nothing was sent twice");
}
