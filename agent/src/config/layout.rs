//! What can be seen wrong about lanes, triggers and masks from their coordinates alone. Pure.

use kakou_traffic::geometry::{Line, Point, Polygon};

/// Steps of the grid, each way, that measures how far polygons cover each other.
const GRID: usize = 64;

/// As a share of the picture.
pub(super) fn area(polygon: &Polygon) -> f32 {
    let doubled: f32 = edges(polygon).map(|(a, b)| a.x * b.y - b.x * a.y).sum();
    doubled.abs() / 2.0
}

/// Two edges that cross, by the number of the point where each begins, from 1. Edges that only
/// touch do not cross.
pub(super) fn crossing(polygon: &Polygon) -> Option<(usize, usize)> {
    let edges: Vec<(Point, Point)> = edges(polygon).collect();
    for (first, one) in edges.iter().enumerate() {
        for (second, other) in edges.iter().enumerate().skip(first + 1) {
            if cross(*one, *other) {
                return Some((first + 1, second + 1));
            }
        }
    }
    None
}

/// Which share of a polygon's area others cover, 0 to 1.
pub(super) fn covered(polygon: &Polygon, others: &[&Polygon]) -> f32 {
    let bounds = polygon.bounds();
    let at =
        |low: f32, high: f32, step: usize| low + (high - low) * (step as f32 + 0.5) / GRID as f32;
    let (mut inside, mut both) = (0_u32, 0_u32);
    for row in 0..GRID {
        for column in 0..GRID {
            let point = Point::new(
                at(bounds.x0, bounds.x1, column),
                at(bounds.y0, bounds.y1, row),
            );
            if polygon.contains(point) {
                inside += 1;
                both += u32::from(others.iter().any(|other| other.contains(point)));
            }
        }
    }
    if inside == 0 {
        0.0
    } else {
        both as f32 / inside as f32
    }
}

/// Which share of a lane a trigger spans where it crosses the lane, 0 to 1. 0: it lies outside.
pub(super) fn spanned(lane: &Polygon, trigger: &Line) -> f32 {
    // A trigger on the lane's very border counts, so it is tried a hair to each side as well.
    let length = trigger.a.distance(trigger.b);
    let (dx, dy) = (
        (trigger.b.y - trigger.a.y) / length * 1e-3,
        (trigger.a.x - trigger.b.x) / length * 1e-3,
    );
    [0.0, 1.0, -1.0]
        .into_iter()
        .map(|side| {
            let moved = |p: Point| Point::new(p.x + side * dx, p.y + side * dy);
            spanned_by(lane, moved(trigger.a), moved(trigger.b))
        })
        .fold(0.0, f32::max)
}

fn spanned_by(lane: &Polygon, a: Point, b: Point) -> f32 {
    let at = |t: f32| Point::new(a.x + (b.x - a.x) * t, a.y + (b.y - a.y) * t);
    // Where the endless line through both ends meets the border: 0 at `a`, 1 at `b`.
    let mut meets: Vec<f32> = edges(lane)
        .filter_map(|(from, to)| {
            let (from_side, to_side) = (turn(a, b, from), turn(a, b, to));
            if (from_side > 0.0) == (to_side > 0.0) {
                return None;
            }
            let along = from_side / (from_side - to_side);
            let (x, y) = (
                from.x + (to.x - from.x) * along - a.x,
                from.y + (to.y - from.y) * along - a.y,
            );
            let (dx, dy) = (b.x - a.x, b.y - a.y);
            Some((x * dx + y * dy) / (dx * dx + dy * dy))
        })
        .collect();
    meets.sort_by(f32::total_cmp);
    let (mut within, mut whole) = (0.0, 0.0);
    for pair in meets.windows(2) {
        let [start, end] = [pair[0], pair[1]];
        let shared = end.min(1.0) - start.max(0.0);
        if shared > 0.0 && lane.contains(at((start + end) / 2.0)) {
            within += shared;
            whole += end - start;
        }
    }
    if whole > 0.0 { within / whole } else { 0.0 }
}

/// Whether a line runs rather down the picture than across it.
pub(super) fn is_steep(line: &Line) -> bool {
    (line.b.y - line.a.y).abs() > 2.0 * (line.b.x - line.a.x).abs()
}

fn edges(polygon: &Polygon) -> impl Iterator<Item = (Point, Point)> + '_ {
    let points = &polygon.0;
    (0..points.len()).map(|i| (points[i], points[(i + 1) % points.len()]))
}

/// Positive when `p` lies to one side of the line from `a` to `b`, negative on the other.
fn turn(a: Point, b: Point, p: Point) -> f32 {
    (b.x - a.x) * (p.y - a.y) - (b.y - a.y) * (p.x - a.x)
}

fn cross(one: (Point, Point), other: (Point, Point)) -> bool {
    let apart = |line: (Point, Point), ends: (Point, Point)| {
        turn(line.0, line.1, ends.0) * turn(line.0, line.1, ends.1) < 0.0
    };
    apart(one, other) && apart(other, one)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn polygon(points: &[[f32; 2]]) -> Polygon {
        Polygon(points.iter().map(|[x, y]| Point::new(*x, *y)).collect())
    }

    fn line(a: [f32; 2], b: [f32; 2]) -> Line {
        Line {
            a: Point::new(a[0], a[1]),
            b: Point::new(b[0], b[1]),
        }
    }

    #[test]
    fn a_trigger_spans_what_it_crosses() {
        let lane = polygon(&[[0.2, 0.0], [0.6, 0.0], [0.6, 1.0], [0.2, 1.0]]);
        let share = |a, b| (spanned(&lane, &line(a, b)) * 100.0).round();
        assert_eq!(share([0.0, 0.5], [1.0, 0.5]), 100.0);
        assert_eq!(share([0.2, 0.5], [0.6, 0.5]), 100.0);
        assert_eq!(share([0.6, 0.5], [0.4, 0.5]), 50.0);
        assert_eq!(share([0.7, 0.5], [0.9, 0.5]), 0.0);
        assert_eq!(share([0.2, 1.0], [0.6, 1.0]), 100.0, "on its lower border");
        assert_eq!(share([0.4, 0.1], [0.4, 0.6]), 50.0, "along the lane");
    }

    #[test]
    fn polygons_are_measured() {
        let square = polygon(&[[0.0, 0.0], [0.5, 0.0], [0.5, 0.5], [0.0, 0.5]]);
        let bow = polygon(&[[0.2, 0.2], [0.8, 0.8], [0.8, 0.2], [0.2, 0.8]]);
        let within = polygon(&[[0.1, 0.1], [0.4, 0.1], [0.4, 0.4]]);
        let beside = polygon(&[[0.5, 0.0], [1.0, 0.0], [1.0, 0.5], [0.5, 0.5]]);
        assert!((area(&square) - 0.25).abs() < 1e-6);
        assert_eq!((crossing(&square), crossing(&bow)), (None, Some((1, 3))));
        assert_eq!(covered(&within, &[&square]), 1.0);
        assert_eq!(covered(&beside, &[&square]), 0.0);
        assert!(covered(&square, &[&within]) < 0.2);
    }
}
