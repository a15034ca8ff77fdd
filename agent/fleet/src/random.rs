//! Numbers that look like chance and follow from a seed alone, on every machine and in every
//! version: what a library draws for a seed may change with the library.

/// SplitMix64. Not for secrets: keys are derived by SHA-256.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

fn mixed(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Random {
    /// The draws that belong to these numbers, and to no others.
    pub(crate) fn of(parts: &[u64]) -> Self {
        let mix = |state: u64, part: &u64| mixed(state.wrapping_add(STEP) ^ mixed(*part));
        Self(parts.iter().fold(STEP, mix))
    }

    pub(crate) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mixed(self.0)
    }

    /// 0 to `n` - 1; 0 where `n` is 0.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.draw()) * u128::from(n)) >> 64) as u64
    }

    /// `from` to `to`, both included.
    pub(crate) fn within(&mut self, from: i64, to: i64) -> i64 {
        let span = to.saturating_sub(from).saturating_add(1);
        from.saturating_add_unsigned(self.below(u64::try_from(span).unwrap_or(0)))
    }

    /// 0 up to 1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.draw() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn chance(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    /// One of them; there must be one.
    pub(crate) fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }

    pub(crate) fn pick_char(&mut self, all: &str) -> char {
        let count = all.chars().count() as u64;
        let at = self.below(count) as usize;
        all.chars().nth(at).unwrap_or('0')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_follow_from_the_parts_and_stay_in_bounds() {
        let draws = |parts: &[u64]| {
            let mut random = Random::of(parts);
            std::array::from_fn::<u64, 4, _>(|_| random.draw())
        };
        assert_eq!(draws(&[1, 2]), draws(&[1, 2]));
        assert_ne!(draws(&[1, 2]), draws(&[2, 1]));
        let mut random = Random::of(&[7]);
        let (mut least, mut most) = (i64::MAX, i64::MIN);
        for _ in 0..10_000 {
            let n = random.within(-3, 3);
            (least, most) = (least.min(n), most.max(n));
            assert!((0.0..1.0).contains(&random.unit()));
        }
        assert_eq!((least, most, random.below(0)), (-3, 3, 0));
    }
}
