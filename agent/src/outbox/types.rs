//! What goes into the outbox and what comes out of it.

use kakou_contract::{Keep, OutboxLane as Lane};

/// A message on its way into the outbox, which gives it its sequence number, its hash and its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    pub lane: Lane,
    pub keep: Keep,
    /// The event's id: repeats carry the same.
    pub id: String,
    pub topic: String,
    pub content_type: Option<String>,
    /// MQTT user properties: the CloudEvents attributes.
    pub user_properties: Vec<(String, String)>,
    /// MQTT correlation data: in answers to commands.
    pub correlation: Option<Vec<u8>>,
    pub retain: bool,
    /// When the content was captured, in milliseconds since 1970; `None` for what cannot be late.
    pub captured_ms: Option<i64>,
    /// The payload is a JSON object that takes the sequence number as a field.
    pub numbered: bool,
    pub payload: Vec<u8>,
}

/// A committed message that waits for the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    pub sequence: u64,
    pub lane: Lane,
    pub topic: String,
    pub content_type: Option<String>,
    /// With the attributes of the seal: sequence, previous hash, hash, signature.
    pub user_properties: Vec<(String, String)>,
    pub correlation: Option<Vec<u8>>,
    pub retain: bool,
    pub captured_ms: Option<i64>,
    pub payload: Vec<u8>,
}

/// Up to where a reader has read each lane, by sequence number; the default reads from the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cursor(pub [u64; 4]);

impl Cursor {
    pub fn after(&self, lane: Lane) -> u64 {
        self.0.get(lane.index()).copied().unwrap_or(0)
    }

    pub fn advance(&mut self, lane: Lane, sequence: u64) {
        if let Some(at) = self.0.get_mut(lane.index()) {
            *at = (*at).max(sequence);
        }
    }
}
