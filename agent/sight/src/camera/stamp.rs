//! When a live frame was captured. Pure.
//!
//! A stream's own time stamps are even but count from an unknown moment; the moment a frame arrives
//! is known but comes late by what encoder, network and decoder held it up. Both together: the
//! frame that was held up least tells how the stream's clock lies to ours, and by that every other
//! frame's stamp is read. What even the fastest frame was held up by stays in (`latency` takes it
//! out where it is known).
//!
//! A network that stalls delivers late frames with stamps that go on evenly: their capture times
//! stay right. Only a stamp that steps back, or that lies far ahead of its frame's arrival, says
//! that the stream counts anew. Frames that stay late for longer than [`SPAN`] are believed as
//! well: the stream's clock was set, or the way became longer. A stamp that can be no time is left
//! out, and the arrival counts.
//!
//! Some cameras count time wrongly: stamps that stand still, creep, or go on slower than frames
//! come. Frames of such a stream would lie further and further in the past. Where a stream's clock
//! falls behind its frames span after span, its stamps are not believed, and the arrival counts,
//! until they keep up again.

use std::time::Duration;

/// How long the fastest frame counts, in seconds: long enough to hold one, short enough to follow a
/// camera's clock that drifts.
const SPAN: f64 = 5.0;
/// A stamp this many seconds ahead of where it should be begins a new count.
const AHEAD: f64 = 2.0;
/// So does one that lies this many seconds before the last: frames come in the order of their
/// capture.
const BACK: f64 = 0.5;
/// Seconds beyond which a stamp is a fault of the stream: a hundred years. Larger numbers would
/// lose the fractions.
const LARGEST: f64 = 3.2e9;

/// By so many seconds a clock that is right does not fall behind in a span; a network that gets
/// slower for so long would be a long queue.
const BEHIND: f64 = 0.2;
/// Spans in a row, until stamps are not believed, or believed again.
const SPANS: u32 = 3;
/// No frame for so long is a pause.
const PAUSE: f64 = 0.7;
/// A clock that loses so much of a span is not waited for.
const CREEPS: f64 = 0.5;

#[derive(Debug, Default)]
pub struct Stamper {
    latency: f64,
    /// The least of arrival less stamp, in seconds: of this span and of the one before.
    now: Option<f64>,
    before: Option<f64>,
    since: f64,
    last_stamp: Option<f64>,
    last: Option<f64>,
    last_arrival: Option<f64>,
    /// Where the count began: stamp and arrival.
    began: Option<(f64, f64)>,
    /// Spans in a row that speak against the stamps, or for them where they are not believed.
    against: u32,
    lies: bool,
}

impl Stamper {
    /// `latency`: what the camera and the way to us take at least.
    pub fn new(latency: Duration) -> Self {
        Self {
            latency: latency.as_secs_f64(),
            ..Self::default()
        }
    }

    /// The capture time of a frame: on our monotonic clock, never after its arrival, and always
    /// after the frame before.
    pub fn at(&mut self, stamp: Option<f64>, arrival: Duration) -> Duration {
        let arrived = arrival.as_secs_f64();
        let captured = match stamp.filter(|s| s.abs() <= LARGEST) {
            None => arrived,
            // The same stamp again is none.
            Some(stamp) if self.last_stamp == Some(stamp) => arrived,
            Some(stamp) => {
                let captured = stamp + self.offset(stamp, arrived);
                if self.lies { arrived } else { captured }
            }
        };
        let captured = (captured.min(arrived) - self.latency).max(0.0);
        let captured = self.last.map_or(captured, |last| captured.max(last + 1e-6));
        self.last = Some(captured);
        Duration::from_secs_f64(captured)
    }

