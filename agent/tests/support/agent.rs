//! A checkpoint in service for a test: the real binary, a real Mosquitto, the sample footage in
//! real time.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kakou_contract::{AuditEvent, AuditMessage, Message, Request, ResultMessage};
use kakou_uplink::{Received, Subscriber, SubscriberConfig, SubscriberEvent};

use super::mosquitto::Mosquitto;
use super::support;

pub const LONG: Duration = Duration::from_secs(60);

pub struct Checkpoint {
    pub broker: Mosquitto,
    pub dir: tempfile::TempDir,
    pub subscriber: Subscriber,
}

impl Checkpoint {
    /// One camera at the sample footage `day`; `camera` is further lines of its table.
    pub async fn new(camera: &str) -> Self {
        let broker = Mosquitto::start("");
        let dir = tempfile::tempdir().unwrap();
        support::checkpoint(
            dir.path(),
            &format!("url = \"{}\"", broker.address()),
            "day",
            camera,
            "",
        );
        let mut subscriber = Subscriber::connect(
            broker.address(),
            SubscriberConfig::new(["kakou/v1/#", "answers"]),
        );
        subscriber.subscribed(LONG).await.unwrap();
        Self {
            broker,
            dir,
            subscriber,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn state(&self) -> String {
        self.path("state").display().to_string()
    }

    pub fn config(&self) -> String {
        std::fs::read_to_string(self.path("kakou.toml")).unwrap()
    }

    pub fn write_config(&self, text: &str) {
        std::fs::write(self.path("kakou.toml"), text).unwrap();
    }

    pub fn start(&self) -> Agent {
        self.start_with(&[])
    }

    /// With further environment variables; the log is in the file `log`.
    pub fn start_with(&self, variables: &[(&str, &str)]) -> Agent {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.path("log"))
            .unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_kakou"))
            .args(["--log", "info", "run", "--config"])
            .arg(self.path("kakou.toml"))
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Agent(child)
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// The next message that `wanted` makes something of.
    pub async fn next<T>(&mut self, what: &str, wanted: impl Fn(&Received) -> Option<T>) -> T {
        let limit = tokio::time::Instant::now() + LONG;
        loop {
            match tokio::time::timeout_at(limit, self.subscriber.recv()).await {
                Ok(Some(SubscriberEvent::Message(m))) => {
                    if let Some(found) = wanted(&m) {
                        return found;
                    }
                }
                Ok(Some(_)) => {}
                _ => panic!("no {what} within {LONG:?}\n{}", self.log()),
            }
        }
    }

    /// Asks for a reload, and what the audit says of it.
    pub async fn reload(&mut self, agent: &Agent) -> String {
        agent.signal("-HUP");
        let event = self.next("audit of the reload", |m| {
            on::<AuditMessage>(m, "/audit")
                .map(|a| a.event)
                .filter(|e| e.kind() == "config_reload")
        });
        match event.await {
            AuditEvent::ConfigReload {
                detail: Some(detail),
                ..
            } => detail,
            other => panic!("no account of the reload: {other:?}"),
        }
    }

    /// Sends a command; its answer comes on the topic `answers`.
    pub fn send(&self, request: &Request) {
        let topic = format!("kakou/v1/north/box-1/cmd/{}", request.command.name());
        let json = String::from_utf8(request.to_json()).unwrap();
        self.send_text(&topic, &json);
    }

    pub fn send_text(&self, topic: &str, json: &str) {
        let properties = [
            "-D",
            "publish",
            "response-topic",
            "answers",
            "-D",
            "publish",
            "correlation-data",
            "c-7",
        ];
        self.broker
            .publish(&[&["-t", topic, "-m", json], properties.as_slice()].concat());
    }
}

/// Ends its process when dropped.
pub struct Agent(pub Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Agent {
    pub fn signal(&self, name: &str) {
        let id = self.0.id().to_string();
        let sent = Command::new("kill").args([name, &id]).status();
        assert!(sent.unwrap().success());
    }

    pub fn is_running(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

pub fn request(command: kakou_contract::Command) -> Request {
    let now = chrono::Local::now().fixed_offset();
    Request {
        request_id: kakou_contract::live_id(now),
        sent_at: now,
        expires_at: None,
        by: Some("duty officer".to_owned()),
        command,
    }
}

/// Asks for these numbers again.
#[allow(dead_code)] // Not by every test program.
pub fn resend(first: u64, last: u64) -> kakou_contract::Command {
    let number = |n| kakou_contract::Sequence::new(n).unwrap();
    kakou_contract::Command::Resend {
        first: number(first),
        last: number(last),
    }
}

/// The message, if it came on a topic with this in it.
pub fn on<M: Message>(m: &Received, form: &str) -> Option<M> {
    m.topic
        .contains(form)
        .then(|| M::from_json(&m.payload).unwrap())
}

pub fn answer(m: &Received) -> Option<ResultMessage> {
    (m.topic == "answers").then(|| ResultMessage::from_json(&m.payload).unwrap())
}

/// Waits until something is so.
pub async fn until(what: &str, is_so: impl Fn() -> bool) {
    let limit = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < limit, "{what}: not within {LONG:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A copy of the models' cache that a test may damage.
pub fn cache_in(dir: &Path) -> PathBuf {
    let cache = dir.join("cache");
    std::fs::create_dir(&cache).unwrap();
    support::copy_cache(&cache);
    cache
}

/// Cuts a file off in the middle.
pub fn cut_off(file: &Path) {
    let bytes = std::fs::read(file).unwrap();
    std::fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
}
