//! The outbox as the uplink reads it: each fault of the outbox in the uplink's words, which say how
//! far it reaches. None of them ends the uplink.

use kakou_contract::{Committed, Cursor, Held, Priority};
use kakou_outbox::{Concern, Outbox, OutboxError};
use kakou_uplink::{Store, StoreError};
use tokio::sync::watch;

/// The outbox, handed to the uplink.
pub struct OutboxStore(pub Outbox);

fn fault(e: OutboxError) -> StoreError {
    let why = e.to_string();
    match e.concern() {
        Concern::Message => StoreError::Message(why),
        Concern::Now => StoreError::Unavailable(why),
        Concern::Database => StoreError::Gone(why),
    }
}

impl Store for OutboxStore {
    async fn fetch(
        &self,
        after: Cursor,
        priorities: &[Priority],
        messages: usize,
        bytes: usize,
    ) -> Result<Vec<Committed>, StoreError> {
        self.0
            .fetch(after, priorities, messages, bytes)
            .await
            .map_err(fault)
    }

    async fn acked(&self, sequence: u64) -> Result<(), StoreError> {
        self.0.acked(sequence).await.map_err(fault)
    }

    async fn hold(&self, sequence: u64, reason: Held, why: String) -> Result<(), StoreError> {
        self.0.hold(sequence, reason, why).await.map_err(fault)
    }

    async fn release(&self, reason: Held, most: usize) -> Result<usize, StoreError> {
        self.0.release(reason, most).await.map_err(fault)
    }

    async fn settle(&self) -> Result<(), StoreError> {
        self.0.settle().await.map_err(fault)
    }

    fn committed(&self) -> watch::Receiver<[u64; 4]> {
        self.0.committed()
    }
}
