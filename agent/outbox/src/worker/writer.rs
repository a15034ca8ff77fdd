//! The one thread that writes. What waits when it comes round goes into one transaction (group commit); who asked is
//! answered when that is on disk.
//!
//! What it promises when something fails:
//!
//! - Its queue is bounded and blocks: nothing is dropped.
//! - A lock of another process is waited for, however long it lasts; the group is kept meanwhile. Only once the queue is
//!   full are further requests refused, with an error whose concern is `Now`.
//! - When the disk has no room, the reserve is given up, then the least valuable messages; only if that does not help
//!   is the caller told that the message could not be kept.
//! - On any other error the requests of the group are tried one by one, and only the guilty one fails.
//! - It ends only when it is told to.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use kakou_contract::{AuditEvent, ClockState};
use kakou_time::SharedClock;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::answers::{Appended, Others};
use super::group::{Now, apply_all};
use super::ops::{Op, Outcome, Resent};
use super::room::{Condition, space};
use super::shared::{Shared, Stats};
use super::unrecorded::Unrecorded;
use super::upkeep::{Round, Upkeep, oldest};
use crate::error::{Concern, OutboxError};
use crate::policy::{AgeClock, OutboxLimits, Retention, Step, emergency};
use crate::store::audit::Author;
use crate::store::reserve::{RESERVE_BYTES, Reserve};
use crate::store::{Db, LARGEST_SEQUENCE, settings};

/// Messages in one transaction, and bytes of their payloads; a single larger request still goes alone.
const GROUP_MESSAGES: usize = 512;
const GROUP_BYTES: usize = 8 << 20;
const TICK: Duration = Duration::from_secs(1);
/// How often the times of retention and age are looked at.
const AGES_EVERY: Duration = Duration::from_secs(30);
/// How often it is noted how old messages provably are.
const NOTE_EVERY: Duration = Duration::from_secs(60);
/// How long one try waits for another process's lock; the next one follows.
const PATIENCE: Duration = Duration::from_millis(200);
/// Tries that are made while somebody wants the outbox closed.
const LAST_TRIES: u32 = 25;
/// Appends in a row that fail for a reason that is not theirs, until the rest of a group is not tried any more.
const HOPELESS: u32 = 3;
/// What was put back in line is read from its table in parts.
const REVIVED: usize = 2000;

pub(crate) struct Writer {
    db: Db,
    folder: PathBuf,
    author: Author,
    limits: OutboxLimits,
    retention: Retention,
    clock: SharedClock,
    age: AgeClock,
    shared: Arc<Shared>,
    reserve: Reserve,
    condition: Condition,
    unrecorded: Unrecorded,
    /// Requests of which a slice has been done.
    unfinished: VecDeque<Op>,
    looked_at_ages: Option<Duration>,
    noted: Option<(Duration, u64)>,
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

