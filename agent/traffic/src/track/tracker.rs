//! The tracker: one frame's finds in, the state of all tracks out.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::detections::{Detections, VehicleFind};
use crate::geometry::Rect;

use super::associate::{
    Pair, are_in_line, departure_cost, greedy, holds, is_scrap, leap_cost, plate_cost, usable,
    vehicle_cost,
};
use super::state::Track;
use super::texts::Verdict;
use super::{EndReason, Merge, TrackConfig, TrackId, TrackView, Updates};

/// Detectors that pause for longer than this say nothing about what was not seen meanwhile.
const MAX_STEP: Duration = Duration::from_secs(1);
/// Unseen for this long by steady detectors, a vehicle is hidden rather than overlooked.
const HIDDEN: Duration = Duration::from_millis(400);

#[derive(Debug, Clone)]
pub struct Tracker {
    config: TrackConfig,
    /// Ordered by id.
    tracks: Vec<Track>,
    next: u64,
    last: Option<Duration>,
    last_vehicles: Option<Duration>,
    last_plates: Option<Duration>,
    /// The usual time between two looks: a track that was missed once may not be given up for that.
    pace: Duration,
    /// For how long two tracks have lain on each other.
    together: BTreeMap<(TrackId, TrackId), Duration>,
}

/// What is left of one frame's finds while tracks take theirs.
struct Frame<'a> {
    now: Duration,
    size: (u32, u32),
    det: &'a Detections,
    /// All vehicle finds that are worth looking at.
    usable: Vec<usize>,
    /// Those that no track has taken yet.
    vehicles: Vec<usize>,
    plates: Vec<usize>,
}

impl Tracker {
    pub fn new(config: TrackConfig) -> Self {
        Self {
            config,
            tracks: Vec::new(),
            next: 0,
            last: None,
            last_vehicles: None,
            last_plates: None,
            pace: Duration::ZERO,
            together: BTreeMap::new(),
        }
    }

    /// Takes one frame's finds. `now` is monotonic, since the start of the stream.
    pub fn update(&mut self, now: Duration, size: (u32, u32), det: &Detections) -> Updates {
        let mut out = Updates {
            size,
            ..Updates::default()
        };
        let broken = self
            .last
            .is_some_and(|l| now < l || now - l > self.config.gap_is_cut);
        if broken {
            self.end_all(&mut out);
        }
        let step = now.saturating_sub(self.last.unwrap_or(now)).min(MAX_STEP);
        self.last = Some(now);
        self.tracks.iter_mut().for_each(Track::begin_frame);

        let vehicles = usable(det, size, &self.config);
        let mut f = Frame {
            now,
            size,
            det,
            usable: vehicles.clone(),
            vehicles,
            plates: (0..det.plates.len()).collect(),
        };
        self.match_plates(&mut f, &mut out);
        self.match_vehicles(&mut f, vehicle_cost);
        self.match_vehicles(&mut f, departure_cost);
        let soon = self.pace.mul_f32(self.config.leap_looks);
        self.match_vehicles(&mut f, |t, now, find, c| {
            let lately = t
                .vehicle
                .as_ref()
                .is_some_and(|m| m.age(now) <= soon.as_secs_f32());
            leap_cost(t, now, find, c).filter(|_| lately)
        });
        if self.scene_jumped(&f) {
            self.end_all(&mut out);
            f.vehicles.clone_from(&f.usable);
            f.plates = (0..det.plates.len()).collect();
        }
        self.join_plates(&mut f);
        self.start_plates(&mut f);
        self.match_vehicles(&mut f, vehicle_cost);
        self.start_vehicles(&mut f);
        self.merge(&f, step, &mut out);
        self.count_misses(now, det);
        self.end_missing(&f, &mut out);
        out.tracks = self.tracks.iter().map(|t| self.view(t, &f)).collect();
        out
    }

    fn end_all(&mut self, out: &mut Updates) {
        out.ended
            .extend(self.tracks.drain(..).map(|t| (t.id, EndReason::Cut)));
        self.together.clear();
        self.last_vehicles = None;
        self.last_plates = None;
    }

    fn begin(&mut self, now: Duration) -> Track {
        let id = TrackId(self.next);
        self.next += 1;
        Track::new(id, now)
    }

