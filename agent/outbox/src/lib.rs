//! The outbox: everything that must reach the platform, in SQLite. The only home of `rusqlite`.
//!
//! | room | what it holds |
//! | --- | --- |
//! | `outbox` | what the rest of the agent holds: append, acknowledge, resend, state |
//! | `open` | opening a folder: lock, key, database, threads |
//! | `folder` | the state folder and who owns it |
//! | `error` | what can go wrong, and whom it concerns |
//! | `policy/` | how much is kept, how long, and how old it provably is; pure |
//! | `store/` | the database, its transactions and moves, the signing key, the reserve for a full disk |
//! | `rescue/` | looking at an outbox from outside, and repairing a damaged one |
//! | `worker/` | the thread that writes and the thread that reads |
//!
//! They depend on one another in one direction: `policy` <- `store` <- `rescue`, `worker` <-
//! `outbox`, `open`.

mod error;
mod folder;
mod open;
mod outbox;
mod policy;
mod rescue;
mod store;
mod worker;

pub use error::{Concern, OutboxError};
pub use folder::in_use;
pub use open::OutboxOptions;
pub use outbox::Outbox;
pub use policy::{Counts, OutboxLimits, PriorityLimit, Retention, Space};
pub use rescue::{
    Inspection, Overview, Repair, RepairOptions, Repaired, Requeue, Stored, Verdict, repair,
    requeue,
};
pub use store::{Claim, Head};
pub use worker::{OutboxState, Resent, Stats};

#[cfg(test)]
mod tests;
