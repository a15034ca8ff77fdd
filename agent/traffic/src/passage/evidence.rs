//! All that is known about one vehicle that may become a passage.

use std::cmp::Reverse;
use std::time::Duration;

use kakou_contract::VehicleClass;
use kakou_time::Moment;

use crate::detections::{Detections, PlateFind};
use crate::geometry::{Point, Rect};
use crate::plate::{Ballot, VotedPlate, quality};
use crate::track::{TrackId, TrackView, Updates};

use super::best::Candidates;
use super::colour::ColourVote;
use super::lane::{Anchor, LaneVote};
use super::travel::Travel;
use super::{Best, PassageConfig, VehicleId};

/// Track ids remembered per vehicle; it takes very broken tracking to need more.
const KEEP_IDS: usize = 16;
/// A frame in which the plate was read and no vehicle is known is worth this part of one that shows
/// both: without it, the passage has no class, and its thumbnail is the whole picture.
const WITHOUT_VEHICLE: f32 = 0.5;
/// Share of its frames that a plate must have lain on a vehicle to be that vehicle's.
const HOSTED: f32 = 0.6;
/// Looks this far apart err independently of each other.
const INDEPENDENT: Duration = Duration::from_millis(100);

pub(crate) const CLASSES: [VehicleClass; 5] = [
    VehicleClass::Car,
    VehicleClass::Bus,
    VehicleClass::Truck,
    VehicleClass::Motorcycle,
    VehicleClass::Bicycle,
];

/// One frame, as the passages see it.
pub(crate) struct Scene<'a, F> {
    pub(crate) frame: &'a F,
    pub(crate) time: Moment,
    pub(crate) det: &'a Detections,
    pub(crate) upd: &'a Updates,
    pub(crate) config: &'a PassageConfig,
}

/// What was said of a vehicle while it was in sight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) text: String,
    pub(crate) at: Duration,
}

#[derive(Debug, Clone)]
pub(crate) struct Evidence<F> {
    pub(crate) id: VehicleId,
    pub(crate) said: Option<Said>,
    /// Vehicles of which something was said and that turned out to be this one.
    pub(crate) also: Vec<VehicleId>,
    pub(crate) first: Moment,
    pub(crate) last: Moment,
    pub(crate) frames: u32,
    pub(crate) ballot: Ballot,
    pub(crate) lanes: LaneVote,
    pub(crate) best: Candidates<F>,
    pub(crate) height: f32,

    /// Looks for plates in which it was in sight.
    pub(crate) plate_looks: u32,
    pub(crate) plate_hits: u32,
    pub(crate) plate_width: f32,
    /// Frames in which a vehicle's box held the plate.
    pub(crate) around: u32,
    /// Frames in which the plate lay on another track's vehicle, with a plate of its own or
    /// without.
    pub(crate) on_other: u32,
    pub(crate) hosts: Vec<(TrackId, u32)>,
    /// The tracks that this was gathered from.
    pub(crate) ids: Vec<TrackId>,
    pub(crate) sure_read: bool,
    pub(crate) plate_travel: Travel,
    pub(crate) first_plate: Option<Rect>,
    pub(crate) last_plate: Option<Rect>,

    pub(crate) vehicle_hits: u32,
    /// Sum of detector scores, in which looks in quick succession count for less.
    pub(crate) evidence: f32,
    vehicle_span: Option<(Duration, Duration)>,
    /// Frames between its first and last sight in which vehicles were looked for, and those since.
    pub(crate) vehicle_looked: u32,
    looked_since: u32,
    /// Frames in which it lay on another vehicle.
    pub(crate) shadowed: u32,
    scores: [f64; CLASSES.len()],
    pub(crate) colours: ColourVote,
    score_area: f64,
    area: f64,
    pub(crate) vehicle_height: f32,
    pub(crate) vehicle_travel: Travel,
    pub(crate) first_vehicle: Option<Rect>,
    pub(crate) last_vehicle: Option<Rect>,
}

