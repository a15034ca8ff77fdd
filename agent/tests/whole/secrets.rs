//! A password is in no log, no message and no file of the agent's, whatever the log level and
//! whatever goes wrong.

use crate::{support, tls};
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::mosquitto::Mosquitto;
use base64::Engine;
use kakou_uplink::{BrokerAddress, Subscriber, SubscriberConfig, SubscriberEvent};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const LONG: Duration = Duration::from_secs(60);
const PASSWORD: &str = "Xq7-hidden-Zebra";
const WRONG: &str = "Wq3-mistyped-Gnu";

/// Ends its process when dropped.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(args: &[&str], log: &Path) -> Agent {
    let file = File::options().create(true).append(true).open(log).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_kakou"))
        .args(["--log", "trace"])
        .args(args)
        .stdin(Stdio::null())
        .stdout(file.try_clone().unwrap())
        .stderr(file)
        .spawn()
        .unwrap();
    Agent(child)
}

fn wait_for(log: &Path, text: &str) {
    let limit = Instant::now() + LONG;
    while !String::from_utf8_lossy(&std::fs::read(log).unwrap()).contains(text) {
        assert!(Instant::now() < limit, "the log never says {text:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// No file under `folder` but those in `but` has a password in it, as it is or in base64 or as a
/// list of numbers.
fn assert_hidden(folder: &Path, but: &[&str]) {
    let mut looked_at = 0;
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            assert_hidden(&entry.path(), but);
            continue;
        }
        // A socket holds nothing.
        if but.contains(&name.as_str()) || !entry.file_type().unwrap().is_file() {
            continue;
        }
        looked_at += 1;
        let bytes = std::fs::read(entry.path()).unwrap();
        for secret in [PASSWORD, WRONG] {
            let base64 = base64::engine::general_purpose::STANDARD_NO_PAD.encode(secret);
            let numbers = format!("{:?}", secret.as_bytes());
            for text in [secret, &base64, numbers.trim_matches(['[', ']'])] {
                let found = bytes.windows(text.len()).any(|w| w == text.as_bytes());
                assert!(!found, "{} has the password in it", entry.path().display());
            }
        }
    }
    assert!(looked_at > 0);
}

fn broker() -> (Mosquitto, BrokerAddress) {
    let broker = Mosquitto::start_with(
        "allow_anonymous false\npassword_file {dir}/users",
        |folder| {
            let mut tool = Command::new("mosquitto_passwd");
            tool.args(["-b", "-c"])
                .arg(folder.join("users"))
                .args(["gate", PASSWORD])
                .stderr(Stdio::null());
            assert!(tool.status().unwrap().success());
        },
    );
    let url = broker
        .address()
        .to_string()
        .replace("//", &format!("//gate:{PASSWORD}@"));
    (broker, url.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_from_a_file_is_told_to_nobody_but_the_broker() {
    let (broker, address) = broker();
    let mut subscriber =
        Subscriber::connect(address, SubscriberConfig::new(["kakou/v1/+/+/status"]));
    subscriber.subscribed(LONG).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let settings = format!(
        "url = \"{}\"\nuser = \"gate\"\npassword_file = \"secret\"",
        broker.address()
    );
    support::checkpoint(dir.path(), &settings, "dusk", "", "");
    std::fs::write(dir.path().join("secret"), format!("{WRONG}\n")).unwrap();
    let (log, config) = (dir.path().join("log"), dir.path().join("kakou.toml"));
    // Whoever starts it by hand may have allowed dumps.
    let most = getrlimit(Resource::Core).maximum;
    let allowed = Rlimit {
        current: most,
        maximum: most,
    };
    setrlimit(Resource::Core, allowed).unwrap();
    let agent = start(&["run", "--config", config.to_str().unwrap()], &log);
    // Refused: an error that says so, and an agent that goes on.
    wait_for(&log, "not authorised to connect");
    let mut agent = agent;
    assert!(agent.0.try_wait().unwrap().is_none(), "it goes on");
    // The mended file is used without a restart.
    std::fs::write(dir.path().join("secret"), format!("{PASSWORD}\n")).unwrap();
    let birth = tokio::time::timeout(LONG, async {
        loop {
            if let Some(SubscriberEvent::Message(m)) = subscriber.recv().await {
                return m;
            }
        }
    });
    let birth = String::from_utf8(birth.await.expect("a birth message").payload).unwrap();
    assert!(
        birth.contains("\"online\"") && !birth.contains(PASSWORD),
        "{birth}"
    );
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", agent.0.id())).unwrap();
    let core = limits.lines().find(|l| l.starts_with("Max core file size"));
    let core = core.and_then(|l| l.split_whitespace().nth(4)).unwrap();
    assert!(["0", "1"].contains(&core), "a dump would hold the password");
    assert!(
        Command::new("kill")
            .arg(agent.0.id().to_string())
            .status()
            .unwrap()
            .success()
    );
    assert!(agent.0.wait().unwrap().success());
    let told = std::fs::read_to_string(&log).unwrap();
    assert!(
        told.contains("TRACE") && told.contains("ERROR"),
        "it was told everything"
    );
    assert_hidden(dir.path(), &["secret"]);
}

#[test]
fn a_password_in_a_url_is_not_told_either() {
    let (broker, _) = broker();
    let dir = tempfile::tempdir().unwrap();
    let (log, state) = (dir.path().join("log"), dir.path().join("state"));
    let load = |password: &str| {
        let url = broker
            .address()
            .to_string()
            .replace("//", &format!("//gate:{password}@"));
        let state = state.to_str().unwrap();
        start(
            &[
                "load",
                "--state",
                state,
                "--broker",
                &url,
                "--count",
                "20",
                "--pictures",
                "1",
            ],
            &log,
        )
    };
    let refused = load(WRONG);
    wait_for(&log, "not authorised to connect");
    wait_for(&log, "20 passages committed");
    drop(refused);
    let status = support::json(&support::succeed(&[
        "outbox",
        "status",
        "--json",
        "--state",
        state.to_str().unwrap(),
    ]));
    assert_eq!(
        status["lanes"]["passage"]["waiting"], 20,
        "nothing was sent, nothing was lost"
    );
    assert!(load(PASSWORD).0.wait().unwrap().success());
    // A URL that cannot be read: the error names it, without the user.
    for wrong in [
        "mqtt//gate:{}@host",
        "mqtt://gate:{}@host:99999",
        "mqtt://gate:{}@host/path",
        "gate:{}@host",
    ] {
        let url = wrong.replace("{}", PASSWORD);
        let state = state.to_str().unwrap();
        assert!(
            !start(
                &["load", "--state", state, "--broker", &url, "--count", "1"],
                &log
            )
            .0
            .wait()
            .unwrap()
            .success()
        );
    }
    assert_hidden(dir.path(), &[]);
}

/// What `kakou watch` says, and what the system shows of it, until `text` is said.
fn watch(folder: &Path, url: &str, more: &[&str], text: &str) {
    let log = folder.join("watch.log");
    let _ = std::fs::remove_file(&log);
    let agent = start(&[&["watch", "--broker", url], more].concat(), &log);
    wait_for(&log, text);
    let shown = std::fs::read(format!("/proc/{}/cmdline", agent.0.id())).unwrap();
    std::fs::write(folder.join("cmdline"), shown).unwrap();
}

#[test]
fn watch_checks_who_the_broker_is_before_it_logs_in() {
    let (good, other) = (tls::Authority::new("good"), tls::Authority::new("other"));
    let settings = "allow_anonymous false\npassword_file {dir}/users\n\
                    certfile {dir}/broker.pem\nkeyfile {dir}/broker.key";
    let broker = Mosquitto::start_with(settings, |folder| {
        good.write_certificate(folder, "broker", "localhost", false);
        let mut tool = Command::new("mosquitto_passwd");
        tool.args(["-b", "-c"])
            .arg(folder.join("users"))
            .args(["gate", PASSWORD])
            .stderr(Stdio::null());
        assert!(tool.status().unwrap().success());
    });
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (right, wrong) = (
        file("good.pem", &good.pem()),
        file("other.pem", &other.pem()),
    );
    let (secret, mistyped) = (file("secret", PASSWORD), file("mistyped", WRONG));
    let url = format!("mqtts://localhost:{}", broker.address().port);
    let see = |ca: &str, password: &str, text: &str| {
        let more = ["--ca", ca, "--user", "gate", "--password-file", password];
        watch(dir.path(), &url, &more, text);
        assert_hidden(dir.path(), &["secret", "mistyped"]);
    };
    see(&wrong, &secret, "not trusted here");
    see(&right, &mistyped, "not authorised");
    see(&right, &secret, ": connected");
    // Without TLS an authority means nothing, which must not look as if it did.
    let plain = support::kakou(&["watch", "--broker", "mqtt://localhost:1", "--ca", &right]);
    assert!(!plain.status.success());
    assert!(support::stderr(&plain).contains("mqtts://"));
}
