//! What it costs to say that a find belongs to a track.

use std::time::Duration;

use crate::detections::{Detections, PlateFind, VehicleFind};
use crate::geometry::{Point, Rect};

use super::TrackConfig;
use super::state::Track;
use super::texts::Verdict;

/// A possible match; `track` and `find` are indexes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair {
    pub(crate) cost: f32,
    pub(crate) track: usize,
    pub(crate) find: usize,
}

/// The cheapest pairs first, each track and each find once. With the few vehicles of a picture this
/// is as good as an optimal assignment, and its reasons can be followed.
pub(crate) fn greedy(mut pairs: Vec<Pair>) -> Vec<Pair> {
    pairs.sort_by(|a, b| {
        a.cost
            .total_cmp(&b.cost)
            .then((a.track, a.find).cmp(&(b.track, b.find)))
    });
    let mut taken: Vec<Pair> = Vec::new();
    for p in pairs {
        if taken.iter().all(|t| t.track != p.track && t.find != p.find) {
            taken.push(p);
        }
    }
    taken
}

/// A plate that was read too short to be one: a badge, a sticker, a plate cut off by the border.
pub(crate) fn is_scrap(find: &PlateFind, c: &TrackConfig) -> bool {
    find.read
        .as_ref()
        .is_some_and(|r| r.chars.len() < c.min_plate_chars)
}

/// The vehicle finds worth looking at, best first: neither below the least score nor the whole
/// picture, nor the same box once more as another class.
pub(crate) fn usable(det: &Detections, size: (u32, u32), c: &TrackConfig) -> Vec<usize> {
    let picture = size.0 as f32 * size.1 as f32;
    let fine = |v: &VehicleFind| {
        let share = v.rect.clipped(size.0 as f32, size.1 as f32).area() / picture.max(1.0);
        v.score >= c.min_vehicle_score && share < c.whole_picture && v.rect.area() > 0.0
    };
    let mut found: Vec<usize> = (0..det.vehicles.len())
        .filter(|&i| fine(&det.vehicles[i]))
        .collect();
    found.sort_by(|&a, &b| {
        det.vehicles[b]
            .score
            .total_cmp(&det.vehicles[a].score)
            .then(a.cmp(&b))
    });
    let mut kept: Vec<usize> = Vec::with_capacity(found.len());
    for i in found {
        let again = |&k: &usize| det.vehicles[k].rect.iou(&det.vehicles[i].rect) > c.same_box;
        if !kept.iter().any(again) {
            kept.push(i);
        }
    }
    kept
}

/// Whether a vehicle's box holds a plate at a plausible place, and how badly placed it is there (0
/// is best).
pub(crate) fn holds(vehicle: &Rect, plate: &Rect, c: &TrackConfig) -> Option<f32> {
    let (w, h) = (vehicle.width(), vehicle.height());
    if w <= 0.0 || h <= 0.0 {
        return None;
    }
    let p = plate.center();
    let offset = (p.x - vehicle.center().x).abs() / (w / 2.0);
    let height = (p.y - vehicle.y0) / h;
    let share = plate.width() / w;
    if offset > 1.04
        || !(c.plate_zone_top..=1.08).contains(&height)
        || share > c.plate_max_width
        || share < 0.03
    {
        return None;
    }
    let odd_size = if (0.08..0.45).contains(&share) {
        0.0
    } else {
        0.3
    };
    Some(offset + 0.3 * (height - 0.75).abs() + odd_size)
}

