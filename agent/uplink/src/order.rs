//! What the owner of an uplink may ask of its task.

use kakou_contract::Envelope;
use tokio::time::Instant;

/// What must have been acknowledged before the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drain {
    /// What is on its way to the broker. What was only read ahead stays in the outbox.
    InFlight,
    /// All that waits in the outbox.
    Everything,
}

#[derive(Debug)]
pub(crate) enum Order {
    /// Send this past the outbox.
    Direct(Box<Envelope>),
    /// End by `deadline`, with `last` as the last message.
    Finish {
        drain: Drain,
        last: Option<Box<Envelope>>,
        deadline: Instant,
    },
}