    fn match_plates(&mut self, f: &mut Frame<'_>, out: &mut Updates) {
        let c = &self.config;
        let mut pairs = Vec::new();
        let mut verdicts = BTreeMap::new();
        for (track, t) in self.tracks.iter().enumerate() {
            for &find in &f.plates {
                if let Some((cost, verdict)) = plate_cost(t, f.now, &f.det.plates[find], c) {
                    pairs.push(Pair { cost, track, find });
                    verdicts.insert((track, find), verdict);
                }
            }
        }
        let mut replaced = Vec::new();
        for p in greedy(pairs) {
            let (t, find) = (&mut self.tracks[p.track], &f.det.plates[p.find]);
            if verdicts.get(&(p.track, p.find)) == Some(&Verdict::Other) {
                t.doubted = true;
                if find.read.as_ref().is_some_and(|r| t.texts.contradict(r, c)) {
                    // Its plate stays among the finds and begins a track of its own.
                    replaced.push(t.id);
                    continue;
                }
            }
            t.see_plate(f.now, p.find, find, c);
            f.plates.retain(|&i| i != p.find);
        }
        self.tracks.retain(|t| !replaced.contains(&t.id));
        out.ended
            .extend(replaced.into_iter().map(|id| (id, EndReason::Replaced)));
    }

    fn match_vehicles(
        &mut self,
        f: &mut Frame<'_>,
        cost: impl Fn(&Track, Duration, &VehicleFind, &TrackConfig) -> Option<f32>,
    ) {
        let mut pairs = Vec::new();
        for (track, t) in self
            .tracks
            .iter()
            .enumerate()
            .filter(|(_, t)| t.vehicle_find.is_none())
        {
            for &find in &f.vehicles {
                if let Some(cost) = cost(t, f.now, &f.det.vehicles[find], &self.config) {
                    pairs.push(Pair { cost, track, find });
                }
            }
        }
        for p in greedy(pairs) {
            self.tracks[p.track].see_vehicle(f.now, p.find, &f.det.vehicles[p.find], f.size);
            f.vehicles.retain(|&i| i != p.find);
        }
    }

    /// Two steady plates gone in the same frame, and nothing where anything was, but something
    /// elsewhere.
    fn scene_jumped(&self, f: &Frame<'_>) -> bool {
        let both = f.det.vehicles_looked_for && f.det.plates_looked_for;
        let steady = self
            .tracks
            .iter()
            .filter(|t| t.established() && t.missing() == Duration::ZERO);
        let plates = steady
            .clone()
            .filter(|t| t.plate.is_some() && t.plate_missing() == Duration::ZERO)
            .count();
        let still = self.tracks.iter().any(Track::seen_now);
        both && plates >= 2 && !still && !(f.plates.is_empty() && f.vehicles.is_empty())
    }

    /// Plates without a track go to vehicles without a plate.
    fn join_plates(&mut self, f: &mut Frame<'_>) {
        let c = &self.config;
        let mut pairs = Vec::new();
        for (track, t) in self.tracks.iter().enumerate() {
            let Some(v) = t.vehicle.as_ref().filter(|v| v.age(f.now) < 0.6) else {
                continue;
            };
            let has_plate = t.plate.as_ref().is_some_and(|p| p.age(f.now) < 0.5);
            if t.plate_find.is_some() || has_plate {
                continue;
            }
            let rect = t
                .vehicle_find
                .map_or_else(|| v.predict(f.now), |i| f.det.vehicles[i].rect);
            for &find in f.plates.iter().filter(|&&i| !is_scrap(&f.det.plates[i], c)) {
                let p = &f.det.plates[find];
                let verdict = t.texts.judge(p.read.as_ref(), c);
                if matches!(verdict, Verdict::Other | Verdict::Neighbour) {
                    continue;
                }
                if let Some(cost) = holds(&rect, &p.quad.bounds(), c) {
                    pairs.push(Pair { cost, track, find });
                }
            }
        }
        for p in greedy(pairs) {
            let t = &mut self.tracks[p.track];
            t.plate = None;
            t.see_plate(f.now, p.find, &f.det.plates[p.find], c);
            f.plates.retain(|&i| i != p.find);
        }
    }

