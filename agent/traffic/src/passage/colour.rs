//! The colour of a vehicle, of all looks at it.

use kakou_contract::VehicleColour;

const COLOURS: usize = VehicleColour::ALL.len();

/// A near view counts for more than a far one: each by its area.
#[derive(Debug, Clone, Default)]
pub(crate) struct ColourVote {
    sums: [f64; COLOURS],
    area: f64,
}

impl ColourVote {
    /// `sure`: 0 to 1. `area` in pixels.
    pub(crate) fn add(&mut self, colour: VehicleColour, sure: f32, area: f32) {
        let area = f64::from(area);
        for (one, sum) in VehicleColour::ALL.iter().zip(&mut self.sums) {
            if *one == colour {
                *sum += area * f64::from(sure);
            }
        }
        self.area += area;
    }

    pub(crate) fn absorb(&mut self, other: &Self) {
        for (a, b) in self.sums.iter_mut().zip(other.sums) {
            *a += b;
        }
        self.area += other.area;
    }

    /// The mean of its confidences, in which a look that says another colour is none.
    pub(crate) fn winner(&self) -> Option<(VehicleColour, f32)> {
        let best = VehicleColour::ALL
            .iter()
            .zip(self.sums)
            .max_by(|a, b| a.1.total_cmp(&b.1))?;
        (best.1 > 0.0).then(|| (*best.0, (best.1 / self.area) as f32))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use VehicleColour::{Grey, Red, White};

    #[test]
    fn what_was_seen_best_wins_and_doubt_stays() {
        let mut vote = ColourVote::default();
        assert_eq!(vote.winner(), None);
        vote.add(Grey, 0.5, 1000.0);
        vote.add(White, 0.9, 3000.0);
        let (colour, sure) = vote.winner().unwrap();
        assert_eq!(colour, White);
        assert!((sure - 0.675).abs() < 1e-6, "{sure}");
        let mut other = ColourVote::default();
        other.add(Red, 0.9, 8000.0);
        vote.absorb(&other);
        let (colour, sure) = vote.winner().unwrap();
        assert_eq!(colour, Red);
        assert!((sure - 0.6).abs() < 1e-6, "{sure}");
    }
}