impl<F: Clone> Evidence<F> {
    pub(crate) fn new(s: &Scene<'_, F>, id: VehicleId, track: TrackId) -> Self {
        Self {
            id,
            said: None,
            also: Vec::new(),
            first: s.time,
            last: s.time,
            frames: 0,
            ballot: Ballot::new(s.config.vote.clone()),
            lanes: LaneVote::new(s.config.lanes.len()),
            best: Candidates::new(s.config.candidates),
            height: s.upd.size.1 as f32,
            plate_looks: 0,
            plate_hits: 0,
            plate_width: 0.0,
            around: 0,
            on_other: 0,
            hosts: Vec::new(),
            ids: vec![track],
            sure_read: false,
            plate_travel: Travel::default(),
            first_plate: None,
            last_plate: None,
            vehicle_hits: 0,
            evidence: 0.0,
            vehicle_span: None,
            vehicle_looked: 0,
            looked_since: 0,
            shadowed: 0,
            scores: [0.0; CLASSES.len()],
            colours: ColourVote::default(),
            score_area: 0.0,
            area: 0.0,
            vehicle_height: 0.0,
            vehicle_travel: Travel::default(),
            first_vehicle: None,
            last_vehicle: None,
        }
    }

    /// Takes one frame in which the track lives, found or not.
    pub(crate) fn see(&mut self, s: &Scene<'_, F>, view: &TrackView) {
        if s.det.vehicles_looked_for {
            self.looked_since = self.looked_since.saturating_add(1);
        }
        let plate = view.plate_find.and_then(|i| s.det.plates.get(i));
        if view.vehicle_find.is_none() && view.plate.is_none() {
            return;
        }
        self.last = s.time;
        self.frames = self.frames.saturating_add(1);
        if s.det.plates_looked_for {
            self.plate_looks = self.plate_looks.saturating_add(1);
        }
        self.see_vehicle(s, view);
        self.see_plate(s, view, plate);
        let relevant = self.see_place(s, view);
        if relevant {
            self.offer(s, view, plate);
        }
    }

    fn see_vehicle(&mut self, s: &Scene<'_, F>, view: &TrackView) {
        let Some(find) = view.vehicle_find.and_then(|i| s.det.vehicles.get(i)) else {
            return;
        };
        self.vehicle_hits = self.vehicle_hits.saturating_add(1);
        self.vehicle_looked = self
            .vehicle_looked
            .saturating_add(std::mem::take(&mut self.looked_since));
        for (c, sum) in CLASSES.iter().zip(&mut self.scores) {
            if *c == find.class {
                *sum += f64::from(find.score);
            }
        }
        let now = s.time.mono;
        let since = self
            .vehicle_span
            .map_or(INDEPENDENT, |(_, last)| now.saturating_sub(last));
        let own = (since.as_secs_f32() / INDEPENDENT.as_secs_f32()).min(1.0);
        self.evidence += own * find.score;
        self.vehicle_span = Some((self.vehicle_span.map_or(now, |span| span.0), now));
        let area = f64::from(find.rect.area());
        if let Some((colour, sure)) = find.colour {
            let weight = shown(&find.rect, s.upd.size) * find.rect.area();
            self.colours.add(colour, sure, weight);
        }
        self.score_area += area * f64::from(find.score);
        self.area += area;
        self.vehicle_height = self.vehicle_height.max(find.rect.height());
        self.vehicle_travel
            .see(s.time.mono, &find.rect, !whole(&find.rect, s.upd.size));
        self.first_vehicle.get_or_insert(find.rect);
        self.last_vehicle = Some(find.rect);
    }

    fn see_plate(&mut self, s: &Scene<'_, F>, view: &TrackView, plate: Option<&PlateFind>) {
        let Some(bounds) = view.plate.map(|q| q.bounds()) else {
            return;
        };
        self.plate_hits = self.plate_hits.saturating_add(1);
        self.plate_travel
            .see(s.time.mono, &bounds, !whole(&bounds, s.upd.size));
        self.first_plate.get_or_insert(bounds);
        self.last_plate = Some(bounds);
        if view.around {
            self.around = self.around.saturating_add(1);
        }
        let Some(find) = plate else { return };
        self.plate_width = self.plate_width.max(find.quad.width());
        if let Some((colour, conf)) = find.colour {
            self.ballot.add_colour(colour, conf, find.legibility);
        }
        if let Some(r) = &find.read {
            self.ballot.add(r, find.legibility);
            let sure =
                r.mean_conf() >= s.config.sure_read_mean && r.min_conf() >= s.config.sure_read_min;
            self.sure_read |= sure && crate::plate::check(&r.text(), None).is_valid();
        }
    }

