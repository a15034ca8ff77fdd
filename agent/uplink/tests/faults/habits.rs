//! What some makers' brokers do, and others do not.

use std::sync::Arc;
use std::time::Duration;

use kakou_contract::Envelope;
use kakou_uplink::{LinkState, UplinkConfig};

use super::rig::{LONG, Rig, on, quick, until};
use super::scripted::{Answer, Script, Scripted, Seen};

fn with_will() -> UplinkConfig {
    UplinkConfig {
        will: Some(Arc::new(|| {
            Some(Envelope {
                retain: true,
                ..on("status", "offline")
            })
        })),
        ..quick()
    }
}

#[tokio::test]
async fn a_broker_that_refuses_a_retained_will_gets_one_that_is_not() {
    let broker = Scripted::run(Script {
        retain: false,
        no_retained_will: true,
        ..Script::default()
    })
    .await;
    let rig = Rig::start(vec![broker.address()], with_will());
    rig.store.append(on("topic", "1"));
    rig.store.append(Envelope {
        retain: true,
        ..on("status", "online")
    });
    until("both are delivered", || rig.store.acked() == 2).await;
    assert_eq!(
        rig.store.held(),
        0,
        "what would be retained is sent as it is"
    );
    assert_eq!(broker.connections(), 2, "one refusal, and no more");
}

#[tokio::test]
async fn a_broker_that_refuses_a_will_of_qos_1_gets_one_of_qos_0() {
    let broker = Scripted::run(Script {
        no_will_qos: true,
        ..Script::default()
    })
    .await;
    let rig = Rig::start(vec![broker.address()], with_will());
    rig.store.append(on("topic", "1"));
    until("it is delivered", || rig.store.acked() == 1).await;
    assert_eq!(broker.connections(), 2, "one refusal, and no more");
}

#[tokio::test]
async fn a_packet_beyond_64_kib_is_not_taken() {
    let with = async |bytes: usize| {
        let broker = Scripted::run(Script {
            large: Some(bytes),
            ..Script::default()
        })
        .await;
        let config = UplinkConfig {
            commands: Some("cmd/+".to_owned()),
            ..quick()
        };
        let rig = Rig::start(vec![broker.address()], config);
        (broker, rig)
    };
    let (broker, mut rig) = with(60 << 10).await;
    let mut commands = rig.uplink.commands().unwrap();
    let taken = tokio::time::timeout(LONG, commands.recv()).await;
    assert_eq!(taken.unwrap().unwrap().payload.len(), 60 << 10);
    assert_eq!(broker.connections(), 1);

    let (broker, mut rig) = with(64 << 10).await;
    let mut commands = rig.uplink.commands().unwrap();
    until("another connection", || broker.connections() > 1).await;
    until("the reason", || rig.status().last_loss.is_some()).await;
    assert!(commands.try_recv().is_err(), "it is handed on");
}

#[tokio::test]
async fn a_broker_that_wants_no_pings_is_no_reason_to_ping_without_a_pause() {
    let broker = Scripted::run(Script {
        keep_alive: Some(0),
        ..Script::default()
    })
    .await;
    let rig = Rig::start(vec![broker.address()], quick());
    rig.store.append(on("topic", "1"));
    until("delivered", || rig.store.acked() == 1).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(broker.connections(), 1);
    assert!(broker.pings() <= 2, "{} pings", broker.pings());
}

#[tokio::test]
async fn a_topic_alias_that_was_not_allowed_ends_the_connection() {
    let broker = Scripted::run(Script {
        alias: true,
        ..Script::default()
    })
    .await;
    let config = UplinkConfig {
        commands: Some("cmd/+".to_owned()),
        ..quick()
    };
    let rig = Rig::start(vec![broker.address()], config);
    until("another connection", || broker.connections() > 1).await;
    until("the reason", || {
        let told = rig.status().last_loss.unwrap_or_default();
        told.contains("alias")
    })
    .await;
}

#[tokio::test]
async fn a_twin_is_named_and_stood_back_from() {
    let broker = Scripted::start(10, |_: &Seen| Answer::Disconnect(0x8e)).await;
    let config = UplinkConfig {
        client_id: "kakou-north-box-1".to_owned(),
        ..quick()
    };
    let rig = Rig::start(vec![broker.address()], config);
    rig.store.append(on("topic", "1"));
    until("the second time", || broker.connections() == 2).await;
    until("the name", || {
        matches!(rig.status().state, LinkState::Refused(why) if why.contains("kakou-north-box-1"))
    })
    .await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(broker.connections(), 2, "it stands back");
}
