//! One time for the whole agent: [`Moment`] is a point in it, and the kernel says how far the wall clock can be trusted.

pub mod kernel;

use std::time::Duration;

use chrono::{DateTime, FixedOffset};

/// A point in time: for people, and for measuring.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment {
    pub wall: DateTime<FixedOffset>,
    /// Monotonic, since the agent started or the recording began.
    pub mono: Duration,
}
