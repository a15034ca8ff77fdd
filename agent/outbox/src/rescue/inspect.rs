//! A database opened for looking at it. On a live box, the agent goes on meanwhile: no read lasts
//! long, because a long one keeps the write-ahead log from being emptied. Each question reads in
//! transactions of bounded size.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kakou_contract::seal::Sealed;
use kakou_contract::{PublicKey, VerifyingKey};
use kakou_guard::clean_line;
use rusqlite::{Connection, OpenFlags, Row};

use super::repair;
use crate::error::OutboxError;
use crate::folder::in_use;
use crate::policy::Counts;
use crate::store::db::{log_of, pages, read_head};
use crate::store::{FILE, Head, settings, tally};

/// A database opened for reading only.
pub struct Inspection {
    pub(super) conn: Connection,
    pub(super) path: PathBuf,
    pub(super) folder: PathBuf,
}

/// How an outbox is.
#[derive(Debug, Clone)]
pub struct Overview {
    pub path: PathBuf,
    /// `site/agent` it belongs to.
    pub agent: Option<String>,
    pub head: Head,
    pub public_key: Option<PublicKey>,
    /// By `Priority::index`.
    pub counts: [Counts; 4],
    pub oldest_ms: Option<i64>,
    /// Reason, messages, and why the first was set aside.
    pub held: Vec<(String, u64, String)>,
    pub used_bytes: u64,
    pub file_bytes: u64,
    pub disk_free_bytes: Option<u64>,
    /// An agent has it open.
    pub in_use: bool,
}

/// Messages and bytes that are read in one transaction.
pub(super) const SLICE: (usize, usize) = (1000, 16 << 20);

/// A message as its row has it.
pub(super) struct Message {
    pub(super) sequence: u64,
    /// As a priority's index; what is not one is a fault.
    pub(super) priority: usize,
    pub(super) committed: i64,
    pub(super) id: String,
    pub(super) topic: String,
    pub(super) content_type: Option<String>,
    pub(super) properties: String,
    pub(super) previous: [u8; 32],
    pub(super) hash: [u8; 32],
    pub(super) payload: Vec<u8>,
}

pub(super) const COLUMNS: &str =
    "seq, lane, committed, id, topic, content_type, properties, previous, hash, payload";

impl Message {
    pub(super) fn of(r: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            sequence: r.get(0)?,
            priority: r.get(1)?,
            committed: r.get(2)?,
            id: r.get(3)?,
            topic: r.get(4)?,
            content_type: r.get(5)?,
            properties: r.get(6)?,
            previous: r.get(7)?,
            hash: r.get(8)?,
            payload: r.get(9)?,
        })
    }

    pub(super) fn computed_hash(&self) -> [u8; 32] {
        Sealed {
            previous: &self.previous,
            sequence: self.sequence,
            id: &self.id,
            topic: &self.topic,
            content_type: self.content_type.as_deref(),
            payload: &self.payload,
        }
        .hash()
    }
}

impl Inspection {
    pub fn open(folder: &Path) -> Result<Self, OutboxError> {
        let path = existing(folder)?;
        let fault = |e: rusqlite::Error| OutboxError::sqlite(&path, &e);
        let conn = match connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY) {
            // Where nothing can be written, SQLite cannot make the files that it coordinates by.
            // Nobody writes then, and without a write-ahead log everything is in the one file.
            Err(e) if cannot_open(&e) && !log_of(&path).exists() => {
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
                connect(Path::new(&immutable(&path)), flags)
            }
            other => other,
        }
        .map_err(fault)?;
        Ok(Self {
            conn,
            path: path.clone(),
            folder: folder.to_path_buf(),
        })
    }

    pub(super) fn fault(&self, e: &rusqlite::Error) -> OutboxError {
        OutboxError::sqlite(&self.path, e)
    }

    /// Reads one state of the database.
    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let tx = self.conn.unchecked_transaction()?;
        let result = work(&tx);
        tx.finish()?;
        result
    }

    pub fn overview(&self) -> Result<Overview, OutboxError> {
        let read = |conn: &Connection| -> rusqlite::Result<Overview> {
            let (size, pages, free) = pages(conn)?;
            let mut held =
                conn.prepare("SELECT reason, count(*), min(seq), why FROM held GROUP BY reason")?;
            let held = held
                .query_map([], |r| {
                    let text = |column| r.get(column).map(|t: String| clean_line(&t));
                    Ok((text(0)?, r.get(1)?, text(3)?))
                })?
                .collect::<rusqlite::Result<Vec<(String, u64, String)>>>()?;
            let oldest = conn.query_row(
                "SELECT min(committed) FROM message WHERE seq IN
                 (SELECT min(seq) FROM waiting WHERE lane = 0
                  UNION ALL SELECT min(seq) FROM waiting WHERE lane = 1
                  UNION ALL SELECT min(seq) FROM waiting WHERE lane = 2
                  UNION ALL SELECT min(seq) FROM waiting WHERE lane = 3)",
                [],
                |r| r.get(0),
            )?;
            Ok(Overview {
                path: self.path.clone(),
                // Somebody else may have written the file, and it is shown to people.
                agent: settings::read(conn, settings::AGENT)?.map(|a| clean_line(&a)),
                head: read_head(conn)?.map(|(head, _)| head).unwrap_or_default(),
                public_key: public_key(conn)?.map(|k| PublicKey::of(&k)),
                counts: tally::read(conn)?,
                oldest_ms: oldest,
                held,
                used_bytes: pages.saturating_sub(free) * size,
                file_bytes: pages * size,
                disk_free_bytes: rustix::fs::statvfs(&self.folder)
                    .ok()
                    .map(|d| d.f_bavail * d.f_frsize),
                in_use: in_use(&self.folder),
            })
        };
        self.read(read).map_err(|e| self.fault(&e))
    }
}

fn connect(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(Duration::from_secs(10))?;
    conn.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(conn)
}

fn cannot_open(e: &rusqlite::Error) -> bool {
    e.sqlite_error_code() == Some(rusqlite::ErrorCode::CannotOpen)
}

/// As a URI that tells SQLite that nobody changes the file.
fn immutable(path: &Path) -> String {
    let escaped = path
        .display()
        .to_string()
        .replace('%', "%25")
        .replace('?', "%3f")
        .replace('#', "%23");
    format!("file:{escaped}?immutable=1")
}

/// The database of a folder; an error where there is none, or where a repair was interrupted.
pub(super) fn existing(folder: &Path) -> Result<PathBuf, OutboxError> {
    let path = folder.join(FILE);
    let why = if repair::is_unfinished(folder) {
        "a repair of it was interrupted; start the agent, or run `kakou outbox repair` again"
    } else if !path.is_file() {
        "there is no outbox here; name the state folder of the agent by --state"
    } else {
        return Ok(path);
    };
    Err(OutboxError::Open {
        path,
        why: why.to_owned(),
    })
}

/// The key's own file is not readable for everybody; the public half is noted in the database.
pub(super) fn public_key(conn: &Connection) -> rusqlite::Result<Option<VerifyingKey>> {
    let noted = settings::read(conn, settings::PUBLIC_KEY)?;
    Ok(noted.and_then(|base64| {
        PublicKey {
            algorithm: "ed25519".to_owned(),
            base64,
        }
        .key()
        .ok()
    }))
}
