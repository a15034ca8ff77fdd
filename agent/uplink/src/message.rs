//! What a subscriber received, and how it reads by the contract.

use kakou_contract::{
    HitMessage, Message, MessageError, PassageMessage, SignalMessage, StatusMessage, Topic,
    TopicError,
};

/// One message as it came from the broker.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Received {
    pub topic: String,
    pub payload: Vec<u8>,
    pub content_type: Option<String>,
    pub user_properties: Vec<(String, String)>,
    /// The broker kept it from before the subscription.
    pub retained: bool,
    /// The payload format indicator said UTF-8.
    pub is_text: bool,
    /// MQTT response topic: where an answer is expected.
    pub response_topic: Option<String>,
    pub correlation: Option<Vec<u8>>,
}

/// A received message as the contract knows it.
#[derive(Debug, Clone, PartialEq)]
pub enum Known {
    Passage(Box<PassageMessage>),
    Hit(Box<HitMessage>),
    Signal(Box<SignalMessage>),
    Status(Box<StatusMessage>),
    /// A picture, or a command: its payload is no JSON message of an agent.
    Other(Topic),
}

/// Why a received message is none of the contract's.
#[derive(Debug, thiserror::Error)]
pub enum Unknown {
    #[error(transparent)]
    Topic(#[from] TopicError),
    #[error("{topic}: {source}")]
    Message { topic: String, source: MessageError },
    /// Whoever may publish to one topic only must not speak for others.
    #[error("{topic}: the message says it belongs on {claimed}")]
    Elsewhere { topic: String, claimed: String },
}

impl Received {
    /// Reads and checks topic and payload, and that the two agree.
    pub fn read(&self) -> Result<Known, Unknown> {
        let topic: Topic = self.topic.parse()?;
        Ok(match topic {
            Topic::Passage { .. } => Known::Passage(Box::new(self.message(&topic)?)),
            Topic::Hit { .. } => Known::Hit(Box::new(self.message(&topic)?)),
            Topic::Signal { .. } => Known::Signal(Box::new(self.message(&topic)?)),
            Topic::Status { .. } => Known::Status(Box::new(self.message(&topic)?)),
            Topic::Evidence { .. }
            | Topic::Command { .. }
            | Topic::List { .. }
            | Topic::Audit { .. }
            | Topic::Result { .. } => Known::Other(topic),
        })
    }

    fn message<M: Message>(&self, topic: &Topic) -> Result<M, Unknown> {
        let here = || self.topic.clone();
        let message = M::from_json(&self.payload).map_err(|source| Unknown::Message {
            topic: here(),
            source,
        })?;
        let claimed = message.topic();
        if claimed == *topic {
            Ok(message)
        } else {
            Err(Unknown::Elsewhere {
                topic: here(),
                claimed: claimed.to_string(),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::in_flight::is_text;
    use kakou_contract::{Envelope, Keep, Priority};

    fn golden() -> PassageMessage {
        PassageMessage::from_json(include_bytes!("../../contract/golden/passage.json")).unwrap()
    }

    #[test]
    fn a_passage_is_received_as_it_was_sent() {
        let sent = Envelope::of(&golden(), Priority::Passage, Keep::Passage).unwrap();
        assert!(is_text(&sent) && !sent.retain);
        assert!(
            sent.user_properties
                .iter()
                .any(|(key, value)| key == "specversion" && value == "1.0")
        );
        let received = Received {
            topic: sent.topic,
            payload: sent.payload.to_vec(),
            ..Received::default()
        };
        assert_eq!(received.read().unwrap(), Known::Passage(Box::new(golden())));
    }

    #[test]
    fn what_is_not_of_the_contract_says_where_and_why() {
        let told = |topic: &str, payload: &[u8]| {
            let received = Received {
                topic: topic.into(),
                payload: payload.to_vec(),
                ..Received::default()
            };
            received.read().unwrap_err().to_string()
        };
        let topic = golden().topic().to_string();
        assert!(told("other/topic", b"{}").contains("other/topic"));
        assert!(told(&topic, b"{").contains(&topic));
        let elsewhere = Topic::Passage {
            camera: "elsewhere".parse().unwrap(),
            site: golden().site,
            agent: golden().agent,
        };
        let error = told(&elsewhere.to_string(), &golden().to_json().unwrap());
        assert!(
            error.contains("elsewhere") && error.contains("belongs on"),
            "{error}"
        );
    }
}
