//! `kakou run` with a real Mosquitto and the cameras of `server.py`, and what a subscriber hears of
//! it.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use kakou_contract::{Message, PassageMessage};
use kakou_uplink::{Subscriber, SubscriberConfig, SubscriberEvent};
use serde_json::Value;
use tempfile::TempDir;

use super::mosquitto::Mosquitto;
use super::support;

/// Nothing in a test takes so long, on however slow a machine; who waits for it in vain fails.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// A message that a subscriber got.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub(crate) at: DateTime<Utc>,
    pub(crate) topic: String,
    /// Empty for a picture.
    pub(crate) payload: Vec<u8>,
}

impl Heard {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.payload).unwrap_or_default()
    }
}

pub(crate) struct Checkpoint {
    broker: Mosquitto,
    pub(crate) dir: TempDir,
    heard: Arc<Mutex<Vec<Heard>>>,
    agent: Option<Child>,
    _runtime: tokio::runtime::Runtime,
}

/// What the tests ask of every camera: no long waiting for what must come.
const SWIFT: &str = "[camera.health]\nno_frames_s = 2\nfrozen_s = 3\nblack_s = 2\nblinded_s = 2\nturned_away_s = 3\n";

/// `[vision]` for the tests: the sample footage shows plates large, and the machine may be slow.
pub(crate) const LOOKS: &str = "plate_side = 640\nplate_every_ms = 200\nvehicle_every_ms = 200";

/// A `[[camera]]` with the lanes of the sample footage; `more` are further lines.
pub(crate) fn camera(id: &str, url: &str, more: &str) -> String {
    format!(
        "[[camera]]\nid = \"{id}\"\nurl = \"{url}\"\n{more}\n{SWIFT}{}",
        lanes()
    )
}

/// A `[[camera]]` with nothing but what is given.
pub(crate) fn bare_camera(id: &str, url: &str, more: &str) -> String {
    format!(
        "[[camera]]\nid = \"{id}\"\nurl = \"{url}\"\n{more}\n{}",
        lanes()
    )
}

fn lanes() -> String {
    let all = std::fs::read_to_string(support::root().join("configs/samples.toml"))
        .expect("the samples' config");
    let from = all.find("[[camera.lane]]").expect("it has lanes");
    format!("{}\n", &all[from..])
}

impl Checkpoint {
    /// `vision`: further lines of `[vision]`. The footage shows the same vehicles again after a
    /// short while; they are others here.
    pub(crate) fn new(cameras: &[String], vision: &str) -> Self {
        let broker = Mosquitto::start("");
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut config = format!(
            "site = \"north\"\nagent = \"box-1\"\n[broker]\nurl = \"{}\"\n[outbox]\nstate = \"state\"\n[metrics]\n\
             file = \"kakou.prom\"\n[vision]\nmanifest = {:?}\n{vision}\n\
             [passage]\nrejoin_s = 2.0\n",
            broker.address(),
            support::root().join("models/manifest.toml"),
        );
        for camera in cameras {
            let _ = writeln!(config, "{camera}");
        }
        std::fs::write(dir.path().join("kakou.toml"), config).expect("the config");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let heard = Arc::new(Mutex::new(Vec::new()));
        let listener = Arc::clone(&heard);
        let address = broker.address();
        runtime.block_on(async move {
            let mut subscriber =
                Subscriber::connect(address, SubscriberConfig::new(["kakou/v1/#"]));
            subscriber
                .subscribed(LONG)
                .await
                .expect("the broker answers");
            tokio::spawn(async move {
                while let Some(event) = subscriber.recv().await {
                    if let SubscriberEvent::Message(m) = event {
                        let payload = if m.topic.contains("/evidence/") {
                            Vec::new()
                        } else {
                            m.payload
                        };
                        listener.lock().expect("the list").push(Heard {
                            at: Utc::now(),
                            topic: m.topic,
                            payload,
                        });
                    }
                }
            });
        });
        Self {
            broker,
            dir,
            heard,
            agent: None,
            _runtime: runtime,
        }
    }

    pub(crate) fn config(&self) -> String {
        self.dir.path().join("kakou.toml").display().to_string()
    }

    pub(crate) fn broker(&self) -> &Mosquitto {
        &self.broker
    }

    pub(crate) fn start(&mut self) {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.dir.path().join("agent.log"));
        // A benchmark may compare with another build.
        let program = std::env::var_os("KAKOU_BENCH_AGENT");
        let child = Command::new(program.unwrap_or(env!("CARGO_BIN_EXE_kakou").into()))
            .args(["run", "--config", &self.config()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.expect("a log"))
            .spawn()
            .expect("kakou starts");
        self.agent = Some(child);
    }

    pub(crate) fn pid(&self) -> u32 {
        self.agent.as_ref().expect("the agent runs").id()
    }

