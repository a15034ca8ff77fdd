//! Signals of the real binary, over a real Mosquitto: what does not fit is told beside its passage,
//! with its evidence, and is no hit.

use crate::support;
use std::collections::HashMap;
use std::path::Path;

use crate::agent::{Checkpoint, on};
use kakou_contract::{Message, PassageMessage, SignalKind, SignalMessage, Topic};
use kakou_uplink::Received;
use uuid::Uuid;

/// What the platform was told, as it came.
#[derive(Default)]
struct Told {
    passages: HashMap<Uuid, PassageMessage>,
    signals: Vec<SignalMessage>,
}

enum Item {
    Passage(PassageMessage),
    Signal(SignalMessage),
}

fn item(m: &Received) -> Option<Item> {
    let signal = on::<SignalMessage>(m, "/signal/").map(Item::Signal);
    signal.or_else(|| on::<PassageMessage>(m, "/passage/").map(Item::Passage))
}

impl Told {
    /// Listens until this is so.
    async fn until(gate: &mut Checkpoint, enough: impl Fn(&Self) -> bool) -> Self {
        let mut told = Self::default();
        while !enough(&told) {
            match gate.next("passage or signal", item).await {
                Item::Passage(passage) => {
                    told.passages.insert(passage.id, passage);
                }
                Item::Signal(signal) => told.signals.push(signal),
            }
        }
        told.check();
        told
    }

    /// Each signal is one of its kind, comes after its passage, and has its evidence.
    fn check(&self) {
        for (i, signal) in self.signals.iter().enumerate() {
            signal.check().unwrap();
            let passage = self
                .passages
                .get(&signal.passage_id)
                .expect("the passage came first");
            assert_eq!(signal.plate, passage.plate);
            assert_eq!(signal.evidence, passage.evidence);
            assert_eq!(signal.evidence.len(), 3, "{signal:?}");
            let topic = signal.evidence[0].topic.as_deref().unwrap();
            let topic: Topic = topic.parse().unwrap();
            assert!(matches!(topic, Topic::Evidence { passage: p, .. } if p == passage.id));
            let again = self.signals[..i]
                .iter()
                .filter(|s| s.id != signal.id)
                .find(|s| (s.kind, s.passage_id) == (signal.kind, signal.passage_id));
            assert!(again.is_none(), "{signal:?}");
        }
    }

    fn count(&self, kind: SignalKind) -> usize {
        self.signals.iter().filter(|s| s.kind == kind).count()
    }
}

fn with_signals(gate: &Checkpoint, section: &str, edit: impl Fn(&str) -> String) {
    let config = edit(&gate.config());
    let (top, cameras) = config.split_once("[[camera]]").unwrap();
    // Each round of the footage is seen anew.
    let section = format!("[signals]\n{section}\n[passage]\nrejoin_s = 2");
    gate.write_config(&format!("{top}{section}\n[[camera]]{cameras}"));
}

/// A slow machine that misses a vehicle sees it in the next round.
async fn checkpoint() -> Checkpoint {
    Checkpoint::new("loop = true").await
}

/// The lanes' lawful direction is the other one.
fn turned(config: &str) -> String {
    config.replace("direction = \"approaching\"", "direction = \"leaving\"")
}

/// A second camera, at this footage.
fn and_another(config: &str, footage: &Path) -> String {
    let camera = &config[config.find("[[camera]]").unwrap()..];
    let day = format!("{:?}", support::root().join("agent/samples/day"));
    let other = camera
        .replace("id = \"cam-1\"", "id = \"cam-2\"")
        .replace(&day, &format!("{footage:?}"));
    format!("{config}\n{other}")
}

/// The sample footage `day`, after so many seconds without a change.
fn later(to: &Path, seconds: usize) {
    let from = support::root().join("agent/samples/day");
    std::fs::create_dir_all(to).unwrap();
    let times = std::fs::read_to_string(from.join("frames.jsonl")).unwrap();
    let order = std::iter::repeat_n(0, 10 * seconds).chain(0..times.lines().count());
    let mut times = String::new();
    for (i, frame) in order.enumerate() {
        let name = format!("{i:06}.jpg");
        std::fs::copy(from.join(format!("{frame:06}.jpg")), to.join(&name)).unwrap();
        let time = chrono::DateTime::from_timestamp_millis(100 * i as i64).unwrap();
        let time = time.to_rfc3339();
        times += &format!("{{\"file\": \"{name}\", \"time\": \"{time}\"}}\n");
    }
    std::fs::write(to.join("frames.jsonl"), times).unwrap();
}

