//! `kakou cmd`: a real agent is asked by way of a real Mosquitto, and what is told when none answers.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use kakou_contract::{AuditEvent, AuditMessage, Message, ResultMessage, StatusMessage};
use kakou_uplink::Received;
use serde_json::Value;

use crate::agent::{Agent, Checkpoint, on, until};
use crate::mosquitto::Mosquitto;
use crate::support::{self, json, stderr, stdout};
use crate::tls::Authority;

/// `kakou cmd` with these arguments, in the folder `dir`. Nothing of the caller's shell counts.
fn cmd_in(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kakou"))
        .arg("cmd")
        .args(args)
        .current_dir(dir)
        .env_remove("KAKOU_BROKER")
        .output()
        .unwrap()
}

#[track_caller]
fn code(o: &Output, code: i32) -> String {
    let told = format!("{}{}", stdout(o), stderr(o));
    assert_eq!(o.status.code(), Some(code), "{told}");
    told
}

/// A checkpoint in service that can be asked.
struct Gate {
    gate: Checkpoint,
    url: String,
}

impl Gate {
    async fn new() -> Self {
        let gate = Checkpoint::new("loop = true").await;
        let url = gate.broker.address().to_string();
        Self { gate, url }
    }

    async fn start(&mut self) -> Agent {
        let agent = self.gate.start();
        let online = |m: &Received| {
            on::<StatusMessage>(m, "/status").filter(|s| s.state.as_str() == "online")
        };
        self.gate.next("birth", online).await;
        agent
    }

