//! The thread that reads for the uplink, on a connection of its own: readers and the writer do not
//! wait for each other.
//!
//! What it hands out it has checked against the hash of its commit, and signed. A message whose
//! bytes have changed on the disk is not sent: it is held as damaged. Where a page cannot be read,
//! the messages on it are held as damaged and all others go out (`unreadable.rs`).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use kakou_contract::seal::Sealed;
use kakou_contract::{Committed, Cursor, Envelope, Held, Priority, Ranges};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};
use tokio::sync::{mpsc, oneshot};

use super::ops::{Op, Reply};
use super::shared::Shared;
use crate::error::OutboxError;
use crate::store::keep_at;

pub(crate) enum Ask {
    Fetch {
        after: Cursor,
        priorities: Vec<Priority>,
        messages: usize,
        bytes: usize,
        reply: Reply<Vec<Committed>>,
    },
    OpenHits {
        reply: oneshot::Sender<Result<Vec<Vec<u8>>, OutboxError>>,
    },
    Payload {
        sequence: u64,
        reply: oneshot::Sender<Result<Option<Vec<u8>>, OutboxError>>,
    },
    Close,
}

pub(crate) struct Reader {
    pub(super) conn: Connection,
    path: PathBuf,
    key: SigningKey,
    shared: Arc<Shared>,
    /// Weak: the reader must not keep the writer from ending.
    pub(super) writer: mpsc::WeakSender<Op>,
    /// Messages that cannot be read and that the writer has been told of.
    pub(super) unreadable: Ranges,
}

const COLUMNS: &str =
    "m.seq, m.lane, m.captured, m.retain, m.id, m.topic, m.content_type, m.properties,
    m.correlation, m.previous, m.hash, m.payload, m.keep";

/// A row as it was found: not yet checked.
pub(super) struct Found {
    priority: Option<Priority>,
    properties: String,
    previous: [u8; 32],
    hash: [u8; 32],
    committed: Committed,
}

/// What one fetch has gathered so far.
pub(super) struct Gathered {
    messages: Vec<Committed>,
    room: usize,
    most: usize,
    /// The last number that was looked at.
    pub(super) at: u64,
}

impl Gathered {
    pub(super) fn is_full(&self) -> bool {
        self.room == 0 || self.messages.len() >= self.most
    }
}

impl Reader {
    pub(crate) fn open(
        path: &Path,
        key: SigningKey,
        shared: Arc<Shared>,
        writer: mpsc::WeakSender<Op>,
    ) -> Result<Self, OutboxError> {
        let fault = |e: rusqlite::Error| OutboxError::sqlite(path, &e);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(path, flags).map_err(fault)?;
        conn.busy_timeout(Duration::from_secs(10)).map_err(fault)?;
        conn.execute_batch(
            "PRAGMA cache_size = -4096; PRAGMA query_only = ON; PRAGMA cell_size_check = ON;",
        )
        .map_err(fault)?;
        Ok(Self {
            conn,
            path: path.to_path_buf(),
            key,
            shared,
            writer,
            unreadable: Ranges::new(),
        })
    }

    pub(crate) fn run(mut self, mut asked: mpsc::Receiver<Ask>) {
        while let Some(ask) = asked.blocking_recv() {
            // Who asked may have gone; then nobody wants the answer.
            match ask {
                Ask::Fetch {
                    after,
                    priorities,
                    messages,
                    bytes,
                    reply,
                } => {
                    let _ = reply.send(self.fetch(after, &priorities, messages, bytes));
                }
                Ask::Close => break,
                Ask::OpenHits { reply } => {
                    let found = self.open_hits();
                    let _ = reply.send(found.map_err(|e| self.fault(&e)));
                }
                Ask::Payload { sequence, reply } => {
                    let found = self
                        .conn
                        .prepare_cached("SELECT payload FROM message WHERE seq = ?")
                        .and_then(|mut s| s.query_row([sequence], |r| r.get(0)).optional());
                    let _ = reply.send(found.map_err(|e| self.fault(&e)));
                }
            }
        }
    }

    fn open_hits(&self) -> rusqlite::Result<Vec<Vec<u8>>> {
        let mut statement = self
            .conn
            .prepare("SELECT payload FROM open_hit ORDER BY id")?;
        statement.query_map([], |r| r.get(0))?.collect()
    }

    pub(super) fn fault(&self, e: &rusqlite::Error) -> OutboxError {
        OutboxError::sqlite(&self.path, e)
    }

    fn fetch(
        &mut self,
        after: Cursor,
        priorities: &[Priority],
        most: usize,
        bytes: usize,
    ) -> Result<Vec<Committed>, OutboxError> {
        let mut out = Gathered {
            messages: Vec::new(),
            room: bytes,
            most,
            at: 0,
        };
        let wanted = |priority: &Priority| priorities.contains(priority);
        let mut revived = Vec::new();
        for priority in Priority::ORDER.into_iter().filter(wanted) {
            let after = after.after(priority);
            let read = self
                .fetch_revived(priority, after, &mut out, &mut revived)
                .and_then(|()| {
                    out.at = after;
                    self.fetch_in_line(priority, &mut out)
                });
            if let Err(e) = read {
                // Whoever asks again finds them again.
                self.shared.revive(&revived);
                return Err(e);
            }
            if out.is_full() {
                break;
            }
        }
        Ok(out.messages)
    }

