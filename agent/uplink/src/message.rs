//! What is published, and what a subscriber received.

use kakou_contract::{
    Attributes, Evidence, HitMessage, Message, MessageError, PassageMessage, StatusMessage, Topic,
    TopicError,
};

/// One message to publish, QoS 1.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outgoing {
    pub topic: String,
    pub payload: Vec<u8>,
    /// The media type of the payload, for example `application/json`.
    pub content_type: Option<String>,
    /// The CloudEvents attributes, and whatever else a reader needs without opening the payload.
    pub user_properties: Vec<(String, String)>,
    /// Whether the broker keeps it for who subscribes later: state, never events.
    pub retain: bool,
    /// MQTT correlation data: says to which request an answer belongs.
    pub correlation: Option<Vec<u8>>,
}

impl Outgoing {
    /// A message of the contract, with its CloudEvents attributes as user properties.
    pub fn of<M: Message>(message: &M) -> Result<Self, MessageError> {
        let payload = message.to_json()?;
        Ok(Self {
            retain: M::KIND.retained(),
            ..Self::with(message.topic(), message.attributes(), payload)
        })
    }

    /// A picture of a passage, as a message of its own.
    pub fn picture(passage: &PassageMessage, evidence: &Evidence, bytes: Vec<u8>) -> Self {
        let topic = Topic::Evidence {
            site: passage.site.clone(),
            agent: passage.agent.clone(),
            passage: passage.id,
            role: evidence.role,
        };
        Self::with(topic, Attributes::of_evidence(passage, evidence), bytes)
    }

    fn with(topic: Topic, attributes: Attributes, payload: Vec<u8>) -> Self {
        Self {
            topic: topic.to_string(),
            payload,
            user_properties: attributes.user_properties(),
            content_type: Some(attributes.datacontenttype),
            retain: false,
            correlation: None,
        }
    }

    /// Why the protocol cannot carry it; checked before it is queued, where the caller can still act.
    pub(super) fn fault(&self) -> Option<&'static str> {
        const MOST: usize = u16::MAX as usize;
        if self.topic.is_empty() {
            Some("the topic is empty")
        } else if self.topic.contains(['+', '#', '\0']) {
            Some("the topic has a wildcard or a NUL in it")
        } else if self.topic.len() > MOST {
            Some("the topic is longer than 65535 bytes")
        } else if self
            .content_type
            .as_ref()
            .is_some_and(|text| text.len() > MOST)
            || self
                .user_properties
                .iter()
                .any(|(key, value)| key.len() > MOST || value.len() > MOST)
        {
            Some("a property is longer than 65535 bytes")
        } else {
            None
        }
    }

    /// MQTT's payload format indicator: 1 is a promise that the payload is UTF-8, which a broker may
    /// check, so it is made only for a text type whose bytes keep it.
    pub(super) fn is_text(&self) -> bool {
        self.content_type.as_deref().is_some_and(|kind| {
            let kind = kind.split(';').next().unwrap_or_default().trim();
            kind.starts_with("text/") || kind == "application/json" || kind.ends_with("+json")
        }) && std::str::from_utf8(&self.payload).is_ok()
    }
}

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
            Topic::Status { .. } => Known::Status(Box::new(self.message(&topic)?)),
            Topic::Evidence { .. }
            | Topic::Command { .. }
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

    #[test]
    fn what_mqtt_cannot_carry_is_named() {
        let with = |topic: &str| Outgoing {
            topic: topic.into(),
            ..Outgoing::default()
        };
        assert_eq!(with("kakou/v1/site").fault(), None);
        assert!(with("").fault().unwrap().contains("empty"));
        assert!(with("a/#").fault().unwrap().contains("wildcard"));
        assert!(
            with(&"a".repeat(70_000))
                .fault()
                .unwrap()
                .contains("longer")
        );
        let long = Outgoing {
            user_properties: vec![("k".into(), "v".repeat(70_000))],
            ..with("a")
        };
        assert!(long.fault().unwrap().contains("property"));
    }

    #[test]
    fn the_text_promise_is_made_only_when_kept() {
        let of = |kind: &str, payload: &[u8]| Outgoing {
            content_type: Some(kind.into()),
            payload: payload.to_vec(),
            ..Outgoing::default()
        };
        assert!(of("application/json; charset=utf-8", "鲁".as_bytes()).is_text());
        assert!(of("application/cloudevents+json", b"{}").is_text());
        assert!(!of("application/json", &[0xff]).is_text());
        assert!(!of("image/jpeg", b"abc").is_text());
    }

    fn golden() -> PassageMessage {
        PassageMessage::from_json(include_bytes!("../../contract/golden/passage.json")).unwrap()
    }

    #[test]
    fn a_passage_is_received_as_it_was_sent() {
        let sent = Outgoing::of(&golden()).unwrap();
        assert!(sent.is_text() && !sent.retain && sent.fault().is_none());
        assert!(
            sent.user_properties
                .iter()
                .any(|(key, value)| key == "specversion" && value == "1.0")
        );
        let received = Received {
            topic: sent.topic,
            payload: sent.payload,
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
