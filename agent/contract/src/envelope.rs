//! A message with everything that MQTT carries beside its payload: what producers hand to the outbox, what the outbox
//! keeps, and what the uplink publishes. One shape for the whole way.

use bytes::Bytes;
use chrono::{DateTime, FixedOffset};

use crate::{
    Attributes, AuditEvent, AuditMessage, Evidence, Id, Keep, Message, MessageError,
    PassageMessage, Priority, SchemaVersion, Topic, live_id,
};

/// A message on its way. The outbox gives it its sequence number, its hash and its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    pub priority: Priority,
    pub keep: Keep,
    /// The event's id: repeats carry the same.
    pub id: String,
    pub topic: String,
    pub content_type: Option<String>,
    /// MQTT user properties: the CloudEvents attributes, after the disk also those of the seal.
    pub user_properties: Vec<(String, String)>,
    /// MQTT correlation data: in answers to commands.
    pub correlation: Option<Vec<u8>>,
    pub retain: bool,
    /// When the content was captured, in milliseconds since 1970; `None` for what cannot be late.
    pub captured_ms: Option<i64>,
    /// The payload is a JSON object that takes the sequence number as a field.
    pub numbered: bool,
    pub payload: Bytes,
}

impl Envelope {
    /// A message that has a sequence number in its payload.
    pub fn of<M: Message>(
        message: &M,
        priority: Priority,
        keep: Keep,
    ) -> Result<Self, MessageError> {
        let payload = message.to_json()?;
        let attributes = message.attributes();
        Ok(Self {
            retain: M::KIND.retained(),
            numbered: true,
            ..Self::with(priority, keep, message.topic(), attributes, payload.into())
        })
    }

    /// What happened on this box.
    pub fn audit(
        site: &Id,
        agent: &Id,
        time: DateTime<FixedOffset>,
        event: AuditEvent,
    ) -> Result<Self, MessageError> {
        let message = AuditMessage {
            schema_version: SchemaVersion::CURRENT,
            id: live_id(time),
            site: site.clone(),
            agent: agent.clone(),
            time,
            event,
            sequence: None,
        };
        Self::of(&message, Priority::Control, Keep::Control)
    }

    /// A passage or a hit: late, if it is sent long after it was captured.
    pub fn of_event<M: Message>(
        message: &M,
        priority: Priority,
        keep: Keep,
    ) -> Result<Self, MessageError> {
        let captured_ms = Some(message.time().timestamp_millis());
        Ok(Self {
            captured_ms,
            ..Self::of(message, priority, keep)?
        })
    }

    /// A picture of a passage, as a message of its own.
    pub fn picture(
        passage: &PassageMessage,
        evidence: &Evidence,
        keep: Keep,
        bytes: Bytes,
    ) -> Self {
        let topic = Topic::Evidence {
            site: passage.site.clone(),
            agent: passage.agent.clone(),
            passage: passage.id,
            role: evidence.role,
        };
        Self::with(
            Priority::Picture,
            keep,
            topic,
            Attributes::of_evidence(passage, evidence),
            bytes,
        )
    }

    fn with(
        priority: Priority,
        keep: Keep,
        topic: Topic,
        attributes: Attributes,
        payload: Bytes,
    ) -> Self {
        Self {
            priority,
            keep,
            id: attributes.id.clone(),
            topic: topic.to_string(),
            user_properties: attributes.user_properties(),
            content_type: Some(attributes.datacontenttype),
            correlation: None,
            retain: false,
            captured_ms: None,
            numbered: false,
            payload,
        }
    }
}

/// An envelope that the outbox has committed under a sequence number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    pub sequence: u64,
    pub envelope: Envelope,
}

/// Up to where a reader has read each priority, by sequence number; the default reads from the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cursor(pub [u64; 4]);

impl Cursor {
    pub fn after(&self, priority: Priority) -> u64 {
        self.0.get(priority.index()).copied().unwrap_or(0)
    }

    pub fn advance(&mut self, priority: Priority, sequence: u64) {
        if let Some(at) = self.0.get_mut(priority.index()) {
            *at = (*at).max(sequence);
        }
    }
}
