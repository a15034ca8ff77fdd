//! Looking at an outbox from outside, on a live or a dead box, and mending a damaged one.

mod export;
mod inspect;
mod newest;
mod pages;
mod rebuild;
mod repair;
mod requeue;
mod salvage;
mod verify;

pub use inspect::{Inspection, Overview};
pub use newest::Stored;
pub use repair::{Repair, RepairOptions, Repaired, repair};
pub(crate) use repair::{finish, repair_by};
pub use requeue::{Requeue, requeue};
pub use verify::Verdict;
