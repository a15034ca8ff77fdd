//! Reading on where a page of the database cannot be read.
//!
//! The messages in line are looked up one by one. Those that cannot be read are named to the
//! writer, which holds them as damaged; all others go out in their order. Where the list of what
//! waits cannot be read itself, a message waits unless it is known to be held or kept: the platform
//! may get it twice, it tells repeats by the id.

use kakou_contract::Priority;
use rusqlite::{OptionalExtension, params};

use super::ops::Op;
use super::reader::{Gathered, Reader, cannot_be_read};
use crate::error::OutboxError;
use crate::store::push_range;

/// Numbers that are looked up at a time.
const SOME: usize = 256;

impl Reader {
    /// Goes on with a priority behind `out.at`, until enough is gathered or nothing is left.
    pub(super) fn fetch_around(
        &mut self,
        priority: Priority,
        out: &mut Gathered,
        why: &OutboxError,
    ) -> Result<(), OutboxError> {
        while !out.is_full() {
            let Some((numbers, at)) = self.next_numbers(priority, out.at)? else {
                break;
            };
            let mut unreadable = Vec::new();
            for sequence in numbers {
                out.at = sequence;
                if self.unreadable.contains(sequence) {
                    continue;
                }
                match self.row(sequence) {
                    Ok(Some(found)) => self.take(found, out),
                    Ok(None) => {}
                    Err(e) if cannot_be_read(&e) => push_range(&mut unreadable, sequence),
                    Err(e) => return Err(e),
                }
                if out.is_full() {
                    break;
                }
            }
            if !out.is_full() {
                out.at = out.at.max(at);
            }
            if !unreadable.is_empty() {
                self.hold_unreadable(priority, unreadable, why);
            }
        }
        Ok(())
    }

    /// Tells the writer. If it cannot take it now, the next fetch comes upon them again.
    pub(super) fn hold_unreadable(
        &mut self,
        priority: Priority,
        ranges: Vec<[u64; 2]>,
        why: &OutboxError,
    ) {
        let Some(writer) = self.writer.upgrade() else {
            return;
        };
        let op = Op::Unreadable {
            priority,
            ranges: ranges.clone(),
            why: why.to_string(),
        };
        if writer.try_send(op).is_ok() {
            for [first, last] in ranges {
                self.unreadable.insert(first, last);
            }
        }
    }

    /// Some of the next numbers in line behind `at`, and up to where that looked; `None` if there
    /// are no more.
    fn next_numbers(
        &self,
        priority: Priority,
        at: u64,
    ) -> Result<Option<(Vec<u64>, u64)>, OutboxError> {
        match self.waiting_numbers(priority, at) {
            Err(e) if cannot_be_read(&e) => self.numbers_by_message(priority, at),
            Err(e) => Err(e),
            Ok(numbers) => Ok(numbers.last().copied().map(|last| (numbers, last))),
        }
    }

    fn waiting_numbers(&self, priority: Priority, at: u64) -> Result<Vec<u64>, OutboxError> {
        let read = || -> rusqlite::Result<Vec<u64>> {
            let mut statement = self.conn.prepare_cached(
                "SELECT seq FROM waiting WHERE lane = ? AND seq > ? ORDER BY seq LIMIT ?",
            )?;
            let rows = statement.query_map(params![priority.index(), at, SOME], |r| r.get(0))?;
            rows.collect()
        };
        read().map_err(|e| self.fault(&e))
    }

    /// By the messages' own rows, where it cannot be read which of them wait.
    fn numbers_by_message(
        &self,
        priority: Priority,
        mut at: u64,
    ) -> Result<Option<(Vec<u64>, u64)>, OutboxError> {
        let last = self
            .conn
            .query_row("SELECT seq FROM head", [], |r| r.get::<_, u64>(0))
            .optional()
            .map_err(|e| self.fault(&e))?
            .unwrap_or(0);
        while at < last {
            let rows = match self.rows_behind(at) {
                // The number after is not readable; the one behind it may be.
                Err(e) if cannot_be_read(&e) => {
                    at += 1;
                    continue;
                }
                rows => rows?,
            };
            let Some((end, _)) = rows.last().copied() else {
                break;
            };
            let found: Vec<u64> = rows
                .into_iter()
                .filter(|(sequence, index)| {
                    *index == priority.index() && !self.is_elsewhere(*sequence)
                })
                .map(|(sequence, _)| sequence)
                .collect();
            if !found.is_empty() {
                return Ok(Some((found, end)));
            }
            at = end;
        }
        Ok(None)
    }

    /// Rows up to the first that cannot be read; an error if that is the first one.
    fn rows_behind(&self, at: u64) -> Result<Vec<(u64, usize)>, OutboxError> {
        let read = || -> rusqlite::Result<Vec<(u64, usize)>> {
            let mut statement = self.conn.prepare_cached(
                "SELECT seq, lane FROM message WHERE seq > ? ORDER BY seq LIMIT ?",
            )?;
            let mut rows = statement.query(params![at, SOME])?;
            let mut found = Vec::new();
            loop {
                match rows.next() {
                    Ok(Some(row)) => found.push((row.get(0)?, row.get(1)?)),
                    Err(e) if found.is_empty() => return Err(e),
                    Ok(None) | Err(_) => return Ok(found),
                }
            }
        };
        read().map_err(|e| self.fault(&e))
    }

    /// Known to be held, or to be kept.
    fn is_elsewhere(&self, sequence: u64) -> bool {
        let is = |sql: &str| {
            self.conn
                .prepare_cached(sql)
                .and_then(|mut s| s.exists([sequence]))
                .unwrap_or(false)
        };
        is("SELECT 1 FROM held WHERE seq = ?")
            || is(
                "SELECT 1 FROM message m JOIN kept k ON k.keep = m.keep AND k.lane = m.lane
                   AND k.committed = m.committed AND k.seq = m.seq WHERE m.seq = ?",
            )
    }
}
