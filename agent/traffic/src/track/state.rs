//! One track: what is known about one vehicle while it is followed.

use std::time::Duration;

use crate::detections::{PlateFind, VehicleFind};
use crate::geometry::Rect;

use super::motion::{Motion, PLATE, VEHICLE};
use super::texts::Texts;
use super::{TrackConfig, TrackId};

#[derive(Debug, Clone)]
pub(crate) struct Track {
    pub(crate) id: TrackId,
    pub(crate) born: Duration,
    pub(crate) last_seen: Duration,
    pub(crate) vehicle: Option<Motion>,
    pub(crate) plate: Option<Motion>,
    pub(crate) texts: Texts,
    /// How long each detector has looked for it in vain.
    vehicle_missing: Duration,
    plate_missing: Duration,
    /// This frame's finds.
    pub(crate) vehicle_find: Option<usize>,
    pub(crate) plate_find: Option<usize>,
    /// A find of this frame moved the plate, but its read contradicts the track.
    pub(crate) doubted: bool,
    /// The last vehicle box was trusted less.
    odd_box: bool,
    /// The vehicle box of the last frame it was found in.
    pub(crate) last_box: Option<Rect>,
    pub(crate) last_plate_box: Option<Rect>,
    /// The best detector score of its vehicle boxes.
    pub(crate) best_score: f32,
}

impl Track {
    pub(crate) fn new(id: TrackId, now: Duration) -> Self {
        Self {
            id,
            born: now,
            last_seen: now,
            vehicle: None,
            plate: None,
            texts: Texts::default(),
            vehicle_missing: Duration::ZERO,
            plate_missing: Duration::ZERO,
            vehicle_find: None,
            plate_find: None,
            doubted: false,
            odd_box: false,
            last_box: None,
            last_plate_box: None,
            best_score: 0.0,
        }
    }

    pub(crate) fn begin_frame(&mut self) {
        self.vehicle_find = None;
        self.plate_find = None;
        self.doubted = false;
    }

    pub(crate) fn seen_now(&self) -> bool {
        self.vehicle_find.is_some() || self.plate_find.is_some()
    }

    pub(crate) fn see_plate(
        &mut self,
        now: Duration,
        index: usize,
        find: &PlateFind,
        c: &TrackConfig,
    ) {
        let b = find.quad.bounds();
        match &mut self.plate {
            Some(m) => m.measure(now, &b, 1.0),
            None => self.plate = Some(Motion::new(now, &b, PLATE)),
        }
        self.plate_find = Some(index);
        self.last_plate_box = Some(b);
        self.plate_missing = Duration::ZERO;
        self.last_seen = now;
        if let Some(r) = find.read.as_ref().filter(|_| !self.doubted) {
            self.texts.agree(r, c);
        }
    }

    pub(crate) fn see_vehicle(
        &mut self,
        now: Duration,
        index: usize,
        find: &VehicleFind,
        size: (u32, u32),
    ) {
        match &mut self.vehicle {
            Some(m) => {
                // A box over two vehicles, or over half of one: seen, but it should not drag the
                // estimate. A second one in a row is no slip.
                let odd = is_odd(m, now, &find.rect, self.last_box.as_ref(), size);
                // Nor does a standing vehicle go off without its plate: that box may be a
                // passer-by's.
                let passer = m.stands() && self.plate.is_some() && self.plate_find.is_none();
                let trust = if (odd && !self.odd_box) || passer {
                    0.25
                } else {
                    1.0
                };
                self.odd_box = odd && !self.odd_box;
                m.measure(now, &find.rect, trust);
            }
            None => self.vehicle = Some(Motion::new(now, &find.rect, VEHICLE)),
        }
        self.best_score = self.best_score.max(find.score);
        self.vehicle_find = Some(index);
        self.last_box = Some(find.rect);
        self.vehicle_missing = Duration::ZERO;
        self.last_seen = now;
    }

    /// Counts the time in which detectors looked and did not find it.
    pub(crate) fn miss(&mut self, vehicles: Option<Duration>, plates: Option<Duration>) {
        if self.vehicle_find.is_none() {
            self.vehicle_missing += vehicles.unwrap_or_default();
        }
        if self.plate_find.is_none() {
            self.plate_missing += plates.unwrap_or_default();
        }
    }

    /// For how long it has been looked for in vain, by every detector that has ever found it.
    pub(crate) fn missing(&self) -> Duration {
        match (&self.vehicle, &self.plate) {
            (Some(_), Some(_)) => self.vehicle_missing.min(self.plate_missing),
            (None, Some(_)) => self.plate_missing,
            _ => self.vehicle_missing,
        }
    }

    pub(crate) fn plate_missing(&self) -> Duration {
        self.plate_missing
    }

    /// Seen long enough, and more than twice, to vouch for what happens around it.
    pub(crate) fn established(&self) -> bool {
        let known = |m: &Motion| m.hits > 2 && m.life() >= ESTABLISHED;
        self.vehicle.as_ref().is_some_and(known) || self.plate.as_ref().is_some_and(known)
    }

    /// Seen too briefly to wait for it: a slip of a detector more likely than a vehicle.
    pub(crate) fn tentative(&self, c: &TrackConfig) -> bool {
        self.last_seen.saturating_sub(self.born) < c.tentative_for
    }

