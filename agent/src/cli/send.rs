//! Sending records over MQTT from a program that is otherwise not asynchronous.

use std::time::Duration;

use anyhow::Context;
use kakou_contract::{Attributes, Message};
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
    pub fn connect(url: &str, client_id: &str) -> anyhow::Result<Self> {
        let address: BrokerAddress = url.parse().with_context(|| "broker address".to_owned())?;
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
        let passage = m.attributes();
        self.publish(m.topic().to_string(), m.to_json()?, &passage)?;
        for (evidence, picture) in m.evidence.iter().zip(&record.pictures) {
            if let Some(topic) = &evidence.topic {
                let attributes = Attributes::of_evidence(m, evidence);
                self.publish(topic.clone(), picture.bytes.to_vec(), &attributes)?;
            }
        }
        Ok(())
    }

    fn publish(&self, topic: String, payload: Vec<u8>, attributes: &Attributes) -> anyhow::Result<()> {
        let message = Outgoing {
            topic,
            payload,
            content_type: Some(attributes.datacontenttype.clone()),
            user_properties: attributes.user_properties(),
            retain: false,
        };
        Ok(self.runtime.block_on(self.publisher.publish(message))?)
    }

    /// Waits until the broker has acknowledged every message.
    pub fn finish(self, within: Duration) -> anyhow::Result<()> {
        self.runtime.block_on(self.publisher.finish(within))?;
        Ok(())
    }
}
