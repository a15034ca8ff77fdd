//! The open database: its chain's end, its transactions, and how it is closed.
//!
//! Format and promises, before the code:
//!
//! - A transaction either is on disk as a whole or never was (WAL, `synchronous=FULL`). A message
//!   and the pictures that belong to it are appended in one.
//! - Sequence numbers are given without a gap, from 1. Hash n covers message n and hash n-1; the
//!   head row holds the last number, its hash, and a signature over both. So a row that was
//!   changed, taken out or put in shows, and so does a database that was cut short by anyone
//!   without the key.
//! - A message row is in exactly one of `waiting`, `held`, `kept`; a number without a row is in a
//!   range of `gone`.
//! - The counters change in the same transaction as what they count. When another process has
//!   written, they are read again inside the next transaction.
//! - A checkpoint never waits for a reader.
//! - What lies on a page that cannot be read costs itself. SQLite writes nothing more in a
//!   transaction that met such a page; so the transaction is begun anew, and what is known to be
//!   unreadable is not looked at again.
//!
//! What this does not do: it does not notice by itself that a whole older copy of the folder, key
//! and all, was put back. The platform does, by sequence numbers that come twice.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ed25519_dalek::{Signature, Signer, SigningKey, Verifier, VerifyingKey};
use kakou_contract::Ranges;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::moves::Spare;
use super::transaction::{Knows, Met, Tx};
use super::{schema, tally};
use crate::error::OutboxError;
use crate::policy::{Counts, Space};

/// The database's file in the state folder.
pub(crate) const FILE: &str = "outbox.db";

/// How long a transaction waits for one of another process, if nothing else is said.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often a transaction is begun anew because it met a page that cannot be read: each time one
/// page less is left.
const RETRIES: usize = 100;

/// The write-ahead log grows to this in normal service: `journal_size_limit`.
const USUAL_LOG: u64 = 16 << 20;

/// The end of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Head {
    pub sequence: u64,
    pub hash: [u8; 32],
}

impl Head {
    pub(crate) fn signed_bytes(&self) -> Vec<u8> {
        let mut bytes = b"kakou-head-v1".to_vec();
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend(self.hash);
        bytes
    }
}

pub(crate) struct Db {
    conn: Connection,
    pub(crate) path: PathBuf,
    key: SigningKey,
    head: Head,
    counts: [Counts; 4],
    patience: Duration,
    /// SQLite changes it when another connection has committed.
    data_version: i64,
    others_wrote: bool,
    spare: Spare,
    /// Messages on pages that cannot be read.
    unreadable: Ranges,
    /// Something could not be read: no search over many rows any more.
    careful: bool,
}

impl Db {
    /// Opens, creates or upgrades the database in `folder`.
    pub(crate) fn open(folder: &Path, key: SigningKey) -> Result<Self, OutboxError> {
        let path = folder.join(FILE);
        let fault = |e: rusqlite::Error| OutboxError::sqlite(&path, &e);
        // A disk that is read-only says so by SQLite, below.
        if let Err(e) = crate::folder::close_to_others(&path)
            && e.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
        {
            let why = "it is a link; put the database itself there".to_owned();
            return Err(OutboxError::Open { path, why });
        }
        let mut conn = Connection::open(&path).map_err(fault)?;
        conn.busy_timeout(PATIENCE).map_err(fault)?;
        if conn.is_readonly("main").map_err(fault)? {
            let why = "it was opened for writing and is not writable".to_owned();
            return Err(OutboxError::ReadOnly { path, why });
        }
        schema::prepare_writer(&conn).map_err(fault)?;
        let found = schema::version(&conn).map_err(fault)?;
        if found > schema::VERSION {
            return Err(OutboxError::Newer {
                path,
                found,
                known: schema::VERSION,
            });
        }
        schema::upgrade(&mut conn).map_err(fault)?;
        let mut db = Self {
            conn,
            path: path.clone(),
            key,
            head: Head::default(),
            counts: [Counts::default(); 4],
            patience: PATIENCE,
            data_version: 0,
            others_wrote: true,
            spare: Spare::default(),
            unreadable: Ranges::new(),
            careful: false,
        };
        // In one state of the database: a live agent may commit between two statements.
        db.conn.execute_batch("BEGIN").map_err(fault)?;
        let loaded = db.load_head();
        let counts = tally::read(&db.conn);
        db.conn.execute_batch("COMMIT").map_err(fault)?;
        loaded?;
        db.counts = counts.map_err(fault)?;
        Ok(db)
    }

