//! A clock that stands still until a test moves it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, FixedOffset, TimeDelta};
use kakou_contract::{ClockState, ClockStatus};

use crate::Clock;

#[derive(Debug)]
struct State {
    wall: DateTime<FixedOffset>,
    mono: Duration,
    status: ClockStatus,
}

/// Clones of an `Arc` of it show the same time.
#[derive(Debug)]
pub struct SimulatedClock(Mutex<State>);

impl SimulatedClock {
    /// Disciplined, at this wall time, with `mono` at `uptime`.
    pub fn new(wall: DateTime<FixedOffset>, uptime: Duration) -> Self {
        Self(Mutex::new(State {
            wall,
            mono: uptime,
            status: ClockStatus {
                state: ClockState::Synchronised,
                offset_ms: Some(0),
            },
        }))
    }

    /// Time goes on for both clocks.
    pub fn advance(&self, by: Duration) {
        self.change(|s| {
            s.mono += by;
            s.wall += TimeDelta::from_std(by).unwrap_or(TimeDelta::MAX);
        });
    }

    /// The wall clock alone is set forward or back.
    pub fn step(&self, by: TimeDelta) {
        self.change(|s| s.wall += by);
    }

    /// What the kernel says from now on.
    pub fn set_status(&self, status: ClockStatus) {
        self.change(|s| s.status = status);
    }

    fn change<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Clock for SimulatedClock {
    fn wall(&self) -> DateTime<FixedOffset> {
        self.change(|s| s.wall)
    }

    fn mono(&self) -> Duration {
        self.change(|s| s.mono)
    }

    fn status(&self) -> ClockStatus {
        self.change(|s| s.status)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_step_moves_the_wall_clock_alone() {
        let start = DateTime::parse_from_rfc3339("2026-03-14T09:00:00+08:00").unwrap();
        let clock = SimulatedClock::new(start, Duration::from_secs(5));
        clock.advance(Duration::from_millis(1500));
        clock.step(TimeDelta::seconds(-60));
        assert_eq!(clock.mono(), Duration::from_millis(6500));
        assert_eq!(clock.wall(), start + TimeDelta::milliseconds(1500 - 60_000));
    }
}
