//! An uplink over an outbox in memory.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kakou_contract::{Envelope, Keep, Priority};
use kakou_time::SystemClock;
use kakou_uplink::{BrokerAddress, Status, Uplink, UplinkConfig};

use super::memory::Memory;

/// What is waited for comes long before; only a fault takes as long.
pub(crate) const LONG: Duration = Duration::from_secs(30);

pub(crate) fn quick() -> UplinkConfig {
    UplinkConfig {
        backoff_first: Duration::from_millis(5),
        backoff_most: Duration::from_millis(20),
        ..UplinkConfig::new(Vec::new(), "agent")
    }
}

pub(crate) struct Rig {
    pub(crate) store: Memory,
    pub(crate) uplink: Uplink,
}

impl Rig {
    pub(crate) fn start(brokers: Vec<BrokerAddress>, config: UplinkConfig) -> Self {
        let store = Memory::new();
        let config = UplinkConfig { brokers, ..config };
        let clock = Arc::new(SystemClock::new());
        let uplink = Uplink::start(config, store.clone(), clock);
        Self { store, uplink }
    }

    pub(crate) fn status(&self) -> Status {
        self.uplink.status().borrow().clone()
    }
}

/// A passage on this topic.
pub(crate) fn on(topic: &str, payload: impl Into<String>) -> Envelope {
    Envelope {
        priority: Priority::Passage,
        keep: Keep::Passage,
        id: uuid::Uuid::now_v7().to_string(),
        topic: topic.to_owned(),
        content_type: Some("text/plain".to_owned()),
        user_properties: Vec::new(),
        correlation: None,
        retain: false,
        captured_ms: None,
        numbered: false,
        payload: Bytes::from(payload.into()),
    }
}

pub(crate) async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let waiting = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let happened = tokio::time::timeout(LONG, waiting).await;
    assert!(
        happened.is_ok(),
        "{what}: it did not happen within {LONG:?}"
    );
}
