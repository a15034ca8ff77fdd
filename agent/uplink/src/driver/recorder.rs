//! What the outbox is told, in its order: acknowledged, set aside, released. It runs beside the
//! connection, so that an outbox that is slow or away holds up nothing but itself.
//!
//! What cannot be told now is told again with growing pauses, for as long as it takes. Until then
//! it is known here, so that a message that was acknowledged is not sent again when it is read
//! anew.

use std::collections::{BTreeSet, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use kakou_contract::Held;
use tokio::time::Instant;

use super::sleep_until;
use crate::backoff::Backoff;
use crate::store::{Store, StoreError};

#[derive(Debug, Clone)]
pub(super) enum Record {
    Acked(u64),
    Hold(u64, Held, String),
    Release(Held, usize),
}

impl Record {
    fn sequence(&self) -> Option<u64> {
        match self {
            Self::Acked(sequence) | Self::Hold(sequence, ..) => Some(*sequence),
            Self::Release(..) => None,
        }
    }
}

/// What came of telling the store.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Messages put back in line.
    pub(super) released: usize,
    /// Why it went no further.
    pub(super) fault: Option<StoreError>,
    done: Vec<u64>,
    left: VecDeque<Record>,
}

type Telling = Pin<Box<dyn Future<Output = Told> + Send>>;

pub(super) struct Recorder<S> {
    store: Arc<S>,
    queue: VecDeque<Record>,
    /// Kept until it is ready, so that `progress` may be cancelled.
    telling: Option<Telling>,
    /// Messages that the store still has to be told of.
    untold: BTreeSet<u64>,
    again_at: Option<Instant>,
    backoff: Backoff,
}

impl<S: Store> Recorder<S> {
    pub(super) fn new(store: Arc<S>, backoff: Backoff) -> Self {
        Self {
            store,
            queue: VecDeque::new(),
            telling: None,
            untold: BTreeSet::new(),
            again_at: None,
            backoff,
        }
    }

    pub(super) fn push(&mut self, record: Record) {
        self.untold.extend(record.sequence());
        self.queue.push_back(record);
    }

    /// Whether the store has yet to be told what became of this message.
    pub(super) fn knows(&self, sequence: u64) -> bool {
        self.untold.contains(&sequence)
    }

    /// How many messages the store has yet to be told of.
    pub(super) fn len(&self) -> usize {
        self.untold.len()
    }

    /// Whether the store could not be told and is to be tried again.
    pub(super) fn is_pausing(&self) -> bool {
        self.again_at.is_some()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.telling.is_none()
    }

    /// Tells the store what waits; ready when something came of it. May be cancelled.
    pub(super) async fn progress(&mut self) -> Told {
        if self.telling.is_none() {
            if self.queue.is_empty() {
                return std::future::pending().await;
            }
            sleep_until(Some(self.again_at.unwrap_or_else(Instant::now))).await;
            self.again_at = None;
            let all = std::mem::take(&mut self.queue);
            self.telling = Some(Box::pin(tell(Arc::clone(&self.store), all)));
        }
        let mut told = match &mut self.telling {
            Some(telling) => telling.as_mut().await,
            None => Told::default(),
        };
        self.telling = None;
        for sequence in &told.done {
            self.untold.remove(sequence);
        }
        if told.fault.is_some() {
            self.again_at = Some(Instant::now() + self.backoff.wait());
        } else {
            self.backoff.reset();
        }
        // What came meanwhile stands behind what is left.
        told.left.append(&mut self.queue);
        self.queue = std::mem::take(&mut told.left);
        told
    }

    /// Tells all that waits, for no longer than this.
    pub(super) async fn flush(&mut self, within: Duration) {
        let all = async {
            while !self.is_idle() {
                if self.progress().await.fault.is_some() {
                    return;
                }
            }
        };
        // What is left is told later, or the messages are sent once more.
        let _ = tokio::time::timeout(within, all).await;
    }

    /// After a panic: what was being told is not known; those messages are sent once more.
    pub(super) fn abandon(&mut self) {
        self.telling = None;
        self.untold = self.queue.iter().filter_map(Record::sequence).collect();
    }
}

async fn tell<S: Store>(store: Arc<S>, all: VecDeque<Record>) -> Told {
    let mut told = Told {
        left: all,
        ..Told::default()
    };
    while let Some(record) = told.left.pop_front() {
        let result = match record.clone() {
            Record::Acked(sequence) => store.acked(sequence).await,
            Record::Hold(sequence, reason, why) => store.hold(sequence, reason, why).await,
            Record::Release(reason, most) => store.release(reason, most).await.map(|released| {
                told.released += released;
            }),
        };
        match result {
            Ok(()) => {}
            // Asking again does not help.
            Err(StoreError::Message(why)) => {
                tracing::error!(
                    sequence = record.sequence(),
                    "{record:?} was not recorded: {why}"
                );
            }
            Err(fault) => {
                told.left.push_front(record);
                told.fault = Some(fault);
                return told;
            }
        }
        told.done.extend(record.sequence());
    }
    told
}
