//! What the log says, to the journal and to people. The real binary.

use std::os::unix::fs::MetadataExt as _;

use crate::agent::{Checkpoint, on};
use kakou_contract::{HitMessage, PassageMessage};

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_gets_priorities_and_no_plate() {
    let mut gate = Checkpoint::new("loop = true").await;
    // As systemd does it: the agent's stderr is the stream that the variable names.
    let stream = std::fs::File::create(gate.path("log")).unwrap();
    let stream = stream.metadata().unwrap();
    let named = format!("{}:{}", stream.dev(), stream.ino());
    let dead = "[[camera]]\nid = \"dead\"\nurl = \"rtsp://127.0.0.1:9/stream\"\n";
    gate.write_config(&(gate.config() + dead));
    let mut agent = gate.start_with(&[("JOURNAL_STREAM", &named), ("KAKOU_LOG", "info")]);
    let passage: PassageMessage = gate.next("passage", |m| on(m, "/passage/cam-1")).await;
    let hit: HitMessage = gate.next("hit", |m| on(m, "/hit/")).await;
    agent.signal("-TERM");
    agent.0.wait().unwrap();
    let log = gate.log();
    assert!(
        log.lines()
            .all(|l| l.starts_with('<') && l.as_bytes()[2] == b'>'),
        "{log}"
    );
    let of = |priority: &str, what: &str| {
        log.lines()
            .find(|l| l.starts_with(priority) && l.contains(what))
            .map(str::to_owned)
    };
    let begins = of("<6>", "begins").unwrap_or_else(|| panic!("{log}"));
    for part in [
        "version=",
        "cameras=2",
        "lanes=",
        "kakou.toml",
        "site=north",
    ] {
        assert!(begins.contains(part), "{part}: {begins}");
    }
    let passed = of("<6>", &passage.id.to_string()).unwrap_or_else(|| panic!("{log}"));
    assert!(
        passed.contains("passed") && passed.contains("camera=\"cam-1\""),
        "{passed}"
    );
    assert!(of("<3>", "camera=\"dead\"").is_some(), "{log}");
    assert!(of("<6>", "has ended in order").is_some(), "{log}");
    let plates = [Some(hit.plate.text), passage.plate.map(|p| p.text)];
    for plate in plates.into_iter().flatten() {
        assert!(!log.contains(&plate), "{plate}\n{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_get_times_and_words() {
    let mut gate = Checkpoint::new("loop = true").await;
    let mut agent = gate.start_with(&[("JOURNAL_STREAM", "1:1"), ("KAKOU_LOG", "info")]);
    let _: PassageMessage = gate.next("passage", |m| on(m, "/passage/cam-1")).await;
    agent.signal("-TERM");
    agent.0.wait().unwrap();
    let log = gate.log();
    let begins = log
        .lines()
        .find(|l| l.contains("begins"))
        .unwrap_or_else(|| panic!("{log}"));
    assert!(
        begins.contains(" INFO ") && begins.starts_with("20"),
        "{begins}"
    );
}
