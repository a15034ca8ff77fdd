//! What the reader takes for what: the table behind `kakou_traffic::plate::odds`. Pure.

use std::collections::BTreeMap;

use super::score::align;
use kakou_traffic::plate::PlateRead;

/// What was read where one character stands.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Confusion {
    /// How often it was read.
    pub count: u64,
    /// The probability that the reader gave to it as first or second choice, summed.
    pub mass: f64,
}

/// Counts read by read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Confusions {
    /// How often each character stood on a plate that was read.
    of: BTreeMap<char, u64>,
    pairs: BTreeMap<(char, char), Confusion>,
}

impl Confusions {
    /// Takes in one read of a plate. Reads of which less than half is right are of something else.
    pub fn add(&mut self, truth: &str, read: &PlateRead) {
        let text = read.text();
        let pairs = align(truth, &text);
        let right = pairs.iter().filter(|(a, b)| a == b).count();
        if right * 2 < truth.chars().count() {
            return;
        }
        let mut chars = read.chars.iter();
        for (want, got) in pairs {
            let got = got.and_then(|_| chars.next());
            let (Some(want), Some(got)) = (want, got) else {
                continue;
            };
            *self.of.entry(want).or_default() += 1;
            let first = self.pairs.entry((want, got.ch)).or_default();
            first.count += 1;
            first.mass += f64::from(got.conf);
            if let Some((second, share)) = got.runner_up {
                self.pairs.entry((want, second)).or_default().mass += f64::from(share);
            }
        }
    }

    /// The table as CSV: first what stands, then what was read; pairs of which nearly nothing was
    /// seen are left out.
    pub fn csv(&self, command: &str) -> String {
        let mut out = format!(
            "# What the reader takes for what. Made by:\n#   {command}\n\
             # of: how often `truth` stood on a plate that was read; count: how often `read` was read there;\n\
             # mass: the probability that the reader gave to `read` there as first or second choice, summed.\n\
             truth,read,count,of,mass\n"
        );
        for (&(truth, read), pair) in &self.pairs {
            if pair.count == 0 && pair.mass < 0.05 {
                continue;
            }
            let of = self.of.get(&truth).copied().unwrap_or(0);
            out.push_str(&format!(
                "{truth},{read},{},{of},{:.2}\n",
                pair.count, pair.mass
            ));
        }
        out
    }

    /// Wrong reads, most frequent first.
    pub fn worst(&self) -> Vec<(char, char, u64, u64)> {
        let mut worst: Vec<_> = self
            .pairs
            .iter()
            .filter(|((truth, read), pair)| truth != read && pair.count > 0)
            .map(|(&(truth, read), pair)| {
                let of = self.of.get(&truth).copied().unwrap_or(0);
                (truth, read, pair.count, of)
            })
            .collect();
        worst.sort_by_key(|(truth, read, count, _)| (std::cmp::Reverse(*count), *truth, *read));
        worst
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use kakou_traffic::plate::CharRead;

    fn read(text: &str, second: Option<(usize, char, f32)>) -> PlateRead {
        let chars = text
            .chars()
            .enumerate()
            .map(|(i, ch)| CharRead {
                ch,
                conf: 0.9,
                runner_up: second.filter(|s| s.0 == i).map(|(_, c, p)| (c, p)),
            })
            .collect();
        PlateRead { chars, rows: 1 }
    }

    #[test]
    fn first_and_second_choices_are_counted_by_what_stands_there() {
        let mut c = Confusions::default();
        c.add("皖A12D45", &read("皖A12045", None));
        c.add("皖A12D45", &read("皖A12D45", Some((4, '0', 0.08))));
        // A lost character shifts nothing, and another plate counts for nothing.
        c.add("皖A12D45", &read("皖A1245", None));
        c.add("皖A12D45", &read("SALE", None));
        assert_eq!(c.worst(), [('D', '0', 1, 2)]);
        let csv = c.csv("kakou eval --confusions x y");
        assert!(csv.contains("#   kakou eval --confusions x y\n"));
        assert!(csv.contains("\nD,0,1,2,0.98\n"), "{csv}");
        assert!(csv.contains("\n皖,皖,3,3,2.70\n"), "{csv}");
    }
}
