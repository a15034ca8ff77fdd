//! Envelopes for the tests of this crate.

use bytes::Bytes;
use kakou_contract::{Envelope, Keep, Priority};

pub(crate) fn envelope(topic: &str, payload: &str) -> Envelope {
    Envelope {
        priority: Priority::Passage,
        keep: Keep::Passage,
        id: uuid::Uuid::now_v7().to_string(),
        topic: topic.to_owned(),
        content_type: None,
        user_properties: Vec::new(),
        correlation: None,
        retain: false,
        captured_ms: None,
        numbered: false,
        payload: Bytes::from(payload.to_owned()),
    }
}
