//! What the writer does beside committing: limits, ages, retention, each with a record for the
//! platform. It takes the database and a plain policy; it works in steps of some milliseconds, and
//! gives way to whoever waits.

use std::time::Duration;

use kakou_contract::{AuditEvent, DeletionReason, EvictionReason, Keep, Priority};
use rusqlite::OptionalExtension;

use super::shared::Shared;
use crate::error::OutboxError;
use crate::policy::{
    AgeClock, Counts, OutboxLimits, Retention, Space, Stage, Step, millis, next_step,
};
use crate::store::audit::{Author, time};
use crate::store::{Db, Deleted, LARGEST_SEQUENCE, Oldest, settings};

/// Requests that are remembered at most, the newest.
const REMEMBERED: u32 = 100_000;
/// Commands are known again this long.
const COMMANDS_KNOWN: Duration = Duration::from_secs(30 * 24 * 3600);
/// Messages and bytes that one step gives up: overwriting them takes milliseconds.
const STEP_MESSAGES: usize = 64;
const STEP_BYTES: u64 = 4 << 20;
/// Steps between two looks at how it all is.
const STEPS: usize = 32;
/// Pages that one step gives back to the file system.
const STEP_PAGES: u32 = 512;

/// What there is to work with.
pub(super) struct Upkeep<'a> {
    pub(super) db: &'a mut Db,
    pub(super) author: &'a Author,
    pub(super) shared: &'a Shared,
    pub(super) now_ms: i64,
    /// Whether somebody waits for the writer.
    pub(super) give_way: &'a dyn Fn() -> bool,
}

/// How far a round came.
#[derive(Debug, Default)]
pub(super) struct Round {
    /// There is more to do, and nothing in its way.
    pub(super) more: bool,
    /// What could not be done because rows or pages cannot be read or changed.
    pub(super) damage: Option<OutboxError>,
    /// Something that was kept long enough was deleted.
    pub(super) deleted: bool,
}

