//! What can go wrong on the way to the platform, always with the broker's address.

use std::time::Duration;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{broker}: no connection within {within:?}: {why}")]
    Unreachable {
        broker: String,
        within: Duration,
        why: String,
    },

    #[error("{broker}: not everything was acknowledged within {waited:?}: {why}")]
    Unfinished {
        broker: String,
        waited: Duration,
        why: String,
    },

    #[error("{broker}: the connection task ended unexpectedly")]
    Stopped { broker: String },
}
