//! `kakou doctor` on real servers: each finding has a state and says what to do, a running agent is
//! not disturbed, and nobody hears of the trial.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use kakou_uplink::SubscriberEvent;
use serde_json::Value;

use crate::agent::{Checkpoint, on, until};
use crate::mosquitto::{Mosquitto, free_port};
use crate::support::{self, stderr, stdout};
use crate::tls::Authority;
use kakou_contract::StatusMessage;

/// A box that is cut off gets its answer within seconds.
const SOON: Duration = Duration::from_secs(40);

fn doctor(dir: &std::path::Path, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kakou"))
        .args(["doctor", "--config"])
        .arg(dir.join("kakou.toml"))
        .args(more)
        .env("SYSTEMD_UNIT_PATH", dir.join("units"))
        .env_remove("KAKOU_STATE")
        .output()
        .unwrap()
}

/// The findings, and that exit code and counts fit them.
#[track_caller]
fn findings(o: &Output) -> Vec<Value> {
    let told: Value = serde_json::from_str(&stdout(o))
        .unwrap_or_else(|e| panic!("{e}\n{}\n{}", stdout(o), stderr(o)));
    let all = told["findings"].as_array().unwrap().clone();
    let count = |state: &str| all.iter().filter(|f| f["state"] == state).count();
    assert_eq!(told["faults"], count("fault"), "{told:#}");
    assert_eq!(told["warnings"], count("warning"), "{told:#}");
    assert_eq!(
        o.status.code(),
        Some(i32::from(count("fault") > 0)),
        "{told:#}"
    );
    for finding in &all {
        let is_ok = finding["state"] == "ok";
        assert!(is_ok || finding["mend"].is_string(), "no mend: {finding}");
    }
    all
}

#[track_caller]
fn has<'a>(all: &'a [Value], state: &str, area: &str, message: &str) -> &'a Value {
    all.iter()
        .find(|f| {
            let said = f["message"].as_str().unwrap();
            f["state"] == state && f["area"] == area && said.contains(message)
        })
        .unwrap_or_else(|| panic!("no {state} of {area}: {message}\n{all:#?}"))
}

/// A checkpoint that looks at the sample footage; without models, where only the rest is looked at.
fn checkpoint(broker: &str, with_models: bool) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    support::checkpoint(dir.path(), broker, "day", "", "");
    if !with_models {
        let path = dir.path().join("kakou.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        let models = format!("{:?}", support::root().join("models/manifest.toml"));
        assert!(text.contains(&models));
        std::fs::write(&path, text.replace(&models, "\"nowhere/manifest.toml\"")).unwrap();
    }
    dir
}

