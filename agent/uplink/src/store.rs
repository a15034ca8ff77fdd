//! What the uplink asks of the outbox.

use tokio::sync::watch;

use kakou_contract::{Committed, Cursor, Held, Priority};

/// The durable queue behind the uplink. No call blocks a tokio worker: what touches the disk runs
/// on the store's own threads.
///
/// An error never ends the uplink. It tries again with growing pauses, shows the error in its
/// status, and goes on with what it can do without the store.
pub trait Store: Send + Sync + 'static {
    /// Waiting messages after `after`: by priority, within a priority oldest first; at most
    /// `messages` of them, and no more than `bytes` of payload (but at least one). Only those of
    /// `priorities`.
    fn fetch(
        &self,
        after: Cursor,
        priorities: &[Priority],
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

    /// Puts at most `most` messages held for this reason back in line, oldest first; how many it
    /// were.
    fn release(
        &self,
        reason: Held,
        most: usize,
    ) -> impl Future<Output = Result<usize, StoreError>> + Send;

    /// Returns when everything said before is in the database.
    fn settle(&self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Changes whenever messages were committed or released: one counter per priority.
    fn committed(&self) -> watch::Receiver<[u64; 4]>;
}

/// Why the store did not do what it was asked, and how far that reaches.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum StoreError {
    /// What was asked about one message cannot be done; asking again does not help, and all else
    /// works.
    #[error("outbox: this message: {0}")]
    Message(String),
    /// Nothing can be done at the moment: another process has the lock, the disk is full or slow.
    #[error("outbox: {0}")]
    Unavailable(String),
    /// The database is damaged or closed. Only a person or a new start brings it back.
    #[error("outbox: {0}")]
    Gone(String),
}
