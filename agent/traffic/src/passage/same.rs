//! Whether two things followed one after the other are the same vehicle.

use std::time::Duration;

use crate::geometry::Rect;
use crate::plate::{VotedPlate, confusable, distance};
use crate::track::TrackId;

use super::evidence::Evidence;
use super::{Moment, PassageConfig};

/// Seen at once for longer than this, two tracks are two vehicles unless their plates are equal.
const OVERLAP: Duration = Duration::from_millis(300);
/// A read of a plate that is cut off by the border has at least this many characters in common with the whole.
const PART: usize = 4;
/// From this confidence on a character read second speaks for what it would make equal.
const RUNNER_UP: f32 = 0.1;

/// What remains of a vehicle for comparing it with others.
#[derive(Debug, Clone)]
pub(crate) struct Trace {
    pub(crate) plate: Option<VotedPlate>,
    pub(crate) lane: Option<usize>,
    pub(crate) first: Moment,
    pub(crate) last: Moment,
    ids: Vec<TrackId>,
    host: Option<TrackId>,
    first_box: (Option<Rect>, Option<Rect>),
    last_box: (Option<Rect>, Option<Rect>),
}

impl Trace {
    pub(crate) fn of<F: Clone>(e: &Evidence<F>, c: &PassageConfig) -> Self {
        Self {
            plate: e.voted(),
            lane: e.lanes.winner(c.min_lane_frames, c.min_lane_time),
            first: e.first,
            last: e.last,
            ids: e.ids.clone(),
            host: e.host(),
            first_box: (e.first_vehicle, e.first_plate),
            last_box: (e.last_vehicle, e.last_plate),
        }
    }

    /// Whether this is a plate that nearly always lay on `vehicle`, which shows none.
    pub(crate) fn lies_on(&self, vehicle: &Self) -> bool {
        vehicle.plate.is_none() && self.host.is_some_and(|h| vehicle.ids.contains(&h))
    }

    /// The vehicle was seen once more: it is followed from there.
    pub(crate) fn extend(&mut self, later: &Self) {
        self.last = later.last;
        self.last_box = later.last_box;
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Likeness {
    Equal,
    /// One confusable character, one dropped or doubled one, or a part of the other.
    Near,
    Different,
}

fn likeness(a: &VotedPlate, b: &VotedPlate) -> Likeness {
    if a.text == b.text {
        return Likeness::Equal;
    }
    let near = if a.chars.len() == b.chars.len() {
        let mut apart = a.chars.iter().zip(&b.chars).filter(|(x, y)| x.ch != y.ch);
        match (apart.next(), apart.next()) {
            (Some((x, y)), None) => {
                let second =
                    |r: Option<(char, f32)>, ch| r.is_some_and(|(c, w)| c == ch && w >= RUNNER_UP);
                confusable(x.ch, y.ch) || second(x.runner_up, y.ch) || second(y.runner_up, x.ch)
            }
            _ => false,
        }
    } else {
        let (short, long) = if a.chars.len() < b.chars.len() {
            (a, b)
        } else {
            (b, a)
        };
        let part = short.chars.len() >= PART
            && (long.text.ends_with(&short.text) || long.text.starts_with(&short.text));
        part || (long.chars.len() - short.chars.len() == 1
            && distance(&short.text, &long.text) <= 1.0)
    };
    if near {
        Likeness::Near
    } else {
        Likeness::Different
    }
}

/// Whether `b` is the vehicle of `a` again.
pub(crate) fn same_vehicle(a: &Trace, b: &Trace, c: &PassageConfig) -> bool {
    // A plate and a vehicle without one that were never joined, though the one lay on the other.
    if a.lies_on(b) || b.lies_on(a) {
        return true;
    }
    let (early, late) = if a.first.mono <= b.first.mono {
        (a, b)
    } else {
        (b, a)
    };
    let gap = late.first.mono.saturating_sub(early.last.mono);
    let at_once = late.first.mono + OVERLAP < early.last.mono;
    let lanes_agree = early.lane.is_none() || late.lane.is_none() || early.lane == late.lane;
    match (&early.plate, &late.plate) {
        (Some(x), Some(y)) => match likeness(x, y) {
            Likeness::Equal => gap <= c.rejoin,
            Likeness::Near => !at_once && lanes_agree && gap <= c.rejoin,
            Likeness::Different => false,
        },
        _ => !at_once && gap <= c.rejoin_place && continues(early.last_box, late.first_box),
    }
}

/// Whether something begins where the other ended.
fn continues(last: (Option<Rect>, Option<Rect>), first: (Option<Rect>, Option<Rect>)) -> bool {
    match (last, first) {
        ((Some(a), _), (Some(b), _)) => {
            let alike = (0.5..2.0).contains(&(b.area() / a.area().max(1.0)));
            a.iou(&b) >= 0.3 || b.covered_by(&a) >= 0.8 || (alike && a.iou(&b) >= 0.2)
        }
        ((_, Some(p)), (Some(v), _)) | ((Some(v), _), (_, Some(p))) => v.contains(p.center()),
        ((_, Some(a)), (_, Some(b))) => a.center().distance(b.center()) < a.width().max(b.width()),
        _ => false,
    }
}
