//! From one place to another within a transaction: acknowledged, held, released, sent again, deleted.

use rusqlite::{OptionalExtension, params};

use kakou_contract::{Held, Priority};

use super::db::{Batch, RowInfo, keep_index};
use super::error::OutboxError;
use kakou_contract::Keep;

/// What was deleted at a time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Deleted {
    pub(super) messages: u64,
    pub(super) bytes: u64,
    /// Inclusive, ascending.
    pub(super) ranges: Vec<[u64; 2]>,
}

impl Deleted {
    fn add(&mut self, info: &RowInfo) {
        self.messages += 1;
        self.bytes += info.size;
        push_range(&mut self.ranges, info.sequence);
    }
}

/// Adds a number that is larger than all in `ranges`.
pub(super) fn push_range(ranges: &mut Vec<[u64; 2]>, sequence: u64) {
    match ranges.last_mut() {
        Some([_, last]) if *last + 1 == sequence => *last = sequence,
        _ => ranges.push([sequence, sequence]),
    }
}

/// Where a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Waiting,
    Held,
    Kept,
}

impl Batch<'_> {
    /// The broker has it. False if it was not waiting: acknowledged before, or given up meanwhile.
    pub(super) fn acked(&mut self, sequence: u64) -> Result<bool, OutboxError> {
        let Some(info) = self.info(sequence)? else {
            return Ok(false);
        };
        if !self.leave_waiting(&info)? && !self.leave_held(&info)? {
            return Ok(false);
        }
        self.run(
            "INSERT INTO kept (keep, lane, committed, seq) VALUES (?, ?, ?, ?)",
            params![
                keep_index(info.keep),
                info.lane.index(),
                info.committed,
                sequence
            ],
        )?;
        let counts = self.counts(info.lane);
        counts.kept += 1;
        counts.kept_bytes += info.size;
        Ok(true)
    }

    pub(super) fn hold(
        &mut self,
        sequence: u64,
        reason: Held,
        why: &str,
        now_ms: i64,
    ) -> Result<bool, OutboxError> {
        let Some(info) = self.info(sequence)? else {
            return Ok(false);
        };
        if !self.leave_waiting(&info)? {
            return Ok(false);
        }
        self.run(
            "INSERT INTO held (seq, lane, reason, why, at) VALUES (?, ?, ?, ?, ?)",
            params![sequence, info.lane.index(), reason.as_str(), why, now_ms],
        )?;
        let counts = self.counts(info.lane);
        counts.held += 1;
        counts.held_bytes += info.size;
        Ok(true)
    }

    /// Puts held messages back in line, oldest first. `None`: whatever the reason.
    pub(super) fn release(
        &mut self,
        reason: Option<Held>,
        most: usize,
    ) -> Result<Vec<u64>, OutboxError> {
        let found: Vec<u64> = self.list(
            "SELECT seq FROM held WHERE ?1 IS NULL OR reason = ?1 ORDER BY seq LIMIT ?2",
            params![reason.map(Held::as_str), most],
        )?;
        for sequence in &found {
            if let Some(info) = self.info(*sequence)? {
                self.leave_held(&info)?;
                self.enter_waiting(&info)?;
            } else {
                self.run("DELETE FROM held WHERE seq = ?", [sequence])?;
            }
        }
        Ok(found)
    }

    /// Puts messages that the platform had acknowledged, and held ones, back in line; which ones.
    pub(super) fn resend(
        &mut self,
        first: u64,
        last: u64,
        most: usize,
    ) -> Result<Vec<u64>, OutboxError> {
        let found: Vec<u64> = self.list(
            "SELECT m.seq FROM message m LEFT JOIN waiting w ON w.lane = m.lane AND w.seq = m.seq
             WHERE m.seq BETWEEN ? AND ? AND w.seq IS NULL ORDER BY m.seq LIMIT ?",
            params![first, last, most],
        )?;
        let mut moved = Vec::with_capacity(found.len());
        for sequence in found {
            let Some(info) = self.info(sequence)? else {
                continue;
            };
            if self.leave_kept(&info)? || self.leave_held(&info)? {
                self.enter_waiting(&info)?;
                moved.push(sequence);
            }
        }
        Ok(moved)
    }

    /// Deletes the oldest messages of a lane in one place, at most `most` and only until `enough`
    /// bytes are freed, and only those committed within `times`. What is in line or held counts as evicted: the platform has not got it.
    pub(super) fn delete_oldest(
        &mut self,
        lane: Priority,
        place: Place,
        keep: Option<Keep>,
        times: std::ops::Range<i64>,
        (most, enough): (usize, u64),
    ) -> Result<Deleted, OutboxError> {
        let lane_index = lane.index();
        let mut found: Vec<u64> = match place {
            Place::Waiting => self.list(
                "SELECT seq FROM waiting WHERE lane = ? ORDER BY seq LIMIT ?",
                params![lane_index, most],
            )?,
            Place::Held => self.list(
                "SELECT seq FROM held WHERE lane = ? ORDER BY seq LIMIT ?",
                params![lane_index, most],
            )?,
            Place::Kept => {
                let mut all = Vec::new();
                for keep in keep.map_or(vec![Keep::Passage, Keep::Control, Keep::Hit], |k| vec![k])
                {
                    all.extend(self.list(
                        "SELECT seq FROM kept WHERE keep = ? AND lane = ? AND committed >= ? AND committed < ? ORDER BY committed, seq LIMIT ?",
                        params![keep_index(keep), lane_index, times.start, times.end, most - all.len()],
                    )?);
                }
                all
            }
        };
        // A wall clock that was set back makes the order of commits differ from that of the numbers.
        found.sort_unstable();
        let mut deleted = Deleted::default();
        for sequence in found {
            let Some(info) = self.info(sequence)? else {
                continue;
            };
            if !times.contains(&info.committed) {
                continue;
            }
            if deleted.bytes >= enough {
                break;
            }
            self.delete(&info, place)?;
            deleted.add(&info);
        }
        Ok(deleted)
    }

    fn delete(&mut self, info: &RowInfo, place: Place) -> Result<(), OutboxError> {
        match place {
            Place::Waiting => self.leave_waiting(info)?,
            Place::Held => self.leave_held(info)?,
            Place::Kept => self.leave_kept(info)?,
        };
        self.run("DELETE FROM message WHERE seq = ?", [info.sequence])?;
        self.note_gone(info.sequence, info.sequence)?;
        if place != Place::Kept {
            let counts = self.counts(info.lane);
            counts.evicted += 1;
            counts.evicted_bytes += info.size;
        }
        Ok(())
    }

    /// The numbers `first` to `last` have no row any more; joins ranges that touch.
    pub(super) fn note_gone(&mut self, mut first: u64, mut last: u64) -> Result<(), OutboxError> {
        let before: Option<(u64, u64)> = self.one(
            "SELECT first, last FROM gone WHERE first <= ? ORDER BY first DESC LIMIT 1",
            [first],
        )?;
        if let Some((f, l)) = before
            && l + 1 >= first
        {
            first = f;
            last = last.max(l);
        }
        let after: Option<(u64, u64)> =
            self.one("SELECT first, last FROM gone WHERE first = ?", [last + 1])?;
        if let Some((f, l)) = after {
            last = l;
            self.run("DELETE FROM gone WHERE first = ?", [f])?;
        }
        self.run(
            "INSERT OR REPLACE INTO gone (first, last) VALUES (?, ?)",
            [first, last],
        )
    }

    /// Whether this request is new; from then on it counts as executed.
    pub(super) fn claim(&mut self, request: &str, now_ms: i64) -> Result<Claim, OutboxError> {
        let known: Option<Option<u64>> =
            self.one("SELECT answer FROM command WHERE request = ?", [request])?;
        if let Some(answer) = known {
            return Ok(Claim::Known { answer });
        }
        self.run(
            "INSERT INTO command (request, at) VALUES (?, ?)",
            params![request, now_ms],
        )?;
        Ok(Claim::New)
    }

    pub(super) fn answered(&mut self, request: &str, sequence: u64) -> Result<(), OutboxError> {
        self.run(
            "UPDATE command SET answer = ? WHERE request = ?",
            params![sequence, request],
        )
    }

    fn leave_waiting(&mut self, info: &RowInfo) -> Result<bool, OutboxError> {
        let n = self.changed(
            "DELETE FROM waiting WHERE lane = ? AND seq = ?",
            params![info.lane.index(), info.sequence],
        )?;
        if n > 0 {
            let counts = self.counts(info.lane);
            counts.waiting = counts.waiting.saturating_sub(1);
            counts.waiting_bytes = counts.waiting_bytes.saturating_sub(info.size);
        }
        Ok(n > 0)
    }

    fn enter_waiting(&mut self, info: &RowInfo) -> Result<(), OutboxError> {
        self.run(
            "INSERT OR IGNORE INTO waiting (lane, seq) VALUES (?, ?)",
            params![info.lane.index(), info.sequence],
        )?;
        let counts = self.counts(info.lane);
        counts.waiting += 1;
        counts.waiting_bytes += info.size;
        Ok(())
    }

    fn leave_held(&mut self, info: &RowInfo) -> Result<bool, OutboxError> {
        let n = self.changed("DELETE FROM held WHERE seq = ?", [info.sequence])?;
        if n > 0 {
            let counts = self.counts(info.lane);
            counts.held = counts.held.saturating_sub(1);
            counts.held_bytes = counts.held_bytes.saturating_sub(info.size);
        }
        Ok(n > 0)
    }

    fn leave_kept(&mut self, info: &RowInfo) -> Result<bool, OutboxError> {
        let n = self.changed(
            "DELETE FROM kept WHERE keep = ? AND lane = ? AND committed = ? AND seq = ?",
            params![
                keep_index(info.keep),
                info.lane.index(),
                info.committed,
                info.sequence
            ],
        )?;
        if n > 0 {
            let counts = self.counts(info.lane);
            counts.kept = counts.kept.saturating_sub(1);
            counts.kept_bytes = counts.kept_bytes.saturating_sub(info.size);
        }
        Ok(n > 0)
    }

    pub(super) fn run(&self, sql: &str, params: impl rusqlite::Params) -> Result<(), OutboxError> {
        self.changed(sql, params).map(|_| ())
    }

    fn changed(&self, sql: &str, params: impl rusqlite::Params) -> Result<usize, OutboxError> {
        self.tx
            .prepare_cached(sql)
            .and_then(|mut s| s.execute(params))
            .map_err(|e| self.fault(e))
    }

    fn list(&self, sql: &str, params: impl rusqlite::Params) -> Result<Vec<u64>, OutboxError> {
        let read = || -> rusqlite::Result<Vec<u64>> {
            let mut statement = self.tx.prepare_cached(sql)?;
            let rows = statement.query_map(params, |r| r.get(0))?;
            rows.collect()
        };
        read().map_err(|e| self.fault(e))
    }

    fn one<T: FromRow>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
    ) -> Result<Option<T>, OutboxError> {
        let read = || {
            self.tx
                .prepare_cached(sql)?
                .query_row(params, |r| T::from_row(r))
                .optional()
        };
        read().map_err(|e| self.fault(e))
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

trait FromRow: Sized {
    fn from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self>;
}

impl FromRow for (u64, u64) {
    fn from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok((row.get(0)?, row.get(1)?))
    }
}

impl FromRow for Option<u64> {
    fn from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        row.get(0)
    }
}
