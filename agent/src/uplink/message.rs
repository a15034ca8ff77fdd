//! What is published, and what a subscriber received.

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
}

impl Outgoing {
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
}