    /// The chain's end must be what this key signed, and what the last row says.
    fn load_head(&mut self) -> Result<(), OutboxError> {
        let damaged = |why: &str| OutboxError::Damaged {
            path: self.path.clone(),
            why: why.to_owned(),
        };
        let head = read_head(&self.conn).map_err(|e| self.fault(&e))?;
        let last: Option<(u64, Vec<u8>)> = self
            .conn
            .query_row(
                "SELECT seq, hash FROM message ORDER BY seq DESC LIMIT 1",
                [],
                |r| Ok((r.get(0)?, r.get(1)?)),
            )
            .optional()
            .map_err(|e| self.fault(&e))?;
        let Some((head, signature)) = head else {
            return match last {
                None => Ok(()),
                Some(_) => Err(damaged("it holds messages but not the end of their chain")),
            };
        };
        let signature = Signature::from_slice(&signature)
            .map_err(|_| damaged("the chain's signature has no form"))?;
        if self
            .key
            .verifying_key()
            .verify(&head.signed_bytes(), &signature)
            .is_err()
        {
            return Err(damaged(
                "the end of the chain was not signed with the key in agent.key",
            ));
        }
        match last {
            Some((sequence, _)) if sequence > head.sequence => Err(damaged(
                "it holds messages after the signed end of the chain",
            )),
            Some((sequence, hash)) if sequence == head.sequence && hash != head.hash => {
                Err(damaged("the last message is not the one that was signed"))
            }
            _ => {
                self.head = head;
                Ok(())
            }
        }
    }

    /// How long a transaction waits from now on for one of another process.
    pub(crate) fn set_patience(&mut self, patience: Duration) -> Result<(), OutboxError> {
        self.patience = patience;
        self.conn.busy_timeout(patience).map_err(|e| self.fault(&e))
    }

    pub(crate) fn fault(&self, error: &rusqlite::Error) -> OutboxError {
        OutboxError::sqlite(&self.path, error)
    }

    pub(crate) fn head(&self) -> Head {
        self.head
    }

    pub(crate) fn counts(&self) -> &[Counts; 4] {
        &self.counts
    }

    pub(crate) fn public_key(&self) -> VerifyingKey {
        self.key.verifying_key()
    }

    pub(crate) fn conn(&self) -> &Connection {
        &self.conn
    }

