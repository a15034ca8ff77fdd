//! How cameras share the processor: how many frames each is worth taking in. Who may compute next
//! is the model pool's.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// As many as can compute at the same time.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Frames a second that a core is given, of all cameras together: about what it can look at, beside
/// decoding. More would only be copied and thrown away.
const FRAMES_PER_CORE: usize = 36;
/// Fewer than this and a vehicle is not followed well, however many cameras there are.
const LEAST: f32 = 8.0;

/// What each of a number of cameras gets; cloning shares the number.
#[derive(Debug, Clone)]
pub struct Share(Arc<AtomicUsize>);

impl Share {
    pub fn new(cameras: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(cameras)))
    }

    pub fn among(&self, cameras: usize) {
        self.0.store(cameras, Ordering::Relaxed);
    }

    /// Frames a second to take of a camera.
    pub fn rate(&self) -> f32 {
        rate(cores(), self.0.load(Ordering::Relaxed))
    }
}

fn rate(cores: usize, cameras: usize) -> f32 {
    ((cores * FRAMES_PER_CORE) as f32 / cameras.max(1) as f32).max(LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cameras_share_the_frames_of_all_cores() {
        let cases = [
            (1, 1, 36.0),
            (2, 1, 72.0),
            (2, 4, 18.0),
            (4, 4, 36.0),
            (2, 20, 8.0),
            (2, 0, 72.0),
        ];
        for (cores, cameras, wanted) in cases {
            assert!(
                (rate(cores, cameras) - wanted).abs() < f32::EPSILON,
                "{cores} cores, {cameras} cameras"
            );
        }
        let share = Share::new(1);
        let alone = share.rate();
        share.clone().among(2);
        assert!(share.rate() < alone);
    }
}
