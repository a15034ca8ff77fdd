//! What the rest of the agent holds of the outbox.
//!
//! Every call either does what it says, or returns an error that says whom it concerns
//! (`OutboxError::concern`). No call drops anything, and none waits for ever: where nothing can be
//! committed for now and the queue is full, it is refused.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use kakou_contract::{Committed, Cursor, Envelope, Held, Priority, VerifyingKey};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};

use crate::error::OutboxError;
use crate::policy::{OutboxLimits, Retention};
use crate::store::{Claim, LARGEST_SEQUENCE, Ready, checked};
use crate::worker::{Appended, Ask, Op, OutboxState, Reply, Resent, Shared, Stats};

/// The outbox; a clone is another hand on the same one.
#[derive(Clone)]
pub struct Outbox {
    pub(crate) ops: mpsc::Sender<Op>,
    pub(crate) asks: mpsc::Sender<Ask>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) public_key: VerifyingKey,
    pub(crate) path: PathBuf,
    pub(crate) threads: Arc<Threads>,
}

pub(crate) struct Threads {
    pub(crate) writer: Mutex<Option<JoinHandle<Result<(), OutboxError>>>>,
    pub(crate) reader: Mutex<Option<JoinHandle<()>>>,
    /// Held as long as any hand on the outbox is.
    pub(crate) _lock: File,
}

impl Outbox {
    /// Commits all or none of these, in this order; returns their sequence numbers when they are on
    /// disk. Blocks: for threads, not for tokio tasks.
    pub fn append(&self, messages: Vec<Envelope>) -> Result<Vec<u64>, OutboxError> {
        let messages = Ready::all(messages)?;
        let (reply, answer) = oneshot::channel();
        self.send_blocking(Op::Append {
            messages,
            request: None,
            reply,
        })?;
        Ok(told(answer.blocking_recv().map_err(|_| self.closed())??))
    }

    /// As `append`, for tokio tasks.
    pub async fn append_async(&self, messages: Vec<Envelope>) -> Result<Vec<u64>, OutboxError> {
        let messages = Ready::all(messages)?;
        self.ask(|reply| Op::Append {
            messages,
            request: None,
            reply,
        })
        .await
        .map(told)
    }

    /// Appends the answer to a command, and notes that it is the answer.
    pub async fn answer(
        &self,
        request: String,
        messages: Vec<Envelope>,
    ) -> Result<Vec<u64>, OutboxError> {
        let messages = Ready::all(messages)?;
        self.ask(|reply| Op::Append {
            messages,
            request: Some(request),
            reply,
        })
        .await
        .map(told)
    }

    /// Whether a command is new. From then on it is not.
    pub async fn claim(&self, request: String) -> Result<Claim, OutboxError> {
        self.ask(|reply| Op::Claim { request, reply }).await
    }

    /// Puts messages that the platform had, or that are held, back in line. Works in slices: others
    /// are served in between. A range that ends before it begins has no messages.
    pub async fn resend(&self, first: u64, last: u64) -> Result<Resent, OutboxError> {
        let wanted = [checked("first", first)?, checked("last", last)?];
        self.ask(|reply| Op::Resend {
            wanted,
            done: 0,
            from: first,
            reply,
        })
        .await
    }

    /// Holds from now on, over restarts and whatever the config says: the platform set it.
    pub async fn set_retention(&self, wanted: Retention) -> Result<(), OutboxError> {
        self.ask(|reply| Op::Retention {
            wanted,
            by_config: false,
            reply,
        })
        .await
    }

    /// Holds from now on, and at the next start what the config says then: this is what a changed
    /// config says, and what the platform set before holds no more.
    pub async fn follow_config(&self, wanted: Retention) -> Result<(), OutboxError> {
        self.ask(|reply| Op::Retention {
            wanted,
            by_config: true,
            reply,
        })
        .await
    }

    /// Holds from now on, until the next start.
    pub async fn set_limits(&self, wanted: OutboxLimits) -> Result<(), OutboxError> {
        self.ask(|reply| Op::Limits { wanted, reply }).await
    }

    pub fn retention(&self) -> Retention {
        self.shared.stats.borrow().retention
    }

    /// The payloads of provisional hits whose end is not committed. Blocks.
    pub fn open_hits(&self) -> Result<Vec<Vec<u8>>, OutboxError> {
        let (reply, answer) = oneshot::channel();
        self.asks
            .blocking_send(Ask::OpenHits { reply })
            .map_err(|_| self.closed())?;
        answer.blocking_recv().map_err(|_| self.closed())?
    }

    /// The payload of a message, if it is still there.
    pub async fn stored_payload(&self, sequence: u64) -> Result<Option<Vec<u8>>, OutboxError> {
        let sequence = checked("sequence", sequence)?;
        let (reply, answer) = oneshot::channel();
        self.asks
            .send(Ask::Payload { sequence, reply })
            .await
            .map_err(|_| self.closed())?;
        answer.await.map_err(|_| self.closed())?
    }

    pub fn stats(&self) -> Stats {
        self.shared.stats.borrow().clone()
    }

    pub fn watch(&self) -> watch::Receiver<Stats> {
        self.shared.stats.subscribe()
    }

    /// What checks this agent's signatures.
    pub fn public_key(&self) -> VerifyingKey {
        self.public_key
    }

