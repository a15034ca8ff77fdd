//! What can be seen wrong about lanes, triggers and masks from their coordinates alone. Pure.

use kakou_traffic::geometry::{Line, Point, Polygon};

/// A lane lies across the picture if its one side is so much longer than the other, from left to
/// right...
const NARROWS: f32 = 1.4;
/// ... and from top to bottom hardly.
const KEEPS: f32 = 1.15;

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

/// Whether a polygon narrows to the left or to the right as a lane narrows to the top: then x and y
/// are probably swapped.
pub(super) fn lies_sideways(polygon: &Polygon) -> bool {
    let ratio = |polygon: &Polygon| {
        let bounds = polygon.bounds();
        let at = |share: f32| {
            let y = bounds.y0 + bounds.height() * share;
            chord(polygon, y)
        };
        let (one, other) = (at(0.15), at(0.85));
        one.max(other) / one.min(other)
    };
    ratio(&swapped(polygon)) > NARROWS && ratio(polygon) < KEEPS
}

/// With x and y of each point the other way round.
pub(super) fn swapped(polygon: &Polygon) -> Polygon {
    Polygon(polygon.0.iter().map(|p| Point::new(p.y, p.x)).collect())
}

/// How much of a horizontal line lies within a polygon.
fn chord(polygon: &Polygon, y: f32) -> f32 {
    let mut meets: Vec<f32> = edges(polygon)
        .filter(|(from, to)| (from.y > y) != (to.y > y))
        .map(|(from, to)| from.x + (to.x - from.x) * (y - from.y) / (to.y - from.y))
        .collect();
    meets.sort_by(f32::total_cmp);
    meets.chunks_exact(2).map(|pair| pair[1] - pair[0]).sum()
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
    use proptest::prelude::*;

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

    #[test]
    fn a_lane_with_x_and_y_swapped_lies_sideways() {
        let lane = polygon(&[[0.25, 0.25], [0.75, 0.25], [0.95, 1.0], [0.05, 1.0]]);
        assert!(!lies_sideways(&lane) && lies_sideways(&swapped(&lane)));
        let outer = polygon(&[
            [0.238, 0.0],
            [0.5, 0.0],
            [0.5, 1.0],
            [0.0, 1.0],
            [0.0, 0.674],
        ]);
        assert!(!lies_sideways(&outer), "it narrows to the top too");
        let band = polygon(&[[0.0, 0.4], [1.0, 0.4], [1.0, 0.8], [0.0, 0.8]]);
        assert!(!lies_sideways(&band), "it narrows nowhere");
    }

    /// A four-cornered lane as cameras see it: it widens to the bottom.
    fn lane() -> impl Strategy<Value = Polygon> {
        let ranges = (0.05_f32..0.45, 0.05_f32..0.2, 1.6_f32..2.2, 0.0_f32..0.4);
        ranges.prop_map(|(left, width, wider, top)| {
            let right = left + width;
            let low = (left - width * (wider - 1.0) / 2.0).max(0.0);
            polygon(&[
                [left, top],
                [right, top],
                [low + width * wider, 1.0],
                [low, 1.0],
            ])
        })
    }

    proptest! {
        #[test]
        fn a_lane_is_upright_and_swapped_it_is_not_taken_for_one_by_its_trigger(lane in lane()) {
            prop_assert!(!lies_sideways(&lane));
            let bounds = lane.bounds();
            let y = bounds.y0 + bounds.height() * 0.7;
            let across = line([0.0, y], [1.0, y]);
            prop_assert!(spanned(&lane, &across) > 0.999);
        }

        /// However a polygon is turned round or begun, it is the same polygon.
        #[test]
        fn what_is_measured_does_not_depend_on_where_the_points_begin(lane in lane(), by in 0_usize..4) {
            let mut turned = lane.clone();
            turned.0.rotate_left(by);
            let mut back = lane.clone();
            back.0.reverse();
            for other in [turned, back] {
                prop_assert!((area(&lane) - area(&other)).abs() < 1e-5);
                prop_assert_eq!(crossing(&lane), None);
                prop_assert_eq!(crossing(&other), None);
                prop_assert_eq!(lies_sideways(&lane), lies_sideways(&other));
                prop_assert!(covered(&lane, &[&other]) > 0.99);
            }
        }

        #[test]
        fn swapping_two_neighbouring_corners_crosses_the_border(lane in lane(), at in 0_usize..4) {
            let mut crossed = lane.clone();
            crossed.0.swap(at, (at + 1) % 4);
            prop_assert!(crossing(&crossed).is_some());
        }

        #[test]
        fn swapping_x_and_y_twice_changes_nothing(lane in lane()) {
            prop_assert_eq!(swapped(&swapped(&lane)), lane.clone());
            prop_assert!((area(&swapped(&lane)) - area(&lane)).abs() < 1e-5);
        }
    }
}
