//! From one stage to another within a transaction: acknowledged, held, released, sent again, given
//! up.
//!
//! Everything that may concern many messages works in slices: a request says where it begins, and
//! is told where the next slice does. A row that cannot be read is passed over; whatever stands on
//! other pages moves all the same.

use kakou_contract::{Held, Keep, Priority};
use rusqlite::params;

use super::LARGEST_SEQUENCE;
use super::transaction::{RowInfo, Tx, keep_index};
use crate::error::OutboxError;
use crate::policy::Stage;

/// Rows that are looked at one by one in a search of a damaged database.
const CAREFUL: usize = 5000;

/// What was deleted at a time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Deleted {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    /// Inclusive, ascending.
    pub(crate) ranges: Vec<[u64; 2]>,
    /// The latest commit time among them.
    pub(crate) newest_ms: i64,
}

impl Deleted {
    fn add(&mut self, info: &RowInfo) {
        self.newest_ms = match self.messages {
            0 => info.committed,
            _ => self.newest_ms.max(info.committed),
        };
        self.messages += 1;
        self.bytes += info.size;
        push_range(&mut self.ranges, info.sequence);
    }
}

/// Adds a number that is larger than all in `ranges`.
pub(crate) fn push_range(ranges: &mut Vec<[u64; 2]>, sequence: u64) {
    match ranges.last_mut() {
        Some([_, last]) if *last + 1 == sequence => *last = sequence,
        _ => ranges.push([sequence, sequence]),
    }
}

/// Which messages to delete: the oldest of one priority at one stage.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Oldest {
    pub(crate) priority: Priority,
    pub(crate) stage: Stage,
    /// Only of this class; of what waits or is held: only hits' messages, or only others.
    pub(crate) keep: Keep,
    /// Only up to this number.
    pub(crate) up_to: u64,
    /// At most so many messages.
    pub(crate) most: usize,
    /// And no more once so many bytes are freed.
    pub(crate) enough: u64,
}

/// The part of a long request that has been done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Slice {
    /// What went back in line.
    pub(crate) moved: Vec<u64>,
    /// Where the next slice begins; `None`: all is done.
    pub(crate) next: Option<u64>,
}

/// Below these numbers only hits' messages wait or are held, by priority: so that a search for
/// others need not pass over all of them each time. A hint, kept in memory alone.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Spare([[u64; 2]; 4]);

impl Spare {
    fn of(&mut self, priority: Priority, stage: Stage) -> Option<&mut u64> {
        // `index` is below 4 by its definition.
        let [waiting, held] = &mut self.0[priority.index()];
        match stage {
            Stage::Waiting => Some(waiting),
            Stage::Held => Some(held),
            Stage::Kept => None,
        }
    }

    fn entered(&mut self, priority: Priority, stage: Stage, sequence: u64) {
        if let Some(from) = self.of(priority, stage) {
            *from = sequence.min(*from);
        }
    }
}

