//! The outbox: everything that must reach the platform, in SQLite. The only home of `rusqlite`.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `schema` | tables, versions, upgrades |
//! | `db` | the open database; a transaction; numbering and sealing |
//! | `moves` | from one place to another: acknowledged, held, sent again, deleted |
//! | `limits` | how much may be kept and what is given up first; pure |
//! | `writer` | the one thread that writes: group commit, a full disk, limits, retention |
//! | `reader` | the thread that reads for the uplink |
//! | `ready` | a draft made ready for the writer, and its caller told |
//! | `upkeep` | limits, ages and retention, each with its record for the platform |
//! | `steady` | whether the wall clock is fit to delete by; pure |
//! | `shared` | what the writer tells the others |
//! | `handle` | what the rest of the agent holds |
//! | `inspect` | looking at it from outside: status, verify, export, requeue |
//! | `pages` | messages by the pages they lie on, where the tree that leads there is damaged |
//! | `salvage` | reading what can still be read of a damaged database |
//! | `repair` | a new outbox out of a damaged one |
//! | `key` | the signing key |
//! | `ballast` | room in reserve for a full disk |

mod ballast;
mod db;
mod error;
mod handle;
mod inspect;
mod key;
mod limits;
mod moves;
mod pages;
mod reader;
mod ready;
mod repair;
mod salvage;
mod schema;
mod shared;
mod steady;
mod upkeep;
mod writer;

pub use db::{Counts, Head};
pub use error::OutboxError;
pub use handle::{Outbox, OutboxOptions};
pub use inspect::{Inspection, Overview, Requeue, Verdict, in_use, requeue};
pub use limits::{LaneLimit, Limits, Retention, Space};
pub use moves::Claim;
pub use repair::{Repair, RepairOptions, Repaired, repair};
pub use shared::{OutboxState, Stats};
pub use writer::Resent;

#[cfg(test)]
mod tests;

#[cfg(test)]
mod damage_tests;

#[cfg(test)]
mod repair_tests;

#[cfg(test)]
mod model_tests;
