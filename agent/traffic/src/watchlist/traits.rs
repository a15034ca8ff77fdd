//! What beside the text speaks against an entry.

use kakou_contract::{Contradiction, Plate, Trait, Vehicle};

use super::store::Meta;

/// From this confidence on a colour is sure enough to rule an entry out by its kind.
pub(super) const SURE: f32 = 0.7;
/// A kind that rests on no colour.
const KIND_BY_TEXT: f32 = 0.5;
/// How much of its confidence a contradiction takes away. People who list a vehicle know the class
/// of it less well than the colour of its plate.
const OF_PLATE: f32 = 0.9;
const OF_VEHICLE: f32 = 0.5;

/// What speaks against an entry, and how much of the score it leaves.
pub(super) struct Contradicted {
    pub what: Vec<Contradiction>,
    pub factor: f32,
}

/// `None`: the plate is surely another vehicle's. Plates of two kinds may have the same text. Of a
/// pattern, which many plates fit, each sure contradiction says so; of a whole plate only the kind.
pub(super) fn contradictions(
    meta: &Meta,
    plate: &Plate,
    vehicle: Option<&Vehicle>,
    is_pattern: bool,
) -> Option<Contradicted> {
    let mut all = Contradicted {
        what: Vec::new(),
        factor: 1.0,
    };
    let mut against = |what, seen: &str, listed: &str, sure: f32, weight: f32, rules_out: bool| {
        if rules_out && sure >= SURE {
            return None;
        }
        all.factor *= 1.0 - sure.clamp(0.0, 1.0) * weight;
        all.what.push(Contradiction {
            what,
            seen: seen.to_owned(),
            listed: listed.to_owned(),
        });
        Some(())
    };
    let colour = plate.colour;
    if let (Some(listed), Some(seen)) = (meta.kind(), plate.kind)
        && listed != seen
    {
        // The kind rests on the colour: a hit too many is seen by a person, one too few by nobody.
        let sure = colour.map_or(KIND_BY_TEXT, |c| c.confidence.get());
        against(
            Trait::PlateKind,
            seen.code(),
            listed.code(),
            sure,
            OF_PLATE,
            true,
        )?;
    }
    if let (Some(listed), Some(seen)) = (meta.colour(), colour)
        && listed != seen.value
    {
        let (is, should) = (seen.value.as_str(), listed.as_str());
        let sure = seen.confidence.get();
        against(Trait::PlateColour, is, should, sure, OF_PLATE, is_pattern)?;
    }
    if let (Some(listed), Some(seen)) = (meta.class(), vehicle)
        && listed != seen.class
    {
        let (is, should) = (seen.class.as_str(), listed.as_str());
        let sure = seen.class_confidence.get();
        against(
            Trait::VehicleClass,
            is,
            should,
            sure,
            OF_VEHICLE,
            is_pattern,
        )?;
    }
    Some(all)
}
