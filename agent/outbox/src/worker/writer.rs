//! The one thread that writes. What waits when it comes round goes into one transaction (group
//! commit); who asked is answered when that is on disk.
//!
//! What it promises when something fails:
//!
//! - Its queue is bounded and blocks: nothing is dropped.
//! - A lock of another process is waited for, however long it lasts; the group is kept meanwhile.
//!   Only once the queue is full are further requests refused, with an error whose concern is
//!   `Now`.
//! - When the disk has no room, the reserve is given up, then the least valuable messages; only if
//!   that does not help is the caller told that the message could not be kept.
//! - On any other error the requests of the group are tried one by one, and only the guilty one
//!   fails.
//! - It ends only when it is told to.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use kakou_time::SharedClock;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::condition::Condition;
use super::group::{Now, apply_all};
use super::ops::{Op, Outcome};
use super::shared::Shared;
use super::unrecorded::Unrecorded;
use crate::error::{Concern, OutboxError};
use crate::policy::{AgeClock, OutboxLimits, Retention, Step, emergency};
use crate::store::audit::Author;
use crate::store::reserve::Reserve;
use crate::store::{Db, LARGEST_SEQUENCE, settings};

/// Messages in one transaction, and bytes of their payloads; a single larger request still goes
/// alone.
const GROUP_MESSAGES: usize = 512;
const GROUP_BYTES: usize = 8 << 20;
const TICK: Duration = Duration::from_secs(1);
/// How long one try waits for another process's lock; the next one follows.
const PATIENCE: Duration = Duration::from_millis(200);
/// Tries that are made while somebody wants the outbox closed.
const LAST_TRIES: u32 = 25;
/// Appends in a row that fail for a reason that is not theirs, until the rest of a group is not
/// tried any more.
const HOPELESS: u32 = 3;

pub(crate) struct Writer {
    pub(super) db: Db,
    pub(super) folder: PathBuf,
    pub(super) author: Author,
    pub(super) limits: OutboxLimits,
    pub(super) retention: Retention,
    pub(super) clock: SharedClock,
    pub(super) age: AgeClock,
    pub(super) shared: Arc<Shared>,
    pub(super) reserve: Reserve,
    pub(super) condition: Condition,
    pub(super) unrecorded: Unrecorded,
    /// Requests of which a slice has been done.
    pub(super) unfinished: VecDeque<Op>,
    pub(super) looked_at_ages: Option<Duration>,
    /// Something was deleted whose bytes may still stand in the file or its log.
    pub(super) to_scrub: bool,
    pub(super) noted: Option<(Duration, u64)>,
}

/// What a writer needs beside the database.
pub(crate) struct WriterSetup {
    pub(crate) folder: PathBuf,
    pub(crate) author: Author,
    pub(crate) limits: OutboxLimits,
    /// What holds now, which need not be that of the config.
    pub(crate) retention: Retention,
    pub(crate) clock: SharedClock,
    pub(crate) shared: Arc<Shared>,
}

impl Writer {
    pub(crate) fn new(mut db: Db, setup: WriterSetup) -> Result<Self, OutboxError> {
        db.set_patience(PATIENCE)?;
        let note = settings::age(db.conn()).map_err(|e| db.fault(&e))?;
        let mut condition = Condition::default();
        condition.look_at_damage(&db);
        Ok(Self {
            db,
            reserve: Reserve::new(&setup.folder),
            unrecorded: Unrecorded::load(&setup.folder),
            age: AgeClock::restore(note, setup.clock.mono()),
            folder: setup.folder,
            author: setup.author,
            limits: setup.limits,
            retention: setup.retention,
            clock: setup.clock,
            shared: setup.shared,
            condition,
            unfinished: VecDeque::new(),
            looked_at_ages: None,
            to_scrub: false,
            noted: None,
        })
    }

