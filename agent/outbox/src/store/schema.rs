//! The database's shape, its versions, and how an older one is brought up to date.
//!
//! | table | a row is |
//! | --- | --- |
//! | `message` | a committed message; never changed, only deleted |
//! | `waiting` | a message in line for the platform |
//! | `held` | a message set aside, with the reason |
//! | `kept` | a message the platform has, kept for a while |
//! | `gone` | a range of sequence numbers deleted on purpose or lost to damage |
//! | `lane` | how many messages, and how many bytes, of each priority stand where; so that nothing has to be counted |
//! | `head` | the last sequence number given, its hash, and the signature over both |
//! | `revived` | put back in line by another process; a live agent takes it up within a second |
//! | `command` | a command that was executed, and the proven time: it is not executed again |
//! | `age` | proven time (see `policy/age.rs`), and the last message that was committed by then |
//! | `open_hit` | a provisional hit whose end is not committed yet |
//! | `setting` | who this outbox belongs to, its public key, what the platform has set |
//!
//! The columns named `lane` hold a priority: its `Priority::index`.

use rusqlite::Connection;

/// `PRAGMA user_version` of a database that this program writes.
pub(crate) const VERSION: i64 = 4;

/// Each entry brings the schema from its index to the next version.
const STEPS: [&str; VERSION as usize] = [
    // As version 1 made it; boxes have it, so it is never changed.
    include_str!("schema_v1.sql"),
    // The oldest held message of a priority, and limits that give held ones up, without going
    // through all that is held.
    "CREATE INDEX held_by_lane ON held (lane, seq);",
    // What is there already counts as committed, or executed, at the upgrade: its wall times prove
    // nothing.
    "CREATE TABLE age (proven INTEGER PRIMARY KEY, seq INTEGER NOT NULL) STRICT;
     UPDATE command SET at = 0;
     DELETE FROM setting WHERE key = 'undated';",
    // What an agent that ended abruptly has to end at its next start.
    "CREATE TABLE open_hit (id TEXT PRIMARY KEY, payload BLOB NOT NULL) STRICT, WITHOUT ROWID;",
];

/// Before the first table: these can not be changed later without rewriting the file.
///
/// Pages of 8 KiB: a picture of 100 KiB takes 13 instead of 26 of them. Incremental vacuum, so that
/// room that evictions made can be given back to the file system when something else fills the
/// disk.
const AT_CREATION: &str = "PRAGMA page_size = 8192; PRAGMA auto_vacuum = INCREMENTAL;";

/// For every connection. WAL with FULL waits for the disk at each commit: committed means on disk.
/// Deleted records are overwritten with zeros: what the law wants deleted must not be readable in
/// the file.
const WRITER: &str =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;
PRAGMA journal_size_limit = 16777216; PRAGMA wal_autocheckpoint = 1000; PRAGMA cache_size = -8192;
PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = OFF; PRAGMA cell_size_check = ON;";

pub(crate) fn prepare_writer(conn: &Connection) -> rusqlite::Result<()> {
    conn.set_prepared_statement_cache_capacity(64);
    let pages: i64 = conn.query_row("PRAGMA page_count", [], |r| r.get(0))?;
    if pages == 0 {
        conn.execute_batch(AT_CREATION)?;
    }
    conn.execute_batch(WRITER)
}

pub(crate) fn version(conn: &Connection) -> rusqlite::Result<i64> {
    conn.query_row("PRAGMA user_version", [], |r| r.get(0))
}

/// Brings a database of any known version up to date; all of it or nothing.
pub(crate) fn upgrade(conn: &mut Connection) -> rusqlite::Result<()> {
    let from = version(conn)?;
    for (at, step) in STEPS.iter().enumerate() {
        let (at, next) = (at as i64, at as i64 + 1);
        if at < from {
            continue;
        }
        let tx = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        tx.execute_batch(step)?;
        tx.pragma_update(None, "user_version", next)?;
        tx.commit()?;
        tracing::info!(from = at, to = next, "outbox schema brought up to date");
    }
    Ok(())
}
