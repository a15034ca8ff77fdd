//! Publisher and subscriber against the embedded broker, a real Mosquitto and a scripted broker.
#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "uplink/mosquitto.rs"]
mod mosquitto;
#[path = "uplink/scripted.rs"]
mod scripted;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kakou::demo::Broker;
use kakou::uplink::{
    BrokerAddress, Error, Event, Outgoing, Publisher, PublisherConfig, Received, Subscriber, SubscriberConfig,
};
use mosquitto::{Mosquitto, free_port};
use scripted::{Answer, Scripted};

const LONG: Duration = Duration::from_secs(30);

fn quick() -> PublisherConfig {
    PublisherConfig {
        backoff_first: Duration::from_millis(20),
        backoff_most: Duration::from_millis(200),
        ..PublisherConfig::default()
    }
}

fn quick_subscriber() -> SubscriberConfig {
    SubscriberConfig {
        backoff_first: Duration::from_millis(20),
        backoff_most: Duration::from_millis(100),
        ..SubscriberConfig::new(["kakou/v1/+/+/passage/+"])
    }
}

/// Message `n`; every tenth is as large as a passage with its pictures.
fn message(n: usize) -> Outgoing {
    let mut payload = format!("{n}").into_bytes();
    if n.is_multiple_of(10) {
        payload.resize(300 << 10, b' ');
    }
    Outgoing {
        topic: format!("kakou/v1/site-1/agent-1/passage/cam-{}", n % 4),
        payload,
        content_type: Some("application/json".to_owned()),
        user_properties: vec![
            ("id".to_owned(), format!("id-{n}")),
            ("type".to_owned(), "passage; 鲁E·6K829".to_owned()),
        ],
        retain: false,
    }
}

fn small(n: usize) -> Outgoing {
    Outgoing { payload: n.to_string().into_bytes(), topic: "t".to_owned(), ..Outgoing::default() }
}

fn number(received: &Received) -> usize {
    std::str::from_utf8(&received.payload).unwrap().trim_end().parse().unwrap()
}

/// Receives until `count` different messages are here; how often each came.
async fn collect(subscriber: &mut Subscriber, count: usize) -> BTreeMap<usize, usize> {
    let mut times = BTreeMap::new();
    let all = async {
        while times.len() < count {
            match subscriber.recv().await.expect("the subscriber goes on") {
                Event::Message(received) => {
                    let n = number(&received);
                    let sent = message(n);
                    assert_eq!(received.topic, sent.topic);
                    assert_eq!(received.payload.len(), sent.payload.len());
                    assert_eq!(received.content_type, sent.content_type);
                    assert_eq!(received.user_properties, sent.user_properties);
                    assert!(received.is_text, "payload format indicator");
                    *times.entry(n).or_insert(0) += 1;
                }
                Event::Subscribed | Event::Lost { .. } => {}
                Event::Refused { filter, why } => panic!("{filter}: {why}"),
            }
        }
    };
    let done = tokio::time::timeout(LONG, all).await;
    assert!(done.is_ok(), "only {} of {count} messages within {LONG:?}", times.len());
    times
}

