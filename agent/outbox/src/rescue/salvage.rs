//! Reading what can still be read of a damaged database.
//!
//! Nothing is written to it. A message counts only if its bytes have the hash that it was committed
//! with; where it was (waiting, held, kept) is believed where it can be read, and a message of
//! which that cannot be read waits: the platform may get it twice, it tells repeats by the id.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ed25519_dalek::VerifyingKey;
use kakou_contract::seal::Sealed;
use kakou_contract::{Held, Priority, Ranges};
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::pages::Pages;
use super::verify::is_signed;
use crate::policy::Counts;
use crate::store::db::{pages, read_head};
use crate::store::{Head, LARGEST_SEQUENCE, tally};

/// So many numbers in a row are looked up one by one where the tree cannot be followed; from there
/// on in growing steps, or the end of a damaged file would never be reached.
const ONE_BY_ONE: u64 = 200_000;

/// A message as its row has it.
pub(super) struct Row {
    pub(super) sequence: u64,
    pub(super) priority: Priority,
    pub(super) keep: usize,
    pub(super) committed: i64,
    pub(super) captured: Option<i64>,
    pub(super) retain: bool,
    pub(super) id: String,
    pub(super) topic: String,
    pub(super) content_type: Option<String>,
    pub(super) properties: String,
    pub(super) correlation: Option<Vec<u8>>,
    pub(super) previous: [u8; 32],
    pub(super) hash: [u8; 32],
    pub(super) payload: Vec<u8>,
}

/// Where a message was.
pub(super) enum Was {
    Waiting,
    Held { reason: Held, why: String, at: i64 },
    Kept,
}

pub(super) struct Source {
    conn: Connection,
    path: PathBuf,
}

impl Source {
    pub(super) fn open(path: &Path) -> rusqlite::Result<Self> {
        let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        conn.busy_timeout(Duration::from_secs(10))?;
        conn.execute_batch("PRAGMA cell_size_check = ON; PRAGMA cache_size = -16384;")?;
        // The first page, with the list of tables, is the one without which nothing is found.
        conn.prepare("SELECT seq, payload FROM message")?;
        conn.prepare("SELECT seq FROM waiting")?;
        Ok(Self {
            conn,
            path: path.to_path_buf(),
        })
    }

    /// The end of the chain, if it is what this key signed.
    pub(super) fn head(&self, key: &VerifyingKey) -> Option<Head> {
        let (head, signature) = read_head(&self.conn).ok()??;
        is_signed(&head, &signature, key).then_some(head)
    }

    /// Ranges of numbers that were deleted, as far as they can be read.
    pub(super) fn gone(&self) -> Ranges {
        let mut all = Ranges::new();
        self.each("SELECT first, last FROM gone ORDER BY first", |r| {
            let (first, last): (u64, u64) = (r.get(0)?, r.get(1)?);
            if first > 0 && last < LARGEST_SEQUENCE {
                all.insert(first, last);
            }
            Ok(())
        });
        all
    }

    /// The largest numbers that the tables beside the messages know.
    pub(super) fn others(&self) -> Vec<u64> {
        let largest = |sql: &str| {
            self.conn
                .query_row(sql, [], |r| r.get::<_, Option<u64>>(0))
                .ok()
                .flatten()
        };
        [
            "SELECT max(seq) FROM message",
            "SELECT max(seq) FROM waiting",
            "SELECT max(seq) FROM held",
            "SELECT max(seq) FROM kept",
        ]
        .into_iter()
        .filter_map(largest)
        .collect()
    }

    /// Given-up messages, for the counters.
    pub(super) fn counts(&self) -> Option<[Counts; 4]> {
        tally::read(&self.conn).ok()
    }

    pub(super) fn settings(&self) -> Vec<(String, String)> {
        let mut all = Vec::new();
        self.each("SELECT key, value FROM setting", |r| {
            all.push((r.get(0)?, r.get(1)?));
            Ok(())
        });
        all
    }

    /// Proven times, and the last message that was committed by then.
    pub(super) fn ages(&self) -> Vec<(i64, u64)> {
        let mut all = Vec::new();
        self.each("SELECT proven, seq FROM age", |r| {
            all.push((r.get(0)?, r.get(1)?));
            Ok(())
        });
        all
    }

    /// Provisional hits without an end.
    pub(super) fn open_hits(&self) -> Vec<(String, Vec<u8>)> {
        let mut all = Vec::new();
        self.each("SELECT id, payload FROM open_hit", |r| {
            all.push((r.get(0)?, r.get(1)?));
            Ok(())
        });
        all
    }

    /// Bytes in use: what a new database takes.
    pub(super) fn used(&self) -> Option<u64> {
        let (size, pages, free) = pages(&self.conn).ok()?;
        Some(pages.saturating_sub(free) * size)
    }

    pub(super) fn commands(&self) -> Vec<(String, i64, Option<u64>)> {
        let mut all = Vec::new();
        self.each("SELECT request, at, answer FROM command", |r| {
            all.push((r.get(0)?, r.get(1)?, r.get(2)?));
            Ok(())
        });
        all
    }

