//! What the cameras made of what passed, counted since the start: for metrics and the daily report.
//!
//! A camera's counts outlive its thread: a reload that begins it anew does not set them back.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, FixedOffset};
use kakou_contract::{HitMessage, Id, PassageMessage, Plate};

/// Of a plate's upper edge, in pixels of the camera's picture.
pub fn plate_width(plate: &Plate) -> f32 {
    let [[x0, y0], [x1, y1], ..] = plate.quad.map(|point| point.map(|px| px.get()));
    (x1 - x0).hypot(y1 - y0)
}

/// Upper edges in seconds. A look should be over within the first three, a hit be told within the
/// first five; a vehicle that stands beyond the line is a passage when it has gone.
pub const DELAY_EDGES: [f64; 10] = [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0];

/// How often something took how long.
#[derive(Debug, Clone, Default)]
pub struct Histogram {
    /// One per edge, and one for what lies beyond the last.
    pub counts: [u64; DELAY_EDGES.len() + 1],
    pub sum: f64,
}

impl Histogram {
    pub fn add(&mut self, seconds: f64) {
        let at = DELAY_EDGES.iter().position(|edge| seconds <= *edge);
        self.counts[at.unwrap_or(DELAY_EDGES.len())] += 1;
        self.sum += seconds;
    }

    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// A sum and of how many: a mean that can be taken over any time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sum {
    pub sum: f64,
    pub of: u64,
}

impl Sum {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.of += 1;
    }

    pub fn mean(&self) -> Option<f64> {
        (self.of > 0).then(|| self.sum / self.of as f64)
    }
}

/// One lane, or what passed outside of all lanes where there are none.
#[derive(Debug, Clone, Default)]
pub struct LaneTally {
    /// Passages with a plate.
    pub read: u64,
    /// Passages without one, by the reason's word.
    pub unread: BTreeMap<&'static str, u64>,
    /// Of the plates that were read.
    pub confidence: Sum,
    /// In pixels of the evidence frame, along the plate's upper edge.
    pub width: Sum,
}

impl LaneTally {
    pub fn passages(&self) -> u64 {
        self.read + self.unread.values().sum::<u64>()
    }
}

/// One camera.
#[derive(Debug, Clone, Default)]
pub struct CameraTally {
    pub lanes: BTreeMap<Option<Id>, LaneTally>,
    /// By level and state.
    pub hits: BTreeMap<(&'static str, &'static str), u64>,
    /// From a frame's capture to the end of the look at it.
    pub looks: Histogram,
    /// From the moment of a passage until its record is handed to the outbox.
    pub passage_delay: Histogram,
    /// From the frame that decided a hit until it is handed to the outbox.
    pub hit_delay: Histogram,
    pub last_passage: Option<DateTime<FixedOffset>>,
    pub last_read: Option<DateTime<FixedOffset>>,
}

impl CameraTally {
    /// A passage as it was seen, before anything of it is withheld.
    fn passed(&mut self, passage: &PassageMessage, now: DateTime<FixedOffset>) {
        let lane = passage.lane.as_ref().map(|lane| lane.id.clone());
        let lane = self.lanes.entry(lane).or_default();
        match (&passage.plate, passage.no_plate_reason) {
            (Some(plate), _) => {
                lane.read += 1;
                lane.confidence.add(plate.confidence.get().into());
                lane.width.add(f64::from(plate_width(plate)));
                self.last_read = Some(passage.time);
            }
            (None, Some(reason)) => *lane.unread.entry(reason.as_str()).or_default() += 1,
            (None, None) => {}
        }
        self.last_passage = Some(passage.time);
        self.passage_delay.add(seconds(passage.time, now));
    }

    fn told(&mut self, hits: &[HitMessage], now: DateTime<FixedOffset>) {
        for hit in hits {
            let key = (hit.level.as_str(), hit.state.as_str());
            *self.hits.entry(key).or_default() += 1;
            if let Some(decided) = hit.decided_at {
                self.hit_delay.add(seconds(decided, now));
            }
        }
    }
}

fn seconds(from: DateTime<FixedOffset>, to: DateTime<FixedOffset>) -> f64 {
    (to - from).as_seconds_f64().max(0.0)
}