    fn start_plates(&mut self, f: &mut Frame<'_>) {
        for find in std::mem::take(&mut f.plates) {
            let p = &f.det.plates[find];
            let bounds = p.quad.bounds();
            let known = |t: &Track| {
                t.plate_find.is_some_and(|i| {
                    let seen = f.det.plates[i].quad.bounds();
                    seen.iou(&bounds) > 0.2 || seen.contains(bounds.center())
                })
            };
            if p.score < self.config.start_plate_score
                || is_scrap(p, &self.config)
                || self.tracks.iter().any(known)
            {
                continue;
            }
            match self.relink(f, find) {
                Some(i) => {
                    // A jump: its old motion says nothing about this place.
                    let t = &mut self.tracks[i];
                    (t.plate, t.vehicle) = (None, None);
                    t.see_plate(f.now, find, p, &self.config);
                }
                None => {
                    let mut t = self.begin(f.now);
                    t.see_plate(f.now, find, p, &self.config);
                    self.tracks.push(t);
                }
            }
        }
    }

    /// A track out of sight whose plate reads just the same, wherever it is now.
    fn relink(&self, f: &Frame<'_>, find: usize) -> Option<usize> {
        let read = f.det.plates[find].read.as_ref()?;
        let same = |t: &Track| !t.seen_now() && t.texts.knows(&read.text());
        self.tracks.iter().position(same)
    }

    fn start_vehicles(&mut self, f: &mut Frame<'_>) {
        let mut left = std::mem::take(&mut f.vehicles);
        left.sort_by(|&a, &b| {
            f.det.vehicles[b]
                .score
                .total_cmp(&f.det.vehicles[a].score)
                .then(a.cmp(&b))
        });
        for find in left {
            let v = &f.det.vehicles[find];
            let large = v.rect.area() > self.config.large_box * f.size.0 as f32 * f.size.1 as f32;
            let needed = if large {
                self.config.large_box_score
            } else {
                self.config.start_vehicle_score
            };
            if v.score < needed || self.tracks.iter().any(|t| self.is_part_of(t, &v.rect, f)) {
                continue;
            }
            let mut t = self.begin(f.now);
            t.see_vehicle(f.now, find, v, f.size);
            self.tracks.push(t);
        }
    }

    /// Whether a box is a known vehicle once more: a second class, its half, or it with a
    /// neighbour.
    fn is_part_of(&self, t: &Track, rect: &Rect, f: &Frame<'_>) -> bool {
        let c = &self.config;
        let plate = t.plate_find.map(|i| f.det.plates[i].quad.bounds());
        let Some(own) = t
            .vehicle_find
            .map(|i| f.det.vehicles[i].rect)
            .or_else(|| t.vehicle_now(f.now))
        else {
            return plate.is_some_and(|p| rect.covered_by(&p) > 0.5);
        };
        if t.vehicle_find.is_none() && t.last_seen + c.lost_after < f.now {
            return false;
        }
        let found_now = t.vehicle_find.is_some();
        if found_now && t.plate.is_none() && are_in_line(&own, rect) {
            return false;
        }
        let overlap = own.iou(rect) > 0.4 || rect.covered_by(&own) > c.duplicate_cover;
        // A larger box around a plate-bearing vehicle; around a plain one it may be the better box.
        // and around one out of sight it is what hides it.
        let hidden = !t.seen_now() && t.missing() > HIDDEN;
        let around = !hidden && own.covered_by(rect) > c.duplicate_cover;
        overlap || around
    }

    /// Merges tracks that move as one: a vehicle and a plate found apart, or one vehicle found
    /// twice.
    fn merge(&mut self, f: &Frame<'_>, step: Duration, out: &mut Updates) {
        let mut done: Vec<Merge> = Vec::new();
        for i in 0..self.tracks.len() {
            for j in i + 1..self.tracks.len() {
                let (a, b) = (&self.tracks[i], &self.tracks[j]);
                let key = (a.id, b.id);
                if !self.on_each_other(a, b, f) {
                    continue;
                }
                let sum = self.together.entry(key).or_default();
                *sum += step;
                let life = f.now.saturating_sub(b.born);
                let taken = done
                    .iter()
                    .any(|m| [m.gone, m.into].iter().any(|x| *x == a.id || *x == b.id));
                // Vehicles that hide each other for a moment had lives of their own before.
                if !taken
                    && *sum >= self.config.merge_after
                    && sum.as_secs_f32() >= 0.6 * life.as_secs_f32()
                {
                    let (gone, into) = if b.plate.is_some() {
                        (a.id, b.id)
                    } else {
                        (b.id, a.id)
                    };
                    done.push(Merge { gone, into });
                }
            }
        }
        for m in &done {
            let gone = self
                .tracks
                .iter()
                .position(|t| t.id == m.gone)
                .map(|i| self.tracks.remove(i));
            if let (Some(g), Some(t)) = (gone, self.tracks.iter_mut().find(|t| t.id == m.into)) {
                t.absorb(g);
            }
        }
        let tracks = &self.tracks;
        let live = |id: TrackId| tracks.iter().any(|t| t.id == id);
        self.together.retain(|(a, b), _| live(*a) && live(*b));
        out.merged = done;
    }

