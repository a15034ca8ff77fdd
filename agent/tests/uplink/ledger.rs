//! What a subscriber got of an agent, checked as it comes: one id for each number, the chain whole,
//! lanes in their order.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use kakou_contract::seal::Seal;
use kakou_contract::{Continuity, Finding, VerifyingKey};
use kakou_uplink::{BrokerAddress, Received, Subscriber, SubscriberConfig, SubscriberEvent};

const LONG: Duration = Duration::from_secs(60);

/// Seal, topic, id, content type, payload.
type Whole = (Seal, String, String, Option<String>, Vec<u8>);

#[derive(Default)]
pub(crate) struct Heard {
    /// Number to (id, how often).
    pub(crate) all: BTreeMap<u64, (String, u64)>,
    /// Numbers with their lanes, in the order in which each came first.
    pub(crate) order: Vec<(u64, String)>,
    pub(crate) chain: Continuity,
    /// How often the subscriber was told that it is subscribed.
    pub(crate) subscribed: u64,
    /// What came without a seal: of the test itself.
    pub(crate) others: Vec<Received>,
    /// Each tenth as a whole; pictures are many.
    whole: Vec<Whole>,
}

impl Heard {
    fn take(&mut self, m: Received) {
        let Ok(seal) = Seal::from_properties(&m.user_properties) else {
            return self.others.push(m);
        };
        let id = m
            .user_properties
            .iter()
            .find(|(name, _)| name == "id")
            .expect("an id")
            .1
            .clone();
        let (known, times) = self
            .all
            .entry(seal.sequence)
            .or_insert_with(|| (id.clone(), 0));
        assert_eq!(*known, id, "number {} came with two ids", seal.sequence);
        *times += 1;
        let found = self.chain.seal(&seal);
        if *times > 1 {
            return assert!(
                matches!(found.as_slice(), [Finding::Repeat { .. }]),
                "{found:?}"
            );
        }
        assert!(found.is_empty(), "{found:?}");
        self.order.push((seal.sequence, lane(&m.topic).to_owned()));
        if seal.sequence.is_multiple_of(10) {
            self.whole
                .push((seal, m.topic, id, m.content_type, m.payload));
        }
    }

    /// Messages that came more than once, each repeat counted.
    pub(crate) fn repeats(&self) -> u64 {
        self.all.values().map(|(_, times)| times - 1).sum()
    }

    /// Where in the order of first arrivals this number stands.
    pub(crate) fn place(&self, number: u64) -> usize {
        self.order
            .iter()
            .position(|(n, _)| *n == number)
            .expect("it arrived")
    }

    /// Within a lane, oldest first.
    pub(crate) fn assert_lanes_in_order(&self) {
        let mut last = BTreeMap::new();
        for (number, lane) in &self.order {
            let before = last.insert(lane, *number).unwrap_or(0);
            assert!(
                before < *number,
                "{lane}: number {number} came first after {before}"
            );
        }
    }

    pub(crate) fn assert_genuine(&self, key: &VerifyingKey) {
        for (seal, topic, id, content_type, payload) in &self.whole {
            seal.verify(key, topic, id, content_type.as_deref(), payload)
                .expect("a genuine message");
        }
    }
}

/// `hit`, `passage`, `evidence`, `status` and so on.
fn lane(topic: &str) -> &str {
    topic.split('/').nth(4).unwrap_or(topic)
}

pub(crate) struct Ledger {
    heard: Arc<Mutex<Heard>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Ledger {
    /// Subscribes to `filters` with a session that the broker keeps.
    pub(crate) async fn open(broker: BrokerAddress, filters: &[&str]) -> Self {
        let config = SubscriberConfig {
            client_id: "centre".to_owned(),
            keep_session: Some(Duration::from_secs(3600)),
            backoff_first: Duration::from_millis(20),
            backoff_most: Duration::from_millis(200),
            ..SubscriberConfig::new(filters.iter().copied())
        };
        let mut subscriber = Subscriber::connect(broker, config);
        subscriber.subscribed(LONG).await.expect("a subscription");
        let heard = Arc::new(Mutex::new(Heard {
            subscribed: 1,
            ..Heard::default()
        }));
        let shared = Arc::clone(&heard);
        let task = tokio::spawn(async move {
            while let Some(event) = subscriber.recv().await {
                let mut heard = shared.lock().expect("no panic while counting");
                match event {
                    SubscriberEvent::Message(m) => heard.take(m),
                    SubscriberEvent::Subscribed => heard.subscribed += 1,
                    SubscriberEvent::Lost { .. } => {}
                    SubscriberEvent::Refused { filter, why } => panic!("{filter}: {why}"),
                }
            }
        });
        Self { heard, task }
    }

    /// Fails where something was wrong with a message.
    #[track_caller]
    pub(crate) fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard
            .lock()
            .expect("a message that must not have come")
    }

    pub(crate) async fn until(&self, what: &str, mut done: impl FnMut(&Heard) -> bool) {
        let limit = Instant::now() + LONG;
        while !done(&self.heard()) {
            assert!(
                Instant::now() < limit,
                "{what}: it did not happen within {LONG:?}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Until every number up to `head` has come.
    pub(crate) async fn complete(&self, head: u64) {
        let limit = Instant::now() + LONG;
        loop {
            let (complete, gaps) = {
                let heard = self.heard();
                (heard.chain.complete_to(), heard.chain.gaps())
            };
            if complete == head && gaps.is_empty() {
                return;
            }
            assert!(
                Instant::now() < limit,
                "complete to {complete} of {head} only; gaps {gaps:?}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