    /// Transactions on disk since the start: how many messages share one is for benchmarks.
    pub fn transactions(&self) -> u64 {
        self.shared.transactions.load(Ordering::Relaxed)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the writer still runs; if it does not, nothing can be recorded any more.
    pub fn is_alive(&self) -> bool {
        !self.ops.is_closed()
    }

    /// Commits what is queued and closes the database. Blocks, but not long for a lock of another
    /// process. Other hands on this outbox get errors from then on.
    pub fn close(self) -> Result<(), OutboxError> {
        // The reader first: what it has open would keep the write-ahead log.
        if let Some(reader) = take(&self.threads.reader) {
            let _ = self.asks.blocking_send(Ask::Close);
            if reader.join().is_err() {
                tracing::error!(file = %self.path.display(), "the outbox's reader panicked");
            }
        }
        let Some(thread) = take(&self.threads.writer) else {
            return Ok(());
        };
        self.shared.closing.store(true, Ordering::Relaxed);
        // If the writer has ended by itself, its thread says why.
        let _ = self.ops.blocking_send(Op::Close);
        thread.join().unwrap_or_else(|_| {
            Err(OutboxError::Io {
                path: self.path.clone(),
                why: "the writer panicked".into(),
            })
        })
    }

    #[cfg(test)]
    pub(crate) async fn upkeep_now(
        &self,
        limits: OutboxLimits,
        retention: Retention,
    ) -> Result<(), OutboxError> {
        self.ask(|reply| Op::Upkeep {
            limits,
            retention,
            reply,
        })
        .await
    }

    async fn ask<T>(&self, op: impl FnOnce(Reply<T>) -> Op) -> Result<T, OutboxError> {
        let (reply, answer) = oneshot::channel();
        self.send(op(reply)).await?;
        answer.await.map_err(|_| self.closed())?
    }

    /// Waits for room in the queue, unless nothing can be committed for now.
    async fn send(&self, op: Op) -> Result<(), OutboxError> {
        let mut stats = self.shared.stats.subscribe();
        tokio::select! {
            biased;
            sent = self.ops.reserve() => {
                sent.map_err(|_| self.closed())?.send(op);
                Ok(())
            }
            why = blocked(&mut stats) => Err(OutboxError::Busy { path: self.path.clone(), why }),
        }
    }

    fn send_blocking(&self, op: Op) -> Result<(), OutboxError> {
        match self.ops.try_send(op) {
            Ok(()) => Ok(()),
            Err(TrySendError::Closed(_)) => Err(self.closed()),
            // Rare: only then a runtime of its own to wait for two things at once.
            Err(TrySendError::Full(op)) => tokio::runtime::Builder::new_current_thread()
                .build()
                .map_err(|e| OutboxError::Io {
                    path: self.path.clone(),
                    why: format!("waiting for the writer: {e}"),
                })?
                .block_on(self.send(op)),
        }
    }

    fn closed(&self) -> OutboxError {
        OutboxError::Closed {
            path: self.path.clone(),
        }
    }
}

/// What the uplink asks.
impl Outbox {
    /// Waiting messages after `after`: by priority, within a priority oldest first; at most
    /// `messages` of them, and no more than `bytes` of payload (but at least one). Only those of
    /// the given priorities.
    pub async fn fetch(
        &self,
        after: Cursor,
        priorities: &[Priority],
        messages: usize,
        bytes: usize,
    ) -> Result<Vec<Committed>, OutboxError> {
        let (reply, answer) = oneshot::channel();
        let ask = Ask::Fetch {
            // Beyond the largest number nothing waits.
            after: Cursor(after.0.map(|at| at.min(LARGEST_SEQUENCE))),
            priorities: priorities.to_vec(),
            messages,
            bytes: bytes.max(1),
            reply,
        };
        self.asks.send(ask).await.map_err(|_| self.closed())?;
        answer.await.map_err(|_| self.closed())?
    }

    /// The broker has it. Waits while the writer's queue is full; never drops.
    pub async fn acked(&self, sequence: u64) -> Result<(), OutboxError> {
        let op = Op::Acked(checked("sequence", sequence)?);
        self.ops.send(op).await.map_err(|_| self.closed())
    }

    /// Takes a message out of the line without giving it up. Waits as `acked` does.
    pub async fn hold(&self, sequence: u64, reason: Held, why: String) -> Result<(), OutboxError> {
        let sequence = checked("sequence", sequence)?;
        let op = Op::Hold {
            sequence,
            reason,
            why,
        };
        self.ops.send(op).await.map_err(|_| self.closed())
    }

    /// Puts at most `most` messages held for this reason back in line, oldest first; returns how
    /// many it were. Works in slices: others are served in between.
    pub async fn release(&self, reason: Held, most: usize) -> Result<usize, OutboxError> {
        self.ask(|reply| Op::Release {
            reason: Some(reason),
            most,
            done: 0,
            from: 1,
            reply,
        })
        .await
    }

    /// Returns when everything said before is in the database.
    pub async fn settle(&self) -> Result<(), OutboxError> {
        self.ask(Op::Settle).await
    }

    /// Changes whenever messages were committed or released: one counter per priority.
    pub fn committed(&self) -> watch::Receiver<[u64; 4]> {
        self.shared.committed.subscribe()
    }
}

fn take<T>(thread: &Mutex<Option<JoinHandle<T>>>) -> Option<JoinHandle<T>> {
    thread.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// The others first: what there is to free can wait, they cannot.
fn told(appended: Appended) -> Vec<u64> {
    drop(appended.others);
    appended.numbers
}

/// Returns, with the reason, once nothing can be committed for now.
async fn blocked(stats: &mut watch::Receiver<Stats>) -> String {
    let why = match stats
        .wait_for(|stats| matches!(stats.state, OutboxState::Blocked { .. }))
        .await
        .as_deref()
    {
        Ok(Stats {
            state: OutboxState::Blocked { why, .. },
            ..
        }) => Some(why.clone()),
        _ => None,
    };
    match why {
        Some(why) => why,
        // The writer has ended: sending says so.
        None => std::future::pending().await,
    }
}
