//! The one thread that writes. What waits when it comes round goes into one transaction (group commit); who asked is
//! answered when that is on disk.
//!
//! Its queue is bounded and blocks: nothing is dropped. When the disk has no room, the reserve is given up, then the
//! least valuable messages; only if that does not help is the caller told that his message could not be kept.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kakou_contract::{AuditEvent, EvictionReason, Held, Id, Priority};
use tokio::sync::{mpsc, oneshot};

use super::ballast::{BYTES as BALLAST_BYTES, Ballast};
use super::db::{Batch, Db};
use super::error::OutboxError;
use super::handle::OutboxOptions;
use super::limits::{Limits, Retention, Space, Step, emergency, next_step};
use super::moves::{Claim, Deleted};
use super::ready::{Appended, Others, Ready};
use super::shared::{OutboxState, Shared, Stats};
use super::steady::Steady;
use super::upkeep;

/// Messages in one transaction, and bytes of their payloads; a single larger request still goes alone.
const GROUP_MESSAGES: usize = 512;
const GROUP_BYTES: usize = 8 << 20;
const TICK: Duration = Duration::from_secs(1);
/// How often the times of retention and age are looked at.
const RETENTION_EVERY: Duration = Duration::from_secs(30);

pub(super) type Reply<T> = oneshot::Sender<Result<T, OutboxError>>;

/// What is put back in line, and what of the wanted range is no longer there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resent {
    pub messages: u64,
    /// Inclusive ranges of numbers that this box no longer has.
    pub missing: Vec<[u64; 2]>,
}

pub(super) enum Op {
    Append {
        drafts: Vec<Ready>,
        request: Option<String>,
        reply: Reply<Appended>,
    },
    Acked(Vec<u64>),
    Hold {
        sequence: u64,
        reason: Held,
        why: String,
    },
    Release {
        reason: Option<Held>,
        most: usize,
        reply: Reply<usize>,
    },
    Resend {
        first: u64,
        last: u64,
        reply: Reply<Resent>,
    },
    Claim {
        request: String,
        reply: Reply<Claim>,
    },
    Retention(Retention),
    Limits(Limits),
    Settle(Reply<()>),
    /// Upkeep at once by these limits, with a clock that is right.
    #[cfg(test)]
    Upkeep {
        limits: Limits,
        retention: Retention,
        reply: Reply<()>,
    },
    Close,
}

impl Op {
    /// Of an append that is nobody's answer.
    fn drafts(&self) -> Option<&[Ready]> {
        match self {
            Self::Append {
                drafts,
                request: None,
                ..
            } => Some(drafts),
            _ => None,
        }
    }

    fn weight(&self) -> (usize, usize) {
        match self {
            Self::Append { drafts, .. } => {
                (drafts.len(), drafts.iter().map(|d| d.payload.len()).sum())
            }
            Self::Acked(all) => (all.len(), 0),
            Self::Resend { .. } => (GROUP_MESSAGES, 0),
            _ => (1, 0),
        }
    }
}

/// What one request came to, told once the transaction is on disk.
enum Outcome {
    Appended(Vec<u64>),
    Count(usize),
    Resent(Resent),
    Claim(Claim),
    Nothing,
}

/// Messages that could not be committed.
#[derive(Debug, Clone, Default)]
struct Unrecorded {
    messages: u64,
    from_ms: i64,
    to_ms: i64,
    why: String,
}

pub(super) struct Writer {
    pub(super) db: Db,
    pub(super) folder: PathBuf,
    pub(super) site: Id,
    pub(super) agent: Id,
    pub(super) limits: Limits,
    pub(super) retention: Retention,
    pub(super) clock_trusted: Arc<dyn Fn() -> bool + Send + Sync>,
    pub(super) wall_ms: Arc<dyn Fn() -> i64 + Send + Sync>,
    pub(super) steady: Steady,
    pub(super) shared: Arc<Shared>,
    ballast: Ballast,
    state: OutboxState,
    unrecorded: Unrecorded,
    looked_at_ages: Option<Instant>,
    data_version: i64,
}

