//! Sending records over MQTT from a program that is otherwise not asynchronous.

use std::time::Duration;

use tokio::runtime::Runtime;

use crate::pipeline::Record;
use crate::uplink::{BrokerAddress, Outgoing, Publisher, PublisherConfig};

/// How long a broker may take to answer before the work begins.
const FIRST_ANSWER: Duration = Duration::from_secs(10);

/// A connection to a broker on its own small runtime.
pub struct Sender {
    runtime: Runtime,
    publisher: Publisher,
}

impl Sender {
    /// Connects; a broker that does not answer is an error at once, before a recording was worked through.
    pub fn connect(address: BrokerAddress, client_id: &str) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let config = PublisherConfig { client_id: client_id.into(), ..PublisherConfig::default() };
        let publisher = runtime.block_on(async {
            let p = Publisher::connect(address, config);
            p.connected(FIRST_ANSWER).await.map(|()| p)
        })?;
        Ok(Self { runtime, publisher })
    }

    /// The passage first, then its pictures: who listens wants the text before the pixels.
    pub fn send(&mut self, record: &Record) -> anyhow::Result<()> {
        let m = &record.message;
        self.publish(Outgoing::of(m)?)?;
        for (evidence, picture) in m.evidence.iter().zip(&record.pictures) {
            self.publish(Outgoing::picture(m, evidence, picture.bytes.to_vec()))?;
        }
        Ok(())
    }

    fn publish(&self, message: Outgoing) -> anyhow::Result<()> {
        Ok(self.runtime.block_on(self.publisher.publish(message))?)
    }

    /// Waits until the broker has acknowledged every message.
    pub fn finish(self, within: Duration) -> anyhow::Result<()> {
        self.runtime.block_on(self.publisher.finish(within))?;
        Ok(())
    }
}