/// The cost of a plate for a track that has one, with what its text says. `None`: not that track's.
pub(crate) fn plate_cost(
    t: &Track,
    now: Duration,
    find: &PlateFind,
    c: &TrackConfig,
) -> Option<(f32, Verdict)> {
    let m = t.plate.as_ref()?;
    let (seen, expected) = (find.quad.bounds(), m.predict(now));
    let age = m.age(now);
    let verdict = t.texts.judge(find.read.as_ref(), c);
    let away = seen.center().distance(expected.center())
        / (0.5 * (seen.width() + expected.width())).max(1.0);
    let rate = if m.moving_known() {
        c.plate_reach_rate
    } else {
        c.plate_reach_rate_new
    };
    let mut reach = (c.plate_reach_base + rate * age).min(c.plate_reach);
    let mut stretch = (0.35 + age).min(0.9);
    if matches!(verdict, Verdict::Same | Verdict::Alike) {
        reach *= c.same_text_reach;
        stretch *= 2.0;
    }
    let ratio = (seen.width().max(1.0) / expected.width().max(1.0))
        .ln()
        .abs();
    // A badge near the plate must not lead the track away from it.
    if is_scrap(find, c) {
        reach = reach.min(c.scrap_reach);
    }
    if away > reach || ratio > stretch {
        return None;
    }
    // Another text where the plate has been all along is a misread; after a jump or a pause it is
    // another plate.
    if verdict == Verdict::Other && (away > 0.5 || age > 0.5) {
        return None;
    }
    let text = match verdict {
        Verdict::Same => -1.5,
        Verdict::Alike => -1.0,
        Verdict::Neighbour => 0.3,
        Verdict::Unknown => 0.0,
        Verdict::Other => 2.0,
    };
    Some((away / reach + 0.5 * ratio + text, verdict))
}

/// The cost of a vehicle box for a track.
pub(crate) fn vehicle_cost(
    t: &Track,
    now: Duration,
    find: &VehicleFind,
    c: &TrackConfig,
) -> Option<f32> {
    let doubt = 0.2 * (1.0 - find.score);
    let plate = t
        .plate
        .as_ref()
        .filter(|p| p.age(now) < 0.3)
        .map(|p| p.predict(now));
    let held = plate.as_ref().map(|p| holds(&find.rect, p, c));
    let Some(m) = &t.vehicle else {
        return held.flatten().map(|offset| 0.8 + offset + doubt);
    };
    let expected = m.predict(now);
    let ratio = find.rect.area() / expected.area().max(1.0);
    // Shortly after it was seen the place itself is as good as a velocity that may be wrong.
    let recent = if m.age(now) < 0.5 {
        find.rect.iou(&m.here())
    } else {
        0.0
    };
    let iou = find.rect.iou(&expected).max(recent);
    let inside = find
        .rect
        .covered_by(&expected)
        .max(expected.covered_by(&find.rect));
    // A standing vehicle's place is known: what covers it for a while is a passer-by.
    let stands = m.stands() || t.stands();
    // All the more when its plate has gone with it.
    let covered = t.plate.as_ref().is_some_and(|p| p.age(now) > 0.3);
    let needed = match (stands, m.age(now) < 0.5) {
        (true, _) if covered => c.min_iou_covered,
        (true, _) => c.min_iou_standing,
        (false, true) => c.min_iou,
        (false, false) => 0.6 * c.min_iou,
    };
    let fits = iou >= needed || (!stands && inside >= 0.85 && (0.3..3.3).contains(&ratio));
    match held {
        // The plate seen in this very frame decides against a box that does not hold it.
        Some(None) if t.plate_find.is_some() => None,
        Some(Some(offset)) if fits => Some(0.6 - iou + 0.5 * offset + doubt),
        // The box broke, but it holds the plate.
        Some(Some(offset)) if t.plate_find.is_some() => Some(1.4 + 0.5 * offset + doubt),
        Some(None) if fits => Some(1.3 - iou + doubt),
        None if fits => Some(1.0 - iou + doubt),
        _ => None,
    }
}

