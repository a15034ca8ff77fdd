//! How long to wait before the next try: growing, bounded, and spread by chance so that a hundred
//! checkpoints do not all come back in the same second after the broker was away.

use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

/// Doubles from `first` to `most`; each wait is taken from the upper half of its step.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    next: Duration,
}

impl Backoff {
    pub fn new(first: Duration, most: Duration) -> Self {
        Self {
            first,
            most: most.max(first),
            next: first,
        }
    }

    /// The next wait. `chance` is 0 to 1 and handed in so that a test can choose it.
    pub fn step(&mut self, chance: f64) -> Duration {
        let step = self.next;
        self.next = (step * 2).min(self.most);
        step.mul_f64(0.5 + 0.5 * chance.clamp(0.0, 1.0))
    }

    /// The next wait with a chance of its own.
    pub fn wait(&mut self) -> Duration {
        self.step(chance())
    }

    /// It worked: start from the shortest wait again.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

/// A number from 0 to 1. The standard library seeds its hash maps from the system; that is random
/// enough to keep boxes apart, and needs no further crate.
fn chance() -> f64 {
    let bits = std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish();
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_its_bound_and_starts_again() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(ms(100), ms(350));
        let waits: Vec<_> = (0..4).map(|_| backoff.step(1.0)).collect();
        assert_eq!(waits, [ms(100), ms(200), ms(350), ms(350)]);
        backoff.reset();
        assert_eq!(backoff.step(0.0), ms(50));
    }

    #[test]
    fn chance_is_spread() {
        let draws: Vec<f64> = (0..1000).map(|_| chance()).collect();
        assert!(draws.iter().all(|c| (0.0..1.0).contains(c)));
        let mean = draws.iter().sum::<f64>() / 1000.0;
        assert!((0.4..0.6).contains(&mean), "mean {mean}");
    }
}
