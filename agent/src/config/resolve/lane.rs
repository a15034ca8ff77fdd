//! `[[camera.lane]]`: the lanes, and whether what is drawn can work.

use kakou_traffic::geometry::{Line, Point, Polygon};

use super::super::keys::{camera as camera_keys, lane as keys};
use super::super::layout;
use super::super::part::Part;
use super::super::settings::LaneConfig;

/// A lane that covers a smaller share of the picture is probably a slip of the pen.
const TINY: f32 = 0.002;
/// A trigger that spans a smaller share of its lane lets vehicles pass beside it.
const WHOLE: f32 = 0.95;
/// From this share on, others cover a polygon so far that nothing is left of it.
const COVERED: f32 = 0.999;

pub(super) fn lanes(camera: &Part<'_>, masks: &[Polygon]) -> Vec<LaneConfig> {
    let parts = camera.parts(&keys::LANE);
    let mut lanes: Vec<LaneConfig> = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        let polygon = part.get(&keys::POLYGON);
        let lane = LaneConfig {
            id: part.get(&keys::ID).unwrap_or_default(),
            name: part.get(&keys::NAME),
            trigger: part.get(&keys::TRIGGER),
            direction: part.get(&keys::DIRECTION),
            polygon: polygon.clone().unwrap_or_default(),
        };
        if polygon.is_some() {
            let is_sideways = lane.direction.is_some() && layout::lies_sideways(&lane.polygon);
            shape(part, &lane, is_sideways);
            trigger(part, &lane, is_sideways);
            masked(camera, part, &lane, masks);
        }
        beside(part, &lane, &lanes, &parts[..index]);
        lanes.push(lane);
    }
    lanes
}

fn shape(part: &Part<'_>, lane: &LaneConfig, is_sideways: bool) {
    let area = layout::area(&lane.polygon);
    if area < TINY {
        let reason = format!(
            "covers only {:.2} % of the picture; list the corners of the whole lane",
            area * 100.0
        );
        part.doubtful(&keys::POLYGON, reason);
    } else if is_sideways {
        part.doubtful(
            &keys::POLYGON,
            "narrows to the side, but a lane that vehicles come along narrows to the top; are x and y \
             swapped? A point is [x, y]",
        );
    }
}

/// Of a lane that is drawn wrong, only what the trigger cannot be in any case is told.
fn trigger(part: &Part<'_>, lane: &LaneConfig, is_sideways: bool) {
    let Some(trigger) = &lane.trigger else { return };
    let spanned = layout::spanned(&lane.polygon, trigger);
    if spanned <= 0.0 {
        let polygon = part.at.line(&part.place_or_header(&keys::POLYGON));
        let reason = format!(
            "lies outside the lane's polygon (line {polygon}), so no vehicle would cross it; draw \
             it across the lane"
        );
        part.wrong(&keys::TRIGGER, reason);
        return;
    }
    if is_sideways {
        return;
    }
    if lane.direction.is_some() && layout::is_steep(trigger) {
        part.doubtful(
            &keys::TRIGGER,
            "runs along the lane and not across it, so vehicles would not cross it; are x and y \
             swapped?",
        );
    } else if spanned < WHOLE {
        let swapped = match whose_swap_fits(&lane.polygon, trigger) {
            Some(whose) => format!("{whose} with x and y swapped would fit: are they?"),
            None => "are x and y swapped, here or in the polygon?".to_owned(),
        };
        let reason = format!(
            "spans {:.0} % of the lane where it crosses it, so vehicles can pass beside it; draw \
             it from border to border ({swapped})",
            spanned * 100.0
        );
        part.doubtful(&keys::TRIGGER, reason);
    }
}

/// Which of the two would make a whole trigger if its x and y were the other way round.
fn whose_swap_fits(polygon: &Polygon, trigger: &Line) -> Option<&'static str> {
    let turned = |p: Point| Point::new(p.y, p.x);
    let line = Line {
        a: turned(trigger.a),
        b: turned(trigger.b),
    };
    let polygon_fits = layout::spanned(&layout::swapped(polygon), trigger) >= WHOLE;
    let trigger_fits = layout::spanned(polygon, &line) >= WHOLE;
    // Where either would do, the one that looks wrong by itself is it.
    match (polygon_fits, trigger_fits) {
        (true, true) if layout::lies_sideways(polygon) => Some("the polygon"),
        (_, true) => Some("the trigger"),
        (true, false) => Some("the polygon"),
        (false, false) => None,
    }
}

fn masked(camera: &Part<'_>, part: &Part<'_>, lane: &LaneConfig, masks: &[Polygon]) {
    let masks: Vec<&Polygon> = masks.iter().collect();
    if layout::covered(&lane.polygon, &masks) >= COVERED {
        let place = camera.place_or_header(&camera_keys::MASKS);
        let reason = format!(
            "lies wholly under `masks` (line {}), so no plate would be read in it; take \
             the lane out of the masks",
            part.at.line(&place)
        );
        part.doubtful(&keys::POLYGON, reason);
    }
}

/// What a lane may not share with those before it: its id, and all of its area.
fn beside(part: &Part<'_>, lane: &LaneConfig, before: &[LaneConfig], parts: &[Part<'_>]) {
    let same = before
        .iter()
        .zip(parts)
        .find(|(other, _)| other.id == lane.id && !lane.id.is_empty());
    if let Some((_, first)) = same {
        let reason = format!(
            "`{}` is also the lane in line {}; the lanes of a camera must have different ids",
            lane.id,
            part.at.line(&first.place_or_header(&keys::ID))
        );
        part.wrong(&keys::ID, reason);
    }
    let touching: Vec<(&LaneConfig, &Part<'_>)> = before
        .iter()
        .zip(parts)
        .filter(|(other, _)| layout::covered(&lane.polygon, &[&other.polygon]) > 0.0)
        .collect();
    let polygons: Vec<&Polygon> = touching.iter().map(|(other, _)| &other.polygon).collect();
    if layout::covered(&lane.polygon, &polygons) >= COVERED {
        let named: Vec<String> = touching
            .iter()
            .map(|(other, first)| {
                let line = part.at.line(&first.place_or_header(&keys::POLYGON));
                format!("`{}` (line {line})", other.id)
            })
            .collect();
        let reason = format!(
            "lies wholly within what comes first, lane {}, so no vehicle would be counted here; draw lanes side by side",
            named.join(" and ")
        );
        part.wrong(&keys::POLYGON, reason);
    }
}