    /// What was put back in line behind the reader.
    fn fetch_revived(
        &mut self,
        priority: Priority,
        after: u64,
        out: &mut Gathered,
        taken: &mut Vec<(Priority, u64)>,
    ) -> Result<(), OutboxError> {
        while !out.is_full()
            && let Some(sequence) = self.shared.take_revived(priority, after)
        {
            taken.push((priority, sequence));
            match self.waiting_row(priority, sequence) {
                Ok(Some(found)) => self.take(found, out),
                Ok(None) => {}
                Err(e) if cannot_be_read(&e) => {
                    self.hold_unreadable(priority, vec![[sequence, sequence]], &e);
                }
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    fn fetch_in_line(&mut self, priority: Priority, out: &mut Gathered) -> Result<(), OutboxError> {
        if out.is_full() {
            return Ok(());
        }
        match self.fetch_joined(priority, out) {
            Err(e) if cannot_be_read(&e) => self.fetch_around(priority, out, &e),
            other => other,
        }
    }

    fn fetch_joined(&self, priority: Priority, out: &mut Gathered) -> Result<(), OutboxError> {
        let fault = |e: rusqlite::Error| self.fault(&e);
        let mut statement = self
            .conn
            .prepare_cached(&format!(
                "SELECT {COLUMNS} FROM waiting w JOIN message m ON m.seq = w.seq
                 WHERE w.lane = ? AND w.seq > ? ORDER BY w.seq LIMIT ?"
            ))
            .map_err(fault)?;
        let left = out.most.saturating_sub(out.messages.len());
        let mut rows = statement
            .query(params![priority.index(), out.at, left])
            .map_err(fault)?;
        while let Some(row) = rows.next().map_err(fault)? {
            let found = read_row(row).map_err(fault)?;
            out.at = found.committed.sequence;
            self.take(found, out);
            if out.is_full() {
                break;
            }
        }
        Ok(())
    }

    /// The row of a message, whether it waits or not.
    pub(super) fn row(&self, sequence: u64) -> Result<Option<Found>, OutboxError> {
        self.conn
            .prepare_cached(&format!("SELECT {COLUMNS} FROM message m WHERE m.seq = ?"))
            .and_then(|mut s| s.query_row([sequence], read_row).optional())
            .map_err(|e| self.fault(&e))
    }

    fn waiting_row(&self, priority: Priority, sequence: u64) -> Result<Option<Found>, OutboxError> {
        let waits = self
            .conn
            .prepare_cached("SELECT 1 FROM waiting WHERE lane = ? AND seq = ?")
            .and_then(|mut s| s.exists(params![priority.index(), sequence]))
            .map_err(|e| self.fault(&e))?;
        if waits { self.row(sequence) } else { Ok(None) }
    }

    /// Checks, signs and adds one message.
    pub(super) fn take(&self, found: Found, out: &mut Gathered) {
        let Found {
            priority,
            properties,
            previous,
            hash,
            mut committed,
        } = found;
        let sequence = committed.sequence;
        let envelope = &mut committed.envelope;
        let sealed = Sealed {
            previous: &previous,
            sequence,
            id: &envelope.id,
            topic: &envelope.topic,
            content_type: envelope.content_type.as_deref(),
            payload: &envelope.payload,
        };
        let fits = sealed.hash() == hash;
        let properties: Option<Vec<(String, String)>> = serde_json::from_str(&properties).ok();
        let (Some(priority), Some(properties), true) = (priority, properties, fits) else {
            let why = "its bytes on the disk are not those that were committed".to_owned();
            tracing::error!(
                file = %self.path.display(), sequence,
                "a message was damaged on the disk and is held: {why}"
            );
            // If the writer cannot take it now, the next fetch comes upon it again.
            if let Some(writer) = self.writer.upgrade() {
                let _ = writer.try_send(Op::Hold {
                    sequence,
                    reason: Held::Damaged,
                    why,
                });
            }
            return;
        };
        let seal = sealed.seal_of(&self.key, hash);
        envelope.priority = priority;
        envelope.user_properties = properties;
        envelope.user_properties.extend(seal.to_properties());
        out.room = out.room.saturating_sub(envelope.payload.len());
        out.messages.push(committed);
    }
}

/// A page or a row is unreadable; others may not be.
pub(super) fn cannot_be_read(e: &OutboxError) -> bool {
    e.is_damage() || matches!(e, OutboxError::Io { .. })
}

fn read_row(r: &Row<'_>) -> rusqlite::Result<Found> {
    Ok(Found {
        priority: Priority::at(r.get(1)?),
        properties: r.get(7)?,
        previous: r.get(9)?,
        hash: r.get(10)?,
        committed: Committed {
            sequence: r.get(0)?,
            envelope: Envelope {
                priority: Priority::Picture,
                keep: keep_at(r.get(12)?),
                id: r.get(4)?,
                topic: r.get(5)?,
                content_type: r.get(6)?,
                user_properties: Vec::new(),
                correlation: r.get(8)?,
                retain: r.get(3)?,
                captured_ms: r.get(2)?,
                numbered: false,
                payload: r.get::<_, Vec<u8>>(11)?.into(),
            },
        },
    })
}