impl Upkeep<'_> {
    /// Gives up what is over the limits; how much room there is then.
    pub(super) fn limits(
        &mut self,
        limits: &OutboxLimits,
        space: impl Fn(&Db) -> Result<Space, OutboxError>,
    ) -> Result<(Space, Round), OutboxError> {
        let mut round = Round::default();
        let mut room = space(self.db)?;
        // Where nothing can be given up because of damage; what else there is goes all the same.
        let mut stuck: Vec<(Priority, Stage)> = Vec::new();
        for step in 0.. {
            let Some(next) = next_step(limits, &without(self.db.counts(), &stuck), &room) else {
                break;
            };
            if step >= STEPS || (step > 0 && (self.give_way)()) {
                round.more = true;
                break;
            }
            match next {
                Step::Shrink => {
                    let before = room;
                    self.db.shrink(STEP_PAGES)?;
                    room = space(self.db)?;
                    if room.disk_free <= before.disk_free && room.returning >= before.returning {
                        // A reader holds the checkpoint up. The room comes when it has gone.
                        break;
                    }
                }
                Step::GiveUp {
                    priority,
                    stage,
                    reason,
                    bytes,
                } => {
                    match self.give_up(priority, stage, reason, LARGEST_SEQUENCE, bytes) {
                        Ok(deleted) if deleted.messages > 0 => {}
                        Ok(_) => stuck.push((priority, stage)),
                        Err(e) if e.is_damage() => {
                            stuck.push((priority, stage));
                            round.damage = Some(e);
                        }
                        Err(e) => return Err(e),
                    }
                    room = space(self.db)?;
                }
            }
        }
        Ok((room, round))
    }

    /// Gives up the oldest of a priority at one stage, hits' messages last, in one transaction with
    /// its record.
    pub(super) fn give_up(
        &mut self,
        priority: Priority,
        stage: Stage,
        reason: EvictionReason,
        up_to: u64,
        enough: u64,
    ) -> Result<Deleted, OutboxError> {
        let classes: &[Keep] = match stage {
            Stage::Kept => &[Keep::Passage, Keep::Control, Keep::Hit],
            // Hits' messages and all others.
            Stage::Waiting | Stage::Held => &[Keep::Passage, Keep::Hit],
        };
        let (author, now_ms, path) = (self.author, self.now_ms, self.db.path.clone());
        let deleted = self.db.transact(|tx| {
            for keep in classes {
                let deleted = tx.delete_oldest(Oldest {
                    priority,
                    stage,
                    keep: *keep,
                    up_to,
                    most: STEP_MESSAGES,
                    enough: enough.min(STEP_BYTES),
                })?;
                if deleted.messages == 0 {
                    continue;
                }
                let event = match stage {
                    Stage::Kept => deletion(*keep, DeletionReason::Room, &deleted),
                    Stage::Waiting | Stage::Held => AuditEvent::Eviction {
                        priority,
                        reason,
                        messages: deleted.messages,
                        bytes: deleted.bytes,
                        ranges: deleted.ranges.clone(),
                    },
                };
                tx.append(author.audit(event, &path, now_ms)?, now_ms)?;
                return Ok(deleted);
            }
            Ok(Deleted::default())
        })?;
        if deleted.messages > 0 {
            self.shared.wake([0, 1, 0, 0]);
            if stage != Stage::Kept {
                tracing::error!(
                    %priority, %reason, messages = deleted.messages, bytes = deleted.bytes,
                    "given up before the platform had them"
                );
            }
        }
        Ok(deleted)
    }

    /// Notes the proven time, and that everything there is was committed by now.
    pub(super) fn note_age(&mut self, age: &AgeClock) -> Result<(), OutboxError> {
        let (note, head) = (age.note(), self.db.head().sequence);
        self.db.transact(|tx| settings::write_age(tx, note, head))
    }

    /// Gives up what waited longer than its priority allows.
    pub(super) fn ages(
        &mut self,
        limits: &OutboxLimits,
        proven_ms: i64,
    ) -> Result<Round, OutboxError> {
        let mut round = Round::default();
        let mut steps = 0;
        for priority in Priority::ORDER {
            let up_to = self.older_than(proven_ms, limits.of(priority).age)?;
            if up_to == 0 {
                continue;
            }
            for stage in [Stage::Waiting, Stage::Held] {
                loop {
                    if steps >= STEPS || (steps > 0 && (self.give_way)()) {
                        round.more = true;
                        return Ok(round);
                    }
                    steps += 1;
                    match self.give_up(priority, stage, EvictionReason::Age, up_to, u64::MAX) {
                        Ok(deleted) if deleted.messages > 0 => {}
                        Ok(_) => break,
                        Err(e) if e.is_damage() => {
                            round.damage = Some(e);
                            break;
                        }
                        Err(e) => return Err(e),
                    }
                }
            }
        }
        Ok(round)
    }

    /// Deletes what the platform has and the box has kept long enough.
    pub(super) fn retention(
        &mut self,
        retention: &Retention,
        proven_ms: i64,
    ) -> Result<Round, OutboxError> {
        let mut round = Round::default();
        let mut steps = 0;
        for (keep, time_kept) in retention.each() {
            let up_to = self.older_than(proven_ms, time_kept)?;
            if up_to == 0 {
                continue;
            }
            loop {
                if steps >= STEPS || (steps > 0 && (self.give_way)()) {
                    round.more = true;
                    return Ok(round);
                }
                steps += 1;
                match self.delete_kept(keep, up_to) {
                    Ok(0) => break,
                    Ok(messages) => {
                        round.deleted = true;
                        tracing::info!(%keep, messages, "deleted: kept long enough");
                    }
                    Err(e) if e.is_damage() => {
                        round.damage = Some(e);
                        break;
                    }
                    Err(e) => return Err(e),
                }
            }
        }
        let before = proven_ms.saturating_sub(millis(COMMANDS_KNOWN));
        self.db.transact(|tx| {
            tx.run("DELETE FROM command WHERE at < ?", [before])?;
            // Who floods the agent with requests must not fill the disk.
            tx.run(
                "DELETE FROM command WHERE request IN \
                 (SELECT request FROM command ORDER BY at DESC LIMIT -1 OFFSET ?)",
                [REMEMBERED],
            )
        })?;
        Ok(round)
    }

    fn delete_kept(&mut self, keep: Keep, up_to: u64) -> Result<u64, OutboxError> {
        let (author, now_ms, path) = (self.author, self.now_ms, self.db.path.clone());
        let deleted = self.db.transact(|tx| {
            let mut all = Deleted {
                newest_ms: i64::MIN,
                ..Deleted::default()
            };
            for priority in Priority::ORDER {
                let some = tx.delete_oldest(Oldest {
                    priority,
                    stage: Stage::Kept,
                    keep,
                    up_to,
                    most: STEP_MESSAGES,
                    enough: STEP_BYTES,
                })?;
                if some.messages > 0 {
                    all.messages += some.messages;
                    all.newest_ms = all.newest_ms.max(some.newest_ms);
                    all.ranges.extend(some.ranges);
                }
            }
            all.ranges = joined(all.ranges);
            // The record of a deletion is itself deleted one day; that needs no record, or there
            // would be no end.
            if all.messages > 0 && keep != Keep::Control {
                let event = deletion(keep, DeletionReason::Retention, &all);
                tx.append(author.audit(event, &path, now_ms)?, now_ms)?;
            }
            Ok(all)
        })?;
        if deleted.messages > 0 {
            self.shared.wake([0, 1, 0, 0]);
        }
        Ok(deleted.messages)
    }

    /// The last message that is provably older than this; 0 if none is.
    fn older_than(&self, proven_ms: i64, age: Duration) -> Result<u64, OutboxError> {
        if age.is_zero() {
            return Ok(self.db.head().sequence);
        }
        settings::committed_by(self.db.conn(), proven_ms.saturating_sub(millis(age)))
            .map_err(|e| self.db.fault(&e))
    }
}

