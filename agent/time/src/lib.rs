//! One time for the whole agent: [`Moment`] is a point in it, [`Clock`] says which it is now and
//! how far the wall clock can be trusted. A clock is handed in wherever time matters, so that tests
//! run on a [`SimulatedClock`].
//!
//! Timers of tokio tasks are tokio's own (`tokio::time`), which tests can pause as well.

mod kernel;
mod simulated;
mod stopwatch;
mod system;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, FixedOffset};
use kakou_contract::ClockStatus;

pub use simulated::SimulatedClock;
pub use stopwatch::Stopwatch;
pub use system::SystemClock;

/// A point in time: for people, and for measuring.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment {
    pub wall: DateTime<FixedOffset>,
    /// Monotonic, since the agent started or the recording began.
    pub mono: Duration,
}

/// Where time comes from.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The wall clock in local time. It may be wrong, and it may step either way.
    fn wall(&self) -> DateTime<FixedOffset>;

    /// Time since the clock was made; never runs backwards.
    fn mono(&self) -> Duration;

    /// What the kernel knows of the wall clock: whether a time source disciplines it, and how far
    /// off it is.
    fn status(&self) -> ClockStatus;

    fn now(&self) -> Moment {
        Moment {
            wall: self.wall(),
            mono: self.mono(),
        }
    }

    /// The wall clock in milliseconds since 1970.
    fn wall_ms(&self) -> i64 {
        self.wall().timestamp_millis()
    }
}

/// A clock that many parts share.
pub type SharedClock = Arc<dyn Clock>;