impl Writer {
    /// With the retention that holds now, which need not be that of the config.
    pub(super) fn new(db: Db, options: OutboxOptions, shared: Arc<Shared>) -> Self {
        let OutboxOptions {
            folder,
            site,
            agent,
            limits,
            retention,
            clock_trusted,
            wall_ms,
        } = options;
        let ballast = Ballast::new(&folder);
        Self {
            db,
            folder,
            site,
            agent,
            limits,
            retention,
            clock_trusted,
            wall_ms,
            steady: Steady::default(),
            shared,
            ballast,
            state: OutboxState::Ok,
            unrecorded: Unrecorded::default(),
            looked_at_ages: None,
            data_version: 0,
        }
    }

    pub(super) fn run(mut self, mut ops: mpsc::Receiver<Op>) -> Result<(), OutboxError> {
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
                self.tick();
                next_tick = Instant::now() + TICK;
            }
            let wait = next_tick.saturating_duration_since(Instant::now());
            let first =
                match runtime.block_on(async { tokio::time::timeout(wait, ops.recv()).await }) {
                    Err(_) => continue,
                    Ok(None | Some(Op::Close)) => break,
                    Ok(Some(op)) => op,
                };
            #[cfg(test)]
            let first = match first {
                Op::Upkeep {
                    limits,
                    retention,
                    reply,
                } => {
                    let _ = reply.send(self.upkeep_by(limits, retention));
                    continue;
                }
                other => other,
            };
            let (mut messages, mut bytes) = first.weight();
            let mut group = vec![first];
            let mut closing = false;
            while messages < GROUP_MESSAGES && bytes < GROUP_BYTES {
                let Ok(op) = ops.try_recv() else { break };
                if matches!(op, Op::Close) {
                    closing = true;
                    break;
                }
                let (m, b) = op.weight();
                messages += m;
                bytes += b;
                group.push(op);
            }
            self.group(group);
            if closing {
                break;
            }
        }
        // What was queued before the end still counts.
        let mut rest = Vec::new();
        while let Ok(op) = ops.try_recv() {
            if !matches!(op, Op::Close) {
                rest.push(op);
            }
        }
        if !rest.is_empty() {
            self.group(rest);
        }
        self.db.close()
    }

    /// One transaction for all; tried again after making room.
    fn group(&mut self, ops: Vec<Op>) {
        let result = match self.attempt(&ops) {
            Err(e) if e.is_full() => self.make_room_and_try(&ops, e),
            other => other,
        };
        match result {
            Ok(outcomes) => {
                if !matches!(self.state, OutboxState::Ok | OutboxState::Tight(_)) {
                    tracing::warn!(folder = %self.folder.display(), "the outbox records again");
                    self.state = OutboxState::Ok;
                }
                self.shared
                    .transactions
                    .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                self.tell(ops, outcomes);
                self.report_unrecorded();
            }
            Err(e) => self.failed(ops, &e),
        }
    }

    fn attempt(&mut self, ops: &[Op]) -> Result<Vec<Outcome>, OutboxError> {
        let now = (self.wall_ms)();
        let (limits, retention) = (&mut self.limits, &mut self.retention);
        self.db.transact(|batch| {
            let mut outcomes = Vec::with_capacity(ops.len());
            // Appends that follow one another share their statements.
            let mut rest = ops;
            while let Some(op) = rest.first() {
                let appends: Vec<_> = rest.iter().map_while(Op::drafts).collect();
                if appends.is_empty() {
                    outcomes.push(apply(batch, op, now, limits, retention)?);
                    rest = &rest[1..];
                } else {
                    outcomes.extend(
                        batch
                            .append_all(&appends, now)?
                            .into_iter()
                            .map(Outcome::Appended),
                    );
                    rest = &rest[appends.len()..];
                }
            }
            Ok(outcomes)
        })
    }

    fn make_room_and_try(
        &mut self,
        ops: &[Op],
        first: OutboxError,
    ) -> Result<Vec<Outcome>, OutboxError> {
        let mut last = first;
        tracing::warn!(folder = %self.folder.display(), "no room for a commit: {last}; making some");
        self.ballast.drop_it();
        self.state = OutboxState::Tight(last.to_string());
        // A group that is too large for the little room left may still fit message by message, but that is what the
        // callers' groups are: they want all or nothing. So room is made until it fits or there is nothing to give up.
        for _ in 0..64 {
            match self.attempt(ops) {
                Err(e) if e.is_full() => last = e,
                other => return other,
            }
            let Some(Step::Delete {
                lane,
                place,
                reason,
                bytes,
            }) = emergency(self.db.lanes())
            else {
                break;
            };
            // Overwriting what is deleted needs as much room as it frees; there is none.
            upkeep::secure_delete(&self.db, false);
            let freed = self.delete(lane, place, reason, (16, bytes));
            upkeep::secure_delete(&self.db, true);
            if let Err(e) = freed {
                last = e;
                break;
            }
        }
        Err(last)
    }

    fn tell(&mut self, ops: Vec<Op>, outcomes: Vec<Outcome>) {
        // Before anybody is told: who was told that it is back in line must find it there.
        if ops
            .iter()
            .any(|op| matches!(op, Op::Release { .. } | Op::Resend { .. }))
        {
            self.take_up_revived();
        }
        let mut committed = [0_u64; 4];
        for (op, outcome) in ops.iter().zip(&outcomes) {
            match (op, outcome) {
                (Op::Append { drafts, .. }, _) => {
                    drafts.iter().for_each(|d| committed[d.lane.index()] += 1)
                }
                (_, Outcome::Count(n)) if *n > 0 => committed = committed.map(|c| c + 1),
                (_, Outcome::Resent(resent)) if resent.messages > 0 => {
                    committed = committed.map(|c| c + 1)
                }
                _ => {}
            }
        }
        // The uplink too: who was told that it is committed may ask it to finish.
        self.wake(committed);
        let mut appended = Vec::with_capacity(ops.len());
        for (op, outcome) in ops.into_iter().zip(outcomes) {
            // A caller that no longer waits has gone; what it asked for is done all the same.
            match (op, outcome) {
                (Op::Append { drafts, reply, .. }, Outcome::Appended(numbers)) => {
                    appended.push((
                        reply,
                        Appended {
                            numbers,
                            _spent: drafts,
                            others: Others::default(),
                        },
                    ));
                }
                (Op::Release { reply, .. }, Outcome::Count(n)) => drop(reply.send(Ok(n))),
                (Op::Resend { reply, .. }, Outcome::Resent(resent)) => drop(reply.send(Ok(resent))),
                (Op::Claim { reply, .. }, Outcome::Claim(claim)) => drop(reply.send(Ok(claim))),
                (Op::Settle(reply), _) => drop(reply.send(Ok(()))),
                _ => {}
            }
        }
        Others(appended).tell_one();
    }

    pub(super) fn wake(&self, committed: [u64; 4]) {
        if committed.iter().any(|n| *n > 0) {
            self.shared.committed.send_modify(|all| {
                for (to, n) in all.iter_mut().zip(committed) {
                    *to += n;
                }
            });
        }
    }

    fn failed(&mut self, ops: Vec<Op>, e: &OutboxError) {
        let mut lost = 0;
        for op in ops {
            match op {
                Op::Append { drafts, reply, .. } => {
                    lost += drafts.len() as u64;
                    self.count_unrecorded(&drafts, e);
                    let _ = reply.send(Err(e.clone()));
                }
                Op::Release { reply, .. } => drop(reply.send(Err(e.clone()))),
                Op::Resend { reply, .. } => drop(reply.send(Err(e.clone()))),
                Op::Claim { reply, .. } => drop(reply.send(Err(e.clone()))),
                Op::Settle(reply) => drop(reply.send(Err(e.clone()))),
                // They will be sent again after the next loss of the connection, which the platform knows how to take.
                Op::Acked(_) | Op::Hold { .. } | Op::Retention(_) | Op::Limits(_) | Op::Close => {}
                #[cfg(test)]
                Op::Upkeep { .. } => {}
            }
        }
        tracing::error!(folder = %self.folder.display(), messages = lost, "not committed: {e}");
        self.state = if e.is_full() {
            OutboxState::Full(e.to_string())
        } else {
            OutboxState::Broken(e.to_string())
        };
        self.publish_stats();
    }

    fn count_unrecorded(&mut self, drafts: &[Ready], e: &OutboxError) {
        let now = (self.wall_ms)();
        for draft in drafts
            .iter()
            .filter(|d| matches!(d.lane, Priority::Hit | Priority::Passage))
        {
            let at = draft.captured_ms.unwrap_or(now);
            let u = &mut self.unrecorded;
            (u.from_ms, u.to_ms) = if u.messages == 0 {
                (at, at)
            } else {
                (u.from_ms.min(at), u.to_ms.max(at))
            };
            u.messages += 1;
            u.why = e.to_string();
        }
    }

    /// There is room again: the platform learns what it will never get.
    fn report_unrecorded(&mut self) {
        if self.unrecorded.messages == 0 {
            return;
        }
        let u = self.unrecorded.clone();
        let event = AuditEvent::Unrecorded {
            messages: u.messages,
            from: upkeep::time(u.from_ms),
            to: upkeep::time(u.to_ms),
            reason: u.why,
        };
        if self.audit(event).is_ok() {
            self.unrecorded = Unrecorded::default();
        }
    }

    /// Once a second: limits, retention, what another process did, and how it all is.
    fn tick(&mut self) {
        if let Err(e) = self.upkeep()
            && !e.is_full()
        {
            tracing::error!("{e}");
            self.state = OutboxState::Broken(e.to_string());
        }
        self.publish_stats();
    }

    fn upkeep(&mut self) -> Result<(), OutboxError> {
        let version: i64 = self
            .db
            .conn()
            .query_row("PRAGMA data_version", [], |r| r.get(0))
            .map_err(|e| self.db.fault(&e))?;
        if version != self.data_version {
            self.data_version = version;
            self.db.reload_counts()?;
            if self.take_up_revived() {
                self.wake([1; 4]);
            }
        }
        // A few steps each time round: commits go on in between.
        let until = Instant::now() + Duration::from_millis(200);
        let space = self.keep_limits(until)?;
        if self
            .looked_at_ages
            .is_none_or(|at| at.elapsed() >= RETENTION_EVERY)
        {
            let right = upkeep::clock_is_right(self)?;
            let more = right && (upkeep::ages(self, until)? | upkeep::retention(self, until)?);
            if !more {
                self.looked_at_ages = Some(Instant::now());
            }
        }
        if !self.ballast.is_there() && space.disk_free > 2 * BALLAST_BYTES {
            // The next tick tries again.
            if let Err(e) = self.ballast.lay() {
                tracing::debug!("the reserve for a full disk cannot be laid: {e}");
            }
        }
        let low = space.disk_free < self.limits.free_disk;
        self.state = match std::mem::replace(&mut self.state, OutboxState::Ok) {
            OutboxState::Full(why) if space.disk_free + space.reusable < 2 * BALLAST_BYTES => {
                OutboxState::Full(why)
            }
            OutboxState::Broken(why) => OutboxState::Broken(why),
            _ if low => OutboxState::Tight(format!(
                "{} MiB free on the disk, {} wanted",
                space.disk_free >> 20,
                self.limits.free_disk >> 20
            )),
            _ => OutboxState::Ok,
        };
        Ok(())
    }

    #[cfg(test)]
    fn upkeep_by(&mut self, limits: Limits, retention: Retention) -> Result<(), OutboxError> {
        let (limits, retention) = (
            std::mem::replace(&mut self.limits, limits),
            std::mem::replace(&mut self.retention, retention),
        );
        let until = Instant::now() + Duration::from_secs(60);
        let done = self
            .keep_limits(until)
            .and_then(|_| upkeep::ages(self, until))
            .and_then(|_| upkeep::retention(self, until))
            .map(|_| ());
        (self.limits, self.retention) = (limits, retention);
        done
    }

    /// Gives up what is over the limits; how much room there is then.
    fn keep_limits(&mut self, until: Instant) -> Result<Space, OutboxError> {
        let mut space = self.space()?;
        while Instant::now() < until
            && let Some(step) = next_step(&self.limits, self.db.lanes(), &space)
        {
            match step {
                Step::Shrink => self.db.shrink(2048)?,
                Step::Delete {
                    lane,
                    place,
                    reason,
                    bytes,
                } => {
                    let most = if lane == Priority::Picture { 64 } else { 500 };
                    if self.delete(lane, place, reason, (most, bytes))?.messages == 0 {
                        break;
                    }
                }
            }
            space = self.space()?;
        }
        Ok(space)
    }

    /// Deletes the oldest of a lane; what the platform has not got is reported in the same transaction.
    pub(super) fn delete(
        &mut self,
        lane: Priority,
        place: super::moves::Place,
        reason: EvictionReason,
        most: (usize, u64),
    ) -> Result<Deleted, OutboxError> {
        upkeep::evict(
            &mut self.db,
            &self.site,
            &self.agent,
            upkeep::Evict {
                lane,
                place,
                reason,
                before_ms: None,
                most,
                now: (self.wall_ms)(),
            },
        )
        .inspect(|deleted| {
            if deleted.messages > 0 && place != super::moves::Place::Kept {
                self.wake([0, 1, 0, 0]);
            }
        })
    }

    pub(super) fn audit(&mut self, event: AuditEvent) -> Result<(), OutboxError> {
        let draft = upkeep::audit_draft(
            &self.site,
            &self.agent,
            event,
            &self.db.path,
            (self.wall_ms)(),
        )?;
        let now = (self.wall_ms)();
        self.db.transact(|batch| batch.append(draft, now))?;
        self.wake([0, 1, 0, 0]);
        Ok(())
    }

    /// What was put back in line behind the reader's back is shown to it. True if there was any.
    fn take_up_revived(&mut self) -> bool {
        let found = upkeep::take_revived(&mut self.db).unwrap_or_else(|e| {
            tracing::warn!("reading what was put back in line: {e}");
            Vec::new()
        });
        self.shared.revive(&found);
        !found.is_empty()
    }

    pub(super) fn space(&self) -> Result<Space, OutboxError> {
        let (used, reusable) = self.db.space()?;
        // A file system that does not say has no limit that could be kept.
        let disk = rustix::fs::statvfs(&self.folder).ok();
        Ok(Space {
            used,
            reusable,
            disk_free: disk
                .as_ref()
                .map_or(u64::MAX >> 1, |d| d.f_bavail * d.f_frsize),
            disk_total: disk.map_or(0, |d| d.f_blocks * d.f_frsize),
        })
    }

    fn publish_stats(&self) {
        let space = self.space().unwrap_or_default();
        self.shared.stats.send_replace(Stats {
            head: self.db.head(),
            lanes: *self.db.lanes(),
            space,
            state: self.state.clone(),
            oldest_ms: upkeep::oldest(&self.db),
            unrecorded: self.unrecorded.messages,
            retention: self.retention,
        });
    }
}