    /// Whether this frame is worth keeping at all: without lanes always, else within or after a
    /// lane.
    fn see_place(&mut self, s: &Scene<'_, F>, view: &TrackView) -> bool {
        let (w, h) = (s.upd.size.0 as f32, s.upd.size.1 as f32);
        // Boxes reach over the border, lanes end at it.
        let within = |p: Point| {
            Point::new(
                p.x.clamp(0.0, (w - 1.0).max(0.0)),
                p.y.clamp(0.0, (h - 1.0).max(0.0)),
            )
        };
        let mut places = Vec::with_capacity(2);
        if let Some(q) = view.plate {
            places.push((Anchor::Plate, within(q.center())));
        }
        if let Some(v) = view.vehicle_find.and_then(|i| s.det.vehicles.get(i)) {
            places.push((Anchor::Foot, within(v.rect.foot())));
        }
        self.lanes.see(&s.config.lanes, s.time, h, &places)
            || s.config.lanes.is_empty()
            || self.lanes.touched()
    }

    fn offer(&mut self, s: &Scene<'_, F>, view: &TrackView, plate: Option<&PlateFind>) {
        let (w, h) = (s.upd.size.0 as f32, s.upd.size.1 as f32);
        let found = view.vehicle_find.and_then(|i| s.det.vehicles.get(i));
        let best = || Best {
            frame: s.frame.clone(),
            time: s.time,
            quad: plate.map(|p| p.quad),
            vehicle: found
                .map(|f| f.rect)
                .or(view.vehicle)
                .map(|r| r.clipped(w, h))
                .filter(|r| r.area() > 0.0),
            read: plate.and_then(|p| p.read.clone()),
        };
        let read = plate.and_then(|p| p.read.as_ref().map(|r| (p, r)));
        match (read, found) {
            (Some((p, r)), _) if r.chars.len() >= s.config.vote.min_chars => {
                let cut_off = if whole(&p.quad.bounds(), s.upd.size) {
                    1.0
                } else {
                    0.5
                };
                let alone = found.is_none() && view.vehicle.is_none();
                let shows_both = if alone { WITHOUT_VEHICLE } else { 1.0 };
                self.best.offer_read(
                    r.text(),
                    quality(r, p.legibility) * cut_off * shows_both,
                    &self.ballot,
                    best,
                );
            }
            (_, Some(v)) => {
                let share = v.rect.area() / (w * h).max(1.0);
                let shown = shown(&v.rect, s.upd.size);
                self.best.offer_plain(share * v.score * shown, best);
            }
            // A plate alone, unread: better than no picture at all.
            (_, None) => self.best.offer_plain(0.0, best),
        }
    }

    /// Class by sum of scores, after motorcycles and bicycles were told from vehicles of four
    /// wheels: the detector gives car, bus and truck by turns for one vehicle.
    pub(crate) fn class(&self) -> Option<(VehicleClass, f32)> {
        let [car, bus, truck, motorcycle, bicycle] = self.scores;
        let all: f64 = self.scores.iter().sum();
        if all <= 0.0 {
            return None;
        }
        let group: &[usize] = if motorcycle.max(bicycle) <= car + bus + truck {
            &[0, 1, 2]
        } else if bicycle <= motorcycle {
            &[3]
        } else {
            &[4]
        };
        let best = group
            .iter()
            .copied()
            .fold(None, |b: Option<usize>, i| match b {
                Some(j) if self.scores[j] >= self.scores[i] => b,
                _ => Some(i),
            })?;
        Some((CLASSES[best], (self.scores[best] / all) as f32))
    }

    /// Mean detector score in which near, large views count more.
    pub(crate) fn score(&self) -> f32 {
        if self.area > 0.0 {
            (self.score_area / self.area) as f32
        } else {
            0.0
        }
    }

    /// For how long the vehicle was seen. Each look stands for the time around it, so that three
    /// looks 0.2 s apart stand for 0.6 s.
    pub(crate) fn vehicle_time(&self) -> Duration {
        let span = self
            .vehicle_span
            .map_or(Duration::ZERO, |(first, last)| last.saturating_sub(first));
        span + span / self.vehicle_looked.saturating_sub(1).max(1)
    }

    /// The lane it used, if it used one. A sure read within a lane says so at once.
    pub(crate) fn lane(&self, c: &PassageConfig) -> Option<usize> {
        let time = if self.sure_read {
            Duration::ZERO
        } else {
            c.min_lane_time
        };
        self.lanes
            .winner(c.min_lane_time)
            .or_else(|| self.lanes.winner(time))
    }

