//! What is due in a frame. Pure: it depends on the frames' times and on what was seen in them, so
//! that a recording gives the same passages every time, and looks cost more only where more is to
//! be learnt.
//!
//! - Vehicles are looked for a few times a second; more often while none is followed, while one is
//!   new or its plate is not sure, while a plate has no vehicle round it, and while a vehicle moves
//!   without a plate in sight, since then its box is all there is to follow.
//! - Plates are looked for on vehicles whose plate is not sure, as finely as by a search of
//!   everything: one box costs a fifth of that. Where a box is too large, or there are many,
//!   everything is searched.
//! - The whole looked-at part is searched now and then, for plates on vehicles that the vehicle
//!   detector does not see.
//! - Followed plates are looked at in every frame.

use std::collections::BTreeMap;
use std::time::Duration;

use super::look::LookConfig;
use kakou_traffic::detections::Detections;
use kakou_traffic::geometry::Rect;
use kakou_traffic::track::{TrackId, Updates};

/// Between two looks for vehicles where they matter: every frame of a live camera that shares the
/// processor.
const OFTEN: Duration = Duration::from_millis(50);
/// A track is new for this long.
const YOUNG: Duration = Duration::from_secs(1);
/// A plate that was not seen for this long is out of sight.
const OUT_OF_SIGHT: Duration = Duration::from_millis(400);
/// Mean confidence of a read that counts, and how many of them in a row, all alike, make a plate
/// sure.
const SURE_READ: f32 = 0.9;
const SURE_READS: u32 = 3;
/// After so many looks at a vehicle's box without a plate it is looked at less often.
const FRUITLESS: u32 = 4;
const FRUITLESS_EVERY: Duration = Duration::from_millis(250);
/// More boxes than this cost as much as a search of everything.
const MOST_BOXES: usize = 4;
/// On a narrower vehicle (pixels) no plate can be read.
const NARROWEST: f32 = 100.0;
/// A box that overlaps a known vehicle's last box this much is that vehicle.
const SAME_VEHICLE: f32 = 0.3;
/// Plates lie in the lower part of a vehicle's box, or a little outside of it.
const ZONE_TOP: f32 = 0.3;
const ZONE_MARGIN: f32 = 0.08;

/// What is to be done in one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    pub vehicles: bool,
    /// The whole looked-at part is searched for plates.
    pub search: bool,
}

/// What is known of a track.
#[derive(Debug, Clone)]
struct Known {
    since: Duration,
    vehicle: Option<Rect>,
    plate_at: Option<Duration>,
    standing: bool,
    text: String,
    /// Sure reads of `text` in a row.
    agreeing: u32,
    /// Looks at its box in a row in which no plate was found, and the last one.
    fruitless: u32,
    tried: Option<Duration>,
}

impl Known {
    fn new(now: Duration) -> Self {
        Self {
            since: now,
            vehicle: None,
            plate_at: None,
            standing: false,
            text: String::new(),
            agreeing: 0,
            fruitless: 0,
            tried: None,
        }
    }

    fn shows_plate(&self, now: Duration) -> bool {
        self.plate_at
            .is_some_and(|at| now.saturating_sub(at) <= OUT_OF_SIGHT)
    }

    /// Whether its box is to be followed closely.
    fn matters(&self, now: Duration) -> bool {
        let young = now.saturating_sub(self.since) < YOUNG;
        let unsure = self.shows_plate(now) && !self.is_sure();
        // A plate without a vehicle: its passage has no class and no thumbnail yet.
        let alone = self.vehicle.is_none();
        young || unsure || alone || !(self.standing || self.shows_plate(now))
    }

    fn is_sure(&self) -> bool {
        self.agreeing >= SURE_READS
    }

    fn wants_look(&self, now: Duration) -> bool {
        let shows_none = self.fruitless >= FRUITLESS;
        let just_tried = self
            .tried
            .is_some_and(|at| now.saturating_sub(at) < FRUITLESS_EVERY);
        let waits = shows_none && just_tried;
        !(self.is_sure() || waits)
    }
}

pub(super) struct Cadence {
    vehicle_every: Duration,
    search_every: Duration,
    vehicles_at: Option<Duration>,
    search_at: Option<Duration>,
    tracks: BTreeMap<TrackId, Known>,
    /// Tracks whose boxes were looked at in the present frame.
    tried: Vec<TrackId>,
}