#[tokio::test(flavor = "multi_thread")]
async fn a_box_in_service_is_well_and_not_disturbed() {
    let mut gate = Checkpoint::new("").await;
    let agent = gate.start();
    let birth: StatusMessage = gate.next("birth", |m| on(m, "/status")).await;
    assert!(birth.sequence.is_some());
    let dir = gate.dir.path().to_path_buf();
    let all = tokio::task::spawn_blocking(move || findings(&doctor(&dir, &["--json"])))
        .await
        .unwrap();
    has(&all, "ok", "config", "can be used");
    has(&all, "warning", "config", "lines of");
    has(&all, "ok", "processor", std::env::consts::ARCH);
    has(&all, "ok", "models", "opened on cpu: vehicles");
    has(&all, "ok", "state", "an agent runs with it");
    has(&all, "ok", "disk", "a commit of 16 KiB takes");
    has(
        &all,
        "ok",
        "broker",
        "connected without a user, without TLS",
    );
    has(&all, "ok", "topics", "may publish on 7 topics");
    has(&all, "ok", "topics", "kakou/v1/north/box-1/cmd/+");
    let camera = has(&all, "ok", "camera", "a recording, ");
    assert_eq!(camera["about"], "cam-1");
    assert!(all.iter().any(|f| f["area"] == "clock"));
    let speed = all.iter().find(|f| f["area"] == "speed").unwrap();
    let said = speed["message"].as_str().unwrap();
    assert!(
        said.contains("looks a second") && said.contains("1 camera needs 4"),
        "{said}"
    );
    // The broker saw a client of another name, and nobody was thrown out.
    let log = std::fs::read_to_string(gate.broker.folder().join("log")).unwrap();
    assert!(log.contains("kakou-north-box-1-doctor"), "{log}");
    assert!(!log.contains("already connected"), "{log}");
    let folder = gate.path("state");
    let left: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .flatten()
        .map(|e| e.file_name())
        .collect();
    assert!(
        left.iter()
            .all(|name| !name.to_string_lossy().starts_with(".tmp")),
        "{left:?}"
    );
    drop(agent);
    // All that anybody heard is the agent's own.
    while let Ok(Some(event)) =
        tokio::time::timeout(Duration::from_secs(1), gate.subscriber.recv()).await
    {
        if let SubscriberEvent::Message(m) = event {
            let text = String::from_utf8_lossy(&m.payload).into_owned();
            assert!(!text.contains("a trial of rights"), "{}", m.topic);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_the_broker_denies_is_a_fault_with_its_name() {
    let rights = "topic write kakou/v1/north/box-1/status\ntopic write kakou/v1/north/box-1/audit\n\
                  topic write kakou/v1/north/box-1/passage/#\n";
    let broker = Mosquitto::start_with("acl_file {dir}/acl", |folder| {
        std::fs::write(folder.join("acl"), rights).unwrap();
    });
    let dir = checkpoint(&format!("url = \"{}\"", broker.address()), false);
    let all = findings(&doctor(dir.path(), &["--json"]));
    for topic in ["result", "evidence/", "hit/red/cam-1", "signal/"] {
        let denied = has(
            &all,
            "fault",
            "topics",
            &format!("kakou/v1/north/box-1/{topic}"),
        );
        let (message, mend) = (
            denied["message"].as_str().unwrap(),
            denied["mend"].as_str().unwrap(),
        );
        // Mosquitto 2.0 answers, and now and then only closes the connection.
        let reasons = ["not authorised", "closes the connection over it"];
        assert!(reasons.iter().any(|r| message.contains(r)), "{message}");
        assert!(mend.contains("write on kakou/v1/north/box-1/#"), "{mend}");
    }
    has(&all, "ok", "topics", "may publish on 3 topics");
    // The models are nowhere, which is a fault of its own and no reason to stop.
    let models = has(&all, "fault", "models", "vision.manifest: ");
    assert!(models["mend"].as_str().unwrap().contains("manifest"));
    has(&all, "ok", "camera", "a recording, ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_down_is_a_fault_and_beside_another_a_warning() {
    let port = free_port();
    let dir = checkpoint(&format!("url = \"mqtt://127.0.0.1:{port}\""), false);
    let began = Instant::now();
    let o = doctor(dir.path(), &["--json"]);
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    let all = findings(&o);
    let down = has(&all, "fault", "broker", "Connection refused");
    assert_eq!(down["about"], format!("mqtt://127.0.0.1:{port}"));
    assert!(down["mend"].as_str().unwrap().contains("firewall"));
    // In words: a line each, and the sum at the end.
    let o = doctor(dir.path(), &[]);
    assert_eq!(o.status.code(), Some(1));
    let said = stdout(&o);
    assert!(
        said.lines()
            .any(|l| l.starts_with("fault    broker     mqtt://127.0.0.1")),
        "{said}"
    );
    assert!(
        said.lines().last().unwrap().starts_with("faults: "),
        "{said}"
    );
    let broker = Mosquitto::start("");
    let urls = format!(
        "urls = [\"mqtt://127.0.0.1:{port}\", \"{}\"]",
        broker.address()
    );
    let dir = checkpoint(&urls, false);
    let all = findings(&doctor(dir.path(), &["--json"]));
    has(&all, "warning", "broker", "Connection refused");
    has(&all, "ok", "broker", "connected without a user");
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_told_with_their_ends_and_a_wrong_password_as_such() {
    let authority = Authority::new("good");
    let settings = "allow_anonymous false\npassword_file {dir}/users\ncertfile {dir}/broker.pem\n\
                    keyfile {dir}/broker.key";
    let broker = Mosquitto::start_with(settings, |folder| {
        authority.write_certificate(folder, "broker", "localhost", false);
        let mut tool = Command::new("mosquitto_passwd");
        tool.args(["-b", "-c"])
            .arg(folder.join("users"))
            .args(["gate", "right"]);
        assert!(tool.output().unwrap().status.success());
    });
    let port = broker.address().port;
    let text = format!(
        "url = \"mqtts://localhost:{port}\"\nca = \"ca.pem\"\nuser = \"gate\"\npassword_file = \"secret\""
    );
    let dir = checkpoint(&text, false);
    let write = |name: &str, content: &str| std::fs::write(dir.path().join(name), content).unwrap();
    write("ca.pem", &authority.pem());
    write("secret", "right");
    let all = findings(&doctor(dir.path(), &["--json"]));
    has(
        &all,
        "ok",
        "broker",
        "connected as `gate`, by TLS; its certificate holds until 4096-01-01",
    );
    write("secret", "WRONG-and-secret");
    let o = doctor(dir.path(), &["--json"]);
    let all = findings(&o);
    let refused = has(&all, "fault", "broker", "not authorised");
    assert!(refused["mend"].as_str().unwrap().contains("password_file"));
    assert!(!stdout(&o).contains("WRONG-and-secret"));
    write("ca.pem", &Authority::new("other").pem());
    let all = findings(&doctor(dir.path(), &["--json"]));
    let refused = has(&all, "fault", "broker", "not trusted here");
    assert!(refused["mend"].as_str().unwrap().contains("[broker] ca"));
    // A port without TLS.
    write("ca.pem", &authority.pem());
    let path = dir.path().join("kakou.toml");
    let good = std::fs::read_to_string(&path).unwrap();
    let plain = Mosquitto::start("");
    let to = |port: u16| good.replace(&broker.address().port.to_string(), &port.to_string());
    std::fs::write(&path, to(plain.address().port)).unwrap();
    let all = findings(&doctor(dir.path(), &["--json"]));
    has(&all, "fault", "broker", "no connection: ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_config_that_cannot_be_used_ends_with_its_faults() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("kakou.toml"), "site = 3\n").unwrap();
    let all = findings(&doctor(dir.path(), &["--json"]));
    let fault = has(&all, "fault", "config", "line 1: site: is a number");
    assert_eq!(fault["mend"], "write \"3\"");
    assert!(all.iter().all(|f| f["area"] != "broker"));
    let o = doctor(dir.path(), &["--seconds", "0"]);
    assert_eq!(o.status.code(), Some(2));
    assert!(stderr(&o).contains("outside 0.1 to 600"), "{}", stderr(&o));
}

#[tokio::test(flavor = "multi_thread")]
async fn cameras_that_cannot_be_are_faults_of_their_own() {
    let broker = Mosquitto::start("");
    let dir = checkpoint(&format!("url = \"{}\"", broker.address()), false);
    let path = dir.path().join("kakou.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let port = free_port();
    std::fs::create_dir(dir.path().join("empty")).unwrap();
    let more = format!(
        "[[camera]]\nid = \"off\"\nurl = \"rtsp://127.0.0.1:{port}/1\"\n\
         [[camera]]\nid = \"void\"\nurl = \"empty\"\n\
         [[camera]]\nid = \"none\"\n"
    );
    std::fs::write(&path, text + "\n" + &more).unwrap();
    let all = findings(&doctor(dir.path(), &["--json", "--wait", "3"]));
    let off = has(&all, "fault", "camera", &format!("127.0.0.1:{port}"));
    assert_eq!(off["about"], "off");
    let void = all
        .iter()
        .find(|f| f["about"] == "void" && f["state"] == "fault");
    assert!(void.is_some(), "{all:#?}");
    let none = has(&all, "warning", "camera", "it has no `url`");
    assert_eq!(none["about"], "none");
    has(&all, "warning", "camera", "it has no lanes");
    has(&all, "ok", "camera", "a recording, ");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outbox_of_another_box_is_a_fault() {
    let gate = Checkpoint::new("").await;
    let agent = gate.start();
    let database = gate.path("state/outbox.db");
    until("the outbox", || {
        database.exists() && gate.log().contains("INFO")
    })
    .await;
    drop(agent);
    gate.write_config(&gate.config().replace("box-1", "box-2"));
    let dir = gate.dir.path().to_path_buf();
    let all = tokio::task::spawn_blocking(move || findings(&doctor(&dir, &["--json"])))
        .await
        .unwrap();
    let fault = has(&all, "fault", "state", "the outbox belongs to north/box-1");
    assert!(fault["mend"].as_str().unwrap().contains("state folder"));
    has(&all, "ok", "state", "no agent runs with it");
}
