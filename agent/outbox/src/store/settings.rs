//! Texts by name: whose outbox this is, what the platform has set, how old messages provably are.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use super::transaction::Tx;
use crate::error::OutboxError;
use crate::policy::{AgeNote, Retention};

/// `site/agent`.
pub(crate) const AGENT: &str = "agent";
pub(crate) const PUBLIC_KEY: &str = "public_key";
const RETENTION: &str = "retention";
const AGE: &str = "age";

pub(crate) fn read(conn: &Connection, key: &str) -> rusqlite::Result<Option<String>> {
    conn.query_row("SELECT value FROM setting WHERE key = ?", [key], |r| {
        r.get(0)
    })
    .optional()
}

pub(crate) fn write(tx: &Tx<'_>, key: &str, value: &str) -> Result<(), OutboxError> {
    tx.run(
        "INSERT OR REPLACE INTO setting (key, value) VALUES (?, ?)",
        params![key, value],
    )
}

/// What the platform set, which holds over what the config says.
pub(crate) fn retention(conn: &Connection) -> rusqlite::Result<Option<Retention>> {
    Ok(read(conn, RETENTION)?.and_then(|text| {
        let mut all = text
            .split(' ')
            .map(|n| n.parse().ok().map(Duration::from_secs));
        Some(Retention {
            passage: all.next()??,
            hit: all.next()??,
            control: all.next()??,
        })
    }))
}

pub(crate) fn write_retention(tx: &Tx<'_>, r: &Retention) -> Result<(), OutboxError> {
    let text = format!(
        "{} {} {}",
        r.passage.as_secs(),
        r.hit.as_secs(),
        r.control.as_secs()
    );
    write(tx, RETENTION, &text)
}

/// From the next start on the config's holds.
pub(crate) fn forget_retention(tx: &Tx<'_>) -> Result<(), OutboxError> {
    tx.run("DELETE FROM setting WHERE key = ?", [RETENTION])
}

pub(crate) fn age(conn: &Connection) -> rusqlite::Result<AgeNote> {
    let noted = read(conn, AGE)?;
    Ok(noted
        .and_then(|text| AgeNote::from_text(&text))
        .unwrap_or_default())
}

/// Notes the proven time, and that all messages up to `head` were committed by then.
pub(crate) fn write_age(tx: &Tx<'_>, note: AgeNote, head: u64) -> Result<(), OutboxError> {
    write(tx, AGE, &note.to_text())?;
    tx.run(
        "INSERT OR REPLACE INTO age (proven, seq) VALUES (?, ?)",
        params![note.proven_ms, head],
    )?;
    // Marks below the oldest message say nothing any more.
    tx.run(
        "DELETE FROM age WHERE seq < (SELECT min(seq) FROM message)",
        [],
    )
}

/// The last message that was committed at or before this proven time; 0 if none was.
pub(crate) fn committed_by(conn: &Connection, proven_ms: i64) -> rusqlite::Result<u64> {
    conn.prepare_cached("SELECT seq FROM age WHERE proven <= ? ORDER BY proven DESC LIMIT 1")?
        .query_row([proven_ms], |r| r.get(0))
        .optional()
        .map(Option::unwrap_or_default)
}
