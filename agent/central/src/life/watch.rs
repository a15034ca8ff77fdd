//! Listens to the status of all agents, kept ones included.

use kakou_contract::Filter;
use kakou_uplink::{
    BrokerAddress, Received, Subscriber, SubscriberConfig, SubscriberEvent, TlsFiles,
};

pub struct Watch {
    subscriber: Subscriber,
}

impl Watch {
    /// Must be called within a tokio runtime. `turn` chooses among several brokers.
    pub fn connect(brokers: &[BrokerAddress], tls: TlsFiles, turn: usize) -> Option<Self> {
        let broker = brokers.get(turn % brokers.len().max(1))?.clone();
        let mut config = SubscriberConfig::new([Filter::status().to_string()]);
        config.tls = tls;
        // One for each agent, at once.
        config.queue = 1_000;
        Some(Self {
            subscriber: Subscriber::connect(broker, config),
        })
    }

    /// What is there already.
    pub fn try_next(&mut self) -> Option<Received> {
        match self.subscriber.try_recv()? {
            SubscriberEvent::Message(message) => Some(message),
            _ => None,
        }
    }

    /// The next message; `None`: the connection was lost. May be cancelled.
    pub async fn next(&mut self) -> Option<Received> {
        loop {
            match self.subscriber.recv().await? {
                SubscriberEvent::Message(message) => return Some(message),
                SubscriberEvent::Subscribed => {}
                SubscriberEvent::Refused { filter, why } => {
                    tracing::error!(
                        filter,
                        why,
                        "the broker refuses the states of agents: nobody's silence is seen; give this user the right to read it"
                    );
                }
                SubscriberEvent::Lost { why } => {
                    tracing::warn!(why, "the states of agents are not heard at the moment");
                    return None;
                }
            }
        }
    }
}