const APART: &str = "[[signals.distance]]\ncameras = [\"cam-1\", \"cam-2\"]\nmetres = 1200";

#[tokio::test(flavor = "multi_thread")]
async fn who_drives_the_wrong_way_is_told() {
    let mut gate = checkpoint().await;
    with_signals(&gate, "", turned);
    let _agent = gate.start();
    let told = Told::until(&mut gate, |t| t.signals.len() >= 2).await;
    assert_eq!(told.count(SignalKind::WrongWay), told.signals.len());
    for signal in &told.signals {
        assert_eq!(told.passages[&signal.passage_id].wrong_way, Some(true));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plate_at_two_cameras_at_once_is_told_of_the_second() {
    let mut gate = checkpoint().await;
    let day = support::root().join("agent/samples/day");
    with_signals(&gate, APART, |config| and_another(config, &day));
    let _agent = gate.start();
    let told = Told::until(&mut gate, |t| t.count(SignalKind::Twice) >= 2).await;
    for signal in &told.signals {
        let other = signal.other.as_ref().unwrap();
        assert_ne!(other.camera, signal.camera);
        assert_eq!(signal.metres, Some(1200));
        let text = |id| told.passages[id].plate.as_ref().map(|p| p.text.clone());
        assert_eq!(text(&other.passage_id), text(&signal.passage_id));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plate_that_travels_too_fast_is_told_with_the_speed_it_would_take() {
    let mut gate = checkpoint().await;
    let footage = gate.path("later");
    later(&footage, 12);
    with_signals(&gate, APART, |config| and_another(config, &footage));
    let _agent = gate.start();
    let enough = |t: &Told| t.count(SignalKind::Travel) >= 1;
    let told = Told::until(&mut gate, enough).await;
    for signal in told.signals.iter().filter(|s| s.kind == SignalKind::Travel) {
        let speed = signal.speed_kmh.unwrap();
        assert!((200..=8640).contains(&speed), "{speed}");
        assert_ne!(signal.other.as_ref().unwrap().camera, signal.camera);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_kind_is_asked_for_none_is_told_until_a_reload_asks_for_one() {
    let mut gate = checkpoint().await;
    let day = support::root().join("agent/samples/day");
    let both = |config: &str| and_another(&turned(config), &day);
    with_signals(&gate, &format!("kinds = []\n{APART}"), both);
    let agent = gate.start();
    let told = Told::until(&mut gate, |t| t.passages.len() >= 4).await;
    assert!(told.signals.is_empty(), "{:?}", told.signals);
    let config = gate.config();
    gate.write_config(&config.replace("kinds = []", "kinds = [\"wrong_way\"]"));
    gate.reload(&agent).await;
    let signal = gate
        .next("signal", |m| on::<SignalMessage>(m, "/signal/"))
        .await;
    assert_eq!(signal.kind, SignalKind::WrongWay);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_vehicle_that_nobody_looks_for_no_signal_tells_where_that_is_asked_for() {
    let mut gate = checkpoint().await;
    let list = "plate,level,category,reason\n鲁E6K829,red,stolen,x\n";
    std::fs::write(gate.path("list.csv"), list).unwrap();
    with_signals(&gate, "[privacy]\nnon_hits = \"nothing\"", turned);
    let agent = gate.start();
    let signal = gate
        .next("signal", |m| on::<SignalMessage>(m, "/signal/"))
        .await;
    assert_eq!(signal.plate.unwrap().text, "鲁E6K829");
    // Others pass in the seconds that follow.
    tokio::time::sleep(std::time::Duration::from_secs(8)).await;
    agent.signal("-TERM");
    let other = gate
        .next("goodbye", |m| {
            let status = on::<kakou_contract::StatusMessage>(m, "/status");
            let is_end = status.is_some_and(|s| s.state == kakou_contract::AgentState::Offline);
            let signal = on::<SignalMessage>(m, "/signal/").and_then(|s| s.plate);
            let other = signal.filter(|plate| plate.text != "鲁E6K829");
            other
                .map(|plate| Some(plate.text))
                .or_else(|| is_end.then_some(None))
        })
        .await;
    assert_eq!(other, None);
}
