//! Whether the colours of vehicles are right.

use std::collections::BTreeMap;

use kakou_contract::{VehicleColour, VehicleColourRead};
use serde::Serialize;

/// Colours of the largest vehicle of each picture whose truth names it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Colours {
    /// Vehicles whose colour is known.
    pub vehicles: usize,
    /// In so many pictures no vehicle was found.
    pub not_found: usize,
    pub told: usize,
    pub right: usize,
    /// Of those told: with a confidence of 0.7 or more.
    pub sure: usize,
    pub sure_right: usize,
    /// By the first colour of the truth and the colour told, `-` for none: how often.
    pub taken_for: BTreeMap<String, BTreeMap<String, usize>>,
}

impl Colours {
    /// `found`: what was said of the largest vehicle, if there was one.
    pub fn add(&mut self, known: &[VehicleColour], found: Option<Option<(VehicleColour, f32)>>) {
        let Some(first) = known.first() else { return };
        self.vehicles += 1;
        self.not_found += usize::from(found.is_none());
        let told = found.flatten();
        let name = told.map_or_else(|| "-".to_owned(), |(colour, _)| colour.to_string());
        let row = self.taken_for.entry(first.to_string()).or_default();
        *row.entry(name).or_default() += 1;
        let Some((colour, confidence)) = told else {
            return;
        };
        let right = usize::from(known.contains(&colour));
        self.told += 1;
        self.right += right;
        if confidence >= VehicleColourRead::SURE {
            self.sure += 1;
            self.sure_right += right;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use VehicleColour::{Black, Grey, Red, White};

    #[test]
    fn right_is_any_of_the_known_and_what_was_not_told_is_neither() {
        let mut colours = Colours::default();
        colours.add(&[White, Grey], Some(Some((Grey, 0.5))));
        colours.add(&[Red], Some(Some((Red, 0.9))));
        colours.add(&[Red], Some(Some((Black, 0.7))));
        colours.add(&[Black], Some(None));
        colours.add(&[Black], None);
        colours.add(&[], Some(Some((Red, 0.9))));
        assert_eq!((colours.vehicles, colours.not_found), (5, 1));
        assert_eq!((colours.told, colours.right), (3, 2));
        assert_eq!((colours.sure, colours.sure_right), (2, 1));
        assert_eq!(colours.taken_for["red"]["black"], 1);
        assert_eq!(colours.taken_for["black"]["-"], 2);
    }
}