    /// Runs `work` in one transaction. Nothing of it remains, in the file or here, unless all of it
    /// is on disk. `work` may run more than once.
    pub(crate) fn transact<T>(
        &mut self,
        mut work: impl FnMut(&mut Tx<'_>) -> Result<T, OutboxError>,
    ) -> Result<T, OutboxError> {
        for _ in 0..RETRIES {
            let met = Met::default();
            let result = self.try_to_transact(&mut work, &met);
            let learned = match met.message() {
                Some(sequence) => self.mark_unreadable(sequence),
                None => met.damage() && !std::mem::replace(&mut self.careful, true),
            };
            if !learned {
                return result;
            }
        }
        Err(OutboxError::Damaged {
            path: self.path.clone(),
            why: "too many of its pages cannot be read".to_owned(),
        })
    }

    /// The messages around this one that cannot be read either. False if that was known.
    fn mark_unreadable(&mut self, sequence: u64) -> bool {
        if self.unreadable.contains(sequence) {
            return false;
        }
        let readable = |n: u64| {
            self.conn
                .prepare_cached("SELECT size FROM message WHERE seq = ?")
                .and_then(|mut s| s.query_row([n], |r| r.get::<_, i64>(0)).optional())
                .is_ok()
        };
        let first = (1..=sequence)
            .rev()
            .take_while(|n| *n == sequence || !readable(*n))
            .last();
        let last = (sequence..=self.head.sequence)
            .take_while(|n| *n == sequence || !readable(*n))
            .last();
        self.unreadable
            .insert(first.unwrap_or(sequence), last.unwrap_or(sequence));
        true
    }

    fn try_to_transact<T>(
        &mut self,
        work: &mut impl FnMut(&mut Tx<'_>) -> Result<T, OutboxError>,
        met: &Met,
    ) -> Result<T, OutboxError> {
        let (path, key) = (&self.path, &self.key);
        let fault = |e: rusqlite::Error| OutboxError::sqlite(path, &e);
        let tx = self
            .conn
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(fault)?;
        let version = data_version(&tx).map_err(fault)?;
        if version != self.data_version {
            self.counts = tally::read(&tx).map_err(fault)?;
            self.data_version = version;
            self.others_wrote = true;
            self.spare = Spare::default();
        }
        let knows = Knows {
            path,
            unreadable: &self.unreadable,
            careful: self.careful,
            met,
        };
        let mut tx = Tx::begin(tx, knows, self.head, self.counts, self.spare);
        let result = work(&mut tx)?;
        if met.damage() {
            // Passed over, but nothing can be written in this transaction any more.
            return Err(OutboxError::Damaged {
                path: path.clone(),
                why: "a page of it cannot be read".to_owned(),
            });
        }
        let (tx, head, counts, spare) = tx.into_parts();
        if head != self.head {
            let signature = key.sign(&head.signed_bytes());
            tx.prepare_cached(
                "INSERT OR REPLACE INTO head (one, seq, hash, signature) VALUES (1, ?, ?, ?)",
            )
            .and_then(|mut s| s.execute(params![head.sequence, head.hash, signature.to_bytes()]))
            .map_err(fault)?;
        }
        tally::write(&tx, &self.counts, &counts).map_err(fault)?;
        tx.commit().map_err(fault)?;
        self.head = head;
        self.counts = counts;
        self.spare = spare;
        Ok(result)
    }

    /// Whether another process has written since the last call.
    pub(crate) fn others_wrote(&mut self) -> Result<bool, OutboxError> {
        let version = data_version(&self.conn).map_err(|e| self.fault(&e))?;
        if version != self.data_version {
            self.counts = tally::read(&self.conn).map_err(|e| self.fault(&e))?;
            self.data_version = version;
            self.others_wrote = true;
            self.spare = Spare::default();
        }
        Ok(std::mem::take(&mut self.others_wrote))
    }

    /// Gives unused pages back to the file system, as soon as no reader holds that up.
    pub(crate) fn shrink(&self, pages: u32) -> Result<(), OutboxError> {
        let run = || -> rusqlite::Result<()> {
            let mut statement = self
                .conn
                .prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
            let mut rows = statement.query([])?;
            while rows.next()?.is_some() {}
            Ok(())
        };
        run().map_err(|e| self.fault(&e))?;
        self.checkpoint().map(|_| ())
    }

    /// Brings what is in the write-ahead log into the database file, so that the file can shrink
    /// and the log starts over. Waits for nobody: false if a reader or another writer holds it up.
    pub(crate) fn checkpoint(&self) -> Result<bool, OutboxError> {
        let run = || -> rusqlite::Result<bool> {
            self.conn.busy_timeout(Duration::ZERO)?;
            let done = self
                .conn
                .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |r| {
                    let (busy, in_log, done): (i64, i64, i64) = (r.get(0)?, r.get(1)?, r.get(2)?);
                    Ok(busy == 0 && in_log == done)
                });
            self.conn.busy_timeout(self.patience)?;
            done
        };
        run().map_err(|e| self.fault(&e))
    }

    /// What the database takes, without what the file system says.
    pub(crate) fn space(&self) -> Result<Space, OutboxError> {
        let (size, pages, free) = pages(&self.conn).map_err(|e| self.fault(&e))?;
        let length = |path: &Path| std::fs::metadata(path).map_or(0, |m| m.len());
        let on_disk = length(&self.path) + length(&log_of(&self.path));
        Ok(Space {
            used: pages.saturating_sub(free) * size,
            reusable: free * size,
            returning: on_disk.saturating_sub(pages * size + USUAL_LOG),
            ..Space::default()
        })
    }

    /// A reader that is still at work keeps the log; nothing is lost by that.
    pub(crate) fn close(self) -> Result<(), OutboxError> {
        let checkpoint = self.checkpoint();
        let path = self.path;
        self.conn
            .close()
            .map_err(|(_, e)| OutboxError::sqlite(&path, &e))?;
        checkpoint.map(|_| ())
    }

    /// Leaves everything in the one file, or returns why that cannot be.
    pub(crate) fn close_in_one_file(self) -> Result<(), OutboxError> {
        let done = self.checkpoint()?;
        let path = self.path;
        let busy = |why: &str| OutboxError::Busy {
            path: path.clone(),
            why: why.to_owned(),
        };
        if !done {
            return Err(busy(
                "what is in its write-ahead log cannot be brought into the file",
            ));
        }
        self.conn
            .close()
            .map_err(|(_, e)| OutboxError::sqlite(&path, &e))?;
        match std::fs::metadata(log_of(&path)) {
            Ok(log) if log.len() > 0 => Err(busy("its write-ahead log is still there")),
            _ => Ok(()),
        }
    }
}

/// The write-ahead log of a database.
pub(crate) fn log_of(path: &Path) -> PathBuf {
    PathBuf::from(format!("{}-wal", path.display()))
}

fn data_version(conn: &Connection) -> rusqlite::Result<i64> {
    conn.prepare_cached("PRAGMA data_version")?
        .query_row([], |r| r.get(0))
}

/// Page size, pages, and how many of them are free.
pub(crate) fn pages(conn: &Connection) -> rusqlite::Result<(u64, u64, u64)> {
    let get = |what: &str| conn.query_row(&format!("PRAGMA {what}"), [], |r| r.get::<_, u64>(0));
    Ok((
        get("page_size")?,
        get("page_count")?,
        get("freelist_count")?,
    ))
}

pub(crate) fn read_head(conn: &Connection) -> rusqlite::Result<Option<(Head, Vec<u8>)>> {
    conn.query_row("SELECT seq, hash, signature FROM head", [], |r| {
        let head = Head {
            sequence: r.get(0)?,
            hash: r.get(1)?,
        };
        Ok((head, r.get(2)?))
    })
    .optional()
}