    /// One transaction for all; if that fails for a reason that is not the disk's or another process's, one for each.
    fn group(&mut self, mut ops: Vec<Op>) {
        #[cfg(test)]
        let mut ops = self.upkeep_asked_for(ops);
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
        if self.condition.is_troubled() {
            self.publish();
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
        // A group that is too large for the little room left may still fit message by message, but that is what the
        // callers' groups are: they want all or nothing. So room is made until it fits or there is nothing to give up.
        for _ in 0..64 {
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

    fn committed(&mut self, ops: Vec<Op>, outcomes: Vec<Outcome>) {
        let has_append = ops.iter().any(|op| matches!(op, Op::Append { .. }));
        if (has_append || self.condition.is_blocked()) && self.condition.works() {
            tracing::warn!(folder = %self.folder.display(), "the outbox records again");
            self.publish();
        }
        self.shared.transactions.fetch_add(1, Ordering::Relaxed);
        // Before anybody is told: who was told that it is back in line must find it there.
        if ops.iter().any(Op::is_long) {
            self.take_up_revived();
        }
        let mut woken = [0_u64; 4];
        for (op, outcome) in ops.iter().zip(&outcomes) {
            match (op, outcome) {
                (Op::Append { messages, .. }, _) => {
                    self.unrecorded.committed(messages, self.clock.mono());
                    for ready in messages {
                        // `index` is below 4 by its definition.
                        woken[ready.envelope.priority.index()] += 1;
                    }
                }
                (_, Outcome::Moved { messages: 1.., .. })
                | (_, Outcome::Resent(Resent { messages: 1.., .. })) => {
                    woken = woken.map(|n| n + 1);
                }
                _ => {}
            }
        }
        // The uplink too: who was told that it is committed may ask it to finish.
        self.shared.wake(woken);
        let mut appended = Vec::with_capacity(ops.len());
        for (op, outcome) in ops.into_iter().zip(outcomes) {
            match (op, outcome) {
                (
                    Op::Append {
                        messages, reply, ..
                    },
                    Outcome::Appended(numbers),
                ) => {
                    let answer = Appended {
                        numbers,
                        _spent: messages,
                        others: Others::default(),
                    };
                    appended.push((reply, answer));
                }
                (op, outcome) => self.tell(op, outcome),
            }
        }
        Others(appended).tell_one();
    }

    /// A caller that no longer waits has gone; what it asked for is done all the same.
    fn tell(&mut self, op: Op, outcome: Outcome) {
        match (op, outcome) {
            (
                Op::Release {
                    reason,
                    most,
                    done,
                    reply,
                    ..
                },
                Outcome::Moved { messages, next },
            ) => {
                let done = done + messages as usize;
                match next.filter(|_| done < most) {
                    Some(from) => self.unfinished.push_back(Op::Release {
                        reason,
                        most,
                        done,
                        from,
                        reply,
                    }),
                    None => drop(reply.send(Ok(done))),
                }
            }
            (
                Op::Resend {
                    wanted,
                    done,
                    reply,
                    ..
                },
                Outcome::Moved {
                    messages,
                    next: Some(from),
                },
            ) => self.unfinished.push_back(Op::Resend {
                wanted,
                done: done + messages,
                from,
                reply,
            }),
            (Op::Resend { reply, .. }, Outcome::Resent(resent)) => drop(reply.send(Ok(resent))),
            (Op::Claim { reply, .. }, Outcome::Claim(claim)) => drop(reply.send(Ok(claim))),
            (Op::Retention { wanted, reply }, _) => {
                self.retention = wanted;
                // Who was told reads it back.
                self.publish();
                drop(reply.send(Ok(())));
            }
            (Op::Limits { wanted, reply }, _) => {
                self.limits = wanted;
                drop(reply.send(Ok(())));
            }
            (Op::Settle(reply), _) => drop(reply.send(Ok(()))),
            (
                Op::Unreadable {
                    priority,
                    ranges,
                    why,
                },
                _,
            ) => self.found_unreadable(priority, &ranges, &why),
            (Op::Hold { reason, .. }, _) if reason == kakou_contract::Held::Damaged => {
                self.condition.look_at_damage(&self.db);
            }
            _ => {}
        }
    }

    fn failed(&mut self, op: Op, e: &OutboxError) {
        let now = self.clock.now();
        let folder = self.folder.display();
        match &op {
            Op::Append { messages, .. } => {
                tracing::error!(%folder, messages = messages.len(), "not committed: {e}");
                self.unrecorded.add(messages, &now, &e.to_string());
                self.condition.failed(e, now.wall.timestamp_millis());
            }
            Op::Unreadable {
                priority, ranges, ..
            } => {
                tracing::error!(%folder, %priority, ?ranges, "unreadable messages stay in line: {e}");
                self.condition.damage(e);
            }
            _ => {
                tracing::warn!(%folder, "a request failed: {e}");
                if e.is_damage() {
                    self.condition.damage(e);
                }
            }
        }
        op.refuse(e.clone());
    }

    fn found_unreadable(
        &mut self,
        priority: kakou_contract::Priority,
        ranges: &[[u64; 2]],
        why: &str,
    ) {
        tracing::error!(
            folder = %self.folder.display(), %priority, ?ranges,
            "messages that cannot be read are held, all others go on: {why}; see `kakou outbox verify`"
        );
        self.condition.look_at_damage(&self.db);
        self.publish();
        let list: Vec<_> = ranges.iter().map(|[a, b]| format!("{a} to {b}")).collect();
        let event = AuditEvent::Damage {
            detail: format!("messages {} cannot be read and are held", list.join(", ")),
            // They are not lost yet: a repair may read them.
            ranges: Vec::new(),
        };
        if let Err(e) = self.audit(event) {
            tracing::warn!("the damage was not recorded: {e}");
        }
    }

    fn audit(&mut self, event: AuditEvent) -> Result<(), OutboxError> {
        let now_ms = self.clock.wall_ms();
        let envelope = self.author.audit(event, &self.db.path, now_ms)?;
        self.db.transact(|tx| tx.append(envelope, now_ms))?;
        self.shared.wake([0, 1, 0, 0]);
        Ok(())
    }

    /// The platform learns what it will never get.
    fn report_unrecorded(&mut self) {
        if let Some(event) = self.unrecorded.event()
            && self.audit(event).is_ok()
        {
            self.unrecorded.reported();
        }
    }

    /// Once a second: limits, retention, what another process did, and how it all is. True if there is more to do.
    fn tick(&mut self, give_way: &dyn Fn() -> bool) -> bool {
        let round = self.look_after(give_way);
        let more = match round {
            Ok(round) => {
                if let Some(e) = &round.damage {
                    self.condition.damage(e);
                }
                round.more
            }
            Err(e) => {
                if e.is_damage() {
                    self.condition.damage(&e);
                }
                if e.is_full() {
                    tracing::debug!("upkeep: {e}");
                } else {
                    tracing::warn!("upkeep: {e}");
                }
                false
            }
        };
        self.publish();
        more
    }

    fn look_after(&mut self, give_way: &dyn Fn() -> bool) -> Result<Round, OutboxError> {
        if self.condition.is_blocked() && self.db.transact(|_| Ok(())).is_ok() {
            self.condition.works();
        }
        if self.db.others_wrote()? && self.take_up_revived() {
            self.shared.wake([1; 4]);
        }
        if self.unrecorded.is_quiet(self.clock.mono()) && !self.condition.is_troubled() {
            self.report_unrecorded();
        }
        let (limits, folder) = (self.limits, self.folder.clone());
        let (room, mut round) = self
            .upkeep(give_way)
            .limits(&limits, |db| space(db, &folder))?;
        self.condition.look_at_room(&room, limits.free_disk);
        let mono = self.clock.mono();
        let due = self
            .looked_at_ages
            .is_none_or(|at| mono.saturating_sub(at) >= AGES_EVERY);
        if due && !round.more {
            let ages = self.look_at_ages(give_way)?;
            if !ages.more {
                self.looked_at_ages = Some(mono);
                self.condition.look_at_damage(&self.db);
            }
            round.more |= ages.more;
            round.damage = round.damage.or(ages.damage);
        }
        if !self.reserve.is_there() && room.disk_free > 2 * RESERVE_BYTES {
            // The next tick tries again.
            if let Err(e) = self.reserve.lay() {
                tracing::debug!("the reserve for a full disk cannot be laid: {e}");
            }
        }
        Ok(round)
    }

    fn look_at_ages(&mut self, give_way: &dyn Fn() -> bool) -> Result<Round, OutboxError> {
        let proven_ms = self.look_at_clock();
        let (mono, head) = (self.clock.mono(), self.db.head().sequence);
        let due = self.noted.is_none_or(|(at, last)| {
            let elapsed = mono.saturating_sub(at);
            elapsed >= NOTE_EVERY && (head != last || elapsed >= 10 * NOTE_EVERY)
        });
        let (age, limits, retention) = (self.age, self.limits, self.retention);
        if due {
            self.upkeep(give_way).note_age(&age)?;
            self.noted = Some((mono, head));
        }
        let waited = self.upkeep(give_way).ages(&limits, proven_ms)?;
        if waited.more {
            return Ok(waited);
        }
        let kept = self.upkeep(give_way).retention(&retention, proven_ms)?;
        Ok(Round {
            more: kept.more,
            damage: waited.damage.or(kept.damage),
        })
    }

    fn look_at_clock(&mut self) -> i64 {
        let synchronised = self.clock.status().state == ClockState::Synchronised;
        let now = self.clock.now();
        self.age
            .look(now.mono, now.wall.timestamp_millis(), synchronised)
    }

    fn upkeep<'a>(&'a mut self, give_way: &'a dyn Fn() -> bool) -> Upkeep<'a> {
        Upkeep {
            now_ms: self.clock.wall_ms(),
            db: &mut self.db,
            author: &self.author,
            shared: &self.shared,
            give_way,
        }
    }

    /// What was put back in line behind the reader's back is shown to it. True if there was any.
    fn take_up_revived(&mut self) -> bool {
        let mut any = false;
        loop {
            match self.db.transact(|tx| tx.take_revived(REVIVED)) {
                Ok((found, may_be_more)) => {
                    self.shared.revive(&found);
                    any |= !found.is_empty();
                    if !may_be_more {
                        return any;
                    }
                }
                Err(e) => {
                    tracing::warn!("reading what was put back in line: {e}");
                    return any;
                }
            }
        }
    }

    fn publish(&self) {
        self.shared.stats.send_replace(Stats {
            head: self.db.head(),
            counts: *self.db.counts(),
            space: space(&self.db, &self.folder).unwrap_or_default(),
            state: self.condition.state(),
            oldest_ms: oldest(&self.db),
            unrecorded: self.unrecorded.messages(),
            retention: self.retention,
        });
    }

    /// Carries out what tests ask for, by these limits and this retention; the other requests are left.
    #[cfg(test)]
    fn upkeep_asked_for(&mut self, ops: Vec<Op>) -> Vec<Op> {
        let mut rest = Vec::new();
        for op in ops {
            let Op::Upkeep {
                limits,
                retention,
                reply,
            } = op
            else {
                rest.push(op);
                continue;
            };
            let standing = (self.limits, self.retention);
            (self.limits, self.retention) = (limits, retention);
            let proven_ms = self.look_at_clock();
            let (age, folder) = (self.age, self.folder.clone());
            let mut upkeep = self.upkeep(&|| false);
            let done = upkeep
                .note_age(&age)
                .and_then(|()| upkeep.limits(&limits, |db| space(db, &folder)))
                .and_then(|_| upkeep.ages(&limits, proven_ms))
                .and_then(|_| upkeep.retention(&retention, proven_ms))
                .map(|_| ());
            (self.limits, self.retention) = standing;
            let _ = reply.send(done);
        }
        rest
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

fn secure_delete(db: &Db, on: bool) {
    // Without it deleted pages keep their content until they are used again: better than not recording.
    if let Err(e) = db.conn().pragma_update(None, "secure_delete", on) {
        tracing::warn!("secure_delete: {e}");
    }
}
