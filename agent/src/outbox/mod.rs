//! The outbox: everything that must reach the platform, in SQLite. The only home of `rusqlite`.

mod types;

pub use kakou_contract::{Held, OutboxLane as Lane};
pub use types::{Cursor, Draft, Keep, Pending};
