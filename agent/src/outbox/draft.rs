//! From a message of the contract to a draft.

use chrono::{DateTime, FixedOffset};
use kakou_contract::{
    Attributes, AuditEvent, AuditMessage, Evidence, Id, Message, MessageError, OutboxLane as Lane,
    PassageMessage, SchemaVersion, Topic, live_id,
};

use super::types::Draft;
use kakou_contract::Keep;

impl Draft {
    /// A message that has a sequence number in its payload.
    pub fn of<M: Message>(message: &M, lane: Lane, keep: Keep) -> Result<Self, MessageError> {
        let payload = message.to_json()?;
        let attributes = message.attributes();
        Ok(Self {
            retain: M::KIND.retained(),
            numbered: true,
            ..Self::with(lane, keep, message.topic(), attributes, payload)
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
        Self::of(&message, Lane::Control, Keep::Control)
    }

    /// A passage or a hit: late, if it is sent long after it was captured.
    pub fn of_event<M: Message>(message: &M, lane: Lane, keep: Keep) -> Result<Self, MessageError> {
        let captured_ms = Some(message.time().timestamp_millis());
        Ok(Self {
            captured_ms,
            ..Self::of(message, lane, keep)?
        })
    }

    /// A picture of a passage, as a message of its own.
    pub fn picture(
        passage: &PassageMessage,
        evidence: &Evidence,
        keep: Keep,
        bytes: Vec<u8>,
    ) -> Self {
        let topic = Topic::Evidence {
            site: passage.site.clone(),
            agent: passage.agent.clone(),
            passage: passage.id,
            role: evidence.role,
        };
        Self::with(
            Lane::Picture,
            keep,
            topic,
            Attributes::of_evidence(passage, evidence),
            bytes,
        )
    }

    fn with(
        lane: Lane,
        keep: Keep,
        topic: Topic,
        attributes: Attributes,
        payload: Vec<u8>,
    ) -> Self {
        Self {
            lane,
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
