//! kill -9 at random moments, with the broker restarted meanwhile: what was reported as committed
//! reaches a subscriber. `KAKOU_CHAOS_CYCLES` and `KAKOU_CHAOS_RUN_CYCLES` set the numbers of
//! kills; `make chaos` does 200 of each.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

#[path = "uplink/chance.rs"]
mod chance;
#[path = "chaos/cycles.rs"]
mod cycles;
#[path = "uplink/ledger.rs"]
#[allow(dead_code)]
mod ledger;
#[path = "uplink/mosquitto.rs"]
#[allow(dead_code)]
mod mosquitto;
mod support;

use std::process::Command;
use std::time::{Duration, Instant};

use cycles::Cycles;

fn cycles(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |n| n.parse().expect("a number of cycles"))
}

/// `kakou load`: made-up passages and pictures as fast as a city's worst minute.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_reported_as_committed_arrives_whatever_is_killed() {
    let mut cycles = Cycles::new(cycles("KAKOU_CHAOS_CYCLES", 12)).await;
    let load = |c: &Cycles, more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kakou"));
        command.args([
            "load",
            "--broker",
            &c.broker(),
            "--state",
            &c.state(),
            "--print",
        ]);
        command
            .args([
                "--pictures",
                "2",
                "--picture-size",
                "20000",
                "--hit-every",
                "7",
            ])
            .args(more);
        command
    };
    cycles.kill(
        |c| load(c, &["--rate", "150"]),
        |chance| (true, Duration::from_millis(5 + chance.below(400))),
    );
    // The last run sends what is left.
    assert!(
        tokio::task::block_in_place(|| load(&cycles, &["--count", "1"]).status().unwrap())
            .success()
    );
    cycles.settle("load").await;
}

/// `kakou run` as in service, from its first moments on: the sample footage again and again, all of
/// it on the watchlist.
#[tokio::test(flavor = "multi_thread")]
async fn the_agent_in_service_loses_nothing_that_it_committed_whenever_it_is_killed() {
    let mut cycles = Cycles::new(cycles("KAKOU_CHAOS_RUN_CYCLES", 5)).await;
    let quick = "[passage]\nlost_after_s = 0.3\nstanding_lost_after_s = 0.5\nrejoin_s = 0";
    support::checkpoint(
        cycles.folder(),
        &format!("url = \"{}\"", cycles.broker()),
        "dusk",
        "loop = true",
        quick,
    );
    let run = |c: &Cycles| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kakou"));
        command.args([
            "run",
            "--print",
            "--config",
            c.folder().join("kakou.toml").to_str().unwrap(),
        ]);
        command
    };
    cycles.kill(run, |chance| match chance.below(4) {
        // At any time, the start included; or where a passage with its hit and pictures has just
        // been committed.
        0 => (false, Duration::from_millis(chance.below(3000))),
        1 => (false, Duration::from_millis(chance.below(9000))),
        _ => (true, Duration::from_millis(chance.below(300))),
    });
    assert!(
        cycles.committed("hit") > 0 && cycles.committed("picture") > 0,
        "there were hits with their pictures"
    );
    // The last run sends what is left, and ends in good order.
    let before = cycles.status()["sequence"].as_u64();
    tokio::task::block_in_place(|| {
        let mut child = run(&cycles)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let limit = Instant::now() + Duration::from_secs(60);
        // Its birth is the first that it commits.
        while cycles.status()["sequence"].as_u64() <= before || cycles.waiting() > 0 {
            assert!(
                Instant::now() < limit,
                "it does not drain: {}",
                cycles.status()
            );
            std::thread::sleep(Duration::from_millis(200));
        }
        assert!(
            Command::new("kill")
                .arg(child.id().to_string())
                .status()
                .unwrap()
                .success()
        );
        assert!(child.wait().unwrap().success());
    });
    cycles.settle("run").await;
}
