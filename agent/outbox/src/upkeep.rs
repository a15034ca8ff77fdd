//! What the writer does beside committing: limits, ages, retention, each with a record for the platform.

use std::path::Path;
use std::time::{Duration, Instant};

use chrono::{DateTime, FixedOffset};
use kakou_contract::{AuditEvent, DeletionReason, EvictionReason, Id, Keep, Priority};
use rusqlite::{OptionalExtension, params};

use super::db::{Batch, Db};
use super::error::OutboxError;
use super::limits::Retention;
use super::moves::{Deleted, Place};
use super::steady::EARLIEST_MS;
use super::writer::Writer;
use kakou_contract::Envelope;

/// Commands are known again this long.
const COMMANDS_KNOWN: Duration = Duration::from_secs(30 * 24 * 3600);

pub(super) fn time(ms: i64) -> DateTime<FixedOffset> {
    DateTime::from_timestamp_millis(ms)
        .unwrap_or_default()
        .with_timezone(&chrono::Local)
        .fixed_offset()
}

pub(super) fn audit_draft(
    site: &Id,
    agent: &Id,
    event: AuditEvent,
    path: &Path,
    now_ms: i64,
) -> Result<Envelope, OutboxError> {
    Envelope::audit(site, agent, time(now_ms), event).map_err(|e| OutboxError::Io {
        path: path.to_path_buf(),
        why: format!("writing an audit message: {e}"),
    })
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Evict {
    pub(super) lane: Priority,
    pub(super) place: Place,
    pub(super) reason: EvictionReason,
    pub(super) before_ms: Option<i64>,
    /// Messages, and bytes after which it is enough.
    pub(super) most: (usize, u64),
    pub(super) now: i64,
}

/// Gives up the oldest of a lane in one transaction with its record.
pub(super) fn evict(db: &mut Db, site: &Id, agent: &Id, e: Evict) -> Result<Deleted, OutboxError> {
    let path = db.path.clone();
    let deleted = db.transact(|batch| {
        let deleted = batch.delete_oldest(
            e.lane,
            e.place,
            None,
            i64::MIN..e.before_ms.unwrap_or(i64::MAX),
            e.most,
        )?;
        if deleted.messages == 0 {
            return Ok(deleted);
        }
        let event = if e.place == Place::Kept {
            AuditEvent::Deletion {
                keep: if e.lane == Priority::Hit {
                    Keep::Hit
                } else {
                    Keep::Passage
                },
                reason: DeletionReason::Room,
                older_than: time(e.now),
                messages: deleted.messages,
                ranges: deleted.ranges.clone(),
            }
        } else {
            AuditEvent::Eviction {
                priority: e.lane,
                reason: e.reason,
                messages: deleted.messages,
                bytes: deleted.bytes,
                ranges: deleted.ranges.clone(),
            }
        };
        batch.append(audit_draft(site, agent, event, &path, e.now)?, e.now)?;
        Ok(deleted)
    })?;
    if deleted.messages > 0 && e.place != Place::Kept {
        tracing::error!(
            lane = %e.lane, reason = %e.reason, messages = deleted.messages, bytes = deleted.bytes,
            "given up before the platform had them"
        );
    }
    Ok(deleted)
}

/// Whether the wall clock is fit to delete by: one that is wrong by years would make everything old.
pub(super) fn clock_is_right(w: &mut Writer) -> Result<bool, OutboxError> {
    let newest =
        w.db.conn()
            .prepare_cached("SELECT committed FROM message ORDER BY seq DESC LIMIT 1");
    let newest = newest
        .and_then(|mut s| s.query_row([], |r| r.get(0)).optional())
        .map_err(|e| w.db.fault(&e))?;
    let steady = w.steady.look(Instant::now(), (w.wall_ms)(), newest);
    Ok((w.clock_trusted)() && steady)
}

/// Messages that were committed while the clock was not set have no age. They count as committed when it was first seen to
/// be right; that time is noted. The smallest commit time that a deletion `before_ms` takes.
fn from_ms(w: &mut Writer, before_ms: i64) -> Result<i64, OutboxError> {
    let read = |db: &Db| -> rusqlite::Result<Option<u64>> {
        db.conn()
            .prepare_cached(
                "SELECT max(seq) FROM kept WHERE keep = ? AND lane = ? AND committed < ?",
            )
            .and_then(|mut s| {
                let mut last = None;
                for (keep, lane) in
                    (0..3).flat_map(|keep| Priority::ORDER.map(|lane| (keep, lane.index())))
                {
                    last = last.max(s.query_row(params![keep, lane, EARLIEST_MS], |r| {
                        r.get::<_, Option<u64>>(0)
                    })?);
                }
                Ok(last)
            })
    };
    let Some(last) = read(&w.db).map_err(|e| w.db.fault(&e))? else {
        return Ok(EARLIEST_MS);
    };
    let noted = setting(&w.db, UNDATED_KEY).map_err(|e| w.db.fault(&e))?;
    let noted = noted.and_then(|t| {
        t.split_once(' ')
            .and_then(|(n, at)| Some((n.parse().ok()?, at.parse().ok()?)))
    });
    match noted {
        Some((to, at)) if last <= to => {
            let at: i64 = at;
            Ok(if at < before_ms {
                i64::MIN
            } else {
                EARLIEST_MS
            })
        }
        _ => {
            let text = format!("{last} {}", (w.wall_ms)());
            w.db.transact(|batch| {
                batch.run(
                    "INSERT OR REPLACE INTO setting (key, value) VALUES (?, ?)",
                    params![UNDATED_KEY, text],
                )
            })?;
            Ok(EARLIEST_MS)
        }
    }
}

/// Gives up what waited longer than its lane allows. True if there is more.
pub(super) fn ages(w: &mut Writer, until: Instant) -> Result<bool, OutboxError> {
    let now = (w.wall_ms)();
    for lane in Priority::ORDER {
        let Some(limit) = w.limits.lanes.get(lane.index()) else {
            continue;
        };
        let before_ms = now - millis(limit.age);
        for place in [Place::Waiting, Place::Held] {
            loop {
                let oldest = oldest_of(&w.db, lane, place).map_err(|e| w.db.fault(&e))?;
                if !oldest.is_some_and(|at| (EARLIEST_MS..before_ms).contains(&at)) {
                    break;
                }
                let step = Evict {
                    lane,
                    place,
                    reason: EvictionReason::Age,
                    before_ms: Some(before_ms),
                    most: (64, u64::MAX),
                    now,
                };
                if evict(&mut w.db, &w.site, &w.agent, step)?.messages == 0 {
                    break;
                }
                w.wake([0, 1, 0, 0]);
                if Instant::now() >= until {
                    return Ok(true);
                }
            }
        }
    }
    Ok(false)
}

/// Deletes what the platform has and the box has kept long enough. True if there is more.
pub(super) fn retention(w: &mut Writer, until: Instant) -> Result<bool, OutboxError> {
    let now = (w.wall_ms)();
    let path = w.db.path.clone();
    let keeps = [
        (Keep::Passage, w.retention.passage),
        (Keep::Hit, w.retention.hit),
        (Keep::Control, w.retention.control),
    ];
    for (keep, time_kept) in keeps {
        let before_ms = now - millis(time_kept);
        let from_ms = from_ms(w, before_ms)?;
        loop {
            let (site, agent) = (&w.site, &w.agent);
            let deleted = w.db.transact(|batch| {
                let mut all = Deleted::default();
                let mut numbers = Vec::new();
                for lane in Priority::ORDER {
                    let some = batch.delete_oldest(
                        lane,
                        Place::Kept,
                        Some(keep),
                        from_ms..before_ms,
                        (64, u64::MAX),
                    )?;
                    all.messages += some.messages;
                    all.bytes += some.bytes;
                    numbers.extend(some.ranges);
                }
                all.ranges = joined(numbers);
                // The record of a deletion is itself deleted one day; that needs no record, or there would be no end.
                if all.messages > 0 && keep != Keep::Control {
                    let event = AuditEvent::Deletion {
                        keep,
                        reason: DeletionReason::Retention,
                        older_than: time(before_ms),
                        messages: all.messages,
                        ranges: all.ranges.clone(),
                    };
                    batch.append(audit_draft(site, agent, event, &path, now)?, now)?;
                }
                Ok(all)
            })?;
            if deleted.messages == 0 {
                break;
            }
            tracing::info!(%keep, messages = deleted.messages, "deleted: kept long enough");
            w.wake([0, 1, 0, 0]);
            if Instant::now() >= until {
                return Ok(true);
            }
        }
    }
    let before = now - millis(COMMANDS_KNOWN);
    w.db.transact(|batch| batch.run("DELETE FROM command WHERE at < ?", [before]))?;
    Ok(false)
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

fn millis(d: Duration) -> i64 {
    i64::try_from(d.as_millis()).unwrap_or(i64::MAX >> 1)
}

fn oldest_of(db: &Db, lane: Priority, place: Place) -> rusqlite::Result<Option<i64>> {
    let sql = match place {
        Place::Held => {
            "SELECT committed FROM message WHERE seq = (SELECT seq FROM held WHERE lane = ? ORDER BY seq LIMIT 1)"
        }
        _ => {
            "SELECT committed FROM message WHERE seq = (SELECT seq FROM waiting WHERE lane = ? ORDER BY seq LIMIT 1)"
        }
    };
    db.conn()
        .prepare_cached(sql)?
        .query_row([lane.index()], |r| r.get(0))
        .optional()
}

/// When the oldest waiting message was committed.
pub(super) fn oldest(db: &Db) -> Option<i64> {
    Priority::ORDER
        .into_iter()
        .filter_map(|lane| oldest_of(db, lane, Place::Waiting).ok().flatten())
        .min()
}

pub(super) fn secure_delete(db: &Db, on: bool) {
    // Without it deleted pages keep their content until they are used again: better than not recording.
    if let Err(e) = db.conn().pragma_update(None, "secure_delete", on) {
        tracing::warn!("secure_delete: {e}");
    }
}

pub(super) fn note_revived(batch: &Batch<'_>, all: &[u64]) -> Result<(), OutboxError> {
    for sequence in all {
        batch.run("INSERT OR IGNORE INTO revived (seq) VALUES (?)", [sequence])?;
    }
    Ok(())
}

/// Takes what was put back in line out of its table, with its lanes.
pub(super) fn take_revived(db: &mut Db) -> Result<Vec<(usize, u64)>, OutboxError> {
    let read = || -> rusqlite::Result<Vec<(usize, u64)>> {
        let mut statement = db.conn().prepare_cached(
            "SELECT m.lane, r.seq FROM revived r JOIN message m ON m.seq = r.seq",
        )?;
        let rows = statement.query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?;
        rows.collect()
    };
    let found = read().map_err(|e| db.fault(&e))?;
    if !found.is_empty() {
        db.transact(|batch| batch.run("DELETE FROM revived", []))?;
    }
    Ok(found)
}

/// Numbers of a range that were given and have no message any more.
pub(super) fn missing(
    batch: &Batch<'_>,
    first: u64,
    last: u64,
) -> Result<Vec<[u64; 2]>, OutboxError> {
    let last = last.min(batch.head().sequence);
    let read = || -> rusqlite::Result<Vec<[u64; 2]>> {
        let mut statement = batch.tx.prepare_cached(
            "SELECT first, last FROM gone WHERE last >= ? AND first <= ? ORDER BY first",
        )?;
        let rows = statement.query_map(params![first, last], |r| {
            let (f, l): (u64, u64) = (r.get(0)?, r.get(1)?);
            Ok([f.max(first), l.min(last)])
        })?;
        rows.collect()
    };
    read().map_err(|e| batch.fault(e))
}

const RETENTION_KEY: &str = "retention";
/// The last message that was committed while the clock was not set, and when that was found out.
const UNDATED_KEY: &str = "undated";

pub(super) fn store_retention(batch: &Batch<'_>, r: &Retention) -> Result<(), OutboxError> {
    let text = format!(
        "{} {} {}",
        r.passage.as_secs(),
        r.hit.as_secs(),
        r.control.as_secs()
    );
    batch.run(
        "INSERT OR REPLACE INTO setting (key, value) VALUES (?, ?)",
        params![RETENTION_KEY, text],
    )
}

/// What the platform set, which holds over what the config says.
pub(super) fn stored_retention(db: &Db) -> rusqlite::Result<Option<Retention>> {
    let text: Option<String> = setting(db, RETENTION_KEY)?;
    Ok(text.and_then(|t| {
        let mut all = t
            .split(' ')
            .map(|n| n.parse().ok().map(Duration::from_secs));
        Some(Retention {
            passage: all.next()??,
            hit: all.next()??,
            control: all.next()??,
        })
    }))
}

pub(super) fn setting(db: &Db, key: &str) -> rusqlite::Result<Option<String>> {
    db.conn()
        .query_row("SELECT value FROM setting WHERE key = ?", [key], |r| {
            r.get(0)
        })
        .optional()
}
