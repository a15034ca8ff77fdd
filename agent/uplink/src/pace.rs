//! How much to have on its way, and how fast to send. Pure: times are handed in.
//!
//! What is in the socket cannot be overtaken. On a link of 1 Mbit/s a window of 2 MiB would hold up
//! a hit for a quarter of a minute; so the window in bytes follows what the link delivers within a
//! few of its round trips.

use std::time::Duration;

use tokio::time::Instant;

/// Never fewer bytes than this are on their way.
const LEAST: usize = 64 << 10;
/// Where a new connection begins.
const FIRST: usize = 512 << 10;
const STEP: Duration = Duration::from_millis(250);
/// The first steps are shorter: until they are over, the window is a guess.
const STEP_FIRST: Duration = Duration::from_millis(100);
const STEPS_FIRST: usize = 2;
/// How many steps make up "lately".
const STEPS: usize = 8;
/// The window is what is delivered in so many of the shortest round trips, for a round trip is
/// rarely the shortest ...
const ROUND_TRIPS: u32 = 4;
/// ... and in this time, for the broker's own work ...
const ALLOWANCE: Duration = Duration::from_millis(60);
/// ... but at most in this.
const REACH_MOST: Duration = Duration::from_secs(1);

/// The window in bytes.
#[derive(Debug)]
pub(super) struct Pace {
    most: usize,
    window: usize,
    step_began: Option<Instant>,
    in_step: usize,
    /// Bytes a second acknowledged in each of the last steps, the newest last.
    steps: Vec<f64>,
    /// The shortest time from sending to acknowledgement: later ones include what waited before it.
    round_trip: Option<Duration>,
}

impl Pace {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most: most.max(LEAST),
            window: FIRST.min(most.max(LEAST)),
            step_began: None,
            in_step: 0,
            steps: Vec::new(),
            round_trip: None,
        }
    }

    pub(super) fn start(&mut self, now: Instant) {
        *self = Self {
            step_began: Some(now),
            ..Self::new(self.most)
        };
    }

    pub(super) fn window(&self) -> usize {
        self.window
    }

    /// So many bytes were acknowledged, `round_trip` after they were sent.
    pub(super) fn acked(&mut self, now: Instant, bytes: usize, round_trip: Option<Duration>) {
        if let Some(new) = round_trip {
            self.round_trip = Some(self.round_trip.map_or(new, |old| old.min(new)));
        }
        self.in_step += bytes;
        let began = *self.step_began.get_or_insert(now);
        let passed = now.saturating_duration_since(began);
        let step = if self.steps.len() < STEPS_FIRST {
            STEP_FIRST
        } else {
            STEP
        };
        if passed < step {
            return;
        }
        // A pause without acknowledgements may be one without messages: it is spread over its time
        // only up to a step.
        self.steps
            .push(self.in_step as f64 / passed.min(step * 2).as_secs_f64());
        if self.steps.len() > STEPS {
            self.steps.remove(0);
        }
        (self.step_began, self.in_step) = (Some(now), 0);
        // The best of lately: a lull says nothing about the link.
        let best = self.steps.iter().copied().fold(0.0, f64::max);
        let reach = self.round_trip.map_or(REACH_MOST, |r| {
            (r * ROUND_TRIPS + ALLOWANCE).min(REACH_MOST)
        });
        self.window = ((best * reach.as_secs_f64()) as usize).clamp(LEAST, self.most);
    }
}

/// The most bytes a second. Hits are sent all the same; what they took, the others wait for.
#[derive(Debug)]
pub(super) struct Cap {
    bytes_per_second: u64,
    free_at: Option<Instant>,
}

impl Cap {
    pub(super) fn new(bytes_per_second: u64) -> Self {
        Self {
            bytes_per_second: bytes_per_second.max(1),
            free_at: None,
        }
    }

    /// Until when to wait; `None`: now.
    pub(super) fn wait(&self, now: Instant) -> Option<Instant> {
        self.free_at.filter(|at| *at > now)
    }

    pub(super) fn spend(&mut self, now: Instant, bytes: usize) {
        let from = self.free_at.filter(|at| *at > now).unwrap_or(now);
        self.free_at =
            Some(from + Duration::from_secs_f64(bytes as f64 / self.bytes_per_second as f64));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_follows_the_link() {
        let start = Instant::now();
        let mut pace = Pace::new(2 << 20);
        pace.start(start);
        assert_eq!(pace.window(), FIRST);
        // 100 kB a second: the least is more than half of that.
        for n in 1..=40 {
            pace.acked(start + Duration::from_millis(n * 100), 10_000, None);
        }
        assert!(
            (LEAST..150_000).contains(&pace.window()),
            "{}",
            pace.window()
        );
        // A fast one opens it fully, at once.
        for n in 1..=20 {
            pace.acked(
                start + Duration::from_secs(5) + Duration::from_millis(n * 20),
                200_000,
                None,
            );
        }
        assert_eq!(pace.window(), 2 << 20);
    }

    #[test]
    fn what_a_hit_has_to_wait_for_follows_the_round_trip() {
        let window = |round_trip: u64| {
            let (start, mut pace) = (Instant::now(), Pace::new(64 << 20));
            pace.start(start);
            // 20 MB a second; what waits in the broker makes later round trips longer.
            for n in 1..=300 {
                let round_trip = Duration::from_millis(round_trip + n);
                pace.acked(
                    start + Duration::from_millis(n * 10),
                    200_000,
                    Some(round_trip),
                );
            }
            pace.window() as u64
        };
        let about = |bytes: u64, ms: u64| bytes.abs_diff(ms * 20_000) < ms * 1_000;
        for (round_trip, reach) in [(0, 64), (49, 260), (999, 1000)] {
            assert!(
                about(window(round_trip), reach),
                "{round_trip} ms: {}",
                window(round_trip)
            );
        }
    }

    #[test]
    fn the_cap_holds_over_time() {
        let start = Instant::now();
        let mut cap = Cap::new(1000);
        assert_eq!(cap.wait(start), None);
        cap.spend(start, 500);
        cap.spend(start, 500);
        assert_eq!(cap.wait(start), Some(start + Duration::from_secs(1)));
        assert_eq!(cap.wait(start + Duration::from_secs(1)), None);
    }
}
