//! The list of brokers, the last will, commands.

use std::sync::Arc;
use std::time::Duration;

use kakou_contract::Envelope;
use kakou_uplink::{BrokerAddress, Drain, Subscriber, SubscriberConfig, UplinkConfig};

use super::mosquitto::{Mosquitto, free_port};
use super::proxy::{Link, Mode, Proxy};
use super::rig::{LONG, Rig, blank, heard, passages, quick, small, wait};
use super::scripted::{Answer, Scripted};

#[tokio::test]
async fn commands_come_with_where_to_answer_and_the_will_speaks_for_the_dead() {
    let broker = Mosquitto::start("");
    let mut subscriber =
        Subscriber::connect(broker.address(), SubscriberConfig::new(["will", "offline"]));
    subscriber.subscribed(LONG).await.unwrap();
    let will = || {
        Some(Envelope {
            topic: "will".into(),
            payload: b"gone".to_vec().into(),
            ..blank()
        })
    };
    let config = || UplinkConfig {
        commands: Some("cmd/+".into()),
        will: Some(std::sync::Arc::new(will)),
        ..quick()
    };
    let mut rig = Rig::start(broker.address(), config());
    wait(|| rig.uplink.status().borrow().listening).await;
    let mut commands = rig.uplink.commands().unwrap();
    broker.publish(&[
        "-t",
        "cmd/ping",
        "-m",
        "{}",
        "-D",
        "publish",
        "response-topic",
        "kakou/answers",
        "-D",
        "publish",
        "correlation-data",
        "c1",
    ]);
    let command = tokio::time::timeout(LONG, commands.recv())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (command.topic.as_str(), command.response_topic.as_deref()),
        ("cmd/ping", Some("kakou/answers"))
    );
    assert_eq!(command.correlation.as_deref(), Some(b"c1".as_slice()));
    // A goodbye: the last message, and no will.
    let last = Envelope {
        topic: "offline".into(),
        payload: b"shutdown".to_vec().into(),
        ..blank()
    };
    rig.uplink
        .finish(Drain::InFlight, Some(last), LONG)
        .await
        .unwrap();
    let next = heard(&mut subscriber).await;
    assert_eq!(
        (next.topic.as_str(), next.payload.as_slice()),
        ("offline", b"shutdown".as_slice())
    );
    // An end without one.
    let rig = Rig::start(broker.address(), config());
    rig.uplink.connected(LONG).await.unwrap();
    drop(rig);
    assert_eq!(heard(&mut subscriber).await.topic, "will");
}

/// The broker in use.
fn broker(rig: &Rig) -> Option<String> {
    let status = rig.uplink.status();
    let status = status.borrow();
    status.broker.clone().filter(|_| status.connected)
}

#[tokio::test(flavor = "multi_thread")]
async fn brokers_are_tried_in_their_order_and_after_a_loss_from_the_first_on() {
    let (mut first, mut second) = (Mosquitto::start(""), Mosquitto::start(""));
    first.stop();
    let nobody = BrokerAddress::new("127.0.0.1", free_port());
    let brokers = vec![nobody, first.address(), second.address()];
    let rig = Rig::with_brokers(brokers, quick());
    rig.publish(small(1)).await;
    wait(|| {
        broker(&rig) == Some(second.address().to_string())
            && rig.uplink.status().borrow().acked == 1
    })
    .await;
    first.restart();
    second.stop();
    rig.publish(small(2)).await;
    wait(|| broker(&rig) == Some(first.address().to_string())).await;
    // And back, when that one goes.
    second.restart();
    first.stop();
    rig.publish(small(3)).await;
    wait(|| broker(&rig) == Some(second.address().to_string())).await;
    assert_eq!(passages(&rig.finish(LONG).await.1), (0, 0, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_broker_is_gone_back_to_when_it_is_there_again() {
    let (mut first, second) = (Mosquitto::start(""), Mosquitto::start(""));
    first.stop();
    let config = UplinkConfig {
        return_after: Duration::from_millis(200),
        ..quick()
    };
    let rig = Rig::with_brokers(vec![first.address(), second.address()], config);
    rig.publish(small(1)).await;
    wait(|| {
        broker(&rig) == Some(second.address().to_string())
            && rig.uplink.status().borrow().acked == 1
    })
    .await;
    first.restart();
    wait(|| broker(&rig) == Some(first.address().to_string())).await;
    rig.publish(small(2)).await;
    let (ended, stats) = rig.finish(LONG).await;
    assert_eq!(
        (ended.unwrap().connections, passages(&stats)),
        (2, (0, 0, 2)),
        "the second one was left in good order"
    );
}

#[tokio::test]
async fn a_broker_that_lets_in_and_takes_nothing_is_passed_over() {
    let mute = Scripted::start(10, |_| Answer::Ignore).await;
    let rude = Scripted::start(10, |_| Answer::Cut).await;
    let good = Mosquitto::start("");
    let config = UplinkConfig {
        answer_timeout: Duration::from_millis(300),
        ..quick()
    };
    let rig = Rig::with_brokers(vec![mute.address(), rude.address(), good.address()], config);
    for n in 0..5 {
        rig.publish(small(n)).await;
    }
    let (ended, stats) = rig.finish(LONG).await;
    assert_eq!(passages(&stats), (0, 0, 5), "{ended:?}");
    assert_eq!(ended.unwrap().broker, Some(good.address().to_string()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_will_speaks_for_an_agent_that_the_network_swallowed() {
    let broker = Mosquitto::start("");
    let mut subscriber = Subscriber::connect(broker.address(), SubscriberConfig::new(["will"]));
    subscriber.subscribed(LONG).await.unwrap();
    let proxy = Proxy::start(broker.address().port, Link::default()).await;
    let will = || {
        Some(Envelope {
            topic: "will".into(),
            payload: b"gone".to_vec().into(),
            ..blank()
        })
    };
    let config = UplinkConfig {
        keep_alive: Duration::from_secs(5),
        will: Some(Arc::new(will)),
        ..quick()
    };
    let rig = Rig::start(proxy.address(), config);
    rig.uplink.connected(LONG).await.unwrap();
    proxy.set(Mode::BlackHole);
    assert_eq!(heard(&mut subscriber).await.payload, b"gone");
}
