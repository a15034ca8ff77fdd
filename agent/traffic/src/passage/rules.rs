//! Whether what was gathered is a passage, and what it says.

use kakou_contract::Direction;
use kakou_time::Moment;

use crate::plate::{NotReadable, VotedPlate};

use super::evidence::Evidence;
use super::{NoPlate, Passage, PassageConfig};

/// Why something that was followed is no passage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reject {
    OutsideLanes,
    /// A readable text too weak, or too still, to be a plate, and no vehicle.
    NoRealPlate,
    /// Too little evidence of a vehicle: found too rarely, too briefly, with too low scores, or too
    /// small.
    Faint,
    /// Never moved.
    Static,
    /// The same vehicle as another track's.
    Shadow,
    /// A vehicle whose passage is already out.
    Repeated,
}

/// What a passage will say about its plate.
pub(crate) type PlateWord = Result<VotedPlate, NoPlate>;

pub(crate) fn judge<F: Clone>(
    e: &Evidence<F>,
    c: &PassageConfig,
    finishing: bool,
) -> Result<PlateWord, Reject> {
    if !c.lanes.is_empty() && e.lane(c).is_none() {
        return Err(Reject::OutsideLanes);
    }
    match e.ballot.result(e.class().map(|c| c.0)) {
        Ok(plate) => {
            if real_plate(e, &plate, c) {
                return Ok(Ok(plate));
            }
            match vehicle(e, c, finishing) {
                Ok(()) => Ok(Ok(plate)),
                Err(_) => Err(Reject::NoRealPlate),
            }
        }
        Err(why) => vehicle(e, c, finishing).map(|()| Err(no_plate(e, c, why))),
    }
}

/// The plate of a vehicle that is still in sight, if it would make a passage already and its text
/// is sure. What follows may still change it.
pub(crate) fn sure_plate<F: Clone>(e: &Evidence<F>, c: &PassageConfig) -> Option<VotedPlate> {
    let shadow = e.shadowed as f32 > c.shadow_share * e.frames.max(1) as f32;
    if shadow || (!c.lanes.is_empty() && e.lane(c).is_none()) {
        return None;
    }
    let plate = e.voted()?;
    (plate.probability >= c.sure && real_plate(e, &plate, c)).then_some(plate)
}

fn no_plate<F>(e: &Evidence<F>, c: &PassageConfig, why: NotReadable) -> NoPlate {
    if e.plate_hits == 0 {
        if e.plate_looks == 0 {
            NoPlate::NotLookedFor
        } else {
            NoPlate::NoneFound
        }
    } else {
        match why {
            NotReadable::NoRead if e.plate_width < c.min_read_width => NoPlate::TooSmall,
            NotReadable::NoRead | NotReadable::TooShort { .. } => NoPlate::NotReadable,
            NotReadable::TooUncertain { .. } => NoPlate::TooUncertain,
        }
    }
}

/// Whether a voted text is a vehicle's plate, even if no vehicle was found.
fn real_plate<F>(e: &Evidence<F>, plate: &VotedPlate, c: &PassageConfig) -> bool {
    // A text pieced together from several reads agrees with none of them exactly.
    let agreed = plate.frames_agreeing >= c.plate_reads
        || (plate.reads > c.plate_reads && plate.confidence >= 0.5);
    if !agreed && !e.sure_read {
        return false;
    }
    let hits = e.plate_hits.max(1) as f32;
    let width = e.plate_width.max(1.0);
    let still =
        e.plate_travel.far() < c.text_travel * width && e.plate_travel.grown() < c.vehicle_growth;
    if still && (e.around as f32) < (c.text_around_share * hits).max(1.0) {
        return false;
    }
    // A badge or a telephone number on a vehicle that shows its plate.
    let second = e.vehicle_hits == 0 && e.on_other as f32 > 0.7 * hits;
    !second || (plate.grammar_valid && plate.confidence >= c.second_plate_confidence)
}

