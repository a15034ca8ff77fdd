//! A wall clock that jumps while vehicles pass: neither tracks nor time-outs notice.

use crate::support;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::mosquitto::Mosquitto;
use kakou_contract::{AuditEvent, AuditMessage, CameraState, Message, PassageMessage};
use kakou_uplink::{Subscriber, SubscriberConfig, SubscriberEvent};

const LONG: Duration = Duration::from_secs(90);

/// Debian's libfaketime, which gives a program another wall clock.
pub fn faketime() -> PathBuf {
    let mut all = std::fs::read_dir("/usr/lib")
        .unwrap()
        .filter_map(|e| Some(e.ok()?.path().join("faketime/libfaketimeMT.so.1")));
    all.find(|p| p.is_file())
        .expect("libfaketime is installed by `make tools-test` (Debian: libfaketime)")
}

pub fn set(file: &Path, offset: &str) {
    std::fs::write(file, format!("{offset}\n")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_costs_no_passage() {
    let broker = Mosquitto::start("");
    let dir = tempfile::tempdir().unwrap();
    let day = support::root().join("agent/samples/day");
    let lanes = std::fs::read_to_string(support::root().join("configs/samples.toml")).unwrap();
    let config = format!(
        "site = \"north\"\nagent = \"box-1\"\n[broker]\nurl = \"{}\"\n[outbox]\nstate = \"state\"\n\
         [vision]\nmanifest = {:?}\nplate_side = 640\n[[camera]]\nid = \"cam-1\"\nurl = {day:?}\n{}",
        broker.address(),
        support::root().join("models/manifest.toml"),
        &lanes[lanes.find("[[camera.lane]]").unwrap()..]
    );
    std::fs::write(dir.path().join("kakou.toml"), config).unwrap();
    let truth = std::fs::read_to_string(day.join("truth.jsonl")).unwrap();
    let truth: serde_json::Value = serde_json::from_str(truth.lines().next().unwrap()).unwrap();
    let mut wanted: Vec<String> = truth["passages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["text"].as_str().unwrap_or_default().to_owned())
        .collect();
    wanted.sort();

    let clock = dir.path().join("clock");
    set(&clock, "+0");
    let mut subscriber =
        Subscriber::connect(broker.address(), SubscriberConfig::new(["kakou/v1/#"]));
    subscriber.subscribed(LONG).await.unwrap();
    let mut agent = Command::new(env!("CARGO_BIN_EXE_kakou"))
        .args([
            "run",
            "--config",
            dir.path().join("kakou.toml").to_str().unwrap(),
        ])
        .env("LD_PRELOAD", faketime())
        .env("FAKETIME_TIMESTAMP_FILE", &clock)
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let limit = tokio::time::Instant::now() + LONG;
    let mut got: Vec<PassageMessage> = Vec::new();
    loop {
        let event = tokio::time::timeout_at(limit, subscriber.recv()).await;
        let Ok(Some(SubscriberEvent::Message(m))) = event else {
            assert!(
                event.is_ok(),
                "the recording does not end; passages: {}",
                got.len()
            );
            continue;
        };
        if m.topic.contains("/passage/") {
            got.push(PassageMessage::from_json(&m.payload).unwrap());
            match got.len() {
                1 => set(&clock, "+3600"),
                3 => set(&clock, "-7200"),
                _ => {}
            }
        }
        if m.topic.ends_with("/audit") {
            let audit = AuditMessage::from_json(&m.payload).unwrap();
            if let AuditEvent::Camera { state, .. } = audit.event {
                assert!(
                    matches!(state, CameraState::Ok | CameraState::Ended),
                    "{state}: nothing but the clock changed"
                );
                if state == CameraState::Ended && got.len() >= wanted.len() {
                    break;
                }
            }
        }
        // Those still open at the end come after it.
        if got.len() == wanted.len() && got.len() == 7 {
            break;
        }
    }
    let _ = agent.kill();
    let _ = agent.wait();
    let mut texts: Vec<String> = got
        .iter()
        .map(|p| p.plate.as_ref().map(|p| p.text.clone()).unwrap_or_default())
        .collect();
    texts.sort();
    assert_eq!(texts, wanted);
    let span =
        got.iter().map(|p| p.time).max().unwrap() - got.iter().map(|p| p.time).min().unwrap();
    assert!(span.num_seconds() > 3000, "the clock did jump: {span}");
    for p in &got {
        let seen = p.last_seen - p.first_seen;
        assert!(seen.num_seconds() < 60, "{p:?} was in sight for {seen}");
    }
}
