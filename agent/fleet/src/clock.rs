//! The clock of a made-up agent: the fleet's time, and how far this agent is off it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, FixedOffset, TimeDelta};
use kakou_contract::ClockStatus;
use kakou_time::{Clock, SystemClock};

/// The time of the whole fleet.
#[derive(Debug, Clone)]
pub(crate) struct FleetTime {
    system: SystemClock,
    /// The time that all are counted from.
    pub(crate) start: DateTime<FixedOffset>,
    /// How far the fleet has come, in milliseconds, where no wall clock has a part in it.
    told_ms: Option<Arc<AtomicI64>>,
}

impl FleetTime {
    /// Runs with the machine's clocks.
    pub(crate) fn running(start: DateTime<FixedOffset>) -> Self {
        Self {
            system: SystemClock::new(),
            start,
            told_ms: None,
        }
    }

    /// Stands until it is told to go on.
    pub(crate) fn told(start: DateTime<FixedOffset>) -> Self {
        Self {
            told_ms: Some(Arc::default()),
            ..Self::running(start)
        }
    }

    pub(crate) fn is_told(&self) -> bool {
        self.told_ms.is_some()
    }

    pub(crate) fn tell(&self, ms: i64) {
        if let Some(told) = &self.told_ms {
            told.fetch_max(ms, Ordering::Relaxed);
        }
    }

    /// Since the start, by the machine.
    pub(crate) fn elapsed(&self) -> Duration {
        self.system.mono()
    }

    pub(crate) fn elapsed_ms(&self) -> i64 {
        i64::try_from(self.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    /// The fleet's time in milliseconds since its start.
    pub(crate) fn now_ms(&self) -> i64 {
        match &self.told_ms {
            Some(told) => told.load(Ordering::Relaxed),
            None => self.elapsed_ms(),
        }
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
        let now = self.time.at(self.time.now_ms());
        now.checked_add_signed(self.ahead).unwrap_or(now)
    }

    fn mono(&self) -> Duration {
        self.time.elapsed()
    }

    fn status(&self) -> ClockStatus {
        self.status
    }
}
