//! The ground colour of a plate, voted over a track, and how it agrees with the text.

use kakou_contract::PlateColour;

use super::grammar::{Form, Grammar, Invalid, check};

const COLOURS: [PlateColour; 6] = [
    PlateColour::Blue,
    PlateColour::Yellow,
    PlateColour::Green,
    PlateColour::YellowGreen,
    PlateColour::White,
    PlateColour::Black,
];

/// How far a text and a colour agree: above 1 they speak for each other, below 1 against.
/// Texts outside the grammar say nothing about colour, so foreign plates are left alone.
pub fn fits(text: &str, colour: PlateColour) -> f32 {
    match check(text, Some(colour)) {
        Grammar::Valid(Form::NewEnergySmall | Form::NewEnergyLarge) => 1.6,
        Grammar::Valid(_) => 1.2,
        Grammar::Invalid(Invalid::Colour(_)) => 0.6,
        Grammar::Invalid(_) => 1.0,
    }
}

/// How far a colour speaks for a number of characters: green ground goes with eight, the others
/// with seven.
pub(crate) fn fits_length(len: usize, colour: PlateColour) -> f32 {
    let green = matches!(colour, PlateColour::Green | PlateColour::YellowGreen);
    match len {
        8 if green => 1.5,
        7 if green => 0.7,
        8 if matches!(colour, PlateColour::Blue) => 0.7,
        7 if matches!(colour, PlateColour::Blue | PlateColour::Yellow) => 1.3,
        _ => 1.0,
    }
}

/// Sums of what was seen. Whole numbers, so that the order of frames cannot change the result.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ColourVote {
    sums: [u64; COLOURS.len()],
}

impl ColourVote {
    /// Counts one frame's colour with its confidence and the picture's legibility.
    pub fn add(&mut self, colour: PlateColour, conf: f32, legibility: f32) {
        let w = (conf.clamp(0.0, 1.0) * legibility.clamp(0.05, 1.0) * 10_000.0) as u64;
        for (c, s) in COLOURS.iter().zip(&mut self.sums) {
            if *c == colour {
                *s = s.saturating_add(w);
            }
        }
    }

    pub fn merge(&mut self, other: &Self) {
        for (a, b) in self.sums.iter_mut().zip(other.sums) {
            *a = a.saturating_add(b);
        }
    }

    /// The colour with its share of the evidence; the text, where there is one, weighs in.
    pub fn decide(&self, text: Option<&str>) -> Option<(PlateColour, f32)> {
        let weigh = |c: PlateColour, s: u64| s as f64 * f64::from(text.map_or(1.0, |t| fits(t, c)));
        let weighed = COLOURS
            .iter()
            .zip(self.sums)
            .map(|(&c, s)| (c, weigh(c, s)));
        let total: f64 = weighed.clone().map(|(_, w)| w).sum();
        let (colour, w) = weighed.fold(
            None,
            |best: Option<(PlateColour, f64)>, (c, w)| match best {
                Some((_, b)) if b >= w => best,
                _ => Some((c, w)),
            },
        )?;
        (w > 0.0).then(|| (colour, (w / total) as f32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_settles_a_close_colour() {
        let mut v = ColourVote::default();
        v.add(PlateColour::Blue, 0.6, 1.0);
        v.add(PlateColour::Green, 0.5, 1.0);
        assert_eq!(v.decide(None).map(|c| c.0), Some(PlateColour::Blue));
        assert_eq!(
            v.decide(Some("鲁GD12345")).map(|c| c.0),
            Some(PlateColour::Green)
        );
        assert_eq!(
            v.decide(Some("鲁E6K829")).map(|c| c.0),
            Some(PlateColour::Blue)
        );
        assert_eq!(
            v.decide(Some("34A36837")).map(|c| c.0),
            Some(PlateColour::Blue)
        );
        assert_eq!(ColourVote::default().decide(None), None);
    }
}
