//! When the agent gives itself up. Pure.
//!
//! It ends by itself only when nothing has worked for [`GIVE_UP_AFTER`]: no camera that should have
//! frames had one, no passage was committed, and there was no connection to a broker and no
//! acknowledgement. A box that stands idle (no camera is to be looked at) and one that says that it
//! opens models are not given up. A new process may do better where a driver or a library has got
//! stuck; the service manager starts it.

use std::time::Duration;

/// How long nothing may work.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(300);

/// What shows that something works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Signs {
    /// Frames of all cameras, looked at or seen to hold nothing new.
    pub frames: u64,
    /// Passages committed.
    pub committed: u64,
    /// Messages acknowledged.
    pub acknowledged: u64,
    /// There is a connection to a broker.
    pub is_connected: bool,
    /// No camera is to be looked at now: off duty, or recordings that are over.
    pub is_idle: bool,
    /// A part is at something that takes long, and has said so.
    pub is_at_long_work: bool,
}

/// Since when nothing has worked.
#[derive(Debug)]
pub struct SignsOfLife {
    last: Signs,
    since: Duration,
}

impl SignsOfLife {
    pub fn new(now: Duration) -> Self {
        Self {
            last: Signs::default(),
            since: now,
        }
    }

    /// For how long nothing has worked, by what is seen now.
    pub fn dead_for(&mut self, now: Duration, signs: Signs) -> Duration {
        let counted = |s: &Signs| (s.frames, s.committed, s.acknowledged);
        let works = counted(&signs) != counted(&self.last)
            || signs.is_connected
            || signs.is_idle
            || signs.is_at_long_work;
        self.last = signs;
        if works {
            self.since = now;
        }
        now.saturating_sub(self.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anything_that_works_keeps_the_agent_going() {
        let seconds = Duration::from_secs;
        let nothing = Signs::default();
        let works = [
            Signs {
                frames: 1,
                ..nothing
            },
            Signs {
                committed: 1,
                ..nothing
            },
            Signs {
                acknowledged: 1,
                ..nothing
            },
            Signs {
                is_connected: true,
                ..nothing
            },
            Signs {
                is_idle: true,
                ..nothing
            },
            Signs {
                is_at_long_work: true,
                ..nothing
            },
        ];
        for sign in works {
            let mut life = SignsOfLife::new(seconds(1000));
            assert_eq!(life.dead_for(seconds(1299), nothing), seconds(299));
            assert_eq!(
                life.dead_for(seconds(1300), sign),
                Duration::ZERO,
                "{sign:?}"
            );
            let after = Signs {
                is_connected: false,
                is_idle: false,
                is_at_long_work: false,
                ..sign
            };
            assert_eq!(
                life.dead_for(seconds(1600), after),
                GIVE_UP_AFTER,
                "{sign:?}"
            );
        }
    }
}
