//! kill -9 at random moments under load, with the broker restarted meanwhile: what was reported as committed reaches a
//! subscriber. `KAKOU_CHAOS_CYCLES` sets the number of cycles; `make chaos` runs 200.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "uplink/mosquitto.rs"]
#[allow(dead_code)]
mod mosquitto;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use kakou::uplink::{Event, Subscriber, SubscriberConfig};
use kakou_contract::seal::Seal;
use kakou_contract::{Continuity, PublicKey};
use mosquitto::Mosquitto;

const LONG: Duration = Duration::from_secs(60);

/// Numbers that look random and are the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

fn load(state: &std::path::Path, broker: &str, more: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_kakou"))
        .args(["load", "--broker", broker, "--pictures", "2", "--picture-size", "20000", "--hit-every", "7", "--print"])
        .args(["--state", state.to_str().unwrap()])
        .args(more)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Seal, topic, id, content type, payload.
type Whole = (Seal, String, String, Option<String>, Vec<u8>);

/// What a subscriber got.
#[derive(Default)]
struct Heard {
    /// Number to (id, how often).
    all: BTreeMap<u64, (String, u64)>,
    chain: Continuity,
    seals: Vec<Whole>,
}

impl Heard {
    fn take(&mut self, m: kakou::uplink::Received) {
        let seal = Seal::from_properties(&m.user_properties).expect("every message is sealed");
        let id = m.user_properties.iter().find(|(name, _)| name == "id").expect("an id").1.clone();
        let (known, times) = self.all.entry(seal.sequence).or_insert_with(|| (id.clone(), 0));
        assert_eq!(*known, id, "number {} came with two ids", seal.sequence);
        *times += 1;
        if *times == 1 {
            self.chain.seal(&seal);
            // Pictures are many; each tenth is checked as a whole.
            if seal.sequence.is_multiple_of(10) {
                self.seals.push((seal, m.topic, id, m.content_type, m.payload));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_reported_as_committed_arrives_whatever_is_killed() {
    let cycles: u64 = std::env::var("KAKOU_CHAOS_CYCLES").ok().map_or(12, |n| n.parse().expect("a number of cycles"));
    let mut broker = Mosquitto::start("autosave_interval 1\nautosave_on_changes true\nmax_queued_bytes 0");
    let address = broker.address();
    let config = SubscriberConfig {
        client_id: "centre".to_owned(),
        keep_session: Some(Duration::from_secs(3600)),
        backoff_first: Duration::from_millis(20),
        backoff_most: Duration::from_millis(200),
        ..SubscriberConfig::new(["kakou/v1/#"])
    };
    let mut subscriber = Subscriber::connect(address.clone(), config);
    subscriber.subscribed(LONG).await.unwrap();
    let heard = std::sync::Arc::new(std::sync::Mutex::new(Heard::default()));
    let listener = {
        let heard = std::sync::Arc::clone(&heard);
        tokio::spawn(async move {
            while let Some(event) = subscriber.recv().await {
                if let Event::Message(m) = event {
                    heard.lock().unwrap().take(m);
                }
            }
        })
    };

    let state = tempfile::tempdir().unwrap();
    let url = address.to_string();
    let mut chance = Chance(0x6b61_6b6f_7500 + cycles);
    let mut committed: BTreeMap<u64, String> = BTreeMap::new();
    for cycle in 0..cycles {
        tokio::task::block_in_place(|| {
            let mut child = load(state.path(), &url, &["--rate", "150"]);
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
            let mut note = |line: String| {
                let mut words = line.split(' ');
                assert_eq!(words.next(), Some("committed"), "{line}");
                let number = words.next().unwrap().parse().unwrap();
                let id = words.nth(1).unwrap().to_owned();
                assert!(committed.insert(number, id).is_none(), "number {number} was given twice");
            };
            note(lines.next().expect("the agent commits").unwrap());
            let after = Duration::from_millis(5 + chance.below(400));
            let id = child.id().to_string();
            let killer = std::thread::spawn(move || {
                std::thread::sleep(after);
                assert!(Command::new("kill").args(["-9", &id]).status().unwrap().success());
            });
            if cycle % 5 == 4 {
                // An orderly restart: a broker that is killed itself loses what it had acknowledged.
                broker.restart();
            }
            for line in lines {
                // The last line may be cut: what was not told in full was not told.
                match line {
                    Ok(line) if line.split(' ').count() == 4 && line.rsplit(' ').next().unwrap().len() >= 36 => {
                        note(line)
                    }
                    _ => break,
                }
            }
            killer.join().unwrap();
            child.wait().unwrap();
        });
    }
    // The last run sends what is left.
    let done = tokio::task::block_in_place(|| load(state.path(), &url, &["--count", "1"]).wait().unwrap());
    assert!(done.success());
    let verified = support::kakou(&["outbox", "verify", "--state", state.path().to_str().unwrap()]);
    assert!(verified.status.success(), "{}", support::stdout(&verified));
    let status = support::succeed(&["outbox", "status", "--json", "--state", state.path().to_str().unwrap()]);
    let status = support::json(&status);
    let head = status["sequence"].as_u64().unwrap();

    let limit = std::time::Instant::now() + LONG;
    while heard.lock().unwrap().chain.complete_to() < head && std::time::Instant::now() < limit {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    listener.abort();
    let heard = heard.lock().unwrap();
    let lost: BTreeSet<_> = committed.iter().filter(|(n, id)| heard.all.get(n).is_none_or(|(h, _)| h != *id)).collect();
    let repeats: u64 = heard.all.values().map(|(_, times)| times - 1).sum();
    println!(
        "{cycles} kills: {} messages reported as committed, {head} numbers given, {} received, {repeats} repeats, {} lost, gaps {:?}",
        committed.len(),
        heard.all.len(),
        lost.len(),
        heard.chain.gaps()
    );
    assert!(lost.is_empty(), "lost: {lost:?}");
    assert_eq!((heard.chain.complete_to(), heard.chain.gaps().len()), (head, 0));
    let key = PublicKey { algorithm: "ed25519".into(), base64: status["public_key"].as_str().unwrap().into() };
    let key = key.key().unwrap();
    for (seal, topic, id, content_type, payload) in &heard.seals {
        seal.verify(&key, topic, id, content_type.as_deref(), payload).unwrap();
    }
}