    pub(crate) fn voted(&self) -> Option<VotedPlate> {
        self.ballot.result(self.class().map(|c| c.0)).ok()
    }

    /// Counts frames in which the plate lay on another track's vehicle that shows no plate.
    pub(crate) fn hosted(&mut self, id: TrackId, n: u32) {
        if let Some(h) = self.hosts.iter_mut().find(|h| h.0 == id) {
            h.1 = h.1.saturating_add(n);
        } else if self.hosts.len() < KEEP_IDS {
            self.hosts.push((id, n));
        }
    }

    /// The vehicle that a plate without a vehicle of its own lay on nearly always.
    pub(crate) fn host(&self) -> Option<TrackId> {
        let most = self
            .hosts
            .iter()
            .copied()
            .max_by_key(|h| (h.1, Reverse(h.0)))?;
        let alone = self.vehicle_hits as f32 <= 0.2 * self.frames as f32;
        (alone && most.1 as f32 >= HOSTED * self.plate_hits as f32).then_some(most.0)
    }

    /// Whose id stays: that of which something was said, else the earlier one. Two of which
    /// something was said are both remembered.
    fn join_ids(&mut self, other: &Self) {
        self.also.extend(&other.also);
        let others_first = match (&self.said, &other.said) {
            (Some(own), Some(others)) => others.at < own.at,
            (Some(_), None) => false,
            (None, Some(_)) => true,
            (None, None) => other.id.since.mono < self.id.since.mono,
        };
        let both = self.said.is_some() && other.said.is_some();
        let gone = if others_first {
            self.said.clone_from(&other.said);
            std::mem::replace(&mut self.id, other.id)
        } else {
            other.id
        };
        if both {
            self.also.push(gone);
        }
        self.also.truncate(KEEP_IDS);
    }

    /// Joins what turned out to be the same vehicle.
    pub(crate) fn absorb(&mut self, other: Self) {
        self.join_ids(&other);
        let later = other.first.mono >= self.first.mono;
        let (early, late) = if later {
            (&*self, &other)
        } else {
            (&other, &*self)
        };
        let ends = (
            early.first,
            early.first_plate.or(late.first_plate),
            early.first_vehicle.or(late.first_vehicle),
        );
        let newest = if other.last.mono >= self.last.mono {
            &other
        } else {
            &*self
        };
        let last = (newest.last, newest.last_plate, newest.last_vehicle);
        (self.first, self.first_plate, self.first_vehicle) = ends;
        self.last = last.0;
        self.last_plate = last.1.or(self.last_plate).or(other.last_plate);
        self.last_vehicle = last.2.or(self.last_vehicle).or(other.last_vehicle);

        self.frames = self.frames.saturating_add(other.frames);
        self.ballot.merge(other.ballot);
        self.lanes.absorb(&other.lanes);
        self.best.absorb(other.best, &self.ballot);
        self.plate_looks = self.plate_looks.saturating_add(other.plate_looks);
        self.plate_hits += other.plate_hits;
        self.plate_width = self.plate_width.max(other.plate_width);
        self.around += other.around;
        self.on_other += other.on_other;
        for (id, n) in other.hosts {
            self.hosted(id, n);
        }
        self.ids.extend(other.ids);
        self.ids.truncate(KEEP_IDS);
        self.sure_read |= other.sure_read;
        self.plate_travel.absorb(&other.plate_travel);
        self.vehicle_hits += other.vehicle_hits;
        self.evidence += other.evidence;
        self.vehicle_span = match (self.vehicle_span, other.vehicle_span) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        };
        self.vehicle_looked += other.vehicle_looked;
        self.shadowed += other.shadowed;
        for (a, b) in self.scores.iter_mut().zip(other.scores) {
            *a += b;
        }
        self.colours.absorb(&other.colours);
        self.score_area += other.score_area;
        self.area += other.area;
        self.vehicle_height = self.vehicle_height.max(other.vehicle_height);
        self.vehicle_travel.absorb(&other.vehicle_travel);
    }
}

/// What a vehicle's box is worth that the border may cut off.
fn shown(r: &Rect, size: (u32, u32)) -> f32 {
    if whole(r, size) { 1.0 } else { 0.2 }
}

/// Whether the picture shows all of a box.
fn whole(r: &Rect, size: (u32, u32)) -> bool {
    r.x0 > 1.0 && r.y0 > 1.0 && r.x1 < size.0 as f32 - 1.0 && r.y1 < size.1 as f32 - 1.0
}
