//! Which lane a vehicle used, and when it crossed the lane's trigger line.

use std::time::Duration;

use kakou_time::Moment;

use crate::geometry::{Line, Point};

use super::Lane;

/// How near the trigger line a place counts more, as a share of the picture's height.
const NEAR: f32 = 0.08;
/// How much more a place on the trigger line counts.
const NEAR_GAIN: f32 = 3.0;
/// One place speaks for at most this long.
const MAX_STEP: f32 = 0.5;
/// What is not known to have been there before speaks for this long.
const FIRST_STEP: f32 = 0.025;

/// What a place was taken from: a plate's place is surer than a box's lower edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Anchor {
    Foot,
    Plate,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Crossing {
    pub(crate) time: Moment,
    /// Down the picture: toward the camera.
    pub(crate) down: bool,
    anchor: Anchor,
}

#[derive(Debug, Clone, PartialEq, Default)]
struct Tally {
    weight: f64,
    time: f32,
    frames: u32,
    crossing: Option<Crossing>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LaneVote {
    tallies: Vec<Tally>,
    last_time: Option<Duration>,
    /// The lane of the last look, and how much a place there counts.
    last_place: Option<(usize, f32)>,
    last: [Option<(Moment, Point)>; 2],
}

impl LaneVote {
    pub(crate) fn new(lanes: usize) -> Self {
        Self {
            tallies: vec![Tally::default(); lanes],
            last_time: None,
            last_place: None,
            last: [None, None],
        }
    }

    /// Takes the places of one frame, surest first; returns whether one of them is within a lane.
    pub(crate) fn see(
        &mut self,
        lanes: &[Lane],
        time: Moment,
        height: f32,
        places: &[(Anchor, Point)],
    ) -> bool {
        // Each place stands for half of the time to the look before and half of the time to the
        // look after.
        let half = self.last_time.map_or(FIRST_STEP, |l| {
            0.5 * time.mono.saturating_sub(l).as_secs_f32().min(MAX_STEP)
        });
        self.last_time = Some(time.mono);
        if let Some((i, weight)) = self.last_place.take() {
            let tally = &mut self.tallies[i];
            tally.weight += f64::from(half * weight);
            tally.time += half;
        }
        for &(anchor, p) in places {
            let slot = &mut self.last[anchor as usize];
            if let Some(from) = slot.replace((time, p)) {
                self.cross(lanes, anchor, from, (time, p));
            }
        }
        let inside = |p: Point| {
            lanes
                .iter()
                .position(|l| l.polygon.contains(p))
                .map(|i| (i, p))
        };
        let Some((i, p)) = places.iter().find_map(|&(_, p)| inside(p)) else {
            return false;
        };
        let near = lanes[i]
            .trigger
            .map_or(0.0, |t| (-t.side(p).abs() / (NEAR * height.max(1.0))).exp());
        let tally = &mut self.tallies[i];
        let weight = 1.0 + NEAR_GAIN * near;
        tally.weight += f64::from(half * weight);
        tally.time += half;
        tally.frames = tally.frames.saturating_add(1);
        self.last_place = Some((i, weight));
        true
    }

    fn cross(
        &mut self,
        lanes: &[Lane],
        anchor: Anchor,
        from: (Moment, Point),
        to: (Moment, Point),
    ) {
        for (lane, tally) in lanes.iter().zip(&mut self.tallies) {
            let better = tally.crossing.is_none_or(|c| c.anchor < anchor);
            let Some(part) = lane
                .trigger
                .filter(|_| better)
                .and_then(|t| crossed(&t, from.1, to.1))
            else {
                continue;
            };
            tally.crossing = Some(Crossing {
                time: between(from.0, to.0, part),
                down: to.1.y > from.1.y,
                anchor,
            });
        }
    }

    /// The lane with most votes, if it was used for this long.
    pub(crate) fn winner(&self, min_time: Duration) -> Option<usize> {
        let used = |t: &Tally| t.frames > 0 && t.time >= min_time.as_secs_f32();
        self.tallies
            .iter()
            .enumerate()
            .filter(|(_, t)| used(t))
            .fold(None, |best: Option<(usize, f64)>, (i, t)| match best {
                Some((_, w)) if w >= t.weight => best,
                _ => Some((i, t.weight)),
            })
            .map(|b| b.0)
    }

    pub(crate) fn touched(&self) -> bool {
        self.tallies.iter().any(|t| t.frames > 0)
    }

    pub(crate) fn crossing(&self, lane: usize) -> Option<Crossing> {
        self.tallies.get(lane).and_then(|t| t.crossing)
    }

    pub(crate) fn absorb(&mut self, other: &Self) {
        for (a, b) in self.tallies.iter_mut().zip(&other.tallies) {
            a.weight += b.weight;
            a.time += b.time;
            a.frames = a.frames.saturating_add(b.frames);
            a.crossing = match (a.crossing, b.crossing) {
                (Some(x), Some(y)) => {
                    // The surer anchor; of equals the first crossing.
                    let y_first = (y.anchor, x.time.mono) > (x.anchor, y.time.mono);
                    Some(if y_first { y } else { x })
                }
                (x, y) => x.or(y),
            };
        }
    }
}

/// At which part of the way from `a` to `b` the line is crossed, between its ends.
fn crossed(line: &Line, a: Point, b: Point) -> Option<f32> {
    let (sa, sb) = (line.side(a), line.side(b));
    if (sa < 0.0) == (sb < 0.0) {
        return None;
    }
    let part = (sa / (sa - sb)).clamp(0.0, 1.0);
    let hit = Point::new(a.x + part * (b.x - a.x), a.y + part * (b.y - a.y));
    let (dx, dy) = (line.b.x - line.a.x, line.b.y - line.a.y);
    let along =
        ((hit.x - line.a.x) * dx + (hit.y - line.a.y) * dy) / (dx * dx + dy * dy).max(f32::EPSILON);
    (0.0..=1.0).contains(&along).then_some(part)
}

fn between(a: Moment, b: Moment, part: f32) -> Moment {
    let gap = b.mono.saturating_sub(a.mono).mul_f32(part);
    let capture = (b.wall - a.wall).num_microseconds().unwrap_or(0) as f64 * f64::from(part);
    Moment {
        wall: a.wall + chrono::TimeDelta::microseconds(capture as i64),
        mono: a.mono + gap,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_line_itself_is_crossed() {
        let line = Line {
            a: Point::new(0.0, 100.0),
            b: Point::new(200.0, 100.0),
        };
        let part = crossed(&line, Point::new(100.0, 80.0), Point::new(100.0, 120.0));
        assert!(part.is_some_and(|p| (p - 0.5).abs() < 1e-6));
        assert_eq!(
            crossed(&line, Point::new(300.0, 80.0), Point::new(300.0, 120.0)),
            None
        );
        assert_eq!(
            crossed(&line, Point::new(100.0, 80.0), Point::new(100.0, 99.0)),
            None
        );
    }
}
