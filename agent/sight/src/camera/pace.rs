//! Whether a box keeps up with a camera: how many looks a second it manages while something is
//! followed, over the last minute. Pure.

use std::collections::VecDeque;
use std::time::Duration;

/// What is judged over.
const OVER: Duration = Duration::from_secs(60);
/// Less than this of it says nothing.
const ENOUGH: Duration = Duration::from_secs(10);
/// Looks a second that a camera needs while vehicles pass: at 60 km/h one goes 4 m from look to
/// look then, and its plate can be read over some 8 m. At three some vehicles are missed.
pub const LOOKS_NEEDED: f32 = 4.0;
/// From so many on all is well again.
const WELL: f32 = 5.0;
/// Only where so large a share of the frames was not looked at, the box is what is slow, and not
/// the camera.
const MISSED: f32 = 0.2;
/// Frames further apart than this tell of a pause, and not of time that was spent looking.
const PAUSE: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy, Default)]
struct Second {
    number: u64,
    busy: Duration,
    looks: u32,
    missed: u32,
}

#[derive(Debug, Default)]
pub struct Pace {
    seconds: VecDeque<Second>,
    last: Option<Duration>,
    too_slow: bool,
}

impl Pace {
    /// A frame was looked at, or passed over for a newer one. `busy`: something is being followed.
    pub fn frame(&mut self, now: Duration, busy: bool, missed: u64) {
        let since = self.last.replace(now).map(|last| now.saturating_sub(last));
        let Some(since) = since.filter(|since| busy && *since <= PAUSE) else {
            return;
        };
        let number = now.as_secs();
        if self.seconds.back().is_none_or(|s| s.number != number) {
            self.seconds.push_back(Second {
                number,
                ..Second::default()
            });
        }
        if let Some(second) = self.seconds.back_mut() {
            second.busy += since;
            second.looks += 1;
            second.missed += u32::try_from(missed).unwrap_or(u32::MAX);
        }
    }

    /// Looks a second while the box cannot keep up; `None`: it can, or it is not known.
    pub fn too_slow(&mut self, now: Duration) -> Option<f32> {
        let oldest = now.saturating_sub(OVER).as_secs();
        while self.seconds.front().is_some_and(|s| s.number < oldest) {
            self.seconds.pop_front();
        }
        let busy: Duration = self.seconds.iter().map(|s| s.busy).sum();
        let count = |of: fn(&Second) -> u32| self.seconds.iter().map(|s| of(s) as f32).sum::<f32>();
        let (looks, missed) = (count(|s| s.looks), count(|s| s.missed));
        if busy >= ENOUGH {
            let rate = looks / busy.as_secs_f32();
            let bar = if self.too_slow { WELL } else { LOOKS_NEEDED };
            self.too_slow = rate < bar && missed > MISSED * (looks + missed);
            return self.too_slow.then_some(rate);
        }
        // While little passes it stays as it was; after a minute with nothing, all is well.
        self.too_slow &= !self.seconds.is_empty();
        self.too_slow.then(|| looks / busy.as_secs_f32().max(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many looks a second for so long, of frames that come 25 times a second.
    fn drive(pace: &mut Pace, from: f32, seconds: f32, looks: f32, busy: bool) -> f32 {
        let n = (seconds * looks) as u32;
        let missed = (25.0 / looks - 1.0).round().max(0.0) as u64;
        for i in 0..n {
            let now = Duration::from_secs_f32(from + i as f32 / looks);
            pace.frame(now, busy, missed);
        }
        from + seconds
    }

    fn at(seconds: f32) -> Duration {
        Duration::from_secs_f32(seconds)
    }

    #[test]
    fn a_box_that_manages_two_looks_while_vehicles_pass_is_too_slow() {
        let mut pace = Pace::default();
        let now = drive(&mut pace, 100.0, 30.0, 2.0, true);
        let rate = pace.too_slow(at(now)).unwrap_or_default();
        assert!((rate - 2.0).abs() < 0.2, "{rate}");
        // It keeps up for a minute: all is well.
        let now = drive(&mut pace, now, 61.0, 12.0, true);
        assert_eq!(pace.too_slow(at(now)), None);
    }

    #[test]
    fn one_that_manages_enough_or_has_nothing_to_do_is_not() {
        let mut pace = Pace::default();
        let now = drive(&mut pace, 100.0, 60.0, 9.0, true);
        assert_eq!(pace.too_slow(at(now)), None);
        // An empty road, looked at seldom by intent.
        let now = drive(&mut pace, now, 120.0, 1.0, false);
        assert_eq!(pace.too_slow(at(now)), None);
    }

    #[test]
    fn a_camera_that_sends_four_frames_a_second_is_no_fault_of_the_box() {
        let mut pace = Pace::default();
        for i in 0..240 {
            pace.frame(at(100.0 + i as f32 / 4.0), true, 0);
        }
        assert_eq!(pace.too_slow(at(160.0)), None);
    }

    #[test]
    fn a_few_seconds_decide_nothing_and_a_quiet_minute_ends_it() {
        let mut pace = Pace::default();
        let now = drive(&mut pace, 100.0, 8.0, 2.0, true);
        assert_eq!(pace.too_slow(at(now)), None);
        let now = drive(&mut pace, now, 10.0, 2.0, true);
        assert!(pace.too_slow(at(now)).is_some());
        assert!(
            pace.too_slow(at(now + 50.0)).is_some(),
            "it is not known yet"
        );
        assert_eq!(pace.too_slow(at(now + 70.0)), None);
    }
}
