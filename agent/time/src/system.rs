//! The clocks of the machine.

use std::time::{Duration, Instant};

use chrono::{DateTime, FixedOffset, Local};
use kakou_contract::ClockStatus;

use crate::{Clock, kernel};

/// Time as the kernel has it; `mono` counts from its making.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    #[allow(clippy::disallowed_methods)] // The one home of the machine's clocks.
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods)]
    fn wall(&self) -> DateTime<FixedOffset> {
        Local::now().fixed_offset()
    }

    #[allow(clippy::disallowed_methods)]
    fn mono(&self) -> Duration {
        self.start.elapsed()
    }

    fn status(&self) -> ClockStatus {
        kernel::status()
    }
}