fn vehicle<F: Clone>(e: &Evidence<F>, c: &PassageConfig, finishing: bool) -> Result<(), Reject> {
    if e.shadowed as f32 > c.shadow_share * e.frames.max(1) as f32 {
        return Err(Reject::Shadow);
    }
    let seen = e.last.mono.saturating_sub(e.first.mono);
    let share = e.vehicle_hits as f32 / e.vehicle_looked.max(1) as f32;
    // One box alone may be anything.
    let strong = e.vehicle_hits > 1
        && e.evidence >= c.vehicle_evidence
        && e.vehicle_time() >= c.vehicle_time
        && share >= c.vehicle_found_share
        && e.score() >= c.vehicle_score
        && e.vehicle_height >= c.vehicle_height * e.height;
    if !strong {
        return Err(Reject::Faint);
    }
    // Both as parts of what is needed of each alone.
    let moved = (e.vehicle_travel.far() / (c.vehicle_travel * e.vehicle_height).max(1.0))
        .min(e.vehicle_travel.far() / (c.vehicle_travel_picture * e.height).max(1.0));
    let grown = e.vehicle_travel.grown() / c.vehicle_growth;
    // What comes nearer does both; boxes that jump seldom do.
    let moves = moved >= 1.0 || grown >= 1.0 || (moved.min(grown) >= 0.4 && moved + grown >= 1.1);
    let plate_moved = e.plate_hits > 1 && e.plate_travel.far() >= e.plate_width.max(1.0);
    let parked = finishing && seen >= c.parked_time && e.score() >= c.parked_score;
    if moves || plate_moved || parked {
        Ok(())
    } else {
        Err(Reject::Static)
    }
}

/// By the vehicle's own motion; where that is too little, by how it crossed the trigger line.
fn direction<F>(e: &Evidence<F>, lane: Option<usize>, c: &PassageConfig) -> Direction {
    // Plates are found more steadily than boxes, which the border cuts off besides; but a plate may
    // have been seen for only a part of the way.
    let (plate, vehicle) = (
        e.plate_travel.toward(e.height),
        e.vehicle_travel.toward(e.height),
    );
    let plate_tells = e.plate_hits > 1 && plate.abs() >= c.direction_move;
    let toward = if plate_tells || e.vehicle_hits < 2 {
        plate
    } else {
        vehicle
    };
    let crossing = lane.and_then(|l| e.lanes.crossing(l));
    if toward >= c.direction_move {
        Direction::Approaching
    } else if toward <= -c.direction_move {
        Direction::Leaving
    } else if let Some(x) = crossing {
        if x.down {
            Direction::Approaching
        } else {
            Direction::Leaving
        }
    } else if e.last.mono.saturating_sub(e.first.mono).as_secs_f32() >= 1.0 {
        Direction::Standing
    } else {
        Direction::Unknown
    }
}

/// Writes the passage; the number is given when it goes out.
pub(crate) fn passage<F: Clone>(e: &Evidence<F>, word: PlateWord, c: &PassageConfig) -> Passage<F> {
    let lane = e.lane(c);
    let direction = direction(e, lane, c);
    let (plate, no_plate) = match word {
        Ok(p) => (Some(p), None),
        Err(n) => (None, Some(n)),
    };
    let crossing: Option<Moment> = lane.and_then(|l| e.lanes.crossing(l)).map(|x| x.time);
    let best = e.best.showing(plate.as_ref().map(|p| p.text.as_str()));
    let read_at = best.filter(|_| plate.is_some()).map(|b| b.time);
    let config = lane.and_then(|l| c.lanes.get(l));
    let moves = matches!(direction, Direction::Approaching | Direction::Leaving);
    Passage {
        number: 0,
        vehicle: e.id,
        also: e.also.clone(),
        lane: config.map(|l| l.id.clone()),
        direction,
        wrong_way: moves
            && config
                .and_then(|l| l.expected)
                .is_some_and(|d| d != direction),
        class: e.class(),
        // Whatever a look or two took it for.
        colour: e
            .colours
            .winner()
            .filter(|_| !e.class().is_some_and(|(class, _)| class.has_two_wheels())),
        plate,
        no_plate,
        first_seen: e.first,
        last_seen: e.last,
        passed_at: crossing.or(read_at).unwrap_or(e.last),
        frames: e.frames,
        best: best.cloned(),
    }
}
