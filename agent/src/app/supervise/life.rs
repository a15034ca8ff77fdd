//! The state of a supervised part, and how long it waits after a failure. Pure: time is handed in.

use std::time::Duration;

use kakou_contract::PartState;
use kakou_time::Moment;
use kakou_uplink::Backoff;

/// After the first failure a part waits this long at most.
const WAIT_FIRST: Duration = Duration::from_millis(500);
/// A part never waits longer than this, so that what was mended is back in use within half a
/// minute.
const WAIT_MOST: Duration = Duration::from_secs(30);
/// A part that failed counts as working again when it has worked for this long. One that fails
/// again at once is shown as failing all the while.
const PROBATION: Duration = Duration::from_secs(10);
/// A run that lasted this long was a good one: the next failure waits as briefly as the first.
const LASTED: Duration = Duration::from_secs(60);

/// A part's past, as far as it matters.
#[derive(Debug)]
pub(super) struct Life {
    begun: Moment,
    /// Since when it has been failing, and the latest cause.
    failing: Option<(Moment, String)>,
    /// Since when the present run works.
    working: Option<Moment>,
    restarts: u64,
    retry_at: Option<Duration>,
    backoff: Backoff,
}

/// A part as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shown {
    pub state: PartState,
    pub since: Moment,
    pub restarts: u64,
    pub cause: Option<String>,
    /// Until the next try, if it waits for one.
    pub next_try_in: Option<Duration>,
}

impl Life {
    pub(super) fn new(now: Moment) -> Self {
        Self {
            begun: now,
            failing: None,
            working: None,
            restarts: 0,
            retry_at: None,
            backoff: Backoff::new(WAIT_FIRST, WAIT_MOST),
        }
    }

    /// A run begins, the first or a further one.
    pub(super) fn begin(&mut self) {
        if self.retry_at.take().is_some() {
            self.restarts += 1;
        }
        self.working = None;
    }

    /// The present run does what it is for.
    pub(super) fn working(&mut self, now: Moment) {
        self.working.get_or_insert(now);
    }

    /// The present run failed. Returns how long to wait before the next one, which `draw` takes
    /// from the backoff.
    pub(super) fn failed(
        &mut self,
        now: Moment,
        cause: &str,
        draw: fn(&mut Backoff) -> Duration,
    ) -> Duration {
        self.settle(now);
        if self.worked_for(now).is_some_and(|time| time >= LASTED) {
            self.backoff.reset();
        }
        let since = self.failing.take().map_or(now, |(since, _)| since);
        self.failing = Some((since, cause.to_owned()));
        self.working = None;
        let wait = draw(&mut self.backoff);
        self.retry_at = Some(now.mono + wait);
        wait
    }

    /// Whether this cause was told by the failure before.
    pub(super) fn is_told(&self, cause: &str) -> bool {
        self.failing.as_ref().is_some_and(|(_, told)| told == cause)
    }

    pub(super) fn shown(&mut self, now: Moment) -> Shown {
        self.settle(now);
        let (state, since) = match (&self.failing, self.working) {
            (Some((since, _)), _) => (PartState::Failing, *since),
            (None, Some(since)) => (PartState::Working, since),
            (None, None) => (PartState::Starting, self.begun),
        };
        Shown {
            state,
            since,
            restarts: self.restarts,
            cause: self.failing.as_ref().map(|(_, cause)| cause.clone()),
            next_try_in: self.retry_at.map(|at| at.saturating_sub(now.mono)),
        }
    }

    fn worked_for(&self, now: Moment) -> Option<Duration> {
        self.working
            .map(|since| now.mono.saturating_sub(since.mono))
    }

    /// Takes back `failing` from a part that has worked long enough.
    fn settle(&mut self, now: Moment) {
        if self.worked_for(now).is_some_and(|time| time >= PROBATION) {
            self.failing = None;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use chrono::DateTime;
    use kakou_time::{Clock, SimulatedClock};

    use super::*;

    fn clock() -> SimulatedClock {
        let wall = DateTime::parse_from_rfc3339("2026-03-14T09:00:00+08:00").unwrap();
        // A box that has been up for years behaves as one that has just started.
        SimulatedClock::new(wall, Duration::from_secs(3 * 365 * 86_400))
    }

    fn longest(backoff: &mut Backoff) -> Duration {
        backoff.step(1.0)
    }

    #[test]
    fn a_part_that_fails_again_and_again_is_failing_all_the_while_and_waits_longer() {
        let (clock, seconds) = (clock(), Duration::from_secs);
        let mut life = Life::new(clock.now());
        life.begin();
        assert_eq!(life.shown(clock.now()).state, PartState::Starting);
        clock.advance(seconds(1));
        let failed_at = clock.now();
        let mut waits = Vec::new();
        for n in 0..9 {
            let wait = life.failed(clock.now(), "the model file is cut off", longest);
            waits.push(wait.as_millis());
            let shown = life.shown(clock.now());
            assert_eq!(
                (shown.state, shown.since, shown.restarts, shown.next_try_in),
                (PartState::Failing, failed_at, n, Some(wait))
            );
            assert_eq!(shown.cause.as_deref(), Some("the model file is cut off"));
            clock.advance(wait);
            life.begin();
            life.working(clock.now());
            clock.advance(seconds(2));
            assert_eq!(life.shown(clock.now()).state, PartState::Failing);
        }
        assert_eq!(
            waits,
            [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]
        );
    }

    #[test]
    fn a_part_that_works_again_is_shown_so_and_begins_with_a_short_wait() {
        let (clock, seconds) = (clock(), Duration::from_secs);
        let mut life = Life::new(clock.now());
        for _ in 0..5 {
            life.begin();
            let wait = life.failed(clock.now(), "no such file", longest);
            clock.advance(wait);
        }
        life.begin();
        let works_since = clock.now();
        life.working(works_since);
        clock.advance(seconds(9));
        assert_eq!(life.shown(clock.now()).state, PartState::Failing);
        clock.advance(seconds(1));
        let shown = life.shown(clock.now());
        assert_eq!(
            (shown.state, shown.since, shown.restarts, shown.cause),
            (PartState::Working, works_since, 5, None)
        );
        clock.advance(seconds(50));
        let failed_at = clock.now();
        assert_eq!(life.failed(failed_at, "no such file", longest), WAIT_FIRST);
        assert_eq!(life.shown(clock.now()).since, failed_at);
    }

    #[test]
    fn a_short_good_run_does_not_shorten_the_wait() {
        let clock = clock();
        let mut life = Life::new(clock.now());
        life.begin();
        life.failed(clock.now(), "a", longest);
        life.begin();
        life.working(clock.now());
        clock.advance(Duration::from_secs(20));
        assert_eq!(
            life.failed(clock.now(), "a", longest),
            2 * WAIT_FIRST,
            "twenty seconds are no proof"
        );
    }
}
