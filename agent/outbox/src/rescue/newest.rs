//! The newest messages, for a person who looks at the box: read backwards, in slices, and never more
//! than is asked for.

use std::ops::ControlFlow;

use kakou_contract::Priority;
use rusqlite::{OptionalExtension, params};

use super::inspect::Inspection;
use crate::error::OutboxError;
use crate::store::LARGEST_SEQUENCE;

/// Rows that are read in one transaction.
const SLICE: usize = 200;
/// A picture is committed with its passage: so many numbers after it at most, or before.
const NEAR: u64 = 64;

/// A message as it was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub sequence: u64,
    /// Milliseconds since 1970.
    pub committed_ms: i64,
    pub topic: String,
    pub payload: Vec<u8>,
}

impl Inspection {
    /// Tells the messages of a priority before a number, the newest first, until told to stop.
    pub fn newest(
        &self,
        priority: Priority,
        before: Option<u64>,
        mut tell: impl FnMut(Stored) -> ControlFlow<()>,
    ) -> Result<(), OutboxError> {
        // What is larger than any number stands for "from the end".
        let mut before = before.unwrap_or(LARGEST_SEQUENCE).min(LARGEST_SEQUENCE);
        loop {
            let slice = self
                .read(|conn| {
                    let mut statement = conn.prepare_cached(
                        "SELECT seq, committed, topic, payload FROM message
                         WHERE seq < ?1 AND lane = ?2 ORDER BY seq DESC LIMIT ?3",
                    )?;
                    let rows =
                        statement.query_map(params![before, priority.index(), SLICE], |row| {
                            Ok(Stored {
                                sequence: row.get(0)?,
                                committed_ms: row.get(1)?,
                                topic: row.get(2)?,
                                payload: row.get(3)?,
                            })
                        })?;
                    rows.collect::<rusqlite::Result<Vec<_>>>()
                })
                .map_err(|e| self.fault(&e))?;
            let Some(last) = slice.last() else {
                return Ok(());
            };
            before = last.sequence;
            for stored in slice {
                if tell(stored).is_break() {
                    return Ok(());
                }
            }
        }
    }

    /// The payload of the message near a number whose topic ends so; `None`: it is no longer kept.
    pub fn near(&self, ending: &str, near: u64) -> Result<Option<Vec<u8>>, OutboxError> {
        let near = near.min(LARGEST_SEQUENCE);
        let (first, last) = (
            near.saturating_sub(NEAR),
            (near + NEAR).min(LARGEST_SEQUENCE),
        );
        self.read(|conn| {
            conn.prepare_cached(
                "SELECT payload FROM message
                 WHERE seq BETWEEN ?1 AND ?2 AND substr(topic, -length(?3)) = ?3",
            )?
            .query_row(params![first, last, ending], |row| row.get(0))
            .optional()
        })
        .map_err(|e| self.fault(&e))
    }
}
