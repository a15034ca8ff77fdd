//! A message in the uplink's hands: the envelope, and what the outbox calls it. Pure.
//!
//! It is the only shape a message has between the outbox and the socket. The payload is shared,
//! never copied; only a JSON payload that is sent late is written anew, for its mark.

use std::time::Duration;

use bytes::Bytes;
use kakou_contract::seal::marked_late;
use kakou_contract::{Envelope, Priority};

use super::session::Place;

/// What comes from memory goes before all that the outbox holds.
pub(crate) const FROM_MEMORY: usize = 0;
/// An answer with a picture in it. It may take seconds on a slow link, so short control messages
/// overtake it.
const LARGE_CONTROL: usize = 32 << 10;
/// Bytes of a packet beside the payload, about: topic, properties and seal.
const BESIDE_PAYLOAD: usize = 512;

/// A message that waits, or was sent and is not acknowledged.
#[derive(Debug)]
pub(crate) struct InFlight {
    /// `None`: from memory, the outbox knows nothing of it.
    pub(crate) sequence: Option<u64>,
    pub(crate) envelope: Envelope,
}

impl InFlight {
    /// Where it stands among what waits. `order` counts the messages from memory.
    pub(crate) fn place(&self, order: u64) -> Place {
        let Some(sequence) = self.sequence else {
            return (FROM_MEMORY, order);
        };
        let envelope = &self.envelope;
        let rank = match envelope.priority {
            Priority::Hit => 1,
            Priority::Control if envelope.payload.len() <= LARGE_CONTROL => 2,
            Priority::Control => 3,
            Priority::Passage => 4,
            Priority::Picture => 5,
        };
        (rank, sequence)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.envelope.payload.len() + BESIDE_PAYLOAD
    }

    /// It waits for no bandwidth and no quota of others.
    pub(crate) fn is_urgent(&self) -> bool {
        self.sequence.is_none() || self.envelope.priority == Priority::Hit
    }

    /// The payload as it is sent at this time: marked, if it was captured longer ago than
    /// `late_after`.
    pub(crate) fn payload(&self, now_ms: i64, late_after: Duration) -> Bytes {
        let payload = self.envelope.payload.clone();
        let limit = i64::try_from(late_after.as_millis()).unwrap_or(i64::MAX);
        let late = |captured: i64| now_ms.saturating_sub(captured) > limit;
        if self.envelope.captured_ms.is_some_and(late) {
            marked_late(payload.into()).into()
        } else {
            payload
        }
    }

    /// Why the protocol cannot carry it.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        const MOST: usize = u16::MAX as usize;
        let Envelope {
            topic,
            content_type,
            user_properties,
            ..
        } = &self.envelope;
        if topic.is_empty() {
            Some("the topic is empty")
        } else if topic.contains(['+', '#', '\0']) {
            Some("the topic has a wildcard or a NUL in it")
        } else if topic.len() > MOST {
            Some("the topic is longer than 65535 bytes")
        } else if content_type.as_ref().is_some_and(|text| text.len() > MOST)
            || user_properties
                .iter()
                .any(|(key, value)| key.len() > MOST || value.len() > MOST)
        {
            Some("a property is longer than 65535 bytes")
        } else {
            None
        }
    }
}

/// MQTT's payload format indicator: 1 is a promise that the payload is UTF-8, which a broker may
/// check, so it is made only for a text type whose bytes keep it.
pub(crate) fn is_text(envelope: &Envelope) -> bool {
    envelope.content_type.as_deref().is_some_and(|kind| {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        kind.starts_with("text/") || kind == "application/json" || kind.ends_with("+json")
    }) && std::str::from_utf8(&envelope.payload).is_ok()
}

/// A topic as the broker's rules have it: the pictures of each passage have a topic of their own,
/// and one rule forbids them all.
pub(crate) fn family(topic: &str) -> String {
    let level = |level| {
        if uuid::Uuid::try_parse(level).is_ok() {
            "+"
        } else {
            level
        }
    };
    topic.split('/').map(level).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::test_envelope::envelope;

    fn in_flight(envelope: Envelope) -> InFlight {
        InFlight {
            sequence: Some(7),
            envelope,
        }
    }

    #[test]
    fn what_mqtt_cannot_carry_is_named() {
        let with = |topic: &str| in_flight(envelope(topic, "payload"));
        assert_eq!(with("kakou/v1/site").fault(), None);
        assert!(with("").fault().unwrap().contains("empty"));
        assert!(with("a/#").fault().unwrap().contains("wildcard"));
        let long = "a".repeat(70_000);
        assert!(with(&long).fault().unwrap().contains("longer"));
        let long = Envelope {
            user_properties: vec![("k".into(), "v".repeat(70_000))],
            ..envelope("a", "")
        };
        assert!(in_flight(long).fault().unwrap().contains("property"));
    }

    #[test]
    fn the_text_promise_is_made_only_when_kept() {
        let of = |kind: &str, payload: &'static [u8]| {
            is_text(&Envelope {
                content_type: Some(kind.into()),
                payload: Bytes::from_static(payload),
                ..envelope("t", "")
            })
        };
        assert!(of("application/json; charset=utf-8", "鲁".as_bytes()));
        assert!(of("application/cloudevents+json", b"{}"));
        assert!(!of("application/json", &[0xff]));
        assert!(!of("image/jpeg", b"abc"));
    }

    #[test]
    fn only_a_late_payload_is_written_anew() {
        let captured = |ms| {
            in_flight(Envelope {
                captured_ms: ms,
                ..envelope("t", "{\"is_late\":false,\"id\":1}")
            })
        };
        let minute = Duration::from_secs(60);
        let late = captured(Some(0)).payload(60_001, minute);
        assert_eq!(late, "{\"is_late\":true,\"id\":1}");
        for (ms, now) in [(Some(0), 60_000), (None, i64::MAX)] {
            let message = captured(ms);
            let sent = message.payload(now, minute);
            assert_eq!(sent.as_ptr(), message.envelope.payload.as_ptr(), "shared");
        }
    }

    #[test]
    fn a_short_control_message_overtakes_an_answer_with_a_picture() {
        let control = |bytes: usize| {
            in_flight(Envelope {
                priority: Priority::Control,
                ..envelope("t", &"x".repeat(bytes))
            })
        };
        let passage = in_flight(envelope("t", ""));
        assert!(control(500).place(0) < control(700_000).place(0));
        assert!(control(700_000).place(0) < passage.place(0));
    }

    #[test]
    fn the_pictures_of_all_passages_are_one_family() {
        let of = |id: &str| format!("kakou/v1/site-1/agent-1/evidence/{id}/plate");
        let id = uuid::Uuid::now_v7().to_string();
        assert_eq!(family(&of(&id)), of("+"));
        assert_eq!(
            family("kakou/v1/site-1/agent-1/passage/cam-1"),
            "kakou/v1/site-1/agent-1/passage/cam-1"
        );
    }
}
