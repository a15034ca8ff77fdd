//! How long something took, for figures that are shown and never decide anything.

use std::time::{Duration, Instant};

#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    #[allow(clippy::disallowed_methods)] // Measuring only: what decides asks a `Clock`.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    /// Time since the start or the last lap.
    pub fn lap(&mut self) -> Duration {
        let elapsed = self.0.elapsed();
        self.0 += elapsed;
        elapsed
    }
}
