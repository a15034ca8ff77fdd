//! The clock of a made-up agent: the fleet's time, and how far this agent is off it.

use std::time::Duration;

use chrono::{DateTime, FixedOffset, TimeDelta};
use kakou_contract::ClockStatus;
use kakou_time::{Clock, SystemClock};

/// The time of the whole fleet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FleetTime {
    system: SystemClock,
    /// The time that all are counted from.
    pub(crate) start: DateTime<FixedOffset>,
    /// No clock of the machine has a part in it.
    stands: bool,
}

impl FleetTime {
    /// Runs with the machine's clocks.
    pub(crate) fn running(start: DateTime<FixedOffset>) -> Self {
        Self {
            system: SystemClock::new(),
            start,
            stands: false,
        }
    }

    /// Agents' clocks stand at the start: what happened long before it is late, and nothing else.
    pub(crate) fn standing(start: DateTime<FixedOffset>) -> Self {
        Self {
            stands: true,
            ..Self::running(start)
        }
    }

    pub(crate) fn stands(&self) -> bool {
        self.stands
    }

    /// Since the start, by the machine.
    pub(crate) fn elapsed(&self) -> Duration {
        self.system.mono()
    }

    pub(crate) fn elapsed_ms(&self) -> i64 {
        i64::try_from(self.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    pub(crate) fn at(&self, ms: i64) -> DateTime<FixedOffset> {
        let after = TimeDelta::try_milliseconds(ms).unwrap_or_default();
        self.start.checked_add_signed(after).unwrap_or(self.start)
    }
}

/// What one agent's clock shows.
#[derive(Debug)]
pub(crate) struct AgentClock {
    pub(crate) time: FleetTime,
    pub(crate) ahead: TimeDelta,
    pub(crate) status: ClockStatus,
}

impl Clock for AgentClock {
    fn wall(&self) -> DateTime<FixedOffset> {
        let now = match self.time.stands() {
            true => self.time.start,
            false => self.time.at(self.time.elapsed_ms()),
        };
        now.checked_add_signed(self.ahead).unwrap_or(now)
    }

    fn mono(&self) -> Duration {
        self.time.elapsed()
    }

    fn status(&self) -> ClockStatus {
        self.status
    }
}