    pub(crate) fn run(mut self, mut ops: mpsc::Receiver<Op>) -> Result<(), OutboxError> {
        // Only for waiting with a time limit on a queue that tokio tasks may fill without blocking.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(|e| OutboxError::Io {
                path: self.folder.clone(),
                why: format!("the writer's timer: {e}"),
            })?;
        let mut next_tick = Instant::now();
        loop {
            if Instant::now() >= next_tick {
                let more = self.tick(&|| !ops.is_empty());
                next_tick = Instant::now() + if more { Duration::ZERO } else { TICK };
            }
            let mut group = Vec::new();
            if self.unfinished.is_empty() {
                let next = async { tokio::time::timeout_at(next_tick, ops.recv()).await };
                match runtime.block_on(next) {
                    Err(_) => continue,
                    Ok(None | Some(Op::Close)) => break,
                    Ok(Some(op)) => group.push(op),
                }
            }
            let closing = fill(&mut group, &mut ops);
            group.extend(self.unfinished.pop_front());
            self.group(group);
            if closing {
                break;
            }
        }
        self.finish(ops)
    }

    /// What was queued before the end still counts.
    fn finish(mut self, mut ops: mpsc::Receiver<Op>) -> Result<(), OutboxError> {
        while let Ok(op) = ops.try_recv() {
            let mut group = vec![op];
            fill(&mut group, &mut ops);
            self.group(group);
        }
        while let Some(op) = self.unfinished.pop_front() {
            self.group(vec![op]);
        }
        self.report_unrecorded();
        let proven_ms = self.look_at_clock();
        tracing::debug!(proven_ms, "closing the outbox");
        let age = self.age;
        if let Err(e) = self.upkeep(&|| true).note_age(&age) {
            // Messages are younger than they are after the next start.
            tracing::warn!("how old messages are was not noted: {e}");
        }
        self.db.close()
    }

    /// One transaction for all; if that fails for a reason that is not the disk's or another
    /// process's, one for each.
    fn group(&mut self, mut ops: Vec<Op>) {
        #[cfg(test)]
        self.upkeep_asked_for(&mut ops);
        ops.retain(|op| !matches!(op, Op::Close));
        if ops.is_empty() {
            return;
        }
        match self.commit(&ops) {
            Ok(outcomes) => self.committed(ops, outcomes),
            Err(e) if ops.len() == 1 || e.is_busy() => {
                ops.into_iter().for_each(|op| self.failed(op, &e));
            }
            Err(_) => self.one_by_one(ops),
        }
    }

    fn one_by_one(&mut self, ops: Vec<Op>) {
        let mut failures = 0;
        let mut last: Option<OutboxError> = None;
        for op in ops {
            if let Some(e) = last.as_ref().filter(|_| failures >= HOPELESS) {
                let e = e.clone();
                self.failed(op, &e);
                continue;
            }
            let op = vec![op];
            match self.commit(&op) {
                Ok(outcomes) => {
                    failures = 0;
                    self.committed(op, outcomes);
                }
                Err(e) => {
                    let is_append = matches!(op[..], [Op::Append { .. }]);
                    if is_append && e.concern() != Concern::Message {
                        failures += 1;
                    }
                    op.into_iter().for_each(|op| self.failed(op, &e));
                    last = Some(e);
                }
            }
        }
    }

    /// Tries until the transaction is on disk, or waiting and making room do not help.
    fn commit(&mut self, ops: &[Op]) -> Result<Vec<Outcome>, OutboxError> {
        let mut last_tries = LAST_TRIES;
        loop {
            let result = match self.attempt(ops) {
                Err(e) if e.is_full() => self.make_room_and_try(ops, e),
                other => other,
            };
            match result {
                Err(e) if e.is_busy() && last_tries > 0 => {
                    if self.shared.closing.load(Ordering::Relaxed) {
                        last_tries -= 1;
                    }
                    self.blocked(&e);
                }
                other => return other,
            }
        }
    }

    fn attempt(&mut self, ops: &[Op]) -> Result<Vec<Outcome>, OutboxError> {
        let now = Now {
            wall_ms: self.clock.wall_ms(),
            proven_ms: self.age.note().proven_ms,
        };
        self.db.transact(|tx| apply_all(tx, ops, now))
    }

    /// Another process has the database locked.
    fn blocked(&mut self, e: &OutboxError) {
        if !self.condition.is_blocked() {
            tracing::warn!(folder = %self.folder.display(), "waiting to commit: {e}");
        }
        self.condition.failed(e, self.clock.wall_ms());
        self.publish();
        // Some locks are told at once: the database waits for others itself.
        std::thread::sleep(Duration::from_millis(10));
    }

    fn make_room_and_try(
        &mut self,
        ops: &[Op],
        first: OutboxError,
    ) -> Result<Vec<Outcome>, OutboxError> {
        let mut last = first;
        tracing::warn!(folder = %self.folder.display(), "no room for a commit: {last}; making some");
        self.reserve.give_up();
        self.condition.making_room(&last);
        // At once, as long as the room that the reserve leaves is there: without any, not even this
        // could be written.
        if let Err(e) = self.keep_limits(&|| false) {
            tracing::debug!("making room: {e}");
        }
        // A group that is too large for the little room left may still fit message by message, but
        // that is what the callers' groups are: they want all or nothing. So room is made until it
        // fits or there is nothing to give up.
        for _ in 0..64 {
            // What the write-ahead log takes can be used anew. If that does not succeed, what
            // follows finds no room either, and says so.
            let _ = self.db.checkpoint();
            match self.attempt(ops) {
                Err(e) if e.is_full() => last = e,
                other => return other,
            }
            let Some(Step::GiveUp {
                priority,
                stage,
                reason,
                bytes,
            }) = emergency(self.db.counts())
            else {
                break;
            };
            // Overwriting what is deleted needs as much room as it frees; there is none.
            secure_delete(&self.db, false);
            let freed =
                self.upkeep(&|| true)
                    .give_up(priority, stage, reason, LARGEST_SEQUENCE, bytes);
            secure_delete(&self.db, true);
            match freed {
                Ok(deleted) if deleted.messages > 0 => {}
                Ok(_) => break,
                Err(e) => {
                    last = e;
                    break;
                }
            }
        }
        Err(last)
    }
}

/// Takes what waits, as much as fits into one transaction. True if the outbox is to be closed then.
fn fill(group: &mut Vec<Op>, ops: &mut mpsc::Receiver<Op>) -> bool {
    let (mut messages, mut bytes) = group
        .iter()
        .map(Op::weight)
        .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    while messages < GROUP_MESSAGES && bytes < GROUP_BYTES {
        match ops.try_recv() {
            Ok(Op::Close) => return true,
            Ok(op) => {
                let weight = op.weight();
                messages += weight.0;
                bytes += weight.1;
                group.push(op);
            }
            Err(_) => return false,
        }
    }
    false
}

pub(super) fn secure_delete(db: &Db, on: bool) {
    // Without it deleted pages keep their content until they are used again: better than not
    // recording.
    if let Err(e) = db.conn().pragma_update(None, "secure_delete", on) {
        tracing::warn!("secure_delete: {e}");
    }
}
