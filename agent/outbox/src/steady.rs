//! Whether the wall clock is fit to delete by. Pure.
//!
//! A box without a battery begins in 1970, and one that finds a time server steps. Until such a time has held for a while,
//! nothing is given up or deleted by its age. Who knows more (whether the kernel's clock is synchronised) says so by
//! `OutboxOptions::clock_trusted`; both must agree.

use std::time::{Duration, Instant};

/// No message was committed before Kakou existed: such a time is that of a clock that was never set.
pub(super) const EARLIEST_MS: i64 = 1_735_689_600_000;
/// Clocks are slewed, and a look may come late: less than this is no step.
const STEP_MS: i64 = 120_000;
/// After a step. Time services correct themselves within that.
const AFTER_STEP: Duration = Duration::from_secs(600);
/// A box that was off for longer, or a clock that is wrong: after a start the two look alike.
const LEAP_MS: i64 = 24 * 3600 * 1000;
const AFTER_LEAP: Duration = Duration::from_secs(3600);

#[derive(Debug, Default)]
pub(super) struct Steady {
    /// The last look: monotonic time and wall clock.
    last: Option<(Instant, i64)>,
    /// Not before.
    trusted_from: Option<Instant>,
}

impl Steady {
    /// `newest_ms`: when the last message was committed.
    pub(super) fn look(&mut self, at: Instant, now_ms: i64, newest_ms: Option<i64>) -> bool {
        let wait = match self.last {
            None => newest_ms
                .is_some_and(|newest| now_ms > newest.max(EARLIEST_MS).saturating_add(LEAP_MS))
                .then_some(AFTER_LEAP),
            Some((then, then_ms)) => {
                let elapsed = i64::try_from(at.saturating_duration_since(then).as_millis())
                    .unwrap_or(i64::MAX);
                let step = now_ms.saturating_sub(then_ms).saturating_sub(elapsed);
                (step.abs() > STEP_MS).then_some(AFTER_STEP)
            }
        };
        self.last = Some((at, now_ms));
        if let Some(wait) = wait {
            self.trusted_from = Some(
                self.trusted_from
                    .map_or(at + wait, |from| from.max(at + wait)),
            );
        }
        let before_the_newest =
            newest_ms.is_some_and(|newest| now_ms < newest.saturating_sub(STEP_MS));
        now_ms >= EARLIEST_MS
            && !before_the_newest
            && self.trusted_from.is_none_or(|from| at >= from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = EARLIEST_MS + 500 * LEAP_MS;
    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_steady_clock_is_trusted_at_once() {
        let (mut steady, start) = (Steady::default(), Instant::now());
        assert!(steady.look(start, NOW, None));
        assert!(steady.look(start + MINUTE, NOW + 60_000, Some(NOW)));
        assert!(
            steady.look(start + 2 * MINUTE, NOW + 121_500, Some(NOW)),
            "slewed"
        );
    }

    #[test]
    fn after_a_step_it_must_hold_ten_minutes() {
        for step in [-5 * LEAP_MS, -200_000, 200_000, 90 * LEAP_MS] {
            let (mut steady, start) = (Steady::default(), Instant::now());
            assert!(steady.look(start, NOW, Some(NOW - 1000)));
            // What was committed since carries the new time.
            let mut at = |minutes: u32| {
                steady.look(
                    start + minutes * MINUTE,
                    NOW + step + i64::from(minutes) * 60_000,
                    Some(NOW + step),
                )
            };
            assert!(!at(1) && !at(10), "{step}");
            assert!(at(11), "{step}");
        }
    }

    #[test]
    fn a_clock_that_was_never_set_is_not_trusted_and_the_step_out_of_it_is_waited_for() {
        let (mut steady, start) = (Steady::default(), Instant::now());
        assert!(!steady.look(start, 5_000, Some(NOW)));
        assert!(!steady.look(start + 600 * MINUTE, 36_005_000, Some(NOW)));
        assert!(
            !steady.look(start + 601 * MINUTE, NOW, Some(NOW)),
            "set right a moment ago"
        );
        assert!(steady.look(start + 611 * MINUTE, NOW + 600_000, Some(NOW)));
    }

    #[test]
    fn behind_what_was_committed_is_never_right() {
        let (mut steady, start) = (Steady::default(), Instant::now());
        assert!(!steady.look(start, NOW - LEAP_MS, Some(NOW)));
        assert!(!steady.look(
            start + 300 * MINUTE,
            NOW - LEAP_MS + 300 * 60_000,
            Some(NOW)
        ));
    }

    #[test]
    fn far_ahead_of_what_was_committed_must_hold_an_hour() {
        let (mut steady, start) = (Steady::default(), Instant::now());
        assert!(!steady.look(start, NOW + 30 * LEAP_MS, Some(NOW)));
        assert!(!steady.look(
            start + 59 * MINUTE,
            NOW + 30 * LEAP_MS + 59 * 60_000,
            Some(NOW)
        ));
        assert!(steady.look(
            start + 60 * MINUTE,
            NOW + 30 * LEAP_MS + 60 * 60_000,
            Some(NOW)
        ));
    }
}