impl Cadence {
    pub(super) fn new(config: &LookConfig) -> Self {
        let ms = |n: u32| Duration::from_millis(u64::from(n));
        Self {
            vehicle_every: ms(config.vehicle_every_ms),
            search_every: ms(config.plate_every_ms),
            vehicles_at: None,
            search_at: None,
            tracks: BTreeMap::new(),
            tried: Vec::new(),
        }
    }

    /// What there is to do at `now`. `following`: plates are followed, which are looked at in any
    /// case.
    pub(super) fn due(&mut self, now: Duration, following: bool) -> Option<Due> {
        let matters = self.tracks.is_empty() || self.tracks.values().any(|t| t.matters(now));
        let often = if matters { OFTEN } else { self.vehicle_every };
        let vehicles = is_due(&mut self.vehicles_at, now, often.min(self.vehicle_every));
        let search = is_due(&mut self.search_at, now, self.search_every);
        (vehicles || search || following).then_some(Due { vehicles, search })
    }

    /// The parts of the picture to look for plates in, in a frame of `now` in which `seen` was
    /// found so far. `None`: all of the looked-at `region`. No part is larger than `largest`.
    pub(super) fn boxes(
        &mut self,
        now: Duration,
        due: &Due,
        seen: &Detections,
        region: Rect,
        largest: (f32, f32),
    ) -> Option<Vec<Rect>> {
        self.tried.clear();
        if due.search {
            return None;
        }
        let known = |rect: &Rect| {
            self.tracks
                .iter()
                .find(|(_, t)| t.vehicle.is_some_and(|v| v.iou(rect) > SAME_VEHICLE))
        };
        // Where vehicles were not looked for now, they are where they were.
        let rects: Vec<Rect> = if due.vehicles {
            seen.vehicles.iter().map(|v| v.rect).collect()
        } else {
            self.tracks.values().filter_map(|t| t.vehicle).collect()
        };
        let mut zones = Vec::new();
        let mut tried = Vec::new();
        for rect in rects {
            let zone = plate_zone(&rect);
            let outside = zone.covered_by(&region) <= 0.0;
            if rect.width() < NARROWEST || outside {
                continue;
            }
            match known(&rect) {
                Some((_, track)) if !track.wants_look(now) => continue,
                Some((id, _)) => tried.push(*id),
                None => {}
            }
            zones.push(zone);
        }
        self.tried = tried;
        let too_large = |zone: &Rect| zone.width() > largest.0 || zone.height() > largest.1;
        if zones.len() > MOST_BOXES || zones.iter().any(too_large) {
            self.search_at = Some(now);
            return None;
        }
        Some(zones)
    }

    /// Takes in what the tracker made of a frame.
    pub(super) fn update(&mut self, now: Duration, seen: &Detections, updates: &Updates) {
        for view in &updates.tracks {
            let track = self
                .tracks
                .entry(view.id)
                .or_insert_with(|| Known::new(now));
            track.vehicle = view.vehicle;
            track.standing = view.standing;
            if self.tried.contains(&view.id) {
                track.tried = Some(now);
                track.fruitless = track.fruitless.saturating_add(1);
            }
            if view.plate.is_some() {
                track.plate_at = Some(now);
                track.fruitless = 0;
            }
            let find = view.plate_find.and_then(|i| seen.plates.get(i));
            let Some(read) = find.and_then(|f| f.read.as_ref()) else {
                continue;
            };
            let text = read.text();
            if text != track.text {
                (track.text, track.agreeing) = (text, 0);
            }
            if read.mean_conf() >= SURE_READ {
                track.agreeing = track.agreeing.saturating_add(1);
            }
        }
        let lives = |id: &TrackId| updates.tracks.binary_search_by_key(id, |t| t.id).is_ok();
        self.tracks.retain(|id, _| lives(id));
        self.tried.clear();
    }
}

/// Where in a vehicle's box its plate may be.
fn plate_zone(vehicle: &Rect) -> Rect {
    let (width, height) = (vehicle.width(), vehicle.height());
    Rect::new(
        vehicle.x0 - ZONE_MARGIN * width,
        vehicle.y0 + ZONE_TOP * height,
        vehicle.x1 + ZONE_MARGIN * width,
        vehicle.y1 + ZONE_MARGIN * height,
    )
}

