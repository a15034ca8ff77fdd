//! One open transaction: numbering and sealing what is appended, and looking up what is there.

use std::cell::Cell;
use std::path::Path;

use kakou_contract::seal::{Sealed, digest, digest_numbered, numbered, without_number};
use kakou_contract::{Envelope, HitState, Keep, Priority, Ranges};
use rusqlite::{OptionalExtension, Transaction, params};

use super::db::Head;
use super::moves::Spare;
use super::{LARGEST_PAYLOAD, LARGEST_SEQUENCE};
use crate::error::OutboxError;
use crate::policy::{Counts, Stage};

/// An envelope with the work done that needs no number. Whoever appends does this in a thread of
/// its own, while the writer waits for the disk: the writer is one for all.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) envelope: Envelope,
    /// The user properties as JSON.
    properties: String,
    /// Of the payload without its number.
    digest: [u8; 32],
}

impl Ready {
    pub(crate) fn of(envelope: Envelope) -> Result<Self, OutboxError> {
        let (size, limit) = (envelope.payload.len(), LARGEST_PAYLOAD);
        if size > limit {
            return Err(OutboxError::TooLarge {
                topic: envelope.topic,
                size,
                limit,
            });
        }
        let properties = match serde_json::to_string(&envelope.user_properties) {
            Ok(properties) => properties,
            Err(e) => {
                return Err(OutboxError::Envelope {
                    topic: envelope.topic,
                    why: e.to_string(),
                });
            }
        };
        Ok(Self {
            digest: digest(&envelope.payload),
            properties,
            envelope,
        })
    }

    pub(crate) fn all(envelopes: Vec<Envelope>) -> Result<Vec<Self>, OutboxError> {
        envelopes.into_iter().map(Self::of).collect()
    }

    pub(crate) fn size(&self) -> usize {
        self.envelope.payload.len()
    }
}

/// What a transaction met that cannot be read.
#[derive(Debug, Default)]
pub(super) struct Met {
    message: Cell<Option<u64>>,
    damage: Cell<bool>,
}

impl Met {
    /// A message whose row cannot be read.
    pub(super) fn message(&self) -> Option<u64> {
        self.message.get()
    }

    pub(super) fn damage(&self) -> bool {
        self.damage.get()
    }
}

/// What a transaction knows from outside.
pub(super) struct Knows<'a> {
    pub(super) path: &'a Path,
    pub(super) unreadable: &'a Ranges,
    pub(super) careful: bool,
    pub(super) met: &'a Met,
}

/// One open transaction.
pub(crate) struct Tx<'a> {
    pub(super) tx: Transaction<'a>,
    knows: Knows<'a>,
    head: Head,
    pub(crate) counts: [Counts; 4],
    pub(super) spare: Spare,
}

/// What the row of a message says without its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RowInfo {
    pub(crate) sequence: u64,
    pub(crate) priority: Priority,
    pub(crate) keep: Keep,
    pub(crate) committed: i64,
    pub(crate) size: u64,
}

impl<'a> Tx<'a> {
    pub(super) fn begin(
        tx: Transaction<'a>,
        knows: Knows<'a>,
        head: Head,
        counts: [Counts; 4],
        spare: Spare,
    ) -> Self {
        Self {
            tx,
            knows,
            head,
            counts,
            spare,
        }
    }

    pub(super) fn into_parts(self) -> (Transaction<'a>, Head, [Counts; 4], Spare) {
        (self.tx, self.head, self.counts, self.spare)
    }
}

