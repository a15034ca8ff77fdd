//! Signals: what does not fit about a passage, though no list asks for it.
//!
//! Pure: passages of all cameras go in, as they end, and what does not fit comes out. What it
//! promises:
//!
//! - A passage gives at most one signal of each kind, and a pair of passages one at most. Which of
//!   the two is handed over first does not matter.
//! - A plate that was seen once is never in two places. Two cameras without a configured distance
//!   are one place, as front and rear camera of one gate are.
//! - A wall clock that is set makes no signal of two passages.
//! - Memory is bounded: sure reads of the last hour, and no more than 4096 of them.
//!
//! Plates count only where they are sure. What was misread makes no clone of a vehicle that is
//! elsewhere.

use std::collections::VecDeque;
use std::time::Duration;

use chrono::{DateTime, FixedOffset, TimeDelta};
use kakou_contract::{
    Confidence, Conflict, Id, Lane, NoPlateReason, OtherSighting, PassageMessage, Plate,
    SchemaVersion, SignalKind, SignalMessage,
};
use uuid::Uuid;

use crate::plate::contradictions;

/// From this on a plate, its colour, or the class of a vehicle is sure.
const SURE: f32 = 0.9;
/// A plate is sure if so many frames read exactly its text.
const FRAMES_AGREEING: u32 = 2;
/// The least class confidence and number of frames for a vehicle without a plate.
const NO_PLATE_CLASS: f32 = 0.8;
const NO_PLATE_FRAMES: u32 = 8;
/// Two passages are at once if both vehicles were in sight together for so long. Less may be a frame
/// that came late, so it counts as so long a way.
const AT_ONCE: TimeDelta = TimeDelta::milliseconds(500);
/// Wall clock and monotonic clock may differ by so much between two passages.
const STEP: Duration = Duration::from_secs(5);
/// What is remembered.
const REMEMBERED: usize = 4096;
const REMEMBERED_FOR: Duration = Duration::from_secs(3600);

/// How far apart two cameras are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distance {
    pub cameras: [Id; 2],
    /// The shortest road from what the one sees to what the other sees.
    pub metres: u32,
}

/// Which signals are told, and by what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignalRules {
    pub kinds: Vec<SignalKind>,
    /// No vehicle is faster.
    pub max_speed_kmh: u32,
    pub distances: Vec<Distance>,
}

impl Default for SignalRules {
    /// Without `no_plate`: many motorcycles have no plate in front, and many plates are not seen.
    fn default() -> Self {
        use SignalKind as K;
        Self {
            kinds: vec![K::Contradiction, K::Twice, K::WrongWay, K::Travel],
            max_speed_kmh: 200,
            distances: Vec::new(),
        }
    }
}

impl SignalRules {
    fn has(&self, kind: SignalKind) -> bool {
        self.kinds.contains(&kind)
    }

    fn compares(&self) -> bool {
        self.kinds.iter().any(|kind| kind.is_of_two())
    }

    fn metres(&self, a: &Id, b: &Id) -> Option<u32> {
        let is_meant = |d: &&Distance| {
            let [one, other] = &d.cameras;
            (one == a && other == b) || (one == b && other == a)
        };
        self.distances.iter().find(is_meant).map(|d| d.metres)
    }
}

/// What does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signal {
    pub kind: SignalKind,
    pub conflicts: Vec<Conflict>,
    pub other: Option<OtherSighting>,
    pub metres: Option<u32>,
    pub speed_kmh: Option<u32>,
}

impl Signal {
    fn alone(kind: SignalKind) -> Self {
        Self {
            kind,
            conflicts: Vec::new(),
            other: None,
            metres: None,
            speed_kmh: None,
        }
    }