    /// Rows up to the first that cannot be read; one that cannot be understood is passed over.
    fn each(&self, sql: &str, mut take: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<()>) {
        let Ok(mut statement) = self.conn.prepare(sql) else {
            return;
        };
        let Ok(mut rows) = statement.query([]) else {
            return;
        };
        while let Ok(Some(row)) = rows.next() {
            let _ = take(row);
        }
    }

    /// Every message that is whole, by rising numbers. `to` is a number that was surely given.
    pub(super) fn walk<E>(
        &self,
        to: u64,
        mut take: impl FnMut(Row) -> Result<(), E>,
    ) -> Result<(), E> {
        // From the start: a damaged tree may end early without an error.
        let pages = Pages::scan(&self.path)
            .inspect_err(|e| tracing::warn!("{}: {e}", self.path.display()))
            .ok();
        let (mut at, mut errors) = (1, 0_u64);
        while at < LARGEST_SEQUENCE {
            let found = self.next_from(at);
            let on_page = pages.as_ref().and_then(|p| p.next_from(at));
            let n = match (found, on_page) {
                (Ok(Some(n)), on_page) => on_page.map_or(n, |p| p.min(n)),
                (_, Some(p)) if p == at => p,
                (Ok(None), Some(p)) => p,
                (Ok(None), None) if at > to => break,
                (Ok(None) | Err(_), on_page) => {
                    errors += 1;
                    let step = if errors < ONE_BY_ONE {
                        1
                    } else {
                        1 << (errors - ONE_BY_ONE).min(50)
                    };
                    at = on_page.map_or(at + step, |p| p.min(at + step));
                    continue;
                }
            };
            errors = 0;
            // A tree out of order may give a smaller one.
            let n = n.max(at);
            let row = self.row(n).ok().flatten().filter(|row| row.is_whole(n));
            if let Some(row) = row.or_else(|| pages.as_ref()?.row(n).filter(|row| row.is_whole(n)))
            {
                take(row)?;
            }
            at = n + 1;
        }
        Ok(())
    }

    fn next_from(&self, n: u64) -> rusqlite::Result<Option<u64>> {
        self.conn
            .prepare_cached("SELECT seq FROM message WHERE seq >= ? ORDER BY seq LIMIT 1")?
            .query_row([n], |r| r.get(0))
            .optional()
    }

    fn row(&self, n: u64) -> rusqlite::Result<Option<Row>> {
        self.conn
            .prepare_cached(
                "SELECT seq, lane, keep, committed, captured, retain, id, topic, content_type, properties, correlation,
                 previous, hash, payload FROM message WHERE seq = ?",
            )?
            .query_row([n], |r| {
                Ok(Row {
                    sequence: r.get(0)?,
                    // The priority is not under the hash. One that there is not goes out with the
                    // passages.
                    priority: Priority::at(r.get(1)?).unwrap_or(Priority::Passage),
                    keep: r.get(2)?,
                    committed: r.get(3)?,
                    captured: r.get(4)?,
                    retain: r.get(5)?,
                    id: r.get(6)?,
                    topic: r.get(7)?,
                    content_type: r.get(8)?,
                    properties: r.get(9)?,
                    correlation: r.get(10)?,
                    previous: r.get(11)?,
                    hash: r.get(12)?,
                    payload: r.get(13)?,
                })
            })
            .optional()
    }

    pub(super) fn was(&self, row: &Row) -> Was {
        let (priority, n) = (row.priority.index(), row.sequence);
        let is = |sql: &str, params: &[&dyn rusqlite::ToSql]| {
            self.conn
                .prepare_cached(sql)
                .and_then(|mut s| s.exists(params))
                .unwrap_or(false)
        };
        if is(
            "SELECT 1 FROM waiting WHERE lane = ? AND seq = ?",
            params![priority, n],
        ) {
            return Was::Waiting;
        }
        let held: rusqlite::Result<(String, String, i64)> = self
            .conn
            .prepare_cached("SELECT reason, why, at FROM held WHERE seq = ?")
            .and_then(|mut s| s.query_row([n], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?))));
        if let Ok((reason, why, at)) = held
            && let Ok(reason) = reason.parse()
            // It is whole, as has been seen.
            && reason != Held::Damaged
        {
            return Was::Held { reason, why, at };
        }
        let kept = "SELECT 1 FROM kept WHERE keep = ? AND lane = ? AND committed = ? AND seq = ?";
        if is(kept, params![row.keep, priority, row.committed, n]) {
            Was::Kept
        } else {
            Was::Waiting
        }
    }
}

impl Row {
    pub(super) fn is_whole(&self, n: u64) -> bool {
        let sealed = Sealed {
            previous: &self.previous,
            sequence: self.sequence,
            id: &self.id,
            topic: &self.topic,
            content_type: self.content_type.as_deref(),
            payload: &self.payload,
        };
        self.sequence == n
            && sealed.hash() == self.hash
            && serde_json::from_str::<Vec<(String, String)>>(&self.properties).is_ok()
    }
}