    fn on_each_other(&self, a: &Track, b: &Track, f: &Frame<'_>) -> bool {
        let c = &self.config;
        let rect = |t: &Track| {
            t.vehicle
                .as_ref()
                .filter(|v| v.age(f.now) < 0.3)
                .map(|v| v.predict(f.now))
        };
        let plate = |t: &Track| {
            t.plate
                .as_ref()
                .filter(|p| p.age(f.now) < 0.3)
                .map(|p| p.predict(f.now))
        };
        match (a.plate.is_some(), b.plate.is_some()) {
            (true, true) => false,
            (false, false) => rect(a)
                .zip(rect(b))
                .is_some_and(|(x, y)| x.iou(&y) > 0.5 || y.covered_by(&x) > 0.9),
            (bearing, _) => {
                let (p, v) = if bearing { (a, b) } else { (b, a) };
                let Some(box_v) = rect(v) else { return false };
                match rect(p) {
                    Some(box_p) => box_p.iou(&box_v) > 0.5 || box_v.covered_by(&box_p) > 0.9,
                    None => plate(p).is_some_and(|q| holds(&box_v, &q, c).is_some()),
                }
            }
        }
    }

    fn count_misses(&mut self, now: Duration, det: &Detections) {
        let since = |last: Option<Duration>| now.saturating_sub(last.unwrap_or(now)).min(MAX_STEP);
        let vehicles = det.vehicles_looked_for.then(|| since(self.last_vehicles));
        // A pause is no pace.
        if let Some(step) = vehicles.filter(|s| *s < MAX_STEP) {
            self.pace = (3 * self.pace + step) / 4;
        }
        let plates = det.plates_looked_for.then(|| since(self.last_plates));
        self.tracks
            .iter_mut()
            .for_each(|t| t.miss(vehicles, plates));
        if vehicles.is_some() {
            self.last_vehicles = Some(now);
        }
        if plates.is_some() {
            self.last_plates = Some(now);
        }
    }

    fn end_missing(&mut self, f: &Frame<'_>, out: &mut Updates) {
        let c = &self.config;
        let ended = |t: &Track| {
            let missing = t.missing();
            // Missed once is not gone, however far apart the looks are.
            let at_least = 3 * self.pace / 2;
            if missing > c.left_after.max(at_least) && t.leaving(f.size, f.now) {
                return Some(EndReason::LeftPicture);
            }
            let patience = if t.tentative(c) {
                c.tentative_lost_after.max(2 * at_least)
            } else if t.stands() {
                c.standing_lost_after
            } else {
                c.lost_after
            };
            (missing > patience).then_some(EndReason::Lost)
        };
        let gone: Vec<(TrackId, EndReason)> = self
            .tracks
            .iter()
            .filter_map(|t| ended(t).map(|r| (t.id, r)))
            .collect();
        self.tracks.retain(|t| !gone.iter().any(|g| g.0 == t.id));
        out.ended.extend(gone);
    }

    fn view(&self, t: &Track, f: &Frame<'_>) -> TrackView {
        let plate = t.plate_find.map(|i| f.det.plates[i].quad);
        let holder = |q: &Rect| {
            f.usable
                .iter()
                .any(|&i| holds(&f.det.vehicles[i].rect, q, &self.config).is_some())
        };
        TrackView {
            id: t.id,
            vehicle: t
                .vehicle_find
                .map(|i| f.det.vehicles[i].rect)
                .or_else(|| t.vehicle_now(f.now)),
            vehicle_find: t.vehicle_find,
            plate_find: t.plate_find.filter(|_| !t.doubted),
            plate,
            around: plate.is_some_and(|q| holder(&q.bounds())),
            standing: t.stands(),
        }
    }
}