fn apply(
    batch: &mut Batch<'_>,
    op: &Op,
    now: i64,
    limits: &mut Limits,
    retention: &mut Retention,
) -> Result<Outcome, OutboxError> {
    Ok(match op {
        Op::Append {
            drafts, request, ..
        } => {
            let all = batch.append_all(&[drafts.as_slice()], now)?.concat();
            if let (Some(request), Some(first)) = (request, all.first()) {
                batch.answered(request, *first)?;
            }
            Outcome::Appended(all)
        }
        Op::Acked(all) => {
            for sequence in all {
                batch.acked(*sequence)?;
            }
            Outcome::Nothing
        }
        Op::Hold {
            sequence,
            reason,
            why,
        } => {
            batch.hold(*sequence, *reason, why, now)?;
            Outcome::Nothing
        }
        Op::Release { reason, most, .. } => {
            let all = batch.release(*reason, *most)?;
            upkeep::note_revived(batch, &all)?;
            Outcome::Count(all.len())
        }
        Op::Resend { first, last, .. } => {
            let all = batch.resend(*first, *last, usize::MAX >> 1)?;
            upkeep::note_revived(batch, &all)?;
            let missing = upkeep::missing(batch, *first, *last)?;
            Outcome::Resent(Resent {
                messages: all.len() as u64,
                missing,
            })
        }
        Op::Claim { request, .. } => Outcome::Claim(batch.claim(request, now)?),
        Op::Retention(wanted) => {
            upkeep::store_retention(batch, wanted)?;
            *retention = *wanted;
            Outcome::Nothing
        }
        Op::Limits(wanted) => {
            *limits = *wanted;
            Outcome::Nothing
        }
        Op::Settle(_) | Op::Close => Outcome::Nothing,
        // Taken out of the queue alone.
        #[cfg(test)]
        Op::Upkeep { .. } => Outcome::Nothing,
    })
}

pub(super) fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}