    fn ask(&self, args: &[&str]) -> Output {
        let args = [&["north/box-1"], args, &["--broker", &self.url]].concat();
        cmd_in(self.gate.dir.path(), &args)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_is_asked_in_one_line() {
    let mut gate = Gate::new().await;
    let _agent = gate.start().await;
    let told = code(&gate.ask(&["ping"]), 0);
    assert!(told.contains("north/box-1: answers after "), "{told}");
    // What went over the wire is the contract's, and the answer came below the agent's own topic.
    let asked = gate
        .gate
        .next("request", |m| {
            m.topic.ends_with("/cmd/ping").then(|| m.clone())
        })
        .await;
    let answers = asked.response_topic.clone().unwrap();
    assert!(
        answers.starts_with("kakou/v1/north/box-1/result/cmd-"),
        "{answers}"
    );
    let request: Value = serde_json::from_slice(&asked.payload).unwrap();
    let id = request["request_id"].as_str().unwrap().to_owned();
    assert!(
        request["sent_at"].is_string() && !asked.retained,
        "{request}"
    );
    let answer = gate
        .gate
        .next("answer", |m| (m.topic == answers).then(|| m.clone()))
        .await;
    assert_eq!(answer.correlation, asked.correlation);
    assert_eq!(
        ResultMessage::from_json(&answer.payload)
            .unwrap()
            .request_id
            .unwrap()
            .to_string(),
        id
    );
    // The same once more is not carried out again.
    let told = code(&gate.ask(&["ping", "--request-id", &id]), 0);
    assert!(told.contains("carried out before"), "{told}");
    // A picture, once the camera has one.
    let picture = gate.gate.path("now.jpg");
    until("a picture", || {
        let o = gate.ask(&["snapshot", "cam-1", "--out", picture.to_str().unwrap()]);
        o.status.code() == Some(0) && stdout(&o).contains("now.jpg: ")
    })
    .await;
    assert!(std::fs::read(&picture).unwrap().starts_with(&[0xff, 0xd8]));
    let told = code(&gate.ask(&["snapshot", "cam-9"]), 1);
    assert!(
        told.contains("snapshot: invalid: camera: there is no camera cam-9"),
        "{told}"
    );
    assert!(!gate.gate.path("snapshot.jpg").exists());
    let told = code(&gate.ask(&["status"]), 0);
    for shown in ["north/box-1  ", "cam-1", "broker     online"] {
        assert!(told.contains(shown), "{shown}: {told}");
    }
    let told = code(&gate.ask(&["resend", "1", "2"]), 0);
    assert!(told.contains("messages back in line"), "{told}");
    let retention = ["retention", "--passage-hours", "3", "--hit-minutes", "90"];
    let told = code(&gate.ask(&retention), 0);
    assert!(
        told.contains("keeps passages for 3 h and hits for 90 min"),
        "{told}"
    );
    let told = code(&gate.ask(&["reload"]), 0);
    assert!(told.contains("has read its config again"), "{told}");
    let hit = "01c2abd3-bba2-7c16-b582-5a9dafc8c2b0";
    let told = code(
        &gate.ask(&["answer", hit, "released", "--by", "officer 7"]),
        0,
    );
    assert!(told.contains("recorded, not counted"), "{told}");
    // The raw answer is one line of JSON.
    let raw = json(&gate.ask(&["ping", "--json"]));
    assert_eq!(
        (raw["code"].as_str(), raw["agent"].as_str()),
        (Some("done"), Some("box-1"))
    );
    let both = stdout(&gate.ask(&["status", "--json"]));
    let kinds: Vec<Value> = both
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(kinds.len(), 2, "{both}");
    assert_eq!(
        (&kinds[0]["command"], &kinds[1]["state"]),
        (&"status".into(), &"online".into())
    );
    // Each had a client id of its own; the agent was not thrown out.
    let log = std::fs::read_to_string(gate.gate.broker.folder().join("log")).unwrap();
    assert!(
        log.contains("kakou-cmd-") && !log.contains("already connected"),
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_told_before_anything_is_sent() {
    let dir = tempfile::tempdir().unwrap();
    let hit = "01c2abd3-bba2-7c16-b582-5a9dafc8c2b0";
    for (args, told) in [
        (
            ["north/box-1", "resend", "9", "3"].as_slice(),
            "last: 3, before first",
        ),
        (
            &["north/box-1", "resend", "1", "200000"],
            "at most 100000 at once",
        ),
        (
            &[
                "north/box-1",
                "retention",
                "--passage-hours",
                "9000",
                "--hit-hours",
                "1",
            ],
            "525600",
        ),
        (
            &["north/box-1", "answer", hit, "released"],
            "by: missing; say who answers",
        ),
        (&["north/box-1", "answer", hit, "perhaps"], "released"),
        (&["north/box-1", "snapshot", "a/b"], "A-Z a-z 0-9"),
        (&["north box-1", "ping"], "SITE/AGENT"),
        (&["ping"], "SITE/AGENT"),
    ] {
        let said = code(&cmd_in(dir.path(), args), 2);
        assert!(said.contains(told), "{args:?}: {said}");
    }
    let lost = ["ping", "--config", "nowhere.toml"];
    assert!(code(&cmd_in(dir.path(), &lost), 78).contains("nowhere.toml"));
    let lost = [
        "a/b",
        "ping",
        "--broker",
        "mqtts://127.0.0.1:1",
        "--ca",
        "nowhere.pem",
    ];
    assert!(code(&cmd_in(dir.path(), &lost), 78).contains("nowhere.pem"));
    let port = crate::mosquitto::free_port();
    let away = [
        "a/b",
        "ping",
        "--broker",
        &format!("mqtt://127.0.0.1:{port}"),
    ];
    assert!(code(&cmd_in(dir.path(), &away), 3).contains("refused"));
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_told_by_the_status_and_a_request_too_late_is_not_carried_out() {
    let mut gate = Gate::new().await;
    let folder = gate.gate.dir.path();
    let absent = |url: &str| {
        let args = ["north/box-9", "ping", "--timeout", "2", "--broker", url];
        code(&cmd_in(folder, &args), 3)
    };
    // Where a platform hears everything, the broker has somebody to give a command to.
    let told = absent(&gate.url);
    assert!(
        told.contains("no answer within 2 s") && told.contains("absent"),
        "{told}"
    );
    let empty = Mosquitto::start("");
    let told = absent(&empty.address().to_string());
    assert!(
        told.contains("nobody listens") && told.contains("absent"),
        "{told}"
    );
    let mut agent = gate.start().await;
    agent.signal("-TERM");
    assert!(agent.0.wait().unwrap().success());
    // The broker keeps the agent's session, so the request waits there, and only so long.
    let retention = [
        "retention",
        "--passage-hours",
        "7",
        "--hit-hours",
        "7",
        "--timeout",
        "1",
    ];
    let told = code(&gate.ask(&retention), 3);
    assert!(
        told.contains("offline since") && told.contains("shutdown"),
        "{told}"
    );
    tokio::time::sleep(Duration::from_secs(3)).await;
    let _agent = gate.start().await;
    code(&gate.ask(&["ping"]), 0);
    let done = gate
        .gate
        .next("audit", |m| match on::<AuditMessage>(m, "/audit")?.event {
            AuditEvent::Command { command, .. } => Some(command.to_string()),
            _ => None,
        })
        .await;
    assert_eq!(done, "ping", "the other one was forgotten");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shipped_rights_suffice_for_the_platform_and_not_for_the_box() {
    let broker = crate::rights::broker();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("password"), "north/box-1").unwrap();
    std::fs::write(dir.path().join("platform"), "platform").unwrap();
    let settings = format!(
        "url = \"{}\"\nuser = \"north/box-1\"\npassword_file = \"password\"",
        broker.address()
    );
    support::checkpoint(dir.path(), &settings, "day", "loop = true", "");
    let log = std::fs::File::create(dir.path().join("log")).unwrap();
    let _agent = Agent(
        Command::new(env!("CARGO_BIN_EXE_kakou"))
            .args(["--log", "info", "run", "--config"])
            .arg(dir.path().join("kakou.toml"))
            .stderr(log)
            .spawn()
            .unwrap(),
    );
    let platform = ["--user", "platform", "--password-file", "platform"];
    // The config says which broker and which box, and the options who asks.
    let ask = |more: &[&str]| {
        let args = [&["ping", "--config", "kakou.toml", "--timeout", "3"], more].concat();
        cmd_in(dir.path(), &args)
    };
    until("an answer", || ask(&platform).status.code() == Some(0)).await;
    let told = code(&ask(&[]), 78);
    assert!(
        told.contains("does not take a command on kakou/v1/north/box-1/cmd/ping"),
        "{told}"
    );
    std::fs::write(dir.path().join("platform"), "mistyped").unwrap();
    let told = code(&ask(&platform), 78);
    assert!(
        told.contains("not authorised") && !told.contains("mistyped"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_lets_cmd_and_watch_in() {
    let (authority, other) = (Authority::new("good"), Authority::new("other"));
    let settings = "cafile {dir}/ca.pem\ncertfile {dir}/broker.pem\nkeyfile {dir}/broker.key\n\
                    require_certificate true\nuse_identity_as_username true";
    let broker = Mosquitto::start_with(settings, |folder| {
        std::fs::write(folder.join("ca.pem"), authority.pem()).unwrap();
        authority.write_certificate(folder, "broker", "localhost", false);
    });
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    std::fs::write(folder.join("ca.pem"), authority.pem()).unwrap();
    authority.write_certificate(folder, "box", "box-1", false);
    authority.write_certificate(folder, "desk", "desk", false);
    other.write_certificate(folder, "stranger", "desk", false);
    let url = format!("mqtts://localhost:{}", broker.address().port);
    let settings =
        format!("url = \"{url}\"\nca = \"ca.pem\"\ncertificate = \"box.pem\"\nkey = \"box.key\"");
    support::checkpoint(folder, &settings, "day", "loop = true", "");
    let log = std::fs::File::create(folder.join("log")).unwrap();
    let _agent = Agent(
        Command::new(env!("CARGO_BIN_EXE_kakou"))
            .args(["--log", "info", "run", "--config"])
            .arg(folder.join("kakou.toml"))
            .stderr(log)
            .spawn()
            .unwrap(),
    );
    let ask = |cert: &str| {
        let (pem, key) = (format!("{cert}.pem"), format!("{cert}.key"));
        let by = [
            "--broker", &url, "--ca", "ca.pem", "--cert", &pem, "--key", &key,
        ];
        cmd_in(
            folder,
            &[&["north/box-1", "ping", "--timeout", "3"], by.as_slice()].concat(),
        )
    };
    until("an answer", || ask("desk").status.code() == Some(0)).await;
    let told = code(&ask("stranger"), 78);
    assert!(told.contains("refused our side of TLS"), "{told}");
    // The box's own config has all of it.
    let own = cmd_in(folder, &["ping", "--config", "kakou.toml"]);
    assert!(code(&own, 0).contains("north/box-1: answers"));
    let watch = |more: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_kakou"))
            .args(["watch", "--json", "--messages", "status", "--count", "1"])
            .args(more)
            .current_dir(folder)
            .env_remove("KAKOU_BROKER")
            .output()
            .unwrap()
    };
    let by = [
        "--broker", &url, "--ca", "ca.pem", "--cert", "desk.pem", "--key", "desk.key",
    ];
    for more in [by.as_slice(), &["--config", "kakou.toml"]] {
        let status = json(&watch(more));
        assert_eq!(status["agent"], "box-1", "{more:?}");
    }
    // Half a certificate is none.
    assert_eq!(watch(&["--cert", "desk.pem"]).status.code(), Some(2));
    let plain = [
        "--broker",
        "mqtt://localhost:1",
        "--cert",
        "desk.pem",
        "--key",
        "desk.key",
    ];
    let o = watch(&plain);
    assert!(
        !o.status.success() && stderr(&o).contains("mqtts://"),
        "{}",
        stderr(&o)
    );
}
