//! How much to have on its way, and how fast to send. Pure: times are handed in.
//!
//! What is in the socket cannot be overtaken. On a link of 1 Mbit/s a window of 2 MiB would hold up a hit for
//! a quarter of a minute; so the window in bytes follows what the link delivers in about a second.

use std::time::Duration;

use tokio::time::Instant;

/// Never fewer bytes than this are on their way.
const LEAST: usize = 64 << 10;
/// Where a new connection begins.
const FIRST: usize = 512 << 10;
const STEP: Duration = Duration::from_millis(250);
/// How many steps make up "lately".
const STEPS: usize = 8;

/// The window in bytes.
#[derive(Debug)]
pub(super) struct Pace {
    most: usize,
    window: usize,
    step_began: Option<Instant>,
    in_step: usize,
    /// Bytes acknowledged in each of the last steps, the newest last.
    steps: Vec<usize>,
}

impl Pace {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most: most.max(LEAST),
            window: FIRST.min(most.max(LEAST)),
            step_began: None,
            in_step: 0,
            steps: Vec::new(),
        }
    }

    pub(super) fn start(&mut self, now: Instant) {
        *self = Self { step_began: Some(now), ..Self::new(self.most) };
    }

    pub(super) fn window(&self) -> usize {
        self.window
    }

    pub(super) fn acked(&mut self, now: Instant, bytes: usize) {
        self.in_step += bytes;
        let began = *self.step_began.get_or_insert(now);
        let passed = now.saturating_duration_since(began);
        if passed < STEP {
            return;
        }
        // A pause without acknowledgements may be one without messages: it is spread over its time only up to a step.
        let rate = (self.in_step as f64 * STEP.as_secs_f64() / passed.min(STEP * 2).as_secs_f64()) as usize;
        self.steps.push(rate);
        if self.steps.len() > STEPS {
            self.steps.remove(0);
        }
        (self.step_began, self.in_step) = (Some(now), 0);
        // The best of lately: a lull says nothing about the link.
        let best = self.steps.iter().copied().max().unwrap_or(0);
        let second = best.saturating_mul((1.0 / STEP.as_secs_f64()) as usize);
        self.window = second.clamp(LEAST, self.most);
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
        Self { bytes_per_second: bytes_per_second.max(1), free_at: None }
    }

    /// Until when to wait; `None`: now.
    pub(super) fn wait(&self, now: Instant) -> Option<Instant> {
        self.free_at.filter(|at| *at > now)
    }

    pub(super) fn spend(&mut self, now: Instant, bytes: usize) {
        let from = self.free_at.filter(|at| *at > now).unwrap_or(now);
        self.free_at = Some(from + Duration::from_secs_f64(bytes as f64 / self.bytes_per_second as f64));
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
            pace.acked(start + Duration::from_millis(n * 100), 10_000);
        }
        assert!((LEAST..150_000).contains(&pace.window()), "{}", pace.window());
        // A fast one opens it fully, at once.
        for n in 1..=20 {
            pace.acked(start + Duration::from_secs(5) + Duration::from_millis(n * 20), 200_000);
        }
        assert_eq!(pace.window(), 2 << 20);
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
