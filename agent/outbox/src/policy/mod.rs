//! What may be kept, how long, and how old it provably is. Pure: no database, no clock, no I/O.

mod age;
mod counts;
mod limits;
mod retention;

pub(crate) use age::{AgeClock, AgeNote, EARLIEST_MS, millis};
pub use counts::Counts;
pub(crate) use counts::Stage;
pub use limits::{OutboxLimits, PriorityLimit, Space};
pub(crate) use limits::{Step, emergency, next_step};
pub use retention::Retention;
