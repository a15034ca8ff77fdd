//! An agent that is killed again and again, and the book of what it said it had committed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use kakou_contract::PublicKey;

use super::chance::Chance;
use super::ledger::Ledger;
use super::mosquitto::Mosquitto;
use super::support;

pub(crate) struct Cycles {
    broker: Mosquitto,
    ledger: Ledger,
    dir: tempfile::TempDir,
    chance: Chance,
    kills: u64,
    restarts: u64,
    /// Number to (lane, id).
    committed: BTreeMap<u64, (String, String)>,
}

impl Cycles {
    pub(crate) async fn new(kills: u64) -> Self {
        let broker = Mosquitto::start("max_queued_bytes 0");
        let ledger = Ledger::open(broker.address(), &["kakou/v1/#"]).await;
        let dir = tempfile::tempdir().unwrap();
        let chance = Chance(0x6b61_6b6f_7500 + kills);
        Self {
            broker,
            ledger,
            dir,
            chance,
            kills,
            restarts: 0,
            committed: BTreeMap::new(),
        }
    }

    pub(crate) fn broker(&self) -> String {
        self.broker.address().to_string()
    }

    pub(crate) fn folder(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn state(&self) -> String {
        self.dir.path().join("state").display().to_string()
    }

    /// Starts and kills. `when` says how long after the start, or (`true`) after the first commit.
    pub(crate) fn kill(
        &mut self,
        agent: impl Fn(&Self) -> Command,
        when: impl Fn(&mut Chance) -> (bool, Duration),
    ) {
        tokio::task::block_in_place(|| {
            for cycle in 0..self.kills {
                let (after_first, wait) = when(&mut self.chance);
                let mut child = agent(self)
                    .stdout(Stdio::piped())
                    .stderr(Stdio::null())
                    .spawn()
                    .unwrap();
                let mut lines = BufReader::new(child.stdout.take().unwrap());
                if after_first {
                    assert!(self.note(&mut lines), "the agent commits");
                }
                let id = child.id().to_string();
                let killer = std::thread::spawn(move || {
                    std::thread::sleep(wait);
                    assert!(
                        Command::new("kill")
                            .args(["-9", &id])
                            .status()
                            .unwrap()
                            .success()
                    );
                });
                if cycle % 5 == 4 {
                    // An orderly restart: a broker that is killed itself loses what it had
                    // acknowledged.
                    self.broker.restart();
                    self.restarts += 1;
                }
                while self.note(&mut lines) {}
                killer.join().unwrap();
                // Killed, and not ended by itself.
                assert_eq!(child.wait().unwrap().code(), None);
            }
        });
    }

    /// Takes down one line; false at the end. What was not told in full was not told.
    fn note(&mut self, lines: &mut impl BufRead) -> bool {
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        let Some(line) = line.strip_suffix('\n') else {
            return false;
        };
        let words: Vec<&str> = line.split(' ').collect();
        let ["committed", number, lane, id] = words.as_slice() else {
            panic!("{line}")
        };
        let number = number.parse().unwrap();
        let before = self
            .committed
            .insert(number, ((*lane).to_owned(), (*id).to_owned()));
        assert!(before.is_none(), "number {number} was given twice");
        true
    }

    pub(crate) fn committed(&self, lane: &str) -> usize {
        self.committed.values().filter(|(l, _)| l == lane).count()
    }

    pub(crate) fn status(&self) -> serde_json::Value {
        support::json(&support::succeed(&[
            "outbox",
            "status",
            "--json",
            "--state",
            &self.state(),
        ]))
    }

    pub(crate) fn waiting(&self) -> u64 {
        let status = self.status();
        let lanes = status["lanes"].as_object().expect("the lanes");
        lanes
            .values()
            .map(|lane| lane["waiting"].as_u64().expect("a count"))
            .sum()
    }

    /// Holds the subscriber's book against what was said.
    pub(crate) async fn settle(self, name: &str) {
        let verified = support::kakou(&["outbox", "verify", "--state", &self.state()]);
        assert!(verified.status.success(), "{}", support::stdout(&verified));
        let status = self.status();
        let head = status["sequence"].as_u64().unwrap();
        self.ledger.complete(head).await;
        let heard = self.ledger.heard();
        let arrived = |n: &u64, id: &String| heard.all.get(n).is_some_and(|(heard, _)| heard == id);
        let lost: BTreeSet<_> = self
            .committed
            .iter()
            .filter(|(n, (_, id))| !arrived(n, id))
            .collect();
        println!(
            "{name}: {} kills, broker restarted {} times: {} messages reported as committed ({} hits, {} pictures), \
             {head} numbers given, {} received, {} repeats, {} lost, gaps {:?}",
            self.kills,
            self.restarts,
            self.committed.len(),
            self.committed("hit"),
            self.committed("picture"),
            heard.all.len(),
            heard.repeats(),
            lost.len(),
            heard.chain.gaps()
        );
        assert!(lost.is_empty(), "lost: {lost:?}");
        heard.assert_lanes_in_order();
        let base64 = status["public_key"].as_str().unwrap().into();
        heard.assert_genuine(
            &PublicKey {
                algorithm: "ed25519".into(),
                base64,
            }
            .key()
            .unwrap(),
        );
    }
}