    /// What is added to a stamp to make it a time of ours.
    fn offset(&mut self, stamp: f64, arrived: f64) -> f64 {
        let sample = arrived - stamp;
        let steps_back = self.last_stamp.is_some_and(|last| stamp < last - BACK);
        let known = [self.now, self.before].into_iter().flatten();
        let lies_ahead = known.fold(f64::INFINITY, f64::min) - sample > AHEAD;
        if steps_back || (lies_ahead && self.now.is_some()) {
            (self.now, self.before) = (None, None);
            self.began = None;
        }
        self.last_stamp = Some(stamp);
        // After a pause of the network frames come late, and the count begins with the first of them.
        if self.last_arrival.is_some_and(|last| arrived - last > PAUSE) {
            self.began = None;
        }
        self.last_arrival = Some(arrived);
        let (first_stamp, first_arrival) = *self.began.get_or_insert((stamp, arrived));
        let (counted, passed) = (stamp - first_stamp, arrived - first_arrival);
        // From its beginning on: a stream begins with what it has waiting, which is faster.
        if (1.0..SPAN).contains(&passed) && counted < CREEPS * passed {
            self.lies = true;
        }
        if self.now.is_none() {
            self.since = arrived;
        } else if arrived - self.since > SPAN {
            // A span without frames, or that ends one, says nothing of the clock.
            let whole = arrived - self.since < SPAN + 1.0;
            if let (Some(now), Some(before), true) = (self.now, self.before, whole) {
                self.judge(now - before);
            }
            self.before = self.now.take();
            self.since = arrived;
        }
        let now = self.now.map_or(sample, |n| n.min(sample));
        self.now = Some(now);
        self.before.map_or(now, |b| b.min(now))
    }

