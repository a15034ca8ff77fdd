//! How old messages provably are.
//!
//! A wall clock that is wrong by years makes everything old, so no deletion goes by the wall clock
//! alone. The outbox counts *proven time* instead: it advances with the monotonic clock while the
//! agent runs, and by the time between two runs only if the wall clock was synchronised (the kernel
//! says so) both in an earlier run and now. Whatever the wall clock does, a message never gets
//! older than the uptime since its commit plus the gaps that a synchronised clock confirms. Without
//! any synchronised clock, age is uptime: it is too small, never too large.
//!
//! Proven time is noted in the database every few minutes. What a power cut takes from it makes
//! messages younger.

use std::time::Duration;

/// No message was committed before Kakou existed: an earlier time is that of a clock that was never
/// set.
pub(crate) const EARLIEST_MS: i64 = 1_735_689_600_000;

/// What the database keeps of the proven time, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct AgeNote {
    pub(crate) proven_ms: i64,
    /// When the wall clock was last synchronised: the proven time and the wall time of that moment.
    pub(crate) confirmed: Option<(i64, i64)>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct AgeClock {
    note: AgeNote,
    /// The monotonic clock at the last look.
    last: Duration,
    /// The time between the runs has been counted.
    caught_up: bool,
}

impl AgeClock {
    /// Goes on where an earlier run ended.
    pub(crate) fn restore(note: AgeNote, mono: Duration) -> Self {
        Self {
            note,
            last: mono,
            caught_up: false,
        }
    }

    /// Returns the proven time.
    pub(crate) fn look(&mut self, mono: Duration, wall_ms: i64, synchronised: bool) -> i64 {
        let elapsed = mono.saturating_sub(self.last);
        self.last = mono.max(self.last);
        self.note.proven_ms = self.note.proven_ms.saturating_add(millis(elapsed));
        if synchronised && wall_ms >= EARLIEST_MS {
            // Once in a run: within it the monotonic clock knows better than a wall clock that a
            // time server moves.
            if let Some((proven, wall)) = self.note.confirmed
                && !self.caught_up
            {
                let now = proven.saturating_add(wall_ms.saturating_sub(wall));
                self.note.proven_ms = self.note.proven_ms.max(now);
            }
            self.caught_up = true;
            self.note.confirmed = Some((self.note.proven_ms, wall_ms));
        }
        self.note.proven_ms
    }

    pub(crate) fn note(&self) -> AgeNote {
        self.note
    }
}

impl AgeNote {
    pub(crate) fn to_text(self) -> String {
        match self.confirmed {
            Some((proven, wall)) => format!("{} {proven} {wall}", self.proven_ms),
            None => self.proven_ms.to_string(),
        }
    }

    /// `None` for a text that is no note: age begins anew.
    pub(crate) fn from_text(text: &str) -> Option<Self> {
        let numbers: Vec<i64> = text
            .split(' ')
            .map(|number| number.parse().ok().filter(|n| *n >= 0))
            .collect::<Option<_>>()?;
        match numbers[..] {
            [proven_ms] => Some(Self {
                proven_ms,
                confirmed: None,
            }),
            [proven_ms, proven, wall] => Some(Self {
                proven_ms,
                confirmed: Some((proven, wall)),
            }),
            _ => None,
        }
    }
}

pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const HOUR: i64 = 3_600_000;
    const NOW: i64 = EARLIEST_MS + 10_000 * HOUR;

    fn hours(n: u64) -> Duration {
        Duration::from_secs(n * 3600)
    }

    #[test]
    fn age_is_uptime_whatever_the_wall_clock_does() {
        for synchronised in [true, false] {
            let mut clock = AgeClock::restore(AgeNote::default(), hours(5));
            assert_eq!(clock.look(hours(5), NOW, synchronised), 0);
            for (up, wall) in [(6, NOW + 9000 * HOUR), (7, 5000), (8, NOW + HOUR)] {
                let proven = clock.look(hours(up), wall, synchronised);
                assert_eq!(proven, (up as i64 - 5) * HOUR, "{synchronised}");
            }
        }
    }

    #[test]
    fn the_time_between_two_runs_counts_if_the_clock_was_synchronised_in_both() {
        for (before, after, expected) in [
            (true, true, 100),
            (true, false, 2),
            (false, true, 2),
            (false, false, 2),
        ] {
            let mut first = AgeClock::restore(AgeNote::default(), Duration::ZERO);
            first.look(Duration::ZERO, NOW, before);
            first.look(hours(2), NOW + 2 * HOUR, before);
            let note = AgeNote::from_text(&first.note().to_text()).unwrap();
            let mut second = AgeClock::restore(note, Duration::ZERO);
            let proven = second.look(Duration::ZERO, NOW + 100 * HOUR, after);
            assert_eq!(proven, expected * HOUR, "{before} {after}");
            // Later the wall clock adds nothing any more.
            let proven = second.look(hours(1), NOW + 5000 * HOUR, after);
            assert_eq!(proven, (expected + 1) * HOUR);
        }
    }

    #[test]
    fn a_clock_that_is_set_later_confirms_the_gap_and_counts_no_hour_twice() {
        let note = AgeNote {
            proven_ms: 50 * HOUR,
            confirmed: Some((40 * HOUR, NOW)),
        };
        let mut clock = AgeClock::restore(note, Duration::ZERO);
        assert_eq!(clock.look(hours(3), 5000, false), 53 * HOUR);
        assert_eq!(clock.look(hours(4), NOW + 30 * HOUR, true), 70 * HOUR);
    }

    #[test]
    fn a_clock_behind_what_was_confirmed_takes_nothing_back() {
        let note = AgeNote {
            proven_ms: 50 * HOUR,
            confirmed: Some((50 * HOUR, NOW)),
        };
        let mut clock = AgeClock::restore(note, Duration::ZERO);
        assert_eq!(clock.look(hours(1), NOW - 500 * HOUR, true), 51 * HOUR);
    }

    #[test]
    fn a_clock_that_was_never_set_confirms_nothing() {
        let mut clock = AgeClock::restore(AgeNote::default(), Duration::ZERO);
        clock.look(hours(1), 5000, true);
        assert_eq!(clock.note().confirmed, None);
    }

    #[test]
    fn what_is_no_note_is_none() {
        for text in ["", "x", "1 2", "1 2 3 4", "-1", "1 2 x"] {
            assert_eq!(AgeNote::from_text(text), None, "{text}");
        }
    }
}
