//! The thread that reads for the uplink, on a connection of its own: readers and the writer do not wait for each other.
//!
//! What it hands out it has checked against the hash of its commit, and signed. A message whose bytes have changed on
//! the disk is not sent: it is held as damaged.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ed25519_dalek::SigningKey;
use kakou_contract::seal::Sealed;
use kakou_contract::{Held, Priority};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};
use tokio::sync::{mpsc, oneshot};

use super::db::keep_at;
use super::error::OutboxError;
use super::shared::Shared;
use super::writer::Op;
use kakou_contract::{Committed, Cursor, Envelope};

pub(super) enum Ask {
    Fetch {
        after: Cursor,
        lanes: Vec<Priority>,
        messages: usize,
        bytes: usize,
        reply: oneshot::Sender<Result<Vec<Committed>, OutboxError>>,
    },
    Payload {
        sequence: u64,
        reply: oneshot::Sender<Result<Option<Vec<u8>>, OutboxError>>,
    },
}

pub(super) struct Reader {
    conn: Connection,
    path: PathBuf,
    key: SigningKey,
    shared: Arc<Shared>,
    /// Weak: the reader must not keep the writer from ending.
    writer: mpsc::WeakSender<Op>,
}

const COLUMNS: &str =
    "m.seq, m.lane, m.captured, m.retain, m.id, m.topic, m.content_type, m.properties,
    m.correlation, m.previous, m.hash, m.payload, m.keep";

struct Found {
    lane: Option<Priority>,
    properties: String,
    previous: [u8; 32],
    hash: [u8; 32],
    pending: Committed,
}

impl Reader {
    pub(super) fn open(
        path: &Path,
        key: SigningKey,
        shared: Arc<Shared>,
        writer: mpsc::WeakSender<Op>,
    ) -> Result<Self, OutboxError> {
        let fault = |e: rusqlite::Error| OutboxError::sqlite(path, &e);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(path, flags).map_err(fault)?;
        conn.busy_timeout(std::time::Duration::from_secs(10))
            .map_err(fault)?;
        conn.execute_batch("PRAGMA cache_size = -4096; PRAGMA query_only = ON;")
            .map_err(fault)?;
        Ok(Self {
            conn,
            path: path.to_path_buf(),
            key,
            shared,
            writer,
        })
    }

    pub(super) fn run(self, mut asked: mpsc::Receiver<Ask>) {
        while let Some(ask) = asked.blocking_recv() {
            // Who asked may have gone; then nobody wants the answer.
            match ask {
                Ask::Fetch {
                    after,
                    lanes,
                    messages,
                    bytes,
                    reply,
                } => {
                    let _ = reply.send(self.fetch(after, &lanes, messages, bytes));
                }
                Ask::Payload { sequence, reply } => {
                    let found = self
                        .conn
                        .prepare_cached("SELECT payload FROM message WHERE seq = ?")
                        .and_then(|mut s| s.query_row([sequence], |r| r.get(0)).optional());
                    let _ = reply.send(found.map_err(|e| OutboxError::sqlite(&self.path, &e)));
                }
            }
        }
    }

    fn fetch(
        &self,
        after: Cursor,
        lanes: &[Priority],
        most: usize,
        bytes: usize,
    ) -> Result<Vec<Committed>, OutboxError> {
        let mut out = Batch {
            messages: Vec::new(),
            room: bytes,
            most,
        };
        for lane in Priority::ORDER.into_iter().filter(|l| lanes.contains(l)) {
            for sequence in self.shared.take_revived(
                lane,
                after.after(lane),
                most.saturating_sub(out.messages.len()),
            ) {
                let found = self
                    .conn
                    .prepare_cached(&format!(
                        "SELECT {COLUMNS} FROM message m JOIN waiting w ON w.lane = m.lane AND w.seq = m.seq WHERE m.seq = ?"
                    ))
                    .and_then(|mut s| s.query_row([sequence], read_row).optional())
                    .map_err(|e| OutboxError::sqlite(&self.path, &e))?;
                if let Some(found) = found {
                    self.take(found, &mut out);
                }
            }
            if out.is_full() {
                break;
            }
            self.fetch_lane(lane, after.after(lane), &mut out)
                .map_err(|e| OutboxError::sqlite(&self.path, &e))?;
            if out.is_full() {
                break;
            }
        }
        Ok(out.messages)
    }

    fn fetch_lane(&self, lane: Priority, after: u64, out: &mut Batch) -> rusqlite::Result<()> {
        let mut statement = self.conn.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM waiting w JOIN message m ON m.seq = w.seq
             WHERE w.lane = ? AND w.seq > ? ORDER BY w.seq LIMIT ?"
        ))?;
        let left = out.most.saturating_sub(out.messages.len());
        let mut rows = statement.query(params![lane.index(), after, left])?;
        while let Some(row) = rows.next()? {
            self.take(read_row(row)?, out);
            if out.is_full() {
                break;
            }
        }
        Ok(())
    }

    /// Checks, signs and adds one message.
    fn take(&self, found: Found, out: &mut Batch) {
        let Found {
            lane,
            properties,
            previous,
            hash,
            mut pending,
        } = found;
        let sealed = Sealed {
            previous: &previous,
            sequence: pending.sequence,
            id: &pending.envelope.id,
            topic: &pending.envelope.topic,
            content_type: pending.envelope.content_type.as_deref(),
            payload: &pending.envelope.payload,
        };
        let properties: Option<Vec<(String, String)>> = serde_json::from_str(&properties).ok();
        let (Some(lane), Some(properties), true) = (lane, properties, sealed.hash() == hash) else {
            let sequence = pending.sequence;
            tracing::error!(file = %self.path.display(), sequence, "the message's bytes have changed on the disk: held");
            if let Some(writer) = self.writer.upgrade() {
                let why = "its bytes no longer have the hash they were committed with".to_owned();
                // The writer has gone: so has the need.
                let _ = writer.blocking_send(Op::Hold {
                    sequence,
                    reason: Held::Damaged,
                    why,
                });
            }
            return;
        };
        let seal = sealed.seal_of(&self.key, hash);
        pending.envelope.priority = lane;
        pending.envelope.user_properties = properties;
        pending
            .envelope
            .user_properties
            .extend(seal.to_properties());
        out.room = out.room.saturating_sub(pending.envelope.payload.len());
        out.messages.push(pending);
    }
}

struct Batch {
    messages: Vec<Committed>,
    room: usize,
    most: usize,
}

impl Batch {
    fn is_full(&self) -> bool {
        self.room == 0 || self.messages.len() >= self.most
    }
}

fn read_row(r: &Row<'_>) -> rusqlite::Result<Found> {
    Ok(Found {
        lane: Priority::at(r.get(1)?),
        properties: r.get(7)?,
        previous: r.get(9)?,
        hash: r.get(10)?,
        pending: Committed {
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
