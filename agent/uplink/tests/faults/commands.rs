//! Commands are acknowledged as they are handed over, and none is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kakou_uplink::{Receiver, ReceiverConfig, ReceiverEvent, UplinkConfig};

use super::rig::{LONG, Rig, quick, until};
use super::scripted::{Answer, Script, Scripted};

fn listening() -> UplinkConfig {
    UplinkConfig {
        commands: Some("cmd/+".into()),
        ..quick()
    }
}

#[tokio::test]
async fn more_commands_than_the_agent_takes_at_once_are_all_carried_out() {
    const COMMANDS: usize = 100;
    let broker = Scripted::run(Script {
        commands: COMMANDS,
        ..Script::default()
    })
    .await;
    let mut rig = Rig::start(vec![broker.address()], listening());
    let mut commands = rig.uplink.commands().unwrap();
    // Nobody takes them yet: what fills the queue is acknowledged, and no more.
    until("a full queue", || commands.len() == commands.max_capacity()).await;
    until("as many receipts", || {
        broker.acknowledged() == commands.max_capacity()
    })
    .await;
    for n in 1..=COMMANDS {
        let command = tokio::time::timeout(LONG, commands.recv()).await;
        assert_eq!(
            command.unwrap().unwrap().payload,
            n.to_string().into_bytes()
        );
    }
    until("all receipts", || broker.acknowledged() == COMMANDS).await;
    assert!(rig.status().listening);
}

#[tokio::test]
async fn a_command_that_nobody_takes_is_left_to_the_broker() {
    let broker = Scripted::run(Script {
        commands: 3,
        ..Script::default()
    })
    .await;
    let mut rig = Rig::start(vec![broker.address()], listening());
    drop(rig.uplink.commands());
    rig.store.append(super::rig::on("topic", "1"));
    until("a message", || {
        rig.store.acked() == 1 && rig.status().listening
    })
    .await;
    let ended = rig
        .uplink
        .finish(kakou_uplink::Drain::Everything, None, LONG);
    assert_eq!(ended.await.unwrap().connections, 1);
    assert_eq!(broker.acknowledged(), 0);
}

#[tokio::test]
async fn a_subscription_that_is_not_granted_for_the_moment_is_sent_again() {
    // As a cluster answers that elects its leader.
    const UNSPECIFIED: u8 = 0x80;
    let asked = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&asked);
    let broker = Scripted::run(Script {
        subscribe: Box::new(move |_| match seen.fetch_add(1, Ordering::Relaxed) {
            0 => Answer::Ack(UNSPECIFIED),
            _ => Answer::Ack(1),
        }),
        ..Script::default()
    })
    .await;
    let rig = Rig::start(vec![broker.address()], listening());
    until("the second answer", || rig.status().listening).await;
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    assert_eq!(broker.connections(), 1, "on the same connection");
}

#[tokio::test]
async fn a_receiver_that_is_not_granted_its_filter_for_the_moment_asks_anew() {
    const UNSPECIFIED: u8 = 0x80;
    let broker = Scripted::run(Script {
        subscribe: Box::new(|connection| match connection {
            1 => Answer::Ack(UNSPECIFIED),
            _ => Answer::Ack(1),
        }),
        ..Script::default()
    })
    .await;
    let config = ReceiverConfig::new("central", ["all/#"]);
    let mut receiver = Receiver::connect(vec![broker.address()], config);
    let first = tokio::time::timeout(LONG, receiver.recv()).await.unwrap();
    let Some(ReceiverEvent::Lost { why }) = first else {
        panic!("{first:?}");
    };
    assert!(why.contains("all/# was not granted"), "{why}");
    let next = tokio::time::timeout(LONG, receiver.recv()).await.unwrap();
    assert_eq!(next, Some(ReceiverEvent::Subscribed));
}

#[tokio::test]
async fn a_receiver_does_not_trust_a_broker_that_has_no_shared_subscriptions() {
    // It grants the filter, and nothing ever matches it.
    let broker = Scripted::run(Script {
        shared: false,
        ..Script::default()
    })
    .await;
    let config = ReceiverConfig::new("central", ["$share/central/all/#"]);
    let mut receiver = Receiver::connect(vec![broker.address()], config);
    let first = tokio::time::timeout(LONG, receiver.recv()).await.unwrap();
    let Some(ReceiverEvent::Lost { why }) = first else {
        panic!("{first:?}");
    };
    assert!(why.contains("no shared subscriptions"), "{why}");
}

#[tokio::test]
async fn a_broker_that_sends_more_at_once_than_it_may_gets_every_receipt_on_one_connection() {
    const MESSAGES: usize = 3_000;
    let broker = Scripted::run(Script {
        commands: MESSAGES,
        ..Script::default()
    })
    .await;
    let mut config = ReceiverConfig::new("central", ["all/#"]);
    config.unacknowledged = 20;
    let mut receiver = Receiver::connect(vec![broker.address()], config);
    let acknowledger = receiver.acknowledger();
    let mut receipts = Vec::new();
    while receipts.len() < MESSAGES {
        match tokio::time::timeout(LONG, receiver.recv()).await.unwrap() {
            Some(ReceiverEvent::Message(_, receipt)) => receipts.push(receipt.unwrap()),
            Some(ReceiverEvent::Subscribed) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(broker.acknowledged(), 0);
    for receipt in receipts {
        acknowledger.acknowledge(receipt);
    }
    until("all receipts", || broker.acknowledged() == MESSAGES).await;
    assert_eq!(broker.connections(), 1);
}