    /// The message, with what a person needs of the passage it is about.
    pub fn message(self, passage: &PassageMessage, id: Uuid) -> SignalMessage {
        SignalMessage {
            is_late: false,
            schema_version: SchemaVersion::CURRENT,
            id,
            kind: self.kind,
            passage_id: passage.id,
            site: passage.site.clone(),
            agent: passage.agent.clone(),
            camera: passage.camera.clone(),
            lane: passage.lane.clone(),
            direction: passage.direction,
            time: passage.time,
            first_seen: passage.first_seen,
            last_seen: passage.last_seen,
            picture: passage.picture,
            vehicle: passage.vehicle.clone(),
            plate: passage.plate.clone(),
            no_plate_reason: passage.no_plate_reason,
            conflicts: self.conflicts,
            other: self.other,
            metres: self.metres,
            speed_kmh: self.speed_kmh,
            evidence: passage.evidence.clone(),
            clock: passage.clock,
            sequence: None,
        }
    }
}

/// A passage whose plate was sure.
#[derive(Debug, Clone)]
struct Sighting {
    text: String,
    passage: Uuid,
    camera: Id,
    lane: Option<Lane>,
    first_seen: DateTime<FixedOffset>,
    last_seen: DateTime<FixedOffset>,
    /// `last_seen` on the monotonic clock.
    seen: Duration,
}

/// The passages of all cameras of a box, for what does not fit among them.
#[derive(Debug)]
pub struct Signals {
    rules: SignalRules,
    sightings: VecDeque<Sighting>,
}

impl Signals {
    pub fn new(rules: SignalRules) -> Self {
        Self {
            rules,
            sightings: VecDeque::new(),
        }
    }

    /// What was seen before stays known for as long as it is still compared.
    pub fn set_rules(&mut self, rules: SignalRules) {
        if !rules.compares() {
            self.sightings.clear();
        }
        self.rules = rules;
    }

    /// A vehicle has passed. `also`: other ids that its passage was known by. `seen`: the passage's
    /// `last_seen` on the monotonic clock.
    pub fn passed(
        &mut self,
        passage: &PassageMessage,
        also: &[Uuid],
        seen: Duration,
    ) -> Vec<Signal> {
        self.sightings
            .retain(|s| s.seen + REMEMBERED_FOR >= seen && !also.contains(&s.passage));
        if self.sightings.iter().any(|s| s.passage == passage.id) {
            return Vec::new();
        }
        let mut told = self.of_one(passage);
        if let Some(plate) = passage.plate.as_ref().filter(|plate| is_sure(plate))
            && self.rules.compares()
        {
            let new = Sighting {
                text: plate.text.clone(),
                passage: passage.id,
                camera: passage.camera.clone(),
                lane: passage.lane.clone(),
                first_seen: passage.first_seen,
                last_seen: passage.last_seen,
                seen,
            };
            told.extend(self.of_two(&new));
            if self.sightings.len() >= REMEMBERED {
                self.sightings.pop_front();
            }
            self.sightings.push_back(new);
        }
        told.retain(|signal| self.rules.has(signal.kind));
        told
    }

    /// What a passage tells by itself.
    fn of_one(&self, passage: &PassageMessage) -> Vec<Signal> {
        let mut told = Vec::new();
        let conflicts = conflicts(passage);
        if !conflicts.is_empty() {
            told.push(Signal {
                conflicts,
                ..Signal::alone(SignalKind::Contradiction)
            });
        }
        if has_no_plate(passage) {
            told.push(Signal::alone(SignalKind::NoPlate));
        }
        if passage.wrong_way == Some(true) {
            told.push(Signal::alone(SignalKind::WrongWay));
        }
        told
    }

