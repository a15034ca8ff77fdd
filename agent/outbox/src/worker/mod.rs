//! The two threads: one writes, one reads for the uplink.

mod answers;
mod condition;
mod group;
mod ops;
mod reader;
mod shared;
mod tell;
mod tick;
mod unreadable;
mod unrecorded;
mod upkeep;
mod writer;

pub(crate) use answers::Appended;
pub use ops::Resent;
pub(crate) use ops::{Op, Reply};
pub(crate) use reader::{Ask, Reader};
pub(crate) use shared::Shared;
pub use shared::{OutboxState, Stats};
pub(crate) use writer::{Writer, WriterSetup};
