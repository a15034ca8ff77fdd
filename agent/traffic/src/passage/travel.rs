//! How far something moved, despite boxes that jump.

use std::time::Duration;

use crate::geometry::{Point, Rect};

/// Time constant of the smoothing, in seconds.
const SMOOTH: f32 = 0.25;
/// From this many seconds between two looks on each counts in full.
const SPARSE: f32 = 0.35;
/// The start is averaged over this long: first boxes are often off.
const SETTLE: f32 = 0.3;
/// A first box is off by no more than this share of its width; what is farther away has moved.
const SLIP: f32 = 0.3;

/// A box that is narrower than this share of the ones before, and as high, is a part.
const NARROW: f32 = 0.72;

#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Travel {
    path: Option<Path>,
    /// From merged earlier tracks of the same vehicle.
    before: Totals,
}

#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Totals {
    dy: f32,
    growth: f32,
    far: f32,
    grown: f32,
}

#[derive(Debug, Clone, PartialEq)]
struct Path {
    begun: Duration,
    at: Duration,
    start: Point,
    start_width: f32,
    seen: u32,
    now: Point,
    width: f32,
    start_height: f32,
    height: f32,
    /// Largest distance from the start, and largest change of size.
    far: f32,
    grown: f32,
    /// The last box was left out.
    odd: bool,
}

impl Travel {
    /// `cut_off`: the border of the picture cuts the box, so its size says nothing.
    pub(crate) fn see(&mut self, now: Duration, r: &Rect, cut_off: bool) {
        let (c, w, h) = (r.center(), r.width().max(1.0), r.height().max(1.0));
        let Some(p) = &mut self.path else {
            self.path = Some(Path {
                begun: now,
                at: now,
                start: c,
                start_width: w,
                seen: 1,
                now: c,
                width: w,
                start_height: h,
                height: h,
                far: 0.0,
                grown: 0.0,
                odd: false,
            });
            return;
        };
        // A box over half of a vehicle says nothing of where it went. A second one in a row is no
        // slip.
        let narrow = !cut_off && w < NARROW * p.width && h > 0.8 * p.height;
        p.odd = narrow && !p.odd;
        if p.odd {
            return;
        }
        let step = now.saturating_sub(p.at).as_secs_f32();
        // Looks far apart need no smoothing, and would only lag behind.
        let k = if step >= SPARSE {
            1.0
        } else {
            1.0 - (-step / SMOOTH).exp()
        };
        p.at = now;
        p.now = Point::new(p.now.x + k * (c.x - p.now.x), p.now.y + k * (c.y - p.now.y));
        if !cut_off {
            p.width += k * (w - p.width);
            p.height += k * (h - p.height);
        }
        let settling = now.saturating_sub(p.begun).as_secs_f32() <= SETTLE;
        if settling && c.distance(p.start) <= SLIP * w.max(p.start_width) {
            p.seen += 1;
            let n = p.seen as f32;
            p.start = Point::new(
                p.start.x + (c.x - p.start.x) / n,
                p.start.y + (c.y - p.start.y) / n,
            );
            p.start_width += (w - p.start_width) / n;
            p.start_height += (h - p.start_height) / n;
        } else {
            p.far = p.far.max(p.now.distance(p.start));
            // A box over half of a vehicle is narrower, but no smaller; one that goes away is both.
            let (wider, higher) = (
                (p.width / p.start_width).ln(),
                (p.height / p.start_height).ln(),
            );
            if wider * higher > 0.0 {
                p.grown = p.grown.max(wider.abs().min(higher.abs()));
            }
        }
    }

    fn totals(&self) -> Totals {
        let mut t = self.before;
        if let Some(p) = &self.path {
            t.dy += p.now.y - p.start.y;
            t.growth += (p.width / p.start_width).ln();
            t.far = t.far.max(p.far);
            t.grown = t.grown.max(p.grown);
        }
        t
    }

    /// Joins what another track of the same vehicle did; a jump between the two is no movement.
    pub(crate) fn absorb(&mut self, other: &Self) {
        let (mine, theirs) = (self.totals(), other.totals());
        let own = self.path.as_ref().map_or(Totals::default(), |p| Totals {
            dy: p.now.y - p.start.y,
            growth: (p.width / p.start_width).ln(),
            far: p.far,
            grown: p.grown,
        });
        self.before = Totals {
            dy: mine.dy - own.dy + theirs.dy,
            growth: mine.growth - own.growth + theirs.growth,
            far: mine.far.max(theirs.far),
            grown: mine.grown.max(theirs.grown),
        };
    }

    /// Largest distance from the start, in pixels.
    pub(crate) fn far(&self) -> f32 {
        self.totals().far
    }

    /// Largest change of the size's logarithm.
    pub(crate) fn grown(&self) -> f32 {
        self.totals().grown
    }

    /// Net movement toward the camera: down the picture (share of its height) and growing.
    pub(crate) fn toward(&self, picture_height: f32) -> f32 {
        let t = self.totals();
        t.dy / picture_height.max(1.0) + 0.5 * t.growth
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(x: f32, y: f32, w: f32) -> Rect {
        Rect::new(x - w / 2.0, y - w / 2.0, x + w / 2.0, y + w / 2.0)
    }

    #[test]
    fn jumping_boxes_are_no_movement() {
        let mut t = Travel::default();
        for i in 0..200_u64 {
            let jump = if i % 2 == 0 { 6.0 } else { -6.0 };
            t.see(
                Duration::from_millis(i * 80),
                &at(100.0 + jump, 100.0 - jump, 80.0),
                false,
            );
        }
        assert!(t.far() < 10.0 && t.toward(720.0).abs() < 0.02);
    }

    #[test]
    fn coming_closer_is_toward() {
        let mut t = Travel::default();
        for i in 0..20_u64 {
            t.see(
                Duration::from_millis(i * 80),
                &at(100.0, 100.0 + 20.0 * i as f32, 80.0 + 5.0 * i as f32),
                false,
            );
        }
        let mut later = Travel::default();
        assert!(t.far() > 250.0 && t.toward(720.0) > 0.4);
        later.absorb(&t);
        assert_eq!(later.toward(720.0), t.toward(720.0));
    }
}
