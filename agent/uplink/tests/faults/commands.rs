//! Commands are acknowledged as they are handed over, and none is lost.

use kakou_uplink::UplinkConfig;

use super::rig::{LONG, Rig, quick, until};
use super::scripted::{Script, Scripted};

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
