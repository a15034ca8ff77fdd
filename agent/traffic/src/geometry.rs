//! Points, boxes, quadrilaterals and polygons in the picture. Units are pixels of the whole frame,
//! the origin is its top left corner, y grows downwards.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Point {
    pub x: f32,
    pub y: f32,
}

impl Point {
    pub const fn new(x: f32, y: f32) -> Self {
        Self { x, y }
    }

    pub fn distance(self, other: Self) -> f32 {
        (self.x - other.x).hypot(self.y - other.y)
    }
}

/// An upright box; `x1` and `y1` are outside by convention, so width is `x1 - x0`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Rect {
    pub x0: f32,
    pub y0: f32,
    pub x1: f32,
    pub y1: f32,
}

impl Rect {
    pub const fn new(x0: f32, y0: f32, x1: f32, y1: f32) -> Self {
        Self { x0, y0, x1, y1 }
    }

    pub fn width(&self) -> f32 {
        (self.x1 - self.x0).max(0.0)
    }

    pub fn height(&self) -> f32 {
        (self.y1 - self.y0).max(0.0)
    }

    pub fn area(&self) -> f32 {
        self.width() * self.height()
    }

    pub fn center(&self) -> Point {
        Point::new((self.x0 + self.x1) / 2.0, (self.y0 + self.y1) / 2.0)
    }

    /// The middle of the lower edge: where a vehicle stands on the road.
    pub fn foot(&self) -> Point {
        Point::new((self.x0 + self.x1) / 2.0, self.y1)
    }

    pub fn contains(&self, p: Point) -> bool {
        p.x >= self.x0 && p.x < self.x1 && p.y >= self.y0 && p.y < self.y1
    }

    pub fn intersection(&self, other: &Self) -> Self {
        Self {
            x0: self.x0.max(other.x0),
            y0: self.y0.max(other.y0),
            x1: self.x1.min(other.x1),
            y1: self.y1.min(other.y1),
        }
    }

    pub fn union(&self, other: &Self) -> Self {
        Self {
            x0: self.x0.min(other.x0),
            y0: self.y0.min(other.y0),
            x1: self.x1.max(other.x1),
            y1: self.y1.max(other.y1),
        }
    }

    /// Intersection over union, 0 when they do not touch.
    pub fn iou(&self, other: &Self) -> f32 {
        let i = self.intersection(other).area();
        let u = self.area() + other.area() - i;
        if u > 0.0 { i / u } else { 0.0 }
    }

    /// The part of this box that lies within `other`, 0 to 1.
    pub fn covered_by(&self, other: &Self) -> f32 {
        let a = self.area();
        if a > 0.0 {
            self.intersection(other).area() / a
        } else {
            0.0
        }
    }

    pub fn shifted(&self, dx: f32, dy: f32) -> Self {
        Self::new(self.x0 + dx, self.y0 + dy, self.x1 + dx, self.y1 + dy)
    }

    pub fn grown(&self, dx: f32, dy: f32) -> Self {
        Self::new(self.x0 - dx, self.y0 - dy, self.x1 + dx, self.y1 + dy)
    }

    pub fn clipped(&self, width: f32, height: f32) -> Self {
        self.intersection(&Self::new(0.0, 0.0, width, height))
    }
}

/// Four corners of a plate: left top, right top, right bottom, left bottom, as a reader sees the
/// plate.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Quad(pub [Point; 4]);

impl Quad {
    pub fn bounds(&self) -> Rect {
        let mut r = Rect::new(f32::MAX, f32::MAX, f32::MIN, f32::MIN);
        for p in &self.0 {
            r.x0 = r.x0.min(p.x);
            r.y0 = r.y0.min(p.y);
            r.x1 = r.x1.max(p.x);
            r.y1 = r.y1.max(p.y);
        }
        r
    }

    pub fn center(&self) -> Point {
        let (x, y) = self
            .0
            .iter()
            .fold((0.0, 0.0), |(x, y), p| (x + p.x, y + p.y));
        Point::new(x / 4.0, y / 4.0)
    }

