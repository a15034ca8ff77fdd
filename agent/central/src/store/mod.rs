//! The database: how to reach it, its schema, and the partitions of its days.
//!
//! The schema stands in `migrations/` and is part of the program; [`Store::migrate`] brings any
//! older database up to it, one process at a time.

mod listen;
mod partitions;
mod pool;

pub use listen::Listener;
pub use partitions::Days;
pub use pool::{Store, StoreError};
