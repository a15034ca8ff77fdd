//! What goes wrong while a hit lives: the uplink, the clock, the disk. Its end comes all the same.

use std::process::Stdio;
use std::time::Duration;

use crate::agent::{self, Agent, Checkpoint, until};
use crate::clock::{faketime, set};
use crate::disk::unshare;
use crate::standing::{checkpoint, of_standing};
use kakou_contract::{HitMessage, HitState};
use kakou_uplink::{Subscriber, SubscriberConfig};

/// The word in sight.
async fn provisional(gate: &mut Checkpoint) -> HitMessage {
    let told = gate.next("provisional hit", of_standing).await;
    assert_eq!(told.state, HitState::Provisional);
    told
}

/// What comes after it, under its id.
async fn ended(gate: &mut Checkpoint, told: &HitMessage) -> HitMessage {
    let new = |m: &kakou_uplink::Received| of_standing(m).filter(|hit| hit.state != told.state);
    let end = gate.next("end of the hit", new).await;
    assert_eq!((end.id, end.passage_id), (told.id, told.passage_id));
    end
}

#[tokio::test(flavor = "multi_thread")]
async fn an_uplink_that_is_away_in_between_loses_no_end() {
    let mut gate = checkpoint(10).await;
    // The agent may be back before the subscriber: the broker keeps what comes in between.
    let kept = SubscriberConfig {
        keep_session: Some(Duration::from_secs(600)),
        ..SubscriberConfig::new(["kakou/v1/#"])
    };
    gate.subscriber = Subscriber::connect(gate.broker.address(), kept);
    gate.subscriber.subscribed(agent::LONG).await.unwrap();
    let _agent = gate.start();
    let told = provisional(&mut gate).await;
    gate.broker.stop();
    // The vehicle drives off meanwhile.
    tokio::time::sleep(Duration::from_secs(16)).await;
    gate.broker.restart();
    let end = ended(&mut gate, &told).await;
    assert_eq!((end.state, end.is_late), (HitState::Confirmed, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_in_between_makes_no_second_hit() {
    let mut gate = checkpoint(10).await;
    let clock = gate.path("clock");
    set(&clock, "+0");
    let library = faketime();
    let _agent = gate.start_with(&[
        ("LD_PRELOAD", library.to_str().unwrap()),
        ("FAKETIME_TIMESTAMP_FILE", clock.to_str().unwrap()),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ]);
    let told = provisional(&mut gate).await;
    set(&clock, "-7200");
    let end = ended(&mut gate, &told).await;
    assert_eq!(end.state, HitState::Confirmed);
    assert!(
        end.decided_at.unwrap() < told.decided_at.unwrap(),
        "by the clock as it is"
    );
}

/// The state folder is a file system of 64 MiB. Someone else fills it when told to.
const ON_A_SMALL_DISK: &str = r#"
mkdir -p "$DIR/state"
mount -t tmpfs -o size=64m tmpfs "$DIR/state"
"$KAKOU" --log info run --config "$DIR/kakou.toml" 2>> "$DIR/log" &
agent=$!
trap 'kill -9 $agent' TERM
while [ ! -e "$DIR/fill" ]; do sleep 0.1; done
dd if=/dev/zero of="$DIR/state/filling" bs=1M 2> /dev/null
touch "$DIR/filled"
wait $agent
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up_in_between_keeps_no_end_back() {
    let mut gate = checkpoint(10).await;
    let mut unshare = unshare();
    unshare.args(["--pid", "--fork", "--kill-child"]);
    let child = unshare
        .args(["sh", "-c", ON_A_SMALL_DISK])
        .env("DIR", gate.dir.path())
        .env("KAKOU", env!("CARGO_BIN_EXE_kakou"))
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let _agent = Agent(child);
    let told = provisional(&mut gate).await;
    std::fs::write(gate.path("fill"), "").unwrap();
    until("the disk is full", || gate.path("filled").exists()).await;
    let end = ended(&mut gate, &told).await;
    assert_eq!((end.state, end.is_late), (HitState::Confirmed, false));
}