async fn two_hundred_messages_arrive_once(address: BrokerAddress) {
    let mut subscriber = Subscriber::connect(address.clone(), quick_subscriber());
    subscriber.subscribed(LONG).await.unwrap();
    let publisher = Publisher::connect(address, quick());
    let sending = async {
        for n in 0..200 {
            publisher.publish(message(n)).await.unwrap();
        }
        publisher.finish(LONG).await.unwrap()
    };
    let (report, times) = tokio::join!(sending, collect(&mut subscriber, 200));
    assert_eq!((report.acked, report.connections), (200, 1));
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
    let publisher = Publisher::connect(broker.address(), quick());
    publisher.connected(LONG).await.unwrap();
    let count = 600;
    let sending = async {
        for n in 0..count {
            if n == 150 || n == 400 {
                // In the middle: messages are queued and in flight.
                while !publisher.status().connected {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                tokio::task::block_in_place(|| broker.stop());
                tokio::time::sleep(Duration::from_millis(100)).await;
                tokio::task::block_in_place(|| broker.restart());
            }
            publisher.publish(message(n)).await.unwrap();
        }
        publisher.finish(LONG).await.unwrap()
    };
    let (report, times) = tokio::join!(sending, collect(&mut subscriber, count));
    assert_eq!(report.acked, count as u64);
    assert!(report.connections >= 3, "{report:?}");
    assert!(times.keys().copied().eq(0..count));
}

#[tokio::test]
async fn an_absent_broker_is_an_error_with_its_address_in_time() {
    let address = BrokerAddress::new("127.0.0.1", free_port());
    let publisher = Publisher::connect(address.clone(), quick());
    for n in 0..3 {
        publisher.publish(small(n)).await.unwrap();
    }
    let error = publisher.connected(Duration::from_millis(100)).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    let begin = Instant::now();
    let error = publisher.finish(Duration::from_millis(500)).await.unwrap_err().to_string();
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    assert!(error.contains(&address.to_string()), "{error}");
    assert!(error.contains("3 of 3 messages") && error.contains("refused"), "{error}");
}

#[tokio::test]
async fn a_full_buffer_is_an_error_in_time() {
    let address = BrokerAddress::new("127.0.0.1", free_port());
    let config = PublisherConfig { buffered_bytes: 1 << 20, publish_timeout: Duration::from_millis(200), ..quick() };
    let publisher = Publisher::connect(address, config);
    let mut taken = 0;
    let error = loop {
        match publisher.publish(message(0)).await {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(taken, 3, "three of 300 KiB fit into one MiB");
    assert!(matches!(error, Error::NoRoom { .. }), "{error}");
    assert!(error.to_string().contains("kakou/v1/site-1/agent-1/passage/cam-0"), "{error}");
}

#[tokio::test]
async fn a_message_too_large_names_topic_and_sizes() {
    let broker = Mosquitto::start("max_packet_size 100000");
    let publisher = Publisher::connect(broker.address(), quick());
    let own = Outgoing { payload: vec![0; 9 << 20], ..small(0) };
    let error = publisher.publish(own).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { limit: 0x0080_0000, .. }), "{error}");

    for n in 0..20 {
        publisher.publish(message(n)).await.unwrap();
    }
    let error = publisher.finish(LONG).await.unwrap_err();
    let Error::Refused { count, ref first, .. } = error else { panic!("{error}") };
    assert_eq!(count, 2, "0 and 10 are larger, the others pass");
    assert_eq!(first.topic, "kakou/v1/site-1/agent-1/passage/cam-0");
    assert!(first.why.contains("the broker takes 100000"), "{error}");
}

#[tokio::test]
async fn a_limit_that_the_broker_does_not_announce_stops_only_the_message_itself() {
    // Mosquitto says 0x95 with a PUBACK then, which breaks rumqttc's connection.
    let broker = Mosquitto::start("message_size_limit 100000");
    let publisher = Publisher::connect(broker.address(), quick());
    for n in 0..20 {
        publisher.publish(message(n)).await.unwrap();
    }
    let error = publisher.finish(LONG).await.unwrap_err();
    let Error::Refused { count, accepted, .. } = error else { panic!("{error}") };
    assert_eq!((count, accepted), (2, 20), "{error}");
}

#[tokio::test]
async fn a_topic_that_is_not_allowed_is_a_refusal() {
    // A list of rights without a right in it.
    let broker = Mosquitto::start("acl_file {dir}/empty");
    let publisher = Publisher::connect(broker.address(), quick());
    publisher.publish(small(1)).await.unwrap();
    let error = publisher.finish(LONG).await.unwrap_err();
    assert!(error.to_string().contains("t: not authorised to publish"), "{error}");
}

#[tokio::test]
async fn a_wrong_password_is_told_without_the_password() {
    let broker = Mosquitto::start("allow_anonymous false");
    let address: BrokerAddress = broker.address().to_string().replace("//", "//gate:S3CRET@").parse().unwrap();
    let publisher = Publisher::connect(address, quick());
    let error = publisher.connected(Duration::from_secs(2)).await.unwrap_err();
    let told = format!("{error} {error:?} {publisher:?}");
    assert!(error.to_string().contains("not authorised to connect"), "{told}");
    assert!(!told.contains("S3CRET"), "{told}");
}

#[tokio::test]
async fn a_subscription_that_is_not_allowed_is_told() {
    let broker = Mosquitto::start("");
    let config = SubscriberConfig::new(["kakou/#/wrong"]);
    let mut subscriber = Subscriber::connect(broker.address(), config);
    let event = tokio::time::timeout(LONG, subscriber.recv()).await.unwrap();
    assert!(matches!(event, Some(Event::Lost { .. } | Event::Refused { .. })), "{event:?}");
}

#[tokio::test]
async fn acknowledgements_out_of_order_belong_to_their_own_messages() {
    let broker = Scripted::start(8, |seen| match seen.payload.parse::<usize>() {
        Ok(n) if n % 4 == 3 => Answer::Ack(0),
        _ => Answer::Hold,
    })
    .await;
    let publisher = Publisher::connect(broker.address(), quick());
    for n in 0..400 {
        publisher.publish(small(n)).await.unwrap();
    }
    let report = publisher.finish(LONG).await.unwrap();
    assert_eq!((report.acked, report.connections), (400, 1));
    let payloads: Vec<_> = broker.seen().into_iter().map(|seen| seen.payload).collect();
    assert_eq!(payloads, (0..400).map(|n| n.to_string()).collect::<Vec<_>>(), "each once, in order");
}

#[tokio::test]
async fn a_quota_is_waited_for_and_a_refusal_is_reported() {
    let tries = std::sync::atomic::AtomicUsize::new(0);
    let broker = Scripted::start(100, move |seen| match seen.payload.as_str() {
        // Quota exceeded, three times.
        "5" if tries.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < 3 => Answer::Ack(0x97),
        // Payload format invalid.
        "7" => Answer::Ack(0x99),
        _ => Answer::Ack(0),
    })
    .await;
    let publisher = Publisher::connect(broker.address(), quick());
    for n in 0..10 {
        publisher.publish(small(n)).await.unwrap();
    }
    let error = publisher.finish(LONG).await.unwrap_err();
    let Error::Refused { count: 1, ref first, .. } = error else { panic!("{error}") };
    assert!(first.why.contains("format"), "{error}");
    assert_eq!(broker.seen().iter().filter(|seen| seen.payload == "5").count(), 4);
}

#[tokio::test]
async fn a_connection_cut_again_and_again_loses_nothing() {
    // Every seventh publish of a connection cuts it before its acknowledgement.
    let broker = Scripted::start(5, |seen| if seen.id == 5 { Answer::Cut } else { Answer::Ack(0) }).await;
    let publisher = Publisher::connect(broker.address(), quick());
    for n in 0..60 {
        publisher.publish(small(n)).await.unwrap();
    }
    let report = publisher.finish(LONG).await.unwrap();
    assert_eq!(report.acked, 60);
    assert!(report.connections > 10, "{report:?}");
    let seen: std::collections::BTreeSet<_> = broker.seen().into_iter().map(|seen| seen.payload).collect();
    assert_eq!(seen.len(), 60);
}

#[tokio::test]
async fn a_broker_that_never_acknowledges_is_left_and_told_of() {
    let broker = Scripted::start(10, |seen| match seen.connection {
        1 => Answer::Ignore,
        _ => Answer::Ack(0),
    })
    .await;
    let config = || PublisherConfig { answer_timeout: Duration::from_millis(300), ..quick() };
    let publisher = Publisher::connect(broker.address(), config());
    publisher.publish(small(1)).await.unwrap();
    let report = publisher.finish(LONG).await.unwrap();
    assert_eq!((report.acked, report.connections), (1, 2), "the second connection delivers");

    let mute = Scripted::start(10, |_| Answer::Ignore).await;
    let publisher = Publisher::connect(mute.address(), config());
    publisher.publish(small(1)).await.unwrap();
    let error = publisher.finish(Duration::from_secs(1)).await.unwrap_err();
    let Error::Unacknowledged { missing: 1, accepted: 1, .. } = error else { panic!("{error}") };
}

#[tokio::test]
async fn finishing_with_nothing_to_say_needs_no_broker() {
    let publisher = Publisher::connect(BrokerAddress::new("127.0.0.1", free_port()), quick());
    assert_eq!(publisher.finish(Duration::from_millis(500)).await.unwrap().acked, 0);
}