    /// `-TERM` or `-KILL`, and the end that follows.
    pub(crate) fn stop(&mut self, signal: &str) -> ExitStatus {
        let mut agent = self.agent.take().expect("the agent runs");
        let sent = Command::new("kill")
            .args([signal, &agent.id().to_string()])
            .status();
        assert!(sent.is_ok_and(|s| s.success()), "kill {signal} failed");
        let limit = Instant::now() + LONG;
        loop {
            if let Some(status) = agent.try_wait().expect("its status") {
                return status;
            }
            assert!(
                Instant::now() < limit,
                "the agent does not end on {signal}: {}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What the agent wrote to its log so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("agent.log")).unwrap_or_default()
    }

    /// The metrics as they stand.
    pub(crate) fn metrics(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("kakou.prom")).unwrap_or_default()
    }

    /// How much was heard so far; what is waited for may have to come later.
    pub(crate) fn mark(&self) -> usize {
        self.heard.lock().expect("the list").len()
    }

    pub(crate) fn heard(&self, from: usize) -> Vec<Heard> {
        self.heard.lock().expect("the list")[from..].to_vec()
    }

    /// Waits for something in what was heard since the mark `from`.
    #[track_caller]
    pub(crate) fn wait<T>(&self, what: &str, from: usize, pick: impl Fn(&Heard) -> Option<T>) -> T {
        let limit = Instant::now() + LONG;
        let mut at = from;
        loop {
            let fresh = self.heard(at);
            at += fresh.len();
            if let Some(found) = fresh.iter().find_map(&pick) {
                return found;
            }
            assert!(
                Instant::now() < limit,
                "no {what} within {LONG:?}; states {:?}\n{}",
                self.states(from),
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until the camera is said to be in this state. Gives the time that the message names.
    #[track_caller]
    pub(crate) fn state(&self, camera: &str, state: &str, from: usize) -> DateTime<Utc> {
        self.wait(&format!("state {state} of {camera}"), from, |heard| {
            let (c, s, _) = change(heard)?;
            let at = DateTime::parse_from_rfc3339(heard.json()["time"].as_str()?).ok()?;
            (c == camera && s == state).then(|| at.to_utc())
        })
    }

    /// The states that cameras came to since the mark: camera, state, detail.
    pub(crate) fn states(&self, from: usize) -> Vec<(String, String, String)> {
        self.heard(from).iter().filter_map(change).collect()
    }

    pub(crate) fn passages(&self, camera: &str) -> Vec<(DateTime<Utc>, PassageMessage)> {
        let form = format!("/passage/{camera}");
        let of = |h: &Heard| {
            h.topic.contains(&form).then(|| {
                (
                    h.at,
                    PassageMessage::from_json(&h.payload).expect("a passage message"),
                )
            })
        };
        self.heard(0).iter().filter_map(of).collect()
    }

    /// The camera's part of the newest status.
    pub(crate) fn status(&self, camera: &str) -> Option<Value> {
        let newest = self
            .heard(0)
            .into_iter()
            .rev()
            .find(|h| h.topic.ends_with("/status"))?;
        newest.json()["cameras"]
            .as_array()?
            .iter()
            .find(|c| c["camera"] == camera)
            .cloned()
    }
}

fn change(heard: &Heard) -> Option<(String, String, String)> {
    if !heard.topic.ends_with("/audit") {
        return None;
    }
    let message = heard.json();
    let event = &message["event"];
    let word = |key: &str| event[key].as_str().map(str::to_owned);
    (event["kind"] == "camera").then(|| {
        Some((
            word("camera")?,
            word("state")?,
            word("detail").unwrap_or_default(),
        ))
    })?
}

impl Drop for Checkpoint {
    fn drop(&mut self) {
        if let Some(mut agent) = self.agent.take() {
            let _ = agent.kill();
            let _ = agent.wait();
        }
        if std::thread::panicking() {
            eprintln!("the agent's log:\n{}", self.log());
        }
    }
}

/// A vehicle that passed: what recorded and live must agree on. `None`: no plate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Passed {
    pub(crate) lane: String,
    pub(crate) text: Option<String>,
}

/// Those of `passages` that passed in this time, lane by lane, each in the order they came.
pub(crate) fn passed<'a>(
    passages: impl IntoIterator<Item = &'a PassageMessage>,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Vec<Passed> {
    let mut found: Vec<(String, DateTime<Utc>, Option<String>)> = passages
        .into_iter()
        .filter(|m| (from..to).contains(&m.time.to_utc()))
        .map(|m| {
            let lane = m
                .lane
                .as_ref()
                .map(|l| l.id.to_string())
                .unwrap_or_default();
            (
                lane,
                m.first_seen.to_utc(),
                m.plate.as_ref().map(|p| p.text.clone()),
            )
        })
        .collect();
    found.sort();
    found
        .into_iter()
        .map(|(lane, _, text)| Passed { lane, text })
        .collect()
}

/// What `kakou replay` makes of a video with the same lanes.
pub(crate) fn recorded(video: &Path, config: &str, camera: &str) -> Vec<Passed> {
    let video = video.to_str().expect("a path");
    let o = support::succeed(&[
        "replay", video, "--config", config, "--camera", camera, "--json",
    ]);
    let all = support::passages(&o);
    passed(&all, DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC)
}