impl Tx<'_> {
    fn fault(&self, e: rusqlite::Error) -> OutboxError {
        let e = OutboxError::sqlite(self.knows.path, &e);
        if matches!(e, OutboxError::Damaged { .. }) {
            self.knows.met.damage.set(true);
        }
        e
    }

    /// Something in this database could not be read: rows are looked at one by one.
    pub(super) fn is_careful(&self) -> bool {
        self.knows.careful
    }

    pub(crate) fn head(&self) -> Head {
        self.head
    }

    /// For a repair alone, which has no message to end the chain with.
    pub(crate) fn set_head(&mut self, head: Head) {
        self.head = head;
    }

    pub(crate) fn counts(&mut self, priority: Priority) -> &mut Counts {
        // `index` is below 4 by its definition.
        &mut self.counts[priority.index()]
    }

    /// Gives a message of the outbox's own the next number and puts it in line.
    pub(crate) fn append(&mut self, envelope: Envelope, now_ms: i64) -> Result<u64, OutboxError> {
        self.append_all(&[&[Ready::of(envelope)?]], now_ms)?;
        Ok(self.head.sequence)
    }

    /// Gives the messages the next numbers, group by group, and puts them in line; the numbers of
    /// each group.
    pub(crate) fn append_all(
        &mut self,
        groups: &[&[Ready]],
        now_ms: i64,
    ) -> Result<Vec<Vec<u64>>, OutboxError> {
        let (path, tx, before) = (self.knows.path, &self.tx, self.head.sequence);
        let fault = |e: rusqlite::Error| OutboxError::sqlite(path, &e);
        let mut into_message = tx
            .prepare_cached(
                "INSERT INTO message (seq, lane, keep, committed, captured, retain, size, id, topic,
                 content_type, properties, correlation, previous, hash, payload)
                 VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            )
            .map_err(fault)?;
        let mut with_number = Vec::new();
        let mut numbers = Vec::with_capacity(groups.len());
        for group in groups {
            numbers.push((self.head.sequence + 1..).take(group.len()).collect());
            for ready in *group {
                let envelope = &ready.envelope;
                let sequence = next_number(self.head.sequence)?;
                let mut payload = &envelope.payload[..];
                let mut digest = ready.digest;
                if envelope.numbered {
                    with_number.clear();
                    with_number.extend_from_slice(payload);
                    with_number = numbered(with_number, sequence);
                    payload = &with_number;
                } else if without_number(payload, sequence).is_some() {
                    // By chance it ends as if it had been given its number: who checks it will
                    // leave that out.
                    digest = digest_numbered(payload, sequence);
                }
                let previous = self.head.hash;
                let sealed = Sealed {
                    previous: &previous,
                    sequence,
                    id: &envelope.id,
                    topic: &envelope.topic,
                    content_type: envelope.content_type.as_deref(),
                    payload,
                };
                let hash = sealed.hash_of(&digest);
                let size = payload.len() as u64;
                into_message
                    .execute(params![
                        sequence,
                        envelope.priority.index(),
                        keep_index(envelope.keep),
                        now_ms,
                        envelope.captured_ms,
                        envelope.retain,
                        size,
                        envelope.id,
                        envelope.topic,
                        envelope.content_type,
                        ready.properties,
                        envelope.correlation,
                        previous,
                        hash,
                        payload
                    ])
                    .map_err(fault)?;
                self.head = Head { sequence, hash };
                note_hit(tx, envelope).map_err(fault)?;
                // `index` is below 4 by its definition.
                self.counts[envelope.priority.index()].enter(Stage::Waiting, size);
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

    /// What the row of a message says; `None` where there is none, an error where it cannot be
    /// read.
    pub(crate) fn info(&self, sequence: u64) -> Result<Option<RowInfo>, OutboxError> {
        if self.knows.unreadable.contains(sequence) {
            return Err(OutboxError::Damaged {
                path: self.knows.path.to_path_buf(),
                why: format!("message {sequence} cannot be read"),
            });
        }
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
        let read = read().map_err(|e| self.fault(e)).inspect_err(|e| {
            if matches!(e, OutboxError::Damaged { .. }) {
                self.knows.met.message.set(Some(sequence));
            }
        });
        let Some((index, keep, committed, size)) = read? else {
            return Ok(None);
        };
        let priority = Priority::at(index).ok_or_else(|| OutboxError::Form {
            path: self.knows.path.to_path_buf(),
            why: format!("message {sequence} has the priority {index}, which there is not"),
        })?;
        Ok(Some(RowInfo {
            sequence,
            priority,
            keep: keep_at(keep),
            committed,
            size,
        }))
    }

    pub(crate) fn run(&self, sql: &str, params: impl rusqlite::Params) -> Result<(), OutboxError> {
        self.changed(sql, params).map(|_| ())
    }

    /// How many rows a statement changed.
    pub(super) fn changed(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
    ) -> Result<usize, OutboxError> {
        self.tx
            .prepare_cached(sql)
            .and_then(|mut s| s.execute(params))
            .map_err(|e| self.fault(e))
    }

    pub(super) fn list(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
    ) -> Result<Vec<u64>, OutboxError> {
        self.all(sql, params, |r| r.get(0))
    }

    pub(super) fn all<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        row: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, OutboxError> {
        let read = || -> rusqlite::Result<Vec<T>> {
            let mut statement = self.tx.prepare_cached(sql)?;
            let rows = statement.query_map(params, row)?;
            rows.collect()
        };
        read().map_err(|e| self.fault(e))
    }

    pub(super) fn one<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        row: impl FnOnce(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, OutboxError> {
        let read = || {
            self.tx
                .prepare_cached(sql)?
                .query_row(params, row)
                .optional()
        };
        read().map_err(|e| self.fault(e))
    }
}

/// Keeps a provisional hit until the message that ends it is committed. `again` ends none: it tells
/// another passage.
fn note_hit(tx: &Transaction<'_>, envelope: &Envelope) -> rusqlite::Result<()> {
    let Some((hit, state)) = envelope.hit() else {
        return Ok(());
    };
    let hit = hit.to_string();
    match state {
        HitState::Provisional => tx
            .prepare_cached("INSERT OR REPLACE INTO open_hit (id, payload) VALUES (?, ?)")?
            .execute(params![hit, &envelope.payload[..]])?,
        HitState::Confirmed | HitState::Retracted | HitState::Unresolved => tx
            .prepare_cached("DELETE FROM open_hit WHERE id = ?")?
            .execute([hit])?,
        HitState::Again => 0,
    };
    Ok(())
}

fn next_number(last: u64) -> Result<u64, OutboxError> {
    match last + 1 {
        next if next <= LARGEST_SEQUENCE => Ok(next),
        value => Err(OutboxError::Sequence {
            what: "the next number",
            value,
            largest: LARGEST_SEQUENCE,
        }),
    }
}

pub(crate) fn keep_index(keep: Keep) -> usize {
    match keep {
        Keep::Passage => 0,
        Keep::Hit => 1,
        Keep::Control => 2,
    }
}

/// An unknown value is kept longest.
pub(crate) fn keep_at(index: usize) -> Keep {
    match index {
        0 => Keep::Passage,
        2 => Keep::Control,
        _ => Keep::Hit,
    }
}
