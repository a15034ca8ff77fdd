//! The open database and its transactions: numbering, sealing, and the counters that go with every change.
//!
//! Format and promises, before the code:
//!
//! - A transaction either is on disk as a whole or never was (WAL, `synchronous=FULL`). A message and the pictures that
//!   belong to it are appended in one.
//! - Sequence numbers are given without a gap, from 1. Hash n covers message n and hash n-1; the head row holds the last
//!   number, its hash, and a signature over both. So a row that was changed, taken out or put in shows, and so does a
//!   database that was cut short by anyone without the key.
//! - A message row is in exactly one of `waiting`, `held`, `kept`; a number without a row is in a range of `gone`.
//! - `lane` is changed in the same transaction as what it counts.
//!
//! What this does not do: it does not notice by itself that a whole older copy of the folder, key and all, was put back.
//! The platform does, by sequence numbers that come twice.

use std::path::{Path, PathBuf};

use ed25519_dalek::{Signature, Signer, SigningKey, Verifier, VerifyingKey};
use kakou_contract::seal::{Sealed, digest_numbered, numbered, without_number};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::error::OutboxError;
use super::ready::Ready;
use super::schema;
use kakou_contract::Envelope;
use kakou_contract::Keep;
use kakou_contract::Priority;

/// The database's file in the state folder.
pub(super) const FILE: &str = "outbox.db";

/// Larger payloads are refused: SQLite's own limit is 1 GB, MQTT's is 256 MiB.
pub(super) const LARGEST: usize = 64 << 20;

/// The end of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Head {
    pub sequence: u64,
    pub hash: [u8; 32],
}

impl Head {
    pub(super) fn signed_bytes(&self) -> Vec<u8> {
        let mut bytes = b"kakou-head-v1".to_vec();
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend(self.hash);
        bytes
    }
}

/// How much of one lane is where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    pub waiting: u64,
    pub waiting_bytes: u64,
    pub held: u64,
    pub held_bytes: u64,
    pub kept: u64,
    pub kept_bytes: u64,
    pub evicted: u64,
    pub evicted_bytes: u64,
}

impl Counts {
    pub fn bytes(&self) -> u64 {
        self.waiting_bytes + self.held_bytes + self.kept_bytes
    }
}

pub(super) struct Db {
    conn: Connection,
    pub(super) path: PathBuf,
    key: SigningKey,
    head: Head,
    lanes: [Counts; 4],
}

impl Db {
    /// Opens, creates or upgrades the database in `folder`.
    pub(super) fn open(folder: &Path, key: SigningKey) -> Result<Self, OutboxError> {
        let path = folder.join(FILE);
        let fault = |e: rusqlite::Error| OutboxError::sqlite(&path, &e);
        let mut conn = Connection::open(&path).map_err(fault)?;
        conn.busy_timeout(std::time::Duration::from_secs(10))
            .map_err(fault)?;
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
            lanes: [Counts::default(); 4],
        };
        db.load_head()?;
        db.lanes = read_counts(&db.conn).map_err(fault)?;
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

    pub(super) fn fault(&self, error: &rusqlite::Error) -> OutboxError {
        OutboxError::sqlite(&self.path, error)
    }

    pub(super) fn head(&self) -> Head {
        self.head
    }

    pub(super) fn lanes(&self) -> &[Counts; 4] {
        &self.lanes
    }

    pub(super) fn public_key(&self) -> VerifyingKey {
        self.key.verifying_key()
    }

    pub(super) fn conn(&self) -> &Connection {
        &self.conn
    }

