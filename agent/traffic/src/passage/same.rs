//! Whether two things followed one after the other are the same vehicle.

use std::time::Duration;

use kakou_time::Moment;

use crate::geometry::Rect;
use crate::plate::{CharRead, VotedPlate, confusable, distance};
use crate::track::TrackId;

use super::PassageConfig;
use super::evidence::Evidence;

/// Seen at once for longer than this, two tracks are two vehicles unless their plates are equal.
const OVERLAP: Duration = Duration::from_millis(300);
/// A read of a plate that is cut off by the border has at least this many characters in common with
/// the whole.
const PART: usize = 4;
/// From this share of the votes on a character read second is a real doubt.
const RUNNER_UP: f32 = 0.1;
/// A text that fewer reads gave as a whole rests on few reads.
const ENOUGH_READS: u32 = 2;
/// From this share of the votes on a character is sure even if it was read once only.
const SURE_CHARACTER: f32 = 0.9;
/// What begins at less than this part of another one's way comes behind it.
const FELL_BACK: f32 = 0.6;

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
            lane: e.lane(c),
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
    /// They may be one plate: one of the votes is in doubt about the very thing in which they
    /// differ.
    Near,
    Different,
}

/// Two sure votes that differ are two plates, whatever they differ in: vehicles of a fleet have
/// numbers in a row and drive behind one another.
fn likeness(a: &VotedPlate, b: &VotedPlate) -> Likeness {
    if a.text == b.text {
        return Likeness::Equal;
    }
    let near = if a.chars.len() == b.chars.len() {
        let mut apart = a.chars.iter().zip(&b.chars).filter(|(x, y)| x.ch != y.ch);
        match (apart.next(), apart.next()) {
            (Some((x, y)), None) => may_be(a, x, y.ch) || may_be(b, y, x.ch),
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
        let one_apart =
            long.chars.len() - short.chars.len() == 1 && distance(&short.text, &long.text) <= 1.0;
        (part || one_apart) && (length_in_doubt(short) || length_in_doubt(long))
    };
    if near {
        Likeness::Near
    } else {
        Likeness::Different
    }
}

/// Whether a vote leaves open that this character of it is `other`.
fn may_be(plate: &VotedPlate, own: &CharRead, other: char) -> bool {
    let voted_second = own
        .runner_up
        .is_some_and(|(ch, share)| ch == other && share >= RUNNER_UP);
    let unsure = plate.frames_agreeing < ENOUGH_READS && own.conf < SURE_CHARACTER;
    voted_second || (unsure && confusable(own.ch, other))
}

/// A text that no layout has, or that hardly any read gave as a whole, may have lost or doubled a
/// character.
fn length_in_doubt(plate: &VotedPlate) -> bool {
    !plate.grammar_valid || plate.frames_agreeing < ENOUGH_READS
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
            Likeness::Near => {
                !at_once && lanes_agree && gap <= c.rejoin && !comes_behind(early, late)
            }
            Likeness::Different => false,
        },
        _ => !at_once && gap <= c.rejoin_place && continues(early.last_box, late.first_box),
    }
}

/// Whether the later one began far behind the place that the earlier one had reached: one vehicle
/// does not drive the same way twice.
fn comes_behind(early: &Trace, late: &Trace) -> bool {
    let behind = |from: Option<Rect>, to: Option<Rect>, next: Option<Rect>| {
        let (Some(from), Some(to), Some(next)) = (from, to, next) else {
            return false;
        };
        let (from, reached, next) = (from.center(), to.center(), next.center());
        let way = from.distance(reached);
        let along =
            (next.x - from.x) * (reached.x - from.x) + (next.y - from.y) * (reached.y - from.y);
        way >= to.width() && along < FELL_BACK * way * way
    };
    behind(early.first_box.1, early.last_box.1, late.first_box.1)
        || behind(early.first_box.0, early.last_box.0, late.first_box.0)
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