impl Tx<'_> {
    /// The broker has it. False if it was not waiting: acknowledged before, or given up meanwhile.
    pub(crate) fn acked(&mut self, sequence: u64) -> Result<bool, OutboxError> {
        let Some(info) = self.info(sequence)? else {
            return Ok(false);
        };
        if !self.leave(&info, Stage::Waiting)? && !self.leave(&info, Stage::Held)? {
            return Ok(false);
        }
        self.run(
            "INSERT INTO kept (keep, lane, committed, seq) VALUES (?, ?, ?, ?)",
            params![
                keep_index(info.keep),
                info.priority.index(),
                info.committed,
                sequence
            ],
        )?;
        self.counts(info.priority).enter(Stage::Kept, info.size);
        Ok(true)
    }

    pub(crate) fn hold(
        &mut self,
        sequence: u64,
        reason: Held,
        why: &str,
        now_ms: i64,
    ) -> Result<bool, OutboxError> {
        let Some(info) = self.info(sequence)? else {
            return Ok(false);
        };
        if !self.leave(&info, Stage::Waiting)? {
            return Ok(false);
        }
        self.note_held(&info, reason, why, now_ms)?;
        Ok(true)
    }

    /// Holds messages as damaged whose rows cannot be read: nothing of them is known but what
    /// `waiting` says. Their bytes count as none.
    pub(crate) fn hold_unreadable(
        &mut self,
        priority: Priority,
        [first, last]: [u64; 2],
        why: &str,
        now_ms: i64,
    ) -> Result<(), OutboxError> {
        let found = self.list(
            "SELECT seq FROM waiting WHERE lane = ? AND seq BETWEEN ? AND ?",
            params![priority.index(), first, last],
        )?;
        for sequence in found {
            let info = RowInfo {
                sequence,
                priority,
                keep: Keep::Hit,
                committed: 0,
                size: 0,
            };
            self.leave(&info, Stage::Waiting)?;
            self.note_held(&info, Held::Damaged, why, now_ms)?;
        }
        Ok(())
    }

    fn note_held(
        &mut self,
        info: &RowInfo,
        reason: Held,
        why: &str,
        now_ms: i64,
    ) -> Result<(), OutboxError> {
        let (sequence, priority) = (info.sequence, info.priority);
        self.run(
            "INSERT INTO held (seq, lane, reason, why, at) VALUES (?, ?, ?, ?, ?)",
            params![sequence, priority.index(), reason.as_str(), why, now_ms],
        )?;
        self.counts(priority).enter(Stage::Held, info.size);
        self.spare.entered(priority, Stage::Held, sequence);
        Ok(())
    }

    /// Puts held messages from a number on back in line, oldest first. `None`: whatever the reason.
    pub(crate) fn release(
        &mut self,
        reason: Option<Held>,
        from: u64,
        most: usize,
    ) -> Result<Slice, OutboxError> {
        let found: Vec<u64> = self.list(
            "SELECT seq FROM held WHERE seq >= ?1 AND (?2 IS NULL OR reason = ?2)
             ORDER BY seq LIMIT ?3",
            params![from, reason.map(Held::as_str), most],
        )?;
        let next = found.last().filter(|_| found.len() == most).map(|n| n + 1);
        let mut moved = Vec::with_capacity(found.len());
        for sequence in found {
            match self.info(sequence) {
                Ok(Some(info)) => {
                    if self.leave(&info, Stage::Held)? {
                        self.enter_waiting(&info)?;
                        moved.push(sequence);
                    }
                }
                Ok(None) => self.run("DELETE FROM held WHERE seq = ?", [sequence])?,
                Err(e) if e.is_damage() => {}
                Err(e) => return Err(e),
            }
        }
        Ok(Slice { moved, next })
    }

    /// Puts messages that the platform had acknowledged, and held ones, back in line; looks at no
    /// more than `most` rows.
    pub(crate) fn resend(
        &mut self,
        first: u64,
        last: u64,
        most: usize,
    ) -> Result<Slice, OutboxError> {
        let last = last.min(self.head().sequence);
        if first > last {
            return Ok(Slice::default());
        }
        let found = if self.is_careful() {
            (first..=last).take(most).collect()
        } else {
            self.list(
                "SELECT seq FROM message WHERE seq BETWEEN ? AND ? ORDER BY seq LIMIT ?",
                params![first, last, most],
            )?
        };
        let next = found
            .last()
            .filter(|n| found.len() == most && **n < last)
            .map(|n| n + 1);
        let mut moved = Vec::with_capacity(found.len());
        for sequence in found {
            match self.info(sequence) {
                Ok(Some(info)) => {
                    if self.leave(&info, Stage::Kept)? || self.leave(&info, Stage::Held)? {
                        self.enter_waiting(&info)?;
                        moved.push(sequence);
                    }
                }
                Ok(None) => {}
                Err(e) if e.is_damage() => {}
                Err(e) => return Err(e),
            }
        }
        Ok(Slice { moved, next })
    }

    /// Notes what was put back in line, for a reader that is past it.
    pub(crate) fn note_revived(&self, all: &[u64]) -> Result<(), OutboxError> {
        all.iter().try_for_each(|sequence| {
            self.run("INSERT OR IGNORE INTO revived (seq) VALUES (?)", [sequence])
        })
    }

    /// Takes at most `most` of what was put back in line out of its table, with their priorities.
    /// Whether there may be more.
    pub(crate) fn take_revived(
        &self,
        most: usize,
    ) -> Result<(Vec<(Priority, u64)>, bool), OutboxError> {
        let numbers = self.list("SELECT seq FROM revived ORDER BY seq LIMIT ?", [most])?;
        let may_be_more = numbers.len() == most;
        let mut found = Vec::with_capacity(numbers.len());
        for sequence in numbers {
            match self.info(sequence) {
                Ok(info) => found.extend(info.map(|info| (info.priority, sequence))),
                Err(e) if e.is_damage() => {}
                Err(e) => return Err(e),
            }
            self.run("DELETE FROM revived WHERE seq = ?", [sequence])?;
        }
        Ok((found, may_be_more))
    }

    /// Numbers of a range that were given and have no message any more.
    pub(crate) fn missing(&self, first: u64, last: u64) -> Result<Vec<[u64; 2]>, OutboxError> {
        let last = last.min(self.head().sequence);
        self.all(
            "SELECT first, last FROM gone WHERE last >= ? AND first <= ? ORDER BY first",
            params![first, last],
            |r| {
                let (from, to): (u64, u64) = (r.get(0)?, r.get(1)?);
                Ok([from.max(first), to.min(last)])
            },
        )
    }

    /// Deletes the oldest messages. What waits or is held counts as evicted: the platform has not
    /// got it.
    pub(crate) fn delete_oldest(&mut self, of: Oldest) -> Result<Deleted, OutboxError> {
        let mut deleted = Deleted::default();
        for sequence in self.find_oldest(of)? {
            if deleted.bytes >= of.enough {
                break;
            }
            match self.info(sequence) {
                Ok(Some(info)) => {
                    self.delete(&info, of.stage)?;
                    deleted.add(&info);
                }
                Ok(None) => {}
                Err(e) if e.is_damage() => {}
                Err(e) => return Err(e),
            }
        }
        Ok(deleted)
    }

    fn find_oldest(&mut self, of: Oldest) -> Result<Vec<u64>, OutboxError> {
        let (index, keep) = (of.priority.index(), keep_index(of.keep));
        let up_to = of.up_to.min(LARGEST_SEQUENCE);
        let sql = match of.stage {
            Stage::Kept => {
                // A wall clock that was set back makes the order of commits differ from that of the
                // numbers.
                let mut found = self.list(
                    "SELECT seq FROM kept WHERE keep = ? AND lane = ? AND seq <= ?
                     ORDER BY committed, seq LIMIT ?",
                    params![keep, index, up_to, of.most],
                )?;
                found.sort_unstable();
                return Ok(found);
            }
            Stage::Waiting => {
                "SELECT s.seq FROM waiting s JOIN message m ON m.seq = s.seq
                 WHERE s.lane = ?1 AND s.seq BETWEEN ?2 AND ?3 AND (m.keep = 1) = ?4
                 ORDER BY s.seq LIMIT ?5"
            }
            Stage::Held => {
                "SELECT s.seq FROM held s JOIN message m ON m.seq = s.seq
                 WHERE s.lane = ?1 AND s.seq BETWEEN ?2 AND ?3 AND (m.keep = 1) = ?4
                 ORDER BY s.seq LIMIT ?5"
            }
        };
        let of_hits = of.keep == Keep::Hit;
        let hint = self.spare.of(of.priority, of.stage).map_or(0, |from| *from);
        let from = if of_hits { 0 } else { hint };
        if self.is_careful() {
            return self.find_oldest_one_by_one(of, up_to);
        }
        let found = self.list(sql, params![index, from, up_to, of_hits, of.most])?;
        let none_below = match found.first() {
            Some(first) => *first,
            None => up_to.min(self.head().sequence) + 1,
        };
        if let Some(from) = self.spare.of(of.priority, of.stage).filter(|_| !of_hits) {
            *from = none_below.max(*from);
        }
        Ok(found)
    }

    /// Some of the oldest, each looked at for itself.
    fn find_oldest_one_by_one(&self, of: Oldest, up_to: u64) -> Result<Vec<u64>, OutboxError> {
        let sql = match of.stage {
            Stage::Held => "SELECT seq FROM held WHERE lane = ? AND seq <= ? ORDER BY seq LIMIT ?",
            _ => "SELECT seq FROM waiting WHERE lane = ? AND seq <= ? ORDER BY seq LIMIT ?",
        };
        let some = self.list(sql, params![of.priority.index(), up_to, CAREFUL])?;
        let of_hits = of.keep == Keep::Hit;
        let mut found = Vec::new();
        for sequence in some {
            match self.info(sequence) {
                Ok(Some(info)) if (info.keep == Keep::Hit) == of_hits => found.push(sequence),
                Ok(_) => {}
                Err(e) if e.is_damage() => {}
                Err(e) => return Err(e),
            }
            if found.len() == of.most {
                break;
            }
        }
        Ok(found)
    }

    fn delete(&mut self, info: &RowInfo, stage: Stage) -> Result<(), OutboxError> {
        self.leave(info, stage)?;
        self.run("DELETE FROM message WHERE seq = ?", [info.sequence])?;
        self.note_gone(info.sequence, info.sequence)?;
        if stage != Stage::Kept {
            let counts = self.counts(info.priority);
            counts.evicted += 1;
            counts.evicted_bytes += info.size;
        }
        Ok(())
    }

    /// The numbers `first` to `last` have no row any more; joins ranges that touch.
    pub(crate) fn note_gone(&mut self, mut first: u64, mut last: u64) -> Result<(), OutboxError> {
        let pair = |r: &rusqlite::Row<'_>| Ok((r.get::<_, u64>(0)?, r.get::<_, u64>(1)?));
        let before = self.one(
            "SELECT first, last FROM gone WHERE first <= ? ORDER BY first DESC LIMIT 1",
            [first],
            pair,
        )?;
        if let Some((from, to)) = before
            && to + 1 >= first
        {
            first = from;
            last = last.max(to);
        }
        let after = self.one(
            "SELECT first, last FROM gone WHERE first = ?",
            [last + 1],
            pair,
        )?;
        if let Some((from, to)) = after {
            last = to;
            self.run("DELETE FROM gone WHERE first = ?", [from])?;
        }
        self.run(
            "INSERT OR REPLACE INTO gone (first, last) VALUES (?, ?)",
            [first, last],
        )
    }

    /// Whether this request is new; from then on it counts as executed.
    pub(crate) fn claim(&mut self, request: &str, now_ms: i64) -> Result<Claim, OutboxError> {
        let known: Option<Option<u64>> = self.one(
            "SELECT answer FROM command WHERE request = ?",
            [request],
            |r| r.get(0),
        )?;
        if let Some(answer) = known {
            return Ok(Claim::Known { answer });
        }
        self.run(
            "INSERT INTO command (request, at) VALUES (?, ?)",
            params![request, now_ms],
        )?;
        Ok(Claim::New)
    }

    /// The first answer stays: what came under the same id later was another request.
    pub(crate) fn answered(&mut self, request: &str, sequence: u64) -> Result<(), OutboxError> {
        self.run(
            "UPDATE command SET answer = ? WHERE request = ? AND answer IS NULL",
            params![sequence, request],
        )
    }

    /// Takes a message from a stage; false if it was not there.
    fn leave(&mut self, info: &RowInfo, stage: Stage) -> Result<bool, OutboxError> {
        let (index, sequence) = (info.priority.index(), info.sequence);
        let n = match stage {
            Stage::Waiting => self.changed(
                "DELETE FROM waiting WHERE lane = ? AND seq = ?",
                params![index, sequence],
            )?,
            Stage::Held => self.changed("DELETE FROM held WHERE seq = ?", [sequence])?,
            Stage::Kept => self.changed(
                "DELETE FROM kept WHERE keep = ? AND lane = ? AND committed = ? AND seq = ?",
                params![keep_index(info.keep), index, info.committed, sequence],
            )?,
        };
        if n > 0 {
            self.counts(info.priority).leave(stage, info.size);
        }
        Ok(n > 0)
    }

    fn enter_waiting(&mut self, info: &RowInfo) -> Result<(), OutboxError> {
        let n = self.changed(
            "INSERT OR IGNORE INTO waiting (lane, seq) VALUES (?, ?)",
            params![info.priority.index(), info.sequence],
        )?;
        if n > 0 {
            self.counts(info.priority).enter(Stage::Waiting, info.size);
        }
        self.spare
            .entered(info.priority, Stage::Waiting, info.sequence);
        Ok(())
    }
}

/// Whether a command was seen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    New,
    /// Executed before; the sequence number of the answer, if one was given.
    Known {
        answer: Option<u64>,
    },
}
