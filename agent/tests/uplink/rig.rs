//! An outbox in a folder of its own with its uplink, and what the tests send.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kakou_contract::Id;
use kakou_contract::{Envelope, Keep, Priority};
use kakou_outbox::{Outbox, OutboxOptions, Stats};
use kakou_time::{SharedClock, SystemClock};
use kakou_uplink::{
    BrokerAddress, Drain, Error, Received, Status, Subscriber, SubscriberConfig, SubscriberEvent,
    Uplink, UplinkConfig,
};

use super::mosquitto::free_port;

pub(crate) const LONG: Duration = Duration::from_secs(30);

pub(crate) fn quick() -> UplinkConfig {
    UplinkConfig {
        backoff_first: Duration::from_millis(20),
        backoff_most: Duration::from_millis(200),
        ..UplinkConfig::new(Vec::new(), format!("agent-{}", free_port()))
    }
}

/// An outbox in a folder of its own, and its uplink.
pub(crate) struct Rig {
    pub(crate) outbox: Outbox,
    pub(crate) uplink: Uplink,
    pub(crate) dir: tempfile::TempDir,
}

pub(crate) fn options(folder: &std::path::Path) -> OutboxOptions {
    OutboxOptions::new(
        folder,
        Id::new("site", "site-1").unwrap(),
        Id::new("agent", "agent-1").unwrap(),
    )
}

impl Rig {
    pub(crate) fn start(address: BrokerAddress, config: UplinkConfig) -> Self {
        Self::with_brokers(vec![address], config)
    }

    pub(crate) fn with_brokers(brokers: Vec<BrokerAddress>, config: UplinkConfig) -> Self {
        Self::with_clock(brokers, config, Arc::new(SystemClock::new()))
    }

    pub(crate) fn with_clock(
        brokers: Vec<BrokerAddress>,
        config: UplinkConfig,
        clock: SharedClock,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let outbox = Outbox::open(options(dir.path())).unwrap();
        let uplink = Uplink::start(
            UplinkConfig { brokers, ..config },
            kakou::store::OutboxStore(outbox.clone()),
            clock,
        );
        Self {
            outbox,
            uplink,
            dir,
        }
    }

    pub(crate) async fn publish(&self, envelope: Envelope) {
        self.outbox
            .append_async(vec![draft(envelope, Priority::Passage)])
            .await
            .unwrap();
    }

    /// How the uplink ended, and what is where in the outbox.
    pub(crate) async fn finish(self, within: Duration) -> (Result<Status, Error>, Stats) {
        let Self {
            outbox,
            uplink,
            dir,
        } = self;
        let ended = uplink.finish(Drain::Everything, None, within).await;
        let stats = tokio::task::spawn_blocking(move || {
            outbox.close().unwrap();
            // What is on disk, not what was in memory.
            let outbox = Outbox::open(options(dir.path())).unwrap();
            let mut watch = outbox.watch();
            tokio::runtime::Handle::current()
                .block_on(watch.changed())
                .unwrap();
            let stats = watch.borrow().clone();
            outbox.close().unwrap();
            stats
        });
        (ended, stats.await.unwrap())
    }
}

/// With the id that its properties name, or a new one.
pub(crate) fn draft(mut envelope: Envelope, priority: Priority) -> Envelope {
    let named = envelope
        .user_properties
        .iter()
        .find(|(name, _)| name == "id")
        .map(|(_, id)| id.clone());
    envelope.id = named.unwrap_or_else(|| {
        let id = uuid::Uuid::now_v7().to_string();
        envelope.user_properties.push(("id".to_owned(), id.clone()));
        id
    });
    envelope.priority = priority;
    envelope
}

/// An envelope with nothing in it.
pub(crate) fn blank() -> Envelope {
    Envelope {
        priority: Priority::Passage,
        keep: Keep::Passage,
        id: String::new(),
        topic: String::new(),
        content_type: None,
        user_properties: Vec::new(),
        correlation: None,
        retain: false,
        captured_ms: None,
        numbered: false,
        payload: Bytes::new(),
    }
}

/// (waiting, held, acknowledged) passages.
pub(crate) fn passages(stats: &Stats) -> (u64, u64, u64) {
    let lane = &stats.counts[Priority::Passage.index()];
    (lane.waiting, lane.held, lane.kept)
}

pub(crate) fn quick_subscriber() -> SubscriberConfig {
    SubscriberConfig {
        backoff_first: Duration::from_millis(20),
        backoff_most: Duration::from_millis(100),
        ..SubscriberConfig::new(["kakou/v1/+/+/passage/+"])
    }
}

/// Message `n`; every tenth is as large as a passage with its pictures.
pub(crate) fn message(n: usize) -> Envelope {
    let mut payload = format!("{n}").into_bytes();
    if n.is_multiple_of(10) {
        payload.resize(300 << 10, b' ');
    }
    Envelope {
        topic: format!("kakou/v1/site-1/agent-1/passage/cam-{}", n % 4),
        payload: payload.into(),
        content_type: Some("application/json".to_owned()),
        user_properties: vec![
            ("id".to_owned(), format!("id-{n}")),
            ("type".to_owned(), "passage; 鲁E·6K829".to_owned()),
        ],
        ..blank()
    }
}

pub(crate) fn small(n: usize) -> Envelope {
    Envelope {
        payload: n.to_string().into_bytes().into(),
        topic: "t".to_owned(),
        ..blank()
    }
}

pub(crate) fn number(received: &Received) -> usize {
    std::str::from_utf8(&received.payload)
        .unwrap()
        .trim_end()
        .parse()
        .unwrap()
}

/// Receives until `count` different messages are here; how often each came.
pub(crate) async fn collect(subscriber: &mut Subscriber, count: usize) -> BTreeMap<usize, usize> {
    let mut times = BTreeMap::new();
    let all = async {
        while times.len() < count {
            match subscriber.recv().await.expect("the subscriber goes on") {
                SubscriberEvent::Message(received) => {
                    let n = number(&received);
                    let sent = message(n);
                    assert_eq!(received.topic, sent.topic);
                    assert_eq!(received.payload.len(), sent.payload.len());
                    assert_eq!(received.content_type, sent.content_type);
                    assert!(received.user_properties.starts_with(&sent.user_properties));
                    assert!(
                        received
                            .user_properties
                            .iter()
                            .any(|(name, _)| name == "signature")
                    );
                    assert!(received.is_text, "payload format indicator");
                    *times.entry(n).or_insert(0) += 1;
                }
                SubscriberEvent::Subscribed | SubscriberEvent::Lost { .. } => {}
                SubscriberEvent::Refused { filter, why } => panic!("{filter}: {why}"),
            }
        }
    };
    let done = tokio::time::timeout(LONG, all).await;
    assert!(
        done.is_ok(),
        "only {} of {count} messages within {LONG:?}",
        times.len()
    );
    times
}

pub(crate) async fn wait(mut done: impl FnMut() -> bool) {
    let limit = Instant::now() + LONG;
    while !done() {
        assert!(Instant::now() < limit, "it did not happen within {LONG:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) async fn heard(subscriber: &mut Subscriber) -> Received {
    loop {
        if let Some(SubscriberEvent::Message(m)) =
            tokio::time::timeout(LONG, subscriber.recv()).await.unwrap()
        {
            return m;
        }
    }
}
