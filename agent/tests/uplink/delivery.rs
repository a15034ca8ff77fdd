//! What is sent arrives: the embedded broker, a real Mosquitto, restarts, cuts.

use std::time::Duration;

use kakou::demo::Broker;
use kakou_contract::Envelope;
use kakou_contract::Priority;
use kakou_outbox::Outbox;
use kakou_uplink::{
    BrokerAddress, Error, Subscriber, SubscriberConfig, SubscriberEvent, Uplink, UplinkConfig,
};

use super::mosquitto::{Mosquitto, free_port};
use super::rig::{
    LONG, Rig, collect, draft, message, options, passages, quick, quick_subscriber, small, wait,
};
use super::scripted::{Answer, Scripted};

async fn two_hundred_messages_arrive_once(address: BrokerAddress) {
    let mut subscriber = Subscriber::connect(address.clone(), quick_subscriber());
    subscriber.subscribed(LONG).await.unwrap();
    let rig = Rig::start(address, quick());
    let sending = async {
        for n in 0..200 {
            rig.publish(message(n)).await;
        }
        rig.finish(LONG).await
    };
    let ((report, stats), times) = tokio::join!(sending, collect(&mut subscriber, 200));
    let report = report.unwrap();
    assert_eq!(
        (report.acked, report.connections, passages(&stats)),
        (200, 1, (0, 0, 200))
    );
    assert!(times.values().all(|&times| times == 1), "{times:?}");
}

#[tokio::test]
async fn two_hundred_messages_through_the_embedded_broker() {
    two_hundred_messages_arrive_once(Broker::start().unwrap().address()).await;
}

#[tokio::test]
async fn two_hundred_messages_through_mosquitto() {
    let broker = Mosquitto::start("");
    two_hundred_messages_arrive_once(broker.address()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_the_broker_restarts() {
    let mut broker = Mosquitto::start("");
    let config = SubscriberConfig {
        client_id: "central".to_owned(),
        keep_session: Some(Duration::from_secs(600)),
        ..quick_subscriber()
    };
    let mut subscriber = Subscriber::connect(broker.address(), config);
    subscriber.subscribed(LONG).await.unwrap();
    let rig = Rig::start(broker.address(), quick());
    rig.uplink.connected(LONG).await.unwrap();
    let count = 600;
    let sending = async {
        for n in 0..count {
            if n == 150 || n == 400 {
                // In the middle: messages are queued and in flight.
                while !rig.uplink.status().borrow().connected {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                tokio::task::block_in_place(|| broker.stop());
                tokio::time::sleep(Duration::from_millis(100)).await;
                tokio::task::block_in_place(|| broker.restart());
            }
            rig.publish(message(n)).await;
        }
        rig.finish(LONG).await
    };
    let ((report, stats), times) = tokio::join!(sending, collect(&mut subscriber, count));
    assert_eq!(passages(&stats), (0, 0, count as u64));
    assert!(report.unwrap().connections >= 3);
    assert!(times.keys().copied().eq(0..count));
}

#[tokio::test]
async fn an_absent_broker_is_an_error_with_its_address_in_time() {
    let address = BrokerAddress::new("127.0.0.1", free_port());
    let rig = Rig::start(address.clone(), quick());
    for n in 0..3 {
        rig.publish(small(n)).await;
    }
    let error = rig
        .uplink
        .connected(Duration::from_millis(100))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    wait(|| rig.uplink.status().borrow().last_loss.is_some()).await;
    let ending = rig.finish(Duration::from_millis(500));
    let (ended, stats) = tokio::time::timeout(LONG, ending).await.unwrap();
    let error = ended.unwrap_err().to_string();
    assert!(
        error.contains(&address.to_string()) && error.contains("refused"),
        "{error}"
    );
    assert_eq!(passages(&stats), (3, 0, 0), "nothing is lost");
}

#[tokio::test]
async fn a_hit_overtakes_ten_thousand_passages() {
    let broker = Mosquitto::start("");
    let filters = ["kakou/v1/+/+/passage/+", "kakou/v1/+/+/hit/+/+"];
    let mut subscriber = Subscriber::connect(broker.address(), SubscriberConfig::new(filters));
    subscriber.subscribed(LONG).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(options(dir.path())).unwrap();
    let passage = || {
        draft(
            Envelope {
                topic: "kakou/v1/s/a/passage/c".into(),
                payload: vec![b'p'; 800].into(),
                ..small(0)
            },
            Priority::Passage,
        )
    };
    for _ in 0..20 {
        outbox
            .append_async((0..500).map(|_| passage()).collect())
            .await
            .unwrap();
    }
    let uplink = Uplink::start(
        UplinkConfig {
            brokers: vec![broker.address()],
            ..quick()
        },
        kakou::store::OutboxStore(outbox.clone()),
        std::sync::Arc::new(kakou_time::SystemClock::new()),
    );
    wait(|| uplink.status().borrow().acked > 1000).await;
    let hit = Envelope {
        topic: "kakou/v1/s/a/hit/red/c".into(),
        payload: b"hit".to_vec().into(),
        ..small(0)
    };
    outbox
        .append_async(vec![draft(hit, Priority::Hit)])
        .await
        .unwrap();
    let committed_at = uplink.status().borrow().acked;
    let mut before = 0;
    loop {
        match tokio::time::timeout(LONG, subscriber.recv()).await.unwrap() {
            Some(SubscriberEvent::Message(m)) if m.payload == b"hit" => break,
            Some(SubscriberEvent::Message(_)) => before += 1,
            _ => {}
        }
    }
    assert!(
        before < 9_000,
        "{before} passages came before the hit, {committed_at} were through when it was committed"
    );
}

#[tokio::test]
async fn a_connection_cut_again_and_again_loses_nothing() {
    // Every seventh publish of a connection cuts it before its acknowledgement.
    let broker = Scripted::start(5, |seen| {
        if seen.id == 5 {
            Answer::Cut
        } else {
            Answer::Ack(0)
        }
    })
    .await;
    let rig = Rig::start(broker.address(), quick());
    for n in 0..60 {
        rig.publish(small(n)).await;
    }
    let (report, stats) = rig.finish(LONG).await;
    assert_eq!(passages(&stats), (0, 0, 60));
    assert!(report.unwrap().connections > 10);
    let seen: std::collections::BTreeSet<_> =
        broker.seen().into_iter().map(|seen| seen.payload).collect();
    assert_eq!(seen.len(), 60);
}
