//! What the writer tells the others.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

use super::db::{Counts, Head};
use super::limits::{Retention, Space};
use kakou_contract::Priority;

/// Whether messages can be kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum OutboxState {
    #[default]
    Ok,
    /// Messages are kept, others are given up for them.
    Tight(String),
    /// The last messages could not be kept.
    Full(String),
    /// The database cannot be used any more by this process.
    Broken(String),
}

/// How the outbox is; renewed every second.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stats {
    pub head: Head,
    /// By `Priority::index`.
    pub lanes: [Counts; 4],
    pub space: Space,
    pub state: OutboxState,
    /// When the oldest waiting message was committed.
    pub oldest_ms: Option<i64>,
    /// Messages that could not be committed and are not reported yet.
    pub unrecorded: u64,
    pub retention: Retention,
}

pub(super) struct Shared {
    pub(super) stats: watch::Sender<Stats>,
    /// Messages committed or put back in line, by lane, since the start.
    pub(super) committed: watch::Sender<[u64; 4]>,
    /// Transactions on disk since the start.
    pub(super) transactions: std::sync::atomic::AtomicU64,
    /// Put back in line: a reader that is past them reads them all the same.
    revived: Mutex<BTreeSet<(usize, u64)>>,
}

impl Shared {
    pub(super) fn new() -> Self {
        Self {
            stats: watch::Sender::new(Stats::default()),
            committed: watch::Sender::new([0; 4]),
            transactions: std::sync::atomic::AtomicU64::new(0),
            revived: Mutex::new(BTreeSet::new()),
        }
    }

    pub(super) fn revive(&self, found: &[(usize, u64)]) {
        if !found.is_empty() {
            self.revived
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend(found);
        }
    }

    /// At most `most` of a lane that a reader at `after` would miss.
    pub(super) fn take_revived(&self, lane: Priority, after: u64, most: usize) -> Vec<u64> {
        let mut all = self.revived.lock().unwrap_or_else(PoisonError::into_inner);
        // What lies ahead of the reader it finds by itself.
        all.retain(|(l, sequence)| *l != lane.index() || *sequence <= after);
        let found: Vec<u64> = all
            .range((lane.index(), 0)..=(lane.index(), after))
            .map(|(_, s)| *s)
            .take(most)
            .collect();
        for sequence in &found {
            all.remove(&(lane.index(), *sequence));
        }
        found
    }
}