    /// What it tells with others: the clearest pair of each kind.
    fn of_two(&self, new: &Sighting) -> Vec<Signal> {
        let (mut twice, mut travel) = (None, None);
        let same = |s: &&Sighting| s.text == new.text && !is_stepped(s, new);
        for old in self.sightings.iter().filter(same) {
            let together = old.last_seen.min(new.last_seen) - old.first_seen.max(new.first_seen);
            let metres = self.rules.metres(&old.camera, &new.camera);
            let is_elsewhere = match old.camera == new.camera {
                true => in_two_lanes(old, new),
                false => metres.is_some(),
            };
            if together >= AT_ONCE && is_elsewhere {
                keep_larger(&mut twice, together, (old, metres));
            } else if together < AT_ONCE
                && let Some(metres) = metres
            {
                let speed = speed_kmh(metres, -together);
                if speed > self.rules.max_speed_kmh {
                    keep_larger(&mut travel, speed, (old, Some(metres)));
                }
            }
        }
        let twice = twice.map(|(_, (old, metres))| Signal {
            other: Some(other(old)),
            metres,
            ..Signal::alone(SignalKind::Twice)
        });
        let travel = travel.map(|(speed, (old, metres))| Signal {
            other: Some(other(old)),
            metres,
            speed_kmh: Some(speed),
            ..Signal::alone(SignalKind::Travel)
        });
        twice.into_iter().chain(travel).collect()
    }
}

fn is_sure(plate: &Plate) -> bool {
    plate.confidence >= Confidence::new(SURE) && plate.frames_agreeing >= FRAMES_AGREEING
}

fn conflicts(passage: &PassageMessage) -> Vec<Conflict> {
    let sure = Confidence::new(SURE);
    let Some(plate) = passage.plate.as_ref().filter(|plate| is_sure(plate)) else {
        return Vec::new();
    };
    let colour = plate.colour.filter(|colour| colour.confidence >= sure);
    let vehicle = passage.vehicle.as_ref();
    let class = vehicle.filter(|vehicle| vehicle.class_confidence >= sure);
    contradictions(
        &plate.text,
        colour.map(|colour| colour.value),
        class.map(|vehicle| vehicle.class),
    )
}

/// Only of vehicles that have a plate on either side, and that were seen for long enough to find it.
fn has_no_plate(passage: &PassageMessage) -> bool {
    let missing = matches!(
        passage.no_plate_reason,
        Some(NoPlateReason::NoneFound | NoPlateReason::NotReadable)
    );
    let has_class = passage.vehicle.as_ref().is_some_and(|vehicle| {
        !vehicle.class.has_two_wheels()
            && vehicle.class_confidence >= Confidence::new(NO_PLATE_CLASS)
    });
    missing && has_class && passage.frames_seen >= NO_PLATE_FRAMES
}

/// The wall clock was set between the two, so their times cannot be compared.
fn is_stepped(a: &Sighting, b: &Sighting) -> bool {
    let ms = |seen: Duration| i64::try_from(seen.as_millis()).unwrap_or(i64::MAX);
    let mono = ms(b.seen).saturating_sub(ms(a.seen));
    let wall = (b.last_seen - a.last_seen).num_milliseconds();
    wall.abs_diff(mono) > STEP.as_millis() as u64
}

fn in_two_lanes(a: &Sighting, b: &Sighting) -> bool {
    matches!((&a.lane, &b.lane), (Some(a), Some(b)) if a.id != b.id)
}

/// Rounded down: the least that it would take.
fn speed_kmh(metres: u32, time: TimeDelta) -> u32 {
    let ms = time.max(AT_ONCE).num_milliseconds().max(1).unsigned_abs();
    u32::try_from(u64::from(metres) * 3600 / ms).unwrap_or(u32::MAX)
}

fn other(of: &Sighting) -> OtherSighting {
    OtherSighting {
        passage_id: of.passage,
        camera: of.camera.clone(),
        lane: of.lane.clone(),
        first_seen: of.first_seen,
        last_seen: of.last_seen,
    }
}

fn keep_larger<K: PartialOrd, V>(best: &mut Option<(K, V)>, key: K, value: V) {
    if best.as_ref().is_none_or(|(most, _)| key > *most) {
        *best = Some((key, value));
    }
}

#[cfg(test)]
#[path = "signals_tests.rs"]
mod tests;
