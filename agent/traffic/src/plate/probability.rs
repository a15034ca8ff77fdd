//! How probable it is that the whole text of a vote is right.
//!
//! A logistic regression with few weights, fitted by `make calibrate` (models/train/calibration) on
//! reads whose truth is known: single pictures, the same ones worn, and recordings.
//! `kakou eval --calibration` says how well it holds. Pure; the order of reads changes nothing.
//!
//! It can only be as good as the reader's doubts: a plate that looks just like another one is told
//! with confidence. So nothing is said with more than [`MOST`].

use serde::Serialize;

use super::read::CharRead;

/// Of the signs in [`Signs::features`].
const WEIGHTS: [f32; 8] = [-0.356, 1.349, 0.547, 0.432, -0.460, -0.870, -1.500, 2.000];
/// The odds (logarithm) at which the weight of the joint probability changes: doubt says more than
/// sureness.
const BEND: f32 = 2.0;
/// A joint probability beyond these says nothing more.
const JOINT: (f32, f32) = (0.02, 0.998);
/// More agreeing reads than this are not independent of each other.
const INDEPENDENT: u32 = 8;
/// About one sure read in so many is wrong all the same: 4 of 1,082 with 0.99 and more.
const MOST: f32 = 0.998;

/// What speaks for and against a voted text.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Signs {
    /// The product of the characters' shares of the votes: of what the reads and their runner-ups
    /// give to this text.
    pub joint: f32,
    /// How many reads gave just this text, of how many.
    pub frames_agreeing: u32,
    pub reads: u32,
    /// Weights of the reads that gave this text, and of all.
    pub agreeing: f32,
    pub all: f32,
    /// How legible the surest read of just this text was; 0 if there is none.
    pub legibility: f32,
    /// Whether it has a layout of the grammar, and whether the ground colour speaks against that.
    pub valid: bool,
    pub colour_against: bool,
}

impl Signs {
    /// What [`WEIGHTS`] weigh, in their order.
    fn features(&self) -> [f32; WEIGHTS.len()] {
        let joint = self.joint.clamp(JOINT.0, JOINT.1);
        let odds = (joint / (1.0 - joint)).ln();
        let agreeing = self.frames_agreeing.clamp(1, INDEPENDENT) as f32;
        let yes = |sign: bool| f32::from(u8::from(sign));
        [
            1.0,
            odds.min(BEND),
            (odds - BEND).max(0.0),
            agreeing.log2(),
            1.0 - self.agreeing / self.all.max(1e-6),
            yes(!self.valid),
            yes(self.colour_against),
            self.legibility,
        ]
    }

    pub(crate) fn probability(&self) -> f32 {
        let odds: f32 = self
            .features()
            .iter()
            .zip(WEIGHTS)
            .map(|(f, w)| f * w)
            .sum();
        (1.0 / (1.0 + (-odds).exp())).min(MOST)
    }
}

/// The probability that all of these characters are right, if each says so for itself.
pub(crate) fn joint(chars: &[CharRead]) -> f32 {
    chars.iter().map(|c| c.conf.clamp(0.0, 1.0)).product()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CLEAR: Signs = Signs {
        joint: 0.99,
        frames_agreeing: 1,
        reads: 1,
        agreeing: 1.0,
        all: 1.0,
        legibility: 1.0,
        valid: true,
        colour_against: false,
    };

    #[test]
    fn one_clear_read_can_be_told_and_a_doubtful_one_not() {
        assert!(CLEAR.probability() > 0.98);
        let doubtful = Signs {
            joint: 0.5,
            legibility: 0.2,
            ..CLEAR
        };
        assert!(doubtful.probability() < 0.75);
        let seen_again = Signs {
            frames_agreeing: 4,
            reads: 4,
            ..doubtful
        };
        assert!(seen_again.probability() > doubtful.probability());
    }

    /// What `fit.py` says with these weights: it and this must weigh alike.
    #[test]
    fn it_is_what_was_fitted() {
        let doubtful = Signs {
            joint: 0.5,
            legibility: 0.2,
            ..CLEAR
        };
        let odd = Signs {
            joint: 0.8,
            frames_agreeing: 3,
            reads: 5,
            agreeing: 1.5,
            all: 2.0,
            legibility: 0.4,
            valid: false,
            colour_against: true,
        };
        for (signs, fitted) in [(CLEAR, 0.99686), (doubtful, 0.51100), (odd, 0.62570)] {
            let said = signs.probability();
            assert!((said - fitted).abs() < 1e-4, "{said} {fitted}");
        }
    }

    prop_compose! {
        fn signs()(joint in 0.0f32..=1.0, n in 0u32..40, more in 0u32..40, legibility in 0.0f32..=1.0,
                   agreeing in 0.0f32..5.0, others in 0.0f32..5.0, valid: bool, colour_against: bool) -> Signs {
            Signs { joint, frames_agreeing: n, reads: n + more, agreeing, all: agreeing + others, legibility, valid, colour_against }
        }
    }

    proptest! {
        #[test]
        fn it_is_a_probability_and_moves_the_right_way(s in signs(), by in 0.0f32..0.5) {
            let p = s.probability();
            prop_assert!(p > 0.0 && p <= MOST);
            let surer = Signs { joint: (s.joint + by).min(1.0), ..s };
            prop_assert!(surer.probability() >= p);
            let clearer = Signs { legibility: (s.legibility + by).min(1.0), ..s };
            prop_assert!(clearer.probability() >= p);
            let again = Signs { frames_agreeing: s.frames_agreeing + 1, ..s };
            prop_assert!(again.probability() >= p);
            let contradicted = Signs { all: s.all + by, ..s };
            prop_assert!(contradicted.probability() <= p);
            let odd = Signs { valid: false, ..s };
            prop_assert!(odd.probability() <= p);
            let other_ground = Signs { colour_against: true, ..s };
            prop_assert!(other_ground.probability() <= p);
        }
    }
}
