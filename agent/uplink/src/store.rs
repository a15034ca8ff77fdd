//! What the uplink asks of the outbox.

use tokio::sync::watch;

use kakou_contract::{Committed, Cursor, Held, Priority};

/// The durable queue behind the uplink. No call blocks a tokio worker: what touches the disk runs on the
/// store's own threads.
pub trait Store: Send + Sync + 'static {
    /// Waiting messages after `after`: lanes by priority, within a lane oldest first; at most `messages` of them, and
    /// no more than `bytes` of payload (but at least one). Only from the lanes in `lanes`.
    fn fetch(
        &self,
        after: Cursor,
        lanes: &[Priority],
        messages: usize,
        bytes: usize,
    ) -> impl Future<Output = Result<Vec<Committed>, StoreError>> + Send;

    /// The broker has it. Waits while the store's queue is full; never drops.
    fn acked(&self, sequence: u64) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Takes a message out of the line without giving it up.
    fn hold(
        &self,
        sequence: u64,
        reason: Held,
        why: String,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Puts at most `most` messages held for this reason back in line, oldest first; how many it were.
    fn release(
        &self,
        reason: Held,
        most: usize,
    ) -> impl Future<Output = Result<usize, StoreError>> + Send;

    /// Returns when everything said before is in the database.
    fn settle(&self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Changes whenever messages were committed or released: one counter per lane.
    fn committed(&self) -> watch::Receiver<[u64; 4]>;
}

/// The store cannot be used any more, or this time.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("outbox: {0}")]
pub struct StoreError(pub String);