    /// Runs `work` in one transaction. Nothing of it remains, in the file or here, unless all of it is on disk.
    pub(super) fn transact<T>(
        &mut self,
        work: impl FnOnce(&mut Batch<'_>) -> Result<T, OutboxError>,
    ) -> Result<T, OutboxError> {
        let (path, key) = (&self.path, &self.key);
        let fault = |e: rusqlite::Error| OutboxError::sqlite(path, &e);
        let tx = self
            .conn
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(fault)?;
        let mut batch = Batch {
            tx,
            path,
            head: self.head,
            lanes: self.lanes,
        };
        let result = work(&mut batch)?;
        let Batch {
            tx, head, lanes, ..
        } = batch;
        if head != self.head {
            let signature = key.sign(&head.signed_bytes());
            tx.prepare_cached(
                "INSERT OR REPLACE INTO head (one, seq, hash, signature) VALUES (1, ?, ?, ?)",
            )
            .and_then(|mut s| s.execute(params![head.sequence, head.hash, signature.to_bytes()]))
            .map_err(fault)?;
        }
        write_counts(&tx, &self.lanes, &lanes).map_err(fault)?;
        tx.commit().map_err(fault)?;
        self.head = head;
        self.lanes = lanes;
        Ok(result)
    }

    /// Gives unused pages back to the file system.
    pub(super) fn shrink(&self, pages: u32) -> Result<(), OutboxError> {
        let run = || -> rusqlite::Result<()> {
            let mut statement = self
                .conn
                .prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
            let mut rows = statement.query([])?;
            while rows.next()?.is_some() {}
            drop(rows);
            drop(statement);
            self.checkpoint()
        };
        run().map_err(|e| self.fault(&e))
    }

    /// Brings what is in the WAL into the database file, so that the file can shrink and the WAL starts over.
    pub(super) fn checkpoint(&self) -> rusqlite::Result<()> {
        self.conn
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
    }

    /// (bytes in use, bytes of the file that are free for new messages)
    pub(super) fn space(&self) -> Result<(u64, u64), OutboxError> {
        space(&self.conn).map_err(|e| self.fault(&e))
    }

    /// Another process (`kakou outbox requeue`) wrote since the last call.
    pub(super) fn reload_counts(&mut self) -> Result<(), OutboxError> {
        self.lanes = read_counts(&self.conn).map_err(|e| self.fault(&e))?;
        Ok(())
    }

    /// Leaves the database in one file.
    pub(super) fn close(self) -> Result<(), OutboxError> {
        // A reader that is still at it keeps the WAL; nothing is lost by that.
        let _ = self.checkpoint();
        let path = self.path;
        self.conn
            .close()
            .map_err(|(_, e)| OutboxError::sqlite(&path, &e))
    }
}

pub(super) fn space(conn: &Connection) -> rusqlite::Result<(u64, u64)> {
    let get = |what: &str| conn.query_row(&format!("PRAGMA {what}"), [], |r| r.get::<_, u64>(0));
    let (size, pages, free) = (
        get("page_size")?,
        get("page_count")?,
        get("freelist_count")?,
    );
    Ok((pages.saturating_sub(free) * size, free * size))
}

pub(super) fn read_head(conn: &Connection) -> rusqlite::Result<Option<(Head, Vec<u8>)>> {
    conn.query_row("SELECT seq, hash, signature FROM head", [], |r| {
        Ok((
            Head {
                sequence: r.get(0)?,
                hash: r.get(1)?,
            },
            r.get(2)?,
        ))
    })
    .optional()
}

pub(super) fn read_counts(conn: &Connection) -> rusqlite::Result<[Counts; 4]> {
    let mut lanes = [Counts::default(); 4];
    let mut statement = conn.prepare_cached(
        "SELECT lane, waiting, waiting_bytes, held, held_bytes, kept, kept_bytes, evicted, evicted_bytes FROM lane",
    )?;
    let mut rows = statement.query([])?;
    while let Some(r) = rows.next()? {
        let at: usize = r.get(0)?;
        if let Some(counts) = lanes.get_mut(at) {
            *counts = Counts {
                waiting: r.get(1)?,
                waiting_bytes: r.get(2)?,
                held: r.get(3)?,
                held_bytes: r.get(4)?,
                kept: r.get(5)?,
                kept_bytes: r.get(6)?,
                evicted: r.get(7)?,
                evicted_bytes: r.get(8)?,
            };
        }
    }
    Ok(lanes)
}

fn write_counts(
    tx: &Transaction<'_>,
    before: &[Counts; 4],
    after: &[Counts; 4],
) -> rusqlite::Result<()> {
    for (lane, (b, a)) in before
        .iter()
        .zip(after)
        .enumerate()
        .filter(|(_, (b, a))| b != a)
    {
        // Differences, because another process may have moved messages since these were read.
        let d = |b: u64, a: u64| a as i64 - b as i64;
        tx.prepare_cached(
            "UPDATE lane SET waiting = waiting + ?2, waiting_bytes = waiting_bytes + ?3, held = held + ?4,
             held_bytes = held_bytes + ?5, kept = kept + ?6, kept_bytes = kept_bytes + ?7, evicted = evicted + ?8,
             evicted_bytes = evicted_bytes + ?9 WHERE lane = ?1",
        )?
        .execute(params![
            lane,
            d(b.waiting, a.waiting),
            d(b.waiting_bytes, a.waiting_bytes),
            d(b.held, a.held),
            d(b.held_bytes, a.held_bytes),
            d(b.kept, a.kept),
            d(b.kept_bytes, a.kept_bytes),
            d(b.evicted, a.evicted),
            d(b.evicted_bytes, a.evicted_bytes)
        ])?;
    }
    Ok(())
}

/// One open transaction.
pub(super) struct Batch<'a> {
    pub(super) tx: Transaction<'a>,
    path: &'a Path,
    head: Head,
    pub(super) lanes: [Counts; 4],
}

/// What the row of a message says without its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RowInfo {
    pub(super) sequence: u64,
    pub(super) lane: Priority,
    pub(super) keep: Keep,
    pub(super) committed: i64,
    pub(super) size: u64,
}