/// The tallies of all cameras. A clone is another hand on the same ones.
#[derive(Clone, Default)]
pub struct Tallies(Arc<Mutex<BTreeMap<Id, Tally>>>);

impl Tallies {
    /// That of a camera, which begins with its first use.
    pub fn of(&self, camera: &Id) -> Tally {
        locked(&self.0).entry(camera.clone()).or_default().clone()
    }

    /// Of all cameras there ever were since the start.
    pub fn all(&self) -> Vec<(Id, CameraTally)> {
        let all = locked(&self.0);
        all.iter().map(|(id, t)| (id.clone(), t.now())).collect()
    }
}

/// One camera's. A clone is another hand on the same one.
#[derive(Clone, Default)]
pub struct Tally(Arc<Mutex<CameraTally>>);

impl Tally {
    pub fn passed(&self, passage: &PassageMessage, now: DateTime<FixedOffset>) {
        locked(&self.0).passed(passage, now);
    }

    pub fn told(&self, hits: &[HitMessage], now: DateTime<FixedOffset>) {
        locked(&self.0).told(hits, now);
    }

    pub fn looked_after(&self, delay: Duration) {
        locked(&self.0).looks.add(delay.as_secs_f64());
    }

    pub fn now(&self) -> CameraTally {
        locked(&self.0).clone()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use kakou_contract::codes::NoPlateReason;
    use kakou_contract::{Message, Px};

    use super::*;

    const PASSAGE: &[u8] = include_bytes!("../../contract/golden/passage.json");
    const HIT: &[u8] = include_bytes!("../../contract/golden/hit.json");

    #[test]
    fn passages_count_by_lane_and_reason() {
        let tallies = Tallies::default();
        let mut read = PassageMessage::from_json(PASSAGE).unwrap();
        let now = read.time + chrono::TimeDelta::milliseconds(1500);
        let plate = read.plate.as_mut().unwrap();
        plate.quad[0] = [Px::from(10.0), Px::from(10.0)];
        plate.quad[1] = [Px::from(70.0), Px::from(90.0)];
        let confidence = f64::from(plate.confidence.get());
        let mut unread = read.clone();
        unread.plate = None;
        unread.no_plate_reason = Some(NoPlateReason::TooSmall);
        let tally = tallies.of(&read.camera);
        tally.passed(&read, now);
        tally.passed(&unread, now);
        tally.passed(&unread, now);
        let all = tallies.all();
        let (id, camera) = &all[0];
        let lane = &camera.lanes[&read.lane.as_ref().map(|l| l.id.clone())];
        assert_eq!(
            (all.len(), id, lane.read, lane.passages()),
            (1, &read.camera, 1, 3)
        );
        assert_eq!(lane.unread["too_small"], 2);
        assert_eq!(lane.width.mean(), Some(100.0));
        assert_eq!(lane.confidence.mean(), Some(confidence));
        assert_eq!(camera.last_read, Some(read.time));
        // All of them within two seconds, none within one.
        assert_eq!(
            (camera.passage_delay.count(), camera.passage_delay.sum),
            (3, 4.5)
        );
        assert_eq!(camera.passage_delay.counts[4], 3);
    }

    #[test]
    fn hits_count_by_level_and_state_and_a_clock_set_back_is_no_negative_delay() {
        let tally = Tally::default();
        let mut hit = HitMessage::from_json(HIT).unwrap();
        hit.decided_at = Some(hit.time);
        tally.told(
            std::slice::from_ref(&hit),
            hit.time - chrono::TimeDelta::seconds(9),
        );
        let now = tally.now();
        assert_eq!(now.hits[&(hit.level.as_str(), hit.state.as_str())], 1);
        assert_eq!((now.hit_delay.counts[0], now.hit_delay.sum), (1, 0.0));
    }

    #[test]
    fn what_takes_longest_lies_beyond_the_last_edge() {
        let mut histogram = Histogram::default();
        [0.1, 0.11, 300.0, 301.0]
            .iter()
            .for_each(|s| histogram.add(*s));
        let counts = histogram.counts;
        assert_eq!((counts[0], counts[1], counts[9], counts[10]), (1, 1, 1, 1));
    }
}
