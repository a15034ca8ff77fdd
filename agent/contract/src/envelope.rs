//! A message with everything that MQTT carries beside its payload. It has this one shape for the
//! whole way: producers hand it to the outbox, the outbox keeps it, the uplink publishes it.
//!
//! The payload is shared, not copied. An envelope is complete when it is made: topic, properties,
//! whether the broker keeps it, and whether it can be late follow from the message, so no producer
//! decides them anew.

use bytes::Bytes;
use chrono::{DateTime, FixedOffset};
use uuid::Uuid;

use crate::{
    Attributes, AuditEvent, AuditMessage, Evidence, HitState, Id, Keep, Message, MessageError,
    PassageMessage, Priority, SchemaVersion, Topic, live_id,
};

/// A message on its way. The outbox gives it its sequence number, its hash and its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Who goes first.
    pub priority: Priority,
    /// How long it is kept on the box after the platform has it.
    pub keep: Keep,
    /// The CloudEvents `id`: repeats carry the same. That of a picture is no UUID.
    pub id: String,
    pub topic: String,
    pub content_type: Option<String>,
    /// MQTT user properties: the CloudEvents attributes, after the disk also those of the seal.
    pub user_properties: Vec<(String, String)>,
    /// MQTT correlation data: in answers to commands.
    pub correlation: Option<Vec<u8>>,
    /// The broker keeps the last one of the topic for those who subscribe later.
    pub retain: bool,
    /// When the last frame that the content tells of was captured by a live camera, in milliseconds
    /// since 1970. What is sent more than a minute later is marked late. `None` for what is never late: status, audit and
    /// answers, pictures, and everything of a recording, whose capture times lie in the past by
    /// nature.
    pub captured_ms: Option<i64>,
    /// The payload is a JSON object that takes the sequence number as a field.
    pub numbered: bool,
    pub payload: Bytes,
}

impl Envelope {
    /// A JSON message that is never late.
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

    /// A passage or a hit of a live camera: late, if it is sent long after it was captured.
    pub fn live<M: Message>(
        message: &M,
        priority: Priority,
        keep: Keep,
    ) -> Result<Self, MessageError> {
        let captured_ms = Some(message.captured_at().timestamp_millis());
        Ok(Self {
            captured_ms,
            ..Self::of(message, priority, keep)?
        })
    }

    /// A record of what the agent did or lost.
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

    /// A picture of a passage, as a message of its own. `owner` is the passage, or the provisional
    /// hit that was told before the passage was complete.
    pub fn picture(
        owner: Uuid,
        passage: &PassageMessage,
        evidence: &Evidence,
        keep: Keep,
        bytes: Bytes,
    ) -> Self {
        let topic = Topic::Evidence {
            site: passage.site.clone(),
            agent: passage.agent.clone(),
            passage: owner,
            role: evidence.role,
        };
        Self::with(
            Priority::Picture,
            keep,
            topic,
            Attributes::of_evidence(owner, passage, evidence),
            bytes,
        )
    }

    /// The hit and its state, where this is a message of a hit's life.
    pub fn hit(&self) -> Option<(Uuid, HitState)> {
        let (id, state) = self.id.split_once('/')?;
        let state = state.split('/').next()?;
        let is_hit = self.priority == Priority::Hit;
        is_hit.then_some((id.parse().ok()?, state.parse().ok()?))
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

/// Up to where a reader has read each priority, by sequence number; the default reads from the
/// start.
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