impl Batch<'_> {
    pub(super) fn fault(&self, e: rusqlite::Error) -> OutboxError {
        OutboxError::sqlite(self.path, &e)
    }

    pub(super) fn damaged(&self, why: impl Into<String>) -> OutboxError {
        OutboxError::Damaged {
            path: self.path.to_path_buf(),
            why: why.into(),
        }
    }

    pub(super) fn head(&self) -> Head {
        self.head
    }

    /// Gives a message of the agent's own the next number and puts it in line.
    pub(super) fn append(&mut self, draft: Envelope, now_ms: i64) -> Result<u64, OutboxError> {
        self.append_all(&[&[Ready::of(draft)?]], now_ms)?;
        Ok(self.head.sequence)
    }

    /// Gives the messages the next numbers, group by group, and puts them in line; the numbers of each group.
    pub(super) fn append_all(
        &mut self,
        groups: &[&[Ready]],
        now_ms: i64,
    ) -> Result<Vec<Vec<u64>>, OutboxError> {
        let (path, tx, before) = (self.path, &self.tx, self.head.sequence);
        let fault = |e: rusqlite::Error| OutboxError::sqlite(path, &e);
        let mut into_message = tx
            .prepare_cached(
                "INSERT INTO message (seq, lane, keep, committed, captured, retain, size, id, topic, content_type,
                 properties, correlation, previous, hash, payload) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            )
            .map_err(fault)?;
        let mut with_number = Vec::new();
        let mut numbers = Vec::with_capacity(groups.len());
        for group in groups {
            numbers.push((self.head.sequence + 1..).take(group.len()).collect());
            for ready in *group {
                let sequence = self.head.sequence + 1;
                let mut payload = &ready.payload[..];
                let mut digest = ready.digest;
                if ready.numbered {
                    with_number.clear();
                    with_number.extend_from_slice(payload);
                    with_number = numbered(with_number, sequence);
                    payload = &with_number;
                } else if without_number(payload, sequence).is_some() {
                    // By chance it ends as if it had been given its number: who checks it will leave that out.
                    digest = digest_numbered(payload, sequence);
                }
                let previous = self.head.hash;
                let sealed = Sealed {
                    previous: &previous,
                    sequence,
                    id: &ready.id,
                    topic: &ready.topic,
                    content_type: ready.content_type.as_deref(),
                    payload,
                };
                let hash = sealed.hash_of(&digest);
                let size = payload.len() as u64;
                into_message
                    .execute(params![
                        sequence,
                        ready.lane.index(),
                        keep_index(ready.keep),
                        now_ms,
                        ready.captured_ms,
                        ready.retain,
                        size,
                        ready.id,
                        ready.topic,
                        ready.content_type,
                        ready.properties,
                        ready.correlation,
                        previous,
                        hash,
                        payload
                    ])
                    .map_err(fault)?;
                self.head = Head { sequence, hash };
                // `index` is below 4 by its definition.
                let counts = &mut self.lanes[ready.lane.index()];
                counts.waiting += 1;
                counts.waiting_bytes += size;
            }
        }
        // All at once: a statement for each would cost as much as half a message.
        tx.prepare_cached(
            "INSERT INTO waiting (lane, seq) SELECT lane, seq FROM message WHERE seq > ?",
        )
        .and_then(|mut s| s.execute([before]))
        .map_err(fault)?;
        Ok(numbers)
    }

    /// For a repair alone, which has no message to end the chain with.
    pub(super) fn set_head(&mut self, head: Head) {
        self.head = head;
    }

    pub(super) fn counts(&mut self, lane: Priority) -> &mut Counts {
        // `index` is below 4 by its definition.
        &mut self.lanes[lane.index()]
    }

    pub(super) fn info(&self, sequence: u64) -> Result<Option<RowInfo>, OutboxError> {
        let read = || {
            self.tx
                .prepare_cached("SELECT lane, keep, committed, size FROM message WHERE seq = ?")?
                .query_row([sequence], |r| {
                    Ok((
                        r.get::<_, usize>(0)?,
                        r.get::<_, usize>(1)?,
                        r.get(2)?,
                        r.get(3)?,
                    ))
                })
                .optional()
        };
        let Some((lane, keep, committed, size)) = read().map_err(|e| self.fault(e))? else {
            return Ok(None);
        };
        let lane = Priority::at(lane)
            .ok_or_else(|| self.damaged(format!("message {sequence} is in lane {lane}")))?;
        Ok(Some(RowInfo {
            sequence,
            lane,
            keep: keep_at(keep),
            committed,
            size,
        }))
    }
}

pub(super) fn keep_index(keep: Keep) -> usize {
    match keep {
        Keep::Passage => 0,
        Keep::Hit => 1,
        Keep::Control => 2,
    }
}

/// An unknown value is kept longest.
pub(super) fn keep_at(index: usize) -> Keep {
    match index {
        0 => Keep::Passage,
        2 => Keep::Control,
        _ => Keep::Hit,
    }
}