fn deletion(keep: Keep, reason: DeletionReason, deleted: &Deleted) -> AuditEvent {
    AuditEvent::Deletion {
        keep,
        reason,
        older_than: time(deleted.newest_ms.saturating_add(1)),
        messages: deleted.messages,
        ranges: deleted.ranges.clone(),
    }
}

fn without(counts: &[Counts; 4], stuck: &[(Priority, Stage)]) -> [Counts; 4] {
    let mut counts = *counts;
    for (priority, stage) in stuck {
        // `index` is below 4 by its definition.
        let of = &mut counts[priority.index()];
        *of = of.without(*stage);
    }
    counts
}

/// Ranges in order, joined where they touch.
fn joined(mut ranges: Vec<[u64; 2]>) -> Vec<[u64; 2]> {
    ranges.sort_unstable();
    let mut out: Vec<[u64; 2]> = Vec::new();
    for [first, last] in ranges {
        match out.last_mut() {
            Some([_, end]) if *end + 1 >= first => *end = last.max(*end),
            _ => out.push([first, last]),
        }
    }
    out
}

/// When the oldest waiting message was committed.
pub(super) fn oldest(db: &Db) -> Option<i64> {
    let of = |priority: Priority| -> rusqlite::Result<Option<i64>> {
        db.conn()
            .prepare_cached(
                "SELECT committed FROM message
                 WHERE seq = (SELECT seq FROM waiting WHERE lane = ? ORDER BY seq LIMIT 1)",
            )?
            .query_row([priority.index()], |r| r.get(0))
            .optional()
    };
    Priority::ORDER
        .into_iter()
        .filter_map(|priority| of(priority).ok().flatten())
        .min()
}