    /// A span in which the stream's clock fell behind by so much.
    fn judge(&mut self, behind: f64) {
        if (behind > BEHIND) == self.lies {
            self.against = 0;
            return;
        }
        self.against += 1;
        if self.against >= SPANS || (!self.lies && behind > CREEPS * SPAN) {
            (self.lies, self.against) = (!self.lies, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Frames every 40 ms, each held up by 30 ms and up to 150 ms more, on a clock that drifts
        /// by 100 ppm.
        #[test]
        fn what_held_a_frame_up_is_taken_out(more in proptest::collection::vec(0.0f64..0.15, 400), drift in -1e-4f64..1e-4) {
            let mut s = Stamper::new(Duration::from_millis(30));
            let (mut last, mut arrived) = (Duration::ZERO, 0.0f64);
            let mut held_up: Vec<(f64, f64)> = Vec::new();
            for (i, more) in more.iter().enumerate() {
                let true_time = 10.0 + i as f64 * 0.04;
                // In order, as a connection delivers them.
                arrived = (true_time + 0.03 + more).max(arrived);
                let stamp = i as f64 * 0.04 * (1.0 + drift) + 4711.0;
                let got = s.at(Some(stamp), Duration::from_secs_f64(arrived));
                prop_assert!(got > last && got.as_secs_f64() <= arrived);
                last = got;
                held_up.push((arrived, arrived - true_time - 0.03));
                let least = held_up.iter().filter(|h| arrived - h.0 <= SPAN).map(|h| h.1).fold(f64::INFINITY, f64::min);
                // As exact as the fastest frame of the last seconds, but for what the camera's
                // clock drifts meanwhile.
                let error = got.as_secs_f64() - true_time;
                prop_assert!(error > -0.003 && error < least + 0.003, "{error} {least}");
            }
        }
    }

    #[test]
    fn a_stream_that_counts_anew_or_has_no_stamps_is_followed() {
        let mut s = Stamper::default();
        let d = Duration::from_secs_f64;
        assert_eq!(s.at(Some(100.0), d(5.0)), d(5.0));
        assert!((s.at(Some(100.04), d(5.1)).as_secs_f64() - 5.04).abs() < 1e-9);
        assert!(
            (s.at(Some(0.0), d(5.2)).as_secs_f64() - 5.2).abs() < 1e-9,
            "it began anew"
        );
        assert!((s.at(None, d(5.3)).as_secs_f64() - 5.3).abs() < 1e-9);
        assert!(
            s.at(None, d(5.3)) > d(5.3),
            "no two frames have the same time"
        );
    }

    /// Even frames that arrive 50 ms late; in between the network holds all of them up for `stall`
    /// seconds and then delivers them at once. Returns the largest error of a capture time, in
    /// seconds.
    fn error_after_a_stall(stall: f64, frames: u32) -> f64 {
        let mut stamper = Stamper::default();
        let mut worst = 0.0_f64;
        let begins = 4.0;
        for i in 0..frames {
            let captured = 100.0 + f64::from(i) * 0.04;
            let since = captured - 100.0;
            let mut arrived = captured + 0.05;
            if (begins..begins + stall).contains(&since) {
                arrived = 100.0 + begins + stall + 0.05 + (since - begins) * 0.02;
            }
            let got = stamper
                .at(Some(since + 4711.0), Duration::from_secs_f64(arrived))
                .as_secs_f64();
            worst = worst.max((got - captured).abs());
        }
        worst
    }

    #[test]
    fn a_stall_of_the_network_does_not_move_capture_times() {
        for stall in [0.5, 1.5, 2.5, 3.0, 4.5, 12.0, 60.0] {
            let error = error_after_a_stall(stall, 2000);
            assert!(error < 0.2, "{error} s after a stall of {stall} s");
        }
    }

    #[test]
    fn frames_that_stay_late_are_believed_in_the_end() {
        let mut stamper = Stamper::default();
        let mut error = 0.0;
        for i in 0..500 {
            let stamp = f64::from(i) * 0.04;
            // From the fourth second on the way takes three seconds more.
            let late = if i < 100 { 0.05 } else { 3.05 };
            let arrived = stamp + 10.0 + late;
            let got = stamper.at(Some(stamp), Duration::from_secs_f64(arrived));
            error = arrived - got.as_secs_f64();
        }
        assert!(error < 0.2, "{error}");
    }

    #[test]
    fn one_absurd_stamp_harms_no_other_frame() {
        for absurd in [
            1e300,
            -1e300,
            f64::NAN,
            f64::INFINITY,
            5e9,
            90_000.0,
            -90_000.0,
        ] {
            let mut stamper = Stamper::default();
            for i in 0..200 {
                let stamp = f64::from(i) * 0.04;
                let arrived = stamp + 10.05;
                let told = if i == 100 { absurd } else { stamp };
                let got = stamper.at(Some(told), Duration::from_secs_f64(arrived));
                let error = (got.as_secs_f64() - arrived).abs();
                assert!(error < 0.2, "{absurd}, frame {i}: {error}");
            }
        }
    }

    /// The largest error of a capture time after `settled` seconds, of a camera of 10 frames a second
    /// whose clock runs at this share of the true one.
    fn error_at_scale(scale: f64, settled: f64) -> f64 {
        let mut stamper = Stamper::default();
        let mut worst = 0.0_f64;
        for i in 0..1200 {
            let captured = 100.0 + f64::from(i) * 0.1;
            let arrived = captured + 0.05;
            let stamp = 4711.0 + f64::from(i) * 0.1 * scale;
            let got = stamper
                .at(Some(stamp), Duration::from_secs_f64(arrived))
                .as_secs_f64();
            if f64::from(i) * 0.1 > settled {
                worst = worst.max((got - captured).abs());
            }
        }
        worst
    }

    #[test]
    fn a_clock_that_lies_is_not_believed() {
        for (scale, settled) in [
            (0.0, 0.1),
            (0.0111, 1.2),
            (0.3, 1.2),
            (0.84, 22.0),
            (90.0, 0.1),
        ] {
            let error = error_at_scale(scale, settled);
            assert!(error < 0.3, "{scale}: {error} s");
        }
        // Off by a share that no network would hide: believed, as exact as it is.
        assert!(error_at_scale(1.0001, 0.0) < 0.1 && error_at_scale(0.9999, 0.0) < 0.1);
    }
}
