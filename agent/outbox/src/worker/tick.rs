//! Once a second: limits, ages, retention, what another process did, and how it all is.

use std::time::Duration;

use kakou_contract::ClockState;

use super::condition::space;
#[cfg(test)]
use super::ops::Op;
use super::shared::Stats;
use super::upkeep::{Round, Upkeep, oldest};
use super::writer::{Writer, secure_delete};
use crate::error::OutboxError;
use crate::policy::Space;
use crate::store::reserve::RESERVE_BYTES;

/// How often the times of retention and age are looked at, at the least.
const AGES_EVERY: Duration = Duration::from_secs(30);
/// How often it is noted how old messages provably are.
const NOTE_EVERY: Duration = Duration::from_secs(60);
/// What was put back in line is read from its table in parts.
const REVIVED: usize = 2000;

impl Writer {
    /// Once a second: limits, retention, what another process did, and how it all is. True if there
    /// is more to do.
    pub(super) fn tick(&mut self, give_way: &dyn Fn() -> bool) -> bool {
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

    pub(super) fn look_after(&mut self, give_way: &dyn Fn() -> bool) -> Result<Round, OutboxError> {
        if self.condition.is_blocked() && self.db.transact(|_| Ok(())).is_ok() {
            self.condition.works();
        }
        if self.db.others_wrote()? && self.take_up_revived() {
            self.shared.wake([1; 4]);
        }
        if self.unrecorded.is_quiet(self.clock.mono()) && !self.condition.is_troubled() {
            self.report_unrecorded();
        }
        let (room, mut round) = self.keep_limits(give_way)?;
        self.condition.look_at_room(&room, self.limits.free_disk);
        let mono = self.clock.mono();
        let due = self
            .looked_at_ages
            .is_none_or(|at| mono.saturating_sub(at) >= self.ages_every());
        if self.to_scrub {
            self.scrub();
        }
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

    /// Gives up what is over the limits; how much room there is then.
    pub(super) fn keep_limits(
        &mut self,
        give_way: &dyn Fn() -> bool,
    ) -> Result<(Space, Round), OutboxError> {
        let (limits, folder) = (self.limits, self.folder.clone());
        let scarce = space(&self.db, &folder)?.disk_free < 2 * RESERVE_BYTES;
        if scarce {
            // What the write-ahead log takes can be used anew; and overwriting what is deleted
            // would need as much room as it frees.
            if let Err(e) = self.db.checkpoint() {
                tracing::debug!("emptying the write-ahead log: {e}");
            }
            secure_delete(&self.db, false);
        }
        let kept = self
            .upkeep(give_way)
            .limits(&limits, |db| space(db, &folder));
        if scarce {
            secure_delete(&self.db, true);
        }
        kept
    }

    pub(super) fn look_at_ages(
        &mut self,
        give_way: &dyn Fn() -> bool,
    ) -> Result<Round, OutboxError> {
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
        self.to_scrub |= kept.deleted;
        if self.to_scrub && !kept.more {
            self.scrub();
        }
        Ok(Round {
            damage: waited.damage.or(kept.damage),
            ..kept
        })
    }

    /// Deleted rows are zeros in the write-ahead log; their old bytes stand in the file and in the
    /// log's older frames until both are brought together. A reader may hold that up: again at the
    /// next tick.
    fn scrub(&mut self) {
        match self.db.checkpoint() {
            Ok(done) => self.to_scrub = !done,
            Err(e) => tracing::debug!("what was deleted is not overwritten yet: {e}"),
        }
    }

    /// How often the ages are looked at: often enough for the shortest time that something is kept.
    fn ages_every(&self) -> Duration {
        let kept = self.retention.each().map(|(_, time)| time);
        let shortest = kept.into_iter().min().unwrap_or(AGES_EVERY);
        (shortest / 6).clamp(Duration::from_secs(1), AGES_EVERY)
    }

    pub(super) fn look_at_clock(&mut self) -> i64 {
        let synchronised = self.clock.status().state == ClockState::Synchronised;
        let now = self.clock.now();
        self.age
            .look(now.mono, now.wall.timestamp_millis(), synchronised)
    }

    pub(super) fn upkeep<'a>(&'a mut self, give_way: &'a dyn Fn() -> bool) -> Upkeep<'a> {
        Upkeep {
            now_ms: self.clock.wall_ms(),
            db: &mut self.db,
            author: &self.author,
            shared: &self.shared,
            give_way,
        }
    }

    /// What was put back in line behind the reader's back is shown to it. True if there was any.
    pub(super) fn take_up_revived(&mut self) -> bool {
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

    pub(super) fn publish(&self) {
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

    /// Carries out what tests ask for, by these limits and this retention; the other requests are
    /// left.
    #[cfg(test)]
    pub(super) fn upkeep_asked_for(&mut self, ops: &mut Vec<Op>) {
        let mut rest = Vec::new();
        for op in std::mem::take(ops) {
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
        *ops = rest;
    }
}