/// Whether something that is done every so often is due; if so, it counts as done now.
fn is_due(last: &mut Option<Duration>, now: Duration, every: Duration) -> bool {
    // A time before the last one is that of another recording.
    let is_due = last.is_none_or(|l| now < l || now - l >= every);
    if is_due {
        *last = Some(now);
    }
    is_due
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use kakou_contract::VehicleClass;
    use kakou_traffic::detections::{PlateFind, VehicleFind};
    use kakou_traffic::geometry::{Point, Quad};
    use kakou_traffic::plate::{CharRead, PlateRead};
    use kakou_traffic::track::TrackView;

    const REGION: Rect = Rect {
        x0: 0.0,
        y0: 0.0,
        x1: 1280.0,
        y1: 720.0,
    };

    /// Larger than the vehicles here.
    const LARGE: (f32, f32) = (400.0, 300.0);

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn cadence() -> Cadence {
        Cadence::new(&LookConfig {
            vehicle_score: 0.3,
            plate_side: 960,
            vehicle_every_ms: 200,
            plate_every_ms: 400,
            enough_reads: 8,
        })
    }

    fn vehicle(x: f32) -> VehicleFind {
        VehicleFind {
            rect: Rect::new(x, 200.0, x + 200.0, 400.0),
            class: VehicleClass::Car,
            score: 0.9,
            colour: None,
        }
    }

    fn plate(x: f32, text: &str, conf: f32) -> PlateFind {
        let at = |dx: f32, dy: f32| Point::new(x + dx, 350.0 + dy);
        PlateFind {
            quad: Quad([at(0.0, 0.0), at(60.0, 0.0), at(60.0, 20.0), at(0.0, 20.0)]),
            score: 0.9,
            read: Some(PlateRead {
                chars: text
                    .chars()
                    .map(|ch| CharRead {
                        ch,
                        conf,
                        runner_up: None,
                    })
                    .collect(),
                rows: 1,
            }),
            colour: None,
            legibility: 1.0,
        }
    }

    /// One track over one vehicle, with its plate or without.
    fn updates(seen: &Detections) -> Updates {
        Updates {
            tracks: vec![TrackView {
                id: TrackId(1),
                vehicle: seen.vehicles.first().map(|v| v.rect),
                vehicle_find: (!seen.vehicles.is_empty()).then_some(0),
                plate_find: (!seen.plates.is_empty()).then_some(0),
                plate: seen.plates.first().map(|p| p.quad),
                around: false,
                standing: false,
            }],
            ..Updates::default()
        }
    }

    fn seen(plates: Vec<PlateFind>) -> Detections {
        Detections {
            vehicles_looked_for: true,
            plates_looked_for: false,
            vehicles: vec![vehicle(300.0)],
            plates,
        }
    }

    /// How often vehicles are looked for and everything is searched in two seconds of 25 frames a
    /// second, from the third second on, with a vehicle in sight that shows this.
    fn looks(shows: Option<fn() -> Vec<PlateFind>>) -> (usize, usize) {
        let mut cadence = cadence();
        let (mut vehicles, mut searches) = (0, 0);
        for i in 0..125 {
            let now = ms(i * 40);
            let due = cadence.due(now, false);
            if i >= 75 {
                vehicles += usize::from(due.is_some_and(|d| d.vehicles));
                searches += usize::from(due.is_some_and(|d| d.search));
            }
            if let Some(shows) = shows {
                let seen = seen(shows());
                cadence.update(now, &seen, &updates(&seen));
            }
        }
        (vehicles, searches)
    }

    #[test]
    fn a_well_known_vehicle_costs_little_and_one_that_is_not_known_more() {
        let known = || vec![plate(370.0, "鲁E6K829", 0.99)];
        assert_eq!(looks(Some(known)), (10, 5));
        assert_eq!(looks(Some(Vec::new)), (25, 5), "without a plate");
        assert_eq!(looks(None), (25, 5), "an empty road");
    }

    #[test]
    fn a_plate_without_a_vehicle_is_looked_for_its_vehicle() {
        let mut cadence = cadence();
        let mut seen = seen(vec![plate(370.0, "鲁E6K829", 0.99)]);
        seen.vehicles.clear();
        for i in 0..75 {
            cadence.due(ms(i * 40), true);
            cadence.update(ms(i * 40), &seen, &updates(&seen));
        }
        let vehicles = (1..=10).filter(|i| cadence.due(ms(3000 + i * 100), true).unwrap().vehicles);
        assert_eq!(vehicles.count(), 10);
    }

    #[test]
    fn a_new_vehicle_is_followed_closely_at_once() {
        let mut cadence = cadence();
        let known = seen(vec![plate(370.0, "鲁E6K829", 0.99)]);
        for i in 0..75 {
            cadence.due(ms(i * 40), true);
            cadence.update(ms(i * 40), &known, &updates(&known));
        }
        let mut both = updates(&known);
        let mut other = both.tracks[0].clone();
        (other.id, other.plate, other.plate_find) = (TrackId(2), None, None);
        both.tracks.push(other);
        cadence.update(ms(3000), &known, &both);
        let vehicles = (1..=10).filter(|i| cadence.due(ms(3000 + i * 100), true).unwrap().vehicles);
        assert_eq!(vehicles.count(), 10);
    }

    #[test]
    fn boxes_are_looked_at_until_their_plate_is_sure() {
        let due = Due {
            vehicles: true,
            search: false,
        };
        let mut cadence = cadence();
        let none = seen(Vec::new());
        assert_eq!(
            cadence.boxes(ms(0), &due, &none, REGION, LARGE).unwrap(),
            [plate_zone(&none.vehicles[0].rect)],
            "at first sight"
        );
        let sure = seen(vec![plate(370.0, "鲁E6K829", 0.99)]);
        let unsure = seen(vec![plate(370.0, "鲁E6K829", 0.5)]);
        for i in 0..3 {
            cadence.update(ms(i), &unsure, &updates(&unsure));
        }
        let boxes = cadence.boxes(ms(40), &due, &none, REGION, LARGE);
        assert_eq!(boxes.unwrap().len(), 1, "it is followed, and is not sure");
        let boxes = cadence.boxes(ms(40), &due, &none, REGION, (200.0, 300.0));
        assert_eq!(boxes, None, "it is too large to be looked at alone");
        for i in 0..3 {
            cadence.update(ms(80 + i), &sure, &updates(&sure));
        }
        let boxes = cadence.boxes(ms(120), &due, &none, REGION, LARGE);
        assert_eq!(boxes.unwrap(), [], "it is known");
    }

    #[test]
    fn a_vehicle_that_shows_no_plate_is_looked_at_less_often_in_the_end() {
        let due = Due {
            vehicles: true,
            search: false,
        };
        let mut cadence = cadence();
        let none = seen(Vec::new());
        let mut looks = Vec::new();
        for i in 0..50 {
            let now = ms(i * 40);
            if !cadence
                .boxes(now, &due, &none, REGION, LARGE)
                .unwrap()
                .is_empty()
            {
                looks.push(i);
            }
            cadence.update(now, &none, &updates(&none));
        }
        assert!((10..=13).contains(&looks.len()), "{looks:?}");
    }

    #[test]
    fn many_vehicles_are_searched_at_once_and_far_ones_are_not_looked_at() {
        let due = Due {
            vehicles: true,
            search: false,
        };
        let mut cadence = cadence();
        let mut all = seen(Vec::new());
        all.vehicles = (0..6).map(|i| vehicle(i as f32 * 210.0)).collect();
        assert_eq!(cadence.boxes(ms(0), &due, &all, REGION, LARGE), None);
        all.vehicles.truncate(1);
        all.vehicles[0].rect = Rect::new(600.0, 10.0, 660.0, 60.0);
        let boxes = cadence.boxes(ms(40), &due, &all, REGION, LARGE);
        assert_eq!(boxes, Some(Vec::new()));
    }

    #[test]
    fn nothing_is_due_between_the_looks_and_another_recording_begins_anew() {
        let mut cadence = cadence();
        assert!(cadence.due(ms(1000), false).is_some());
        assert_eq!(cadence.due(ms(1040), false), None);
        assert!(cadence.due(ms(1040), true).is_some(), "a plate is followed");
        assert!(cadence.due(ms(0), false).unwrap().search);
    }
}