    pub(crate) fn stands(&self) -> bool {
        match (&self.plate, &self.vehicle) {
            (Some(p), _)
                if self.plate_missing <= self.vehicle_missing || self.vehicle.is_none() =>
            {
                p.stands()
            }
            (_, Some(v)) => v.stands(),
            _ => false,
        }
    }

    /// Where the vehicle is by now: carried along by its plate when that was seen later.
    pub(crate) fn vehicle_now(&self, now: Duration) -> Option<Rect> {
        let v = self.vehicle.as_ref()?;
        let own = v.predict(now);
        let (Some(p), Some(_)) = (&self.plate, self.plate_find) else {
            return Some(own);
        };
        if self.vehicle_find.is_some() || v.age(now) < 0.3 {
            return Some(own);
        }
        // Seen through its plate only: keep the plate within the box.
        let pc = p.predict(now).center();
        let dx = (own.x0 - pc.x).max(0.0) - (pc.x - own.x1).max(0.0);
        let dy = (own.y0 - pc.y).max(0.0) - (pc.y - own.y1).max(0.0);
        Some(own.shifted(-dx, -dy))
    }

    /// Whether it was last seen at the border of the picture, going out or cut off by it.
    pub(crate) fn leaving(&self, size: (u32, u32), now: Duration) -> bool {
        let (w, h) = (size.0 as f32, size.1 as f32);
        let margin = BORDER * w.min(h);
        let out = |m: &Motion, last: &Rect| {
            let p = m.predict(now).center();
            let v = m.velocity();
            let step = 0.1 * m.width();
            let beyond = p.x < 0.0 || p.y < 0.0 || p.x > w || p.y > h;
            beyond
                || (last.y1 > h - margin && v.y > step)
                || (last.y0 < margin && v.y < -step)
                || (last.x0 < margin && v.x < -step)
                || (last.x1 > w - margin && v.x > step)
        };
        match (
            &self.vehicle,
            &self.last_box,
            &self.plate,
            &self.last_plate_box,
        ) {
            (Some(v), Some(b), _, _)
                if self.vehicle_missing <= self.plate_missing || self.plate.is_none() =>
            {
                out(v, b)
            }
            (_, _, Some(p), Some(b)) => out(p, b) || self.vehicle_out(size, now),
            (Some(v), Some(b), _, _) => out(v, b),
            _ => false,
        }
    }

    fn vehicle_out(&self, size: (u32, u32), now: Duration) -> bool {
        self.vehicle.as_ref().is_some_and(|v| {
            let c = v.predict(now).center();
            c.x < 0.0 || c.y < 0.0 || c.x > size.0 as f32 || c.y > size.1 as f32
        })
    }

    /// Takes in what `other` knows, where it knows more recent or more things.
    pub(crate) fn absorb(&mut self, other: Self) {
        self.born = self.born.min(other.born);
        if other.vehicle.is_some()
            && (self.vehicle.is_none() || other.vehicle_missing < self.vehicle_missing)
        {
            self.vehicle = other.vehicle;
            self.last_box = other.last_box;
            self.vehicle_find = self.vehicle_find.or(other.vehicle_find);
            self.vehicle_missing = other.vehicle_missing;
        }
        if other.plate.is_some()
            && (self.plate.is_none() || other.plate_missing < self.plate_missing)
        {
            self.plate = other.plate;
            self.last_plate_box = other.last_plate_box;
            self.plate_find = self.plate_find.or(other.plate_find);
            self.plate_missing = other.plate_missing;
        }
        self.last_seen = self.last_seen.max(other.last_seen);
        self.best_score = self.best_score.max(other.best_score);
        self.texts.merge(other.texts);
    }
}

/// Seconds over which a track must have been seen before its disappearance can tell a cut.
const ESTABLISHED: f32 = 0.3;

/// By how much a vehicle may grow or shrink in a second (natural logarithm of its width).
const GROWTH: f32 = 0.6;

/// How near the border of the picture a box counts as cut off by it, as a share of the shorter
/// side.
const BORDER: f32 = 0.015;

/// Whether a box is too large, too small or too narrow to be the vehicle that was expected there.
fn is_odd(m: &Motion, now: Duration, found: &Rect, last: Option<&Rect>, size: (u32, u32)) -> bool {
    let expected = m.predict(now);
    // Boxes that the border cuts off change quickly.
    if !at_border(found, size) {
        let ratio = found.area() / expected.area().max(1.0);
        let growth = (2.0 * GROWTH * m.age(now)).exp();
        if !(0.62 / growth..1.7 * growth).contains(&ratio) {
            return true;
        }
    }
    let cut_off = |r: &Rect| r.x0 <= 1.0 || r.x1 >= size.0 as f32 - 1.0;
    let narrow =
        found.width() < 0.72 * expected.width() && found.height() > 0.9 * expected.height();
    narrow && !cut_off(found) && !last.is_some_and(cut_off)
}

fn at_border(r: &Rect, size: (u32, u32)) -> bool {
    let (w, h) = (size.0 as f32, size.1 as f32);
    let m = BORDER * w.min(h);
    r.x0 < m || r.y0 < m || r.x1 > w - m || r.y1 > h - m
}
