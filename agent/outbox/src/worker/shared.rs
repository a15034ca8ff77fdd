//! What the writer tells the others.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Mutex, PoisonError};

use kakou_contract::Priority;
use tokio::sync::watch;

use crate::policy::{Counts, Retention, Space};
use crate::store::Head;

/// Whether messages can be kept. From good to bad.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum OutboxState {
    #[default]
    Ok,
    /// Messages are kept, others are given up for them.
    Tight(String),
    /// Messages are kept. Some that were committed earlier cannot be read: they are held, and an
    /// operator is needed.
    Damaged {
        /// Inclusive; empty where it is not known which.
        ranges: Vec<[u64; 2]>,
        why: String,
    },
    /// Nothing can be committed for now; it is tried again and again. Whoever appends waits as long
    /// as there is room in the queue, and then gets an error whose concern is `Now`.
    Blocked {
        /// Milliseconds since 1970.
        since_ms: i64,
        why: String,
    },
    /// The last messages could not be kept: the disk has no room.
    Full(String),
    /// Nothing can be committed, and that will not change by itself.
    Broken(String),
}

/// How the outbox is; renewed every second.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stats {
    pub head: Head,
    /// By `Priority::index`.
    pub counts: [Counts; 4],
    pub space: Space,
    pub state: OutboxState,
    /// When the oldest waiting message was committed.
    pub oldest_ms: Option<i64>,
    /// Messages that could not be committed and are not reported yet.
    pub unrecorded: u64,
    pub retention: Retention,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) stats: watch::Sender<Stats>,
    /// Messages committed or put back in line, by priority, since the start.
    pub(crate) committed: watch::Sender<[u64; 4]>,
    /// Transactions on disk since the start.
    pub(crate) transactions: AtomicU64,
    /// Somebody wants the outbox closed: a writer that waits for another process waits no longer.
    pub(crate) closing: AtomicBool,
    /// Put back in line, by priority: a reader that is past them reads them all the same.
    revived: Mutex<[BTreeSet<u64>; 4]>,
}

impl Shared {
    pub(crate) fn new() -> Self {
        Self {
            stats: watch::Sender::new(Stats::default()),
            committed: watch::Sender::new([0; 4]),
            transactions: AtomicU64::new(0),
            closing: AtomicBool::new(false),
            revived: Mutex::default(),
        }
    }

    pub(super) fn wake(&self, committed: [u64; 4]) {
        if committed.iter().any(|n| *n > 0) {
            self.committed.send_modify(|all| {
                for (to, n) in all.iter_mut().zip(committed) {
                    *to += n;
                }
            });
        }
    }

    pub(super) fn revive(&self, found: &[(Priority, u64)]) {
        let mut all = self.revived.lock().unwrap_or_else(PoisonError::into_inner);
        for (priority, sequence) in found {
            // `index` is below 4 by its definition.
            all[priority.index()].insert(*sequence);
        }
    }

    /// The first that a reader at `after` would miss.
    pub(super) fn take_revived(&self, priority: Priority, after: u64) -> Option<u64> {
        let mut all = self.revived.lock().unwrap_or_else(PoisonError::into_inner);
        let of = &mut all[priority.index()];
        // What lies ahead of the reader it finds by itself.
        while of.last().is_some_and(|last| *last > after) {
            of.pop_last();
        }
        of.pop_first()
    }
}
