//! The database, the signing key and the reserve: everything that lies in the state folder.

pub(crate) mod audit;
pub(crate) mod db;
pub(crate) mod key;
mod moves;
pub(crate) mod reserve;
pub(crate) mod schema;
pub(crate) mod settings;
pub(crate) mod tally;
mod transaction;

use crate::error::OutboxError;

pub use db::Head;
pub(crate) use db::{Db, FILE};
pub use moves::Claim;
pub(crate) use moves::{Deleted, Oldest, Slice, push_range};
pub(crate) use transaction::{Ready, Tx, keep_at};

/// The largest sequence number: they travel as JSON numbers, which are exact up to here.
pub(crate) const LARGEST_SEQUENCE: u64 = 1 << 53;

/// Larger payloads are refused: SQLite's own limit is 1 GB, MQTT's is 256 MiB.
pub(crate) const LARGEST_PAYLOAD: usize = 64 << 20;

/// A sequence number that a request may name.
pub(crate) fn checked(what: &'static str, value: u64) -> Result<u64, OutboxError> {
    match value {
        1..=LARGEST_SEQUENCE => Ok(value),
        _ => Err(OutboxError::Sequence {
            what,
            value,
            largest: LARGEST_SEQUENCE,
        }),
    }
}