/// The cost of a box that no track claimed for a vehicle that went on its way between two looks: at
/// few looks a second it moves by more than its own size from one to the next, and a velocity from
/// two boxes is a guess.
pub(crate) fn leap_cost(
    t: &Track,
    now: Duration,
    find: &VehicleFind,
    c: &TrackConfig,
) -> Option<f32> {
    let m = t.vehicle.as_ref().filter(|m| !m.stands())?;
    let age = m.age(now);
    // What shows its plate is followed by that.
    let followed = t.plate.as_ref().is_some_and(|p| p.age(now) <= age);
    if find.score < c.leap_score || t.best_score < c.leap_score || followed {
        return None;
    }
    let (from, to, expected) = (m.here(), find.rect, m.predict(now));
    let size = 0.25 * (from.width() + from.height() + to.width() + to.height()).max(1.0);
    let reach = c.leap_base + c.leap_rate * age;
    let off = expected
        .center()
        .distance(to.center())
        .min(from.center().distance(to.center()))
        / size;
    // What comes down the picture comes nearer and grows.
    let growth = (to.width().max(1.0) / from.width().max(1.0)).ln();
    let step = Point::new(
        (to.center().x - from.center().x) / size,
        (to.center().y - from.center().y) / size,
    );
    let shrinks = (step.y > 0.3 && growth < -0.2) || (step.y < -0.3 && growth > 0.2);
    let jumps = growth.abs() > 0.3 + 0.9 * age;
    let v = m.velocity();
    let turns = m.moving_known() && (v.x * step.x + v.y * step.y) < -0.2 * v.x.hypot(v.y);
    (off <= reach && !shrinks && !jumps && !turns).then_some(off / reach)
}

/// The cost of a box that no track claimed for a standing vehicle lately out of sight: it may have
/// driven off in the frames in which it was missed.
pub(crate) fn departure_cost(
    t: &Track,
    now: Duration,
    find: &VehicleFind,
    c: &TrackConfig,
) -> Option<f32> {
    let m = t.vehicle.as_ref().filter(|m| m.age(now) < 1.0)?;
    // With a plate in sight lately, that plate would have gone along.
    if t.plate.as_ref().is_some_and(|p| p.age(now) < 1.0) {
        return None;
    }
    let (iou, ratio) = (
        find.rect.iou(&m.here()),
        find.rect.area() / m.here().area().max(1.0),
    );
    (iou >= c.min_iou_departing && (0.5..2.0).contains(&ratio)).then_some(1.0 - iou)
}

/// Whether two boxes of one frame are vehicles one behind the other rather than one vehicle found
/// twice: as wide as each other, and both edges of the one above those of the other by a good part
/// of their height.
pub(crate) fn are_in_line(a: &Rect, b: &Rect) -> bool {
    let (front, behind) = if a.y1 >= b.y1 { (a, b) } else { (b, a) };
    let width = behind.width() / front.width().max(1.0);
    let height = front.height().min(behind.height()).max(1.0);
    // The picture's upper border cuts off the one behind.
    let above = front.y0 - behind.y0 >= 0.15 * height || behind.y0 <= 1.0;
    (0.75..1.15).contains(&width) && front.y1 - behind.y1 >= 0.3 * height && above
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plate_belongs_in_the_lower_half() {
        let c = TrackConfig::default();
        let car = Rect::new(0.0, 0.0, 400.0, 300.0);
        let plate = |x: f32, y: f32| Rect::new(x - 50.0, y - 16.0, x + 50.0, y + 16.0);
        let (middle, side) = (
            holds(&car, &plate(200.0, 220.0), &c),
            holds(&car, &plate(380.0, 220.0), &c),
        );
        assert!(middle < side && middle.is_some());
        assert_eq!(holds(&car, &plate(200.0, 40.0), &c), None);
        assert_eq!(holds(&car, &plate(430.0, 220.0), &c), None);
        assert_eq!(
            holds(
                &Rect::new(150.0, 150.0, 260.0, 300.0),
                &plate(200.0, 220.0),
                &c
            ),
            None
        );
    }

    #[test]
    fn greedy_takes_the_cheapest_first() {
        let p = |cost, track, find| Pair { cost, track, find };
        let got = greedy(vec![p(0.5, 0, 0), p(0.1, 1, 0), p(0.9, 0, 1), p(0.2, 1, 1)]);
        let got: Vec<_> = got.iter().map(|p| (p.track, p.find)).collect();
        assert_eq!(got, [(1, 0), (0, 1)]);
    }
}
