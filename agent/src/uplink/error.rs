//! What can go wrong between a message and its acknowledgement, always with the broker's address.

use std::time::Duration;

use super::client::Refusal;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{broker}: no connection within {within:?}: {why}")]
    Unreachable { broker: String, within: Duration, why: String },

    #[error("{broker}: message for {topic} is {size} bytes as a packet, the limit is {limit}")]
    TooLarge { broker: String, topic: String, size: usize, limit: usize },

    #[error("{broker}: {topic:?} cannot be published to: {why}")]
    Invalid { broker: String, topic: String, why: &'static str },

    #[error("{broker}: no room for a message for {topic} within {waited:?}: {why}")]
    NoRoom { broker: String, topic: String, waited: Duration, why: String },

    #[error("{broker}: {missing} of {accepted} messages have no acknowledgement after {waited:?}: {why}")]
    Unacknowledged { broker: String, accepted: u64, missing: u64, waited: Duration, why: String },

    #[error("{broker}: {count} of {accepted} messages were refused; the first: {first}")]
    Refused { broker: String, accepted: u64, count: u64, first: Refusal },

    #[error("{broker}: the connection task ended unexpectedly")]
    Stopped { broker: String },
}
