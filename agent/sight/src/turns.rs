//! How cameras share the processor: who may compute next, and how many frames each is worth taking in.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

#[derive(Debug)]
struct State {
    free: usize,
    /// Tickets of those who wait, in the order they came.
    waiting: VecDeque<u64>,
    next: u64,
}

/// So many places to compute at; cloning shares them.
#[derive(Debug, Clone)]
pub struct Turns {
    inner: Arc<(Mutex<State>, Condvar)>,
}

/// A place, until it is dropped.
pub struct Turn<'a>(&'a Turns);

impl Turns {
    pub fn new(places: usize) -> Self {
        let state = State {
            free: places.max(1),
            waiting: VecDeque::new(),
            next: 0,
        };
        Self {
            inner: Arc::new((Mutex::new(state), Condvar::new())),
        }
    }

    /// Waits for a place.
    pub fn take(&self) -> Turn<'_> {
        let (state, changed) = &*self.inner;
        let mut s = state.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = s.next;
        s.next += 1;
        s.waiting.push_back(mine);
        while s.free == 0 || s.waiting.front() != Some(&mine) {
            s = changed.wait(s).unwrap_or_else(PoisonError::into_inner);
        }
        s.waiting.pop_front();
        s.free -= 1;
        drop(s);
        // The one behind may find another place free.
        changed.notify_all();
        Turn(self)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let (state, changed) = &*self.0.inner;
        state.lock().unwrap_or_else(PoisonError::into_inner).free += 1;
        changed.notify_all();
    }
}

/// As many as can compute at the same time.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Frames a second that a core is given, of all cameras together: two to three times what it can look at. More would
/// only be copied and thrown away.
const FRAMES_PER_CORE: usize = 25;
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
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn cameras_share_the_frames_of_all_cores() {
        let cases = [
            (1, 1, 25.0),
            (2, 1, 50.0),
            (2, 4, 12.5),
            (4, 4, 25.0),
            (2, 20, 8.0),
            (2, 0, 50.0),
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

    #[test]
    fn places_are_never_exceeded_and_everybody_gets_as_many_turns() {
        let turns = Turns::new(2);
        let inside = AtomicUsize::new(0);
        let until = Instant::now() + Duration::from_millis(600);
        let counts: Vec<usize> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        let mut n = 0;
                        while Instant::now() < until {
                            let turn = turns.take();
                            assert!(inside.fetch_add(1, Ordering::SeqCst) < 2);
                            std::thread::sleep(Duration::from_millis(5));
                            inside.fetch_sub(1, Ordering::SeqCst);
                            drop(turn);
                            n += 1;
                        }
                        n
                    })
                })
                .collect();
            workers.into_iter().map(|w| w.join().unwrap()).collect()
        });
        let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
        assert!(*least > 0 && most - least <= 3, "{counts:?}");
    }
}
