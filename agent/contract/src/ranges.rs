//! Sets of sequence numbers, kept as ranges.

use std::collections::BTreeMap;

/// A set of numbers as its ranges: small where numbers follow each other, as they do here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ranges {
    /// First to last, both in the set; neither overlapping nor touching.
    spans: BTreeMap<u64, u64>,
}

impl Ranges {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `first..=last`; nothing if `first` is the larger one.
    pub fn insert(&mut self, mut first: u64, mut last: u64) {
        if first > last {
            return;
        }
        // Those that overlap or touch become one: each starts at or before the end, and the last of
        // them is found first.
        while let Some((&from, &to)) = self.spans.range(..=last.saturating_add(1)).next_back() {
            if to.saturating_add(1) < first {
                break;
            }
            first = first.min(from);
            last = last.max(to);
            self.spans.remove(&from);
        }
        self.spans.insert(first, last);
    }

    pub fn contains(&self, number: u64) -> bool {
        self.spans
            .range(..=number)
            .next_back()
            .is_some_and(|(_, &to)| number <= to)
    }

    /// The largest number.
    pub fn last(&self) -> Option<u64> {
        self.spans.last_key_value().map(|(_, &to)| to)
    }

    /// How many numbers; `u64::MAX` if there is one more than that.
    pub fn count(&self) -> u64 {
        self.spans.iter().fold(0, |sum: u64, (from, to)| {
            sum.saturating_add((to - from).saturating_add(1))
        })
    }

    /// Each range as `[first, last]`, both included, in order: how messages carry them.
    pub fn pairs(&self) -> Vec<[u64; 2]> {
        self.spans.iter().map(|(&from, &to)| [from, to]).collect()
    }

    /// What is missing from `from` up to the largest number.
    pub fn gaps_from(&self, from: u64) -> Vec<[u64; 2]> {
        let mut gaps = Vec::new();
        let mut expected = from;
        for (&first, &last) in &self.spans {
            if first > expected {
                gaps.push([expected, first - 1]);
            }
            expected = expected.max(last.saturating_add(1));
        }
        gaps
    }

    /// The end of the range that holds `number`.
    pub(crate) fn end_of(&self, number: u64) -> Option<u64> {
        self.spans
            .range(..=number)
            .next_back()
            .map(|(_, &to)| to)
            .filter(|&to| number <= to)
    }
}

impl FromIterator<u64> for Ranges {
    fn from_iter<I: IntoIterator<Item = u64>>(numbers: I) -> Self {
        let mut ranges = Self::new();
        numbers.into_iter().for_each(|n| ranges.insert(n, n));
        ranges
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn a_set_of_ranges_is_a_set(spans in proptest::collection::vec((0_u64..60, 0_u64..9), 0..20)) {
            let mut ranges = Ranges::new();
            let mut set = BTreeSet::new();
            for (first, length) in spans {
                ranges.insert(first, first + length);
                set.extend(first..=first + length);
            }
            prop_assert_eq!(ranges.count(), set.len() as u64);
            prop_assert_eq!(ranges.last(), set.last().copied());
            prop_assert!((0..80).all(|n| ranges.contains(n) == set.contains(&n)));
            prop_assert_eq!(&set.iter().copied().collect::<Ranges>(), &ranges);
            prop_assert!(ranges.pairs().windows(2).all(|w| w[0][1] + 1 < w[1][0]), "{:?}", ranges);
            let missing: BTreeSet<u64> = ranges.gaps_from(5).into_iter().flat_map(|[a, b]| a..=b).collect();
            let last = set.last().copied().unwrap_or(0);
            prop_assert_eq!(missing, (5..=last).filter(|n| !set.contains(n)).collect());
        }
    }

    #[test]
    fn the_largest_number_does_not_overflow() {
        let mut ranges = Ranges::new();
        ranges.insert(u64::MAX, u64::MAX);
        ranges.insert(0, u64::MAX);
        ranges.insert(7, 3);
        assert_eq!(
            (ranges.pairs(), ranges.count()),
            (vec![[0, u64::MAX]], u64::MAX)
        );
        assert!(ranges.gaps_from(0).is_empty());
    }
}