    /// Mean of the upper and the lower edge's length.
    pub fn width(&self) -> f32 {
        (self.0[0].distance(self.0[1]) + self.0[3].distance(self.0[2])) / 2.0
    }

    /// Mean of the left and the right edge's length.
    pub fn height(&self) -> f32 {
        (self.0[0].distance(self.0[3]) + self.0[1].distance(self.0[2])) / 2.0
    }

    /// Four points in any order, put into this type's order: clockwise on the screen, beginning so
    /// that the upper edge runs most to the right and the left edge most downwards.
    pub fn ordered(points: [Point; 4]) -> Self {
        let c = Self(points).center();
        let mut p = points;
        p.sort_by(|a, b| {
            let (ka, kb) = ((a.y - c.y).atan2(a.x - c.x), (b.y - c.y).atan2(b.x - c.x));
            ka.total_cmp(&kb)
        });
        let upright = |r: usize| {
            let q = |i: usize| p[(i + r) % 4];
            (q(1).x - q(0).x) + (q(2).x - q(3).x) + (q(3).y - q(0).y) + (q(2).y - q(1).y)
        };
        let first = (0..4)
            .max_by(|&i, &j| upright(i).total_cmp(&upright(j)))
            .unwrap_or(0);
        p.rotate_left(first);
        Self(p)
    }

    pub fn map(&self, f: impl Fn(Point) -> Point) -> Self {
        Self(self.0.map(f))
    }
}

/// A closed polygon: a lane, a mask.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Polygon(pub Vec<Point>);

impl Polygon {
    /// Even-odd rule.
    pub fn contains(&self, p: Point) -> bool {
        let v = &self.0;
        let mut inside = false;
        for i in 0..v.len() {
            let (a, b) = (v[i], v[(i + 1) % v.len()]);
            if (a.y > p.y) != (b.y > p.y) {
                let x = a.x + (p.y - a.y) / (b.y - a.y) * (b.x - a.x);
                if p.x < x {
                    inside = !inside;
                }
            }
        }
        inside
    }

    pub fn bounds(&self) -> Rect {
        self.0
            .iter()
            .fold(Rect::new(f32::MAX, f32::MAX, f32::MIN, f32::MIN), |r, p| {
                r.union(&Rect::new(p.x, p.y, p.x, p.y))
            })
    }
}

/// A trigger line from `a` to `b`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    pub a: Point,
    pub b: Point,
}

impl Line {
    /// On which side of the line a point lies (sign), in pixels from it.
    pub fn side(&self, p: Point) -> f32 {
        let (dx, dy) = (self.b.x - self.a.x, self.b.y - self.a.y);
        let n = dx.hypot(dy).max(f32::EPSILON);
        (dx * (p.y - self.a.y) - dy * (p.x - self.a.x)) / n
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corners_in_any_order_come_out_as_a_reader_sees_them() {
        // Tilted by 30 degrees, so that "smallest x + y" would pick the wrong corner first.
        let want = Quad([
            Point::new(20.0, 80.0),
            Point::new(120.0, 20.0),
            Point::new(135.0, 45.0),
            Point::new(35.0, 105.0),
        ]);
        let p = want.0;
        for order in [[0, 1, 2, 3], [2, 3, 0, 1], [3, 1, 0, 2], [1, 0, 3, 2]] {
            assert_eq!(Quad::ordered(order.map(|i: usize| p[i])), want);
        }
    }

    #[test]
    fn polygon_and_line() {
        let lane = Polygon(vec![
            Point::new(0.0, 0.0),
            Point::new(10.0, 0.0),
            Point::new(5.0, 10.0),
        ]);
        assert!(lane.contains(Point::new(5.0, 5.0)) && !lane.contains(Point::new(1.0, 9.0)));
        assert_eq!(lane.bounds(), Rect::new(0.0, 0.0, 10.0, 10.0));
        let line = Line {
            a: Point::new(0.0, 5.0),
            b: Point::new(10.0, 5.0),
        };
        assert!(line.side(Point::new(3.0, 8.0)) > 0.0 && line.side(Point::new(3.0, 1.0)) < 0.0);
    }
}
