//! Memory and descriptors of the real binary stay what they are while the network fails and a large
//! backlog waits. `KAKOU_SOAK_CUTS` sets how often the connection is cut.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

#[path = "uplink/chance.rs"]
mod chance;
#[path = "uplink/ledger.rs"]
#[allow(dead_code)]
mod ledger;
#[path = "uplink/mosquitto.rs"]
#[allow(dead_code)]
mod mosquitto;
#[path = "uplink/proxy.rs"]
#[allow(dead_code)]
mod proxy;
mod support;

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use chance::Chance;
use ledger::Ledger;
use mosquitto::Mosquitto;
use proxy::{Link, Mode, Proxy, Way};

const MIB: u64 = 1 << 20;

fn load(state: &str, more: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_kakou"))
        .args([
            "load",
            "--state",
            state,
            "--pictures",
            "2",
            "--size",
            "600",
            "--hit-every",
            "50",
        ])
        .args(more)
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Resident bytes and open descriptors.
fn uses(child: &Child) -> (u64, usize) {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status
        .lines()
        .find(|l| l.starts_with("VmRSS:"))
        .expect("a line about memory");
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    (
        kib << 10,
        std::fs::read_dir(format!("/proc/{}/fd", child.id()))
            .unwrap()
            .count(),
    )
}

/// The most of both until `done`.
async fn most_until(child: &Child, what: &str, mut done: impl FnMut() -> bool) -> (u64, usize) {
    let limit = Instant::now() + Duration::from_secs(300);
    let mut most = (0, 0);
    while !done() {
        assert!(Instant::now() < limit, "{what}: not within five minutes");
        let now = uses(child);
        most = (most.0.max(now.0), most.1.max(now.1));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!(
        "{what}: at most {:.1} MiB and {} descriptors",
        most.0 as f64 / MIB as f64,
        most.1
    );
    most
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_and_descriptors_stay_flat_under_faults() {
    let cuts: u64 =
        std::env::var("KAKOU_SOAK_CUTS").map_or(60, |n| n.parse().expect("a number of cuts"));
    // Beside the build: /tmp may be memory.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let state = dir.path().display().to_string();
    let filled = [
        "--count",
        "67000",
        "--picture-size",
        "2000",
        "--producers",
        "64",
    ];
    assert!(load(&state, &filled).wait().unwrap().success());
    let status = || {
        support::json(&support::succeed(&[
            "outbox", "status", "--json", "--state", &state,
        ]))
    };
    let waiting = |lane: &str| status()["lanes"][lane]["waiting"].as_u64().unwrap();
    assert_eq!((waiting("passage"), waiting("picture")), (67_000, 134_000));

    let broker =
        Mosquitto::start("max_inflight_messages 1000\nmax_queued_bytes 0\npersistence false");
    let ledger = Ledger::open(broker.address(), &["kakou/v1/#"]).await;
    let proxy = Proxy::start(broker.address().port, Link::default()).await;
    proxy.set(Mode::BlackHole);
    // Larger pictures on top of it all the while.
    let url = proxy.address().to_string();
    let more = [
        "--broker",
        &url,
        "--count",
        "600",
        "--rate",
        "20",
        "--picture-size",
        "60000",
    ];
    let mut child = load(&state, &more);
    let begun = Instant::now();
    let blocked = most_until(&child, "no way to the broker", || {
        begun.elapsed() > Duration::from_secs(6)
    })
    .await;

    let mut chance = Chance(7);
    // An acknowledgement has four bytes.
    let mut plan = move || match chance.below(3) {
        0 => (Way::Down, chance.below(4000)),
        _ => (Way::Up, 2000 + chance.below(300_000)),
    };
    proxy.cut(move || Some(plan()));
    proxy.set(Mode::Open);
    let some = most_until(&child, "the first cuts", || proxy.cuts() >= cuts / 4).await;
    let all = most_until(&child, "all cuts", || proxy.cuts() >= cuts).await;
    proxy.cut(|| None);
    for round in 0..4 {
        // A broker that hangs, half-open connections, a broker that goes and comes.
        broker.signal("-STOP");
        proxy.sever();
        tokio::time::sleep(Duration::from_secs(1)).await;
        broker.signal("-CONT");
        let seen = proxy.connections();
        let until = Instant::now() + Duration::from_secs(2);
        most_until(&child, &format!("round {round}"), || {
            proxy.connections() > seen || Instant::now() > until
        })
        .await;
    }
    let head = status()["sequence"].as_u64().unwrap();
    assert!(head > 202_000);
    let drained = most_until(&child, "drain", || child_has_sent(&status())).await;
    assert!(child.wait().unwrap().success(), "it drains by itself");
    ledger
        .complete(status()["sequence"].as_u64().unwrap())
        .await;
    ledger.heard().assert_lanes_in_order();

    let peak = blocked.0.max(some.0).max(all.0).max(drained.0);
    assert!(peak < 96 * MIB, "{} MiB at the peak", peak / MIB);
    assert!(
        all.0 < some.0 + 24 * MIB,
        "{} MiB after a quarter of the cuts, {} MiB after all",
        some.0 / MIB,
        all.0 / MIB
    );
    assert!(
        all.1 <= some.1 + 2 && drained.1 <= some.1 + 2,
        "descriptors: {} then {} and {}",
        some.1,
        all.1,
        drained.1
    );
}

/// Hardly anything is left; soon the process ends.
fn child_has_sent(status: &serde_json::Value) -> bool {
    let lanes = status["lanes"].as_object().unwrap();
    lanes
        .values()
        .map(|lane| lane["waiting"].as_u64().unwrap())
        .sum::<u64>()
        < 500
}
