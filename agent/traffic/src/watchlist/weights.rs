//! What readers take for what, and how often: the weights of near matches.

use super::codes::{CODES, char_of, code};
use crate::plate::confusable;

/// The most characters that one character is looked for as.
const MOST: usize = 24;

/// One confusion: a reader said `read`, and `meant` stood there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Confusion {
    pub read: char,
    pub meant: char,
    /// How often that is so, for each time that `read` stood there.
    pub odds: f32,
}

/// For each character what else may have stood there, likeliest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights(Vec<Vec<(u8, f32)>>);

impl Weights {
    /// Confusions of characters that no plate has, or with themselves, are left out; of each
    /// character the likeliest are kept: 皖 alone is read for twenty others.
    pub fn new(table: impl IntoIterator<Item = Confusion>) -> Self {
        let mut rows = vec![Vec::new(); CODES];
        for Confusion { read, meant, odds } in table {
            if let (Some(from), Some(to)) = (code(read), code(meant))
                && from != to
                && odds > 0.0
            {
                let row: &mut Vec<(u8, f32)> = &mut rows[usize::from(from)];
                match row.iter_mut().find(|(c, _)| *c == to) {
                    Some((_, before)) => *before = before.max(odds.min(1.0)),
                    None => row.push((to, odds.min(1.0))),
                }
            }
        }
        for row in &mut rows {
            row.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            row.truncate(MOST);
        }
        Self(rows)
    }

    /// From how often a reader gives one character where another stands, by `odds(read, stands)`.
    /// Pairs that are known to look alike are looked for however seldom they were counted.
    pub fn counted(odds: impl Fn(char, char) -> f32) -> Self {
        let counted = all().map(|(read, meant)| {
            let share = odds(read, meant) / odds(read, read).max(f32::MIN_POSITIVE);
            let alike = look_alike(read, meant);
            let odds = match (share >= LEAST, alike) {
                (true, _) => share,
                (false, true) => share.max(LEAST_ALIKE),
                (false, false) => 0.0,
            };
            Confusion { read, meant, odds }
        });
        Self::new(counted)
    }

    /// Whether `read` is looked for as `meant`.
    pub fn knows(&self, read: char, meant: char) -> bool {
        let (Some(read), Some(meant)) = (code(read), code(meant)) else {
            return false;
        };
        self.of(read).iter().any(|(c, _)| *c == meant)
    }

    pub(super) fn of(&self, read: u8) -> &[(u8, f32)] {
        self.0
            .get(usize::from(read))
            .map_or(&[], |row| row.as_slice())
    }
}

impl Default for Weights {
    /// As they were counted over plates whose text is known.
    fn default() -> Self {
        Self::counted(crate::plate::odds)
    }
}

/// A pair that was counted less often is not looked for.
const LEAST: f32 = 2e-3;
/// The odds of characters that look alike but were hardly ever confused.
const LEAST_ALIKE: f32 = 5e-4;

/// Each pair of characters that plates have.
fn all() -> impl Iterator<Item = (char, char)> {
    let chars = || (1..CODES as u8).map(char_of);
    chars().flat_map(move |read| chars().map(move |meant| (read, meant)))
}

fn look_alike(a: char, b: char) -> bool {
    let both = |alike: &&str| alike.contains(a) && alike.contains(b);
    confusable(a, b) || (a != b && PROVINCES_ALIKE.iter().any(both))
}

/// Provinces that share much of their strokes.
const PROVINCES_ALIKE: &[&str] = &[
    "京琼", "鲁鄂", "苏赣", "皖浙", "渝湘", "津浙", "豫粤", "陕闽", "贵青", "吉青", "桂赣", "甘吉",
    "晋青", "新皖", "云宁", "藏蒙",
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn odds(weights: &Weights, read: char, meant: char) -> f32 {
        let mut of = weights.of(code(read).unwrap()).iter();
        let found = of.find(|(c, _)| *c == code(meant).unwrap());
        found.map_or(0.0, |(_, odds)| *odds)
    }

    #[test]
    fn what_was_counted_counts_and_what_looks_alike_is_never_left_out() {
        let counted = Weights::counted(|read, stands| match (read, stands) {
            ('京', '琼') => 0.2,
            ('7', '2') => 0.05,
            (a, b) if a == b => 0.8,
            _ => 1e-4,
        });
        assert!((odds(&counted, '京', '琼') - 0.25).abs() < 1e-6);
        assert!((odds(&counted, '7', '2') - 0.0625).abs() < 1e-6);
        assert_eq!(odds(&counted, '2', '7'), 0.0);
        assert_eq!(odds(&counted, 'A', 'P'), 0.0);
        for (a, b) in all().filter(|(a, b)| look_alike(*a, *b)) {
            assert!(
                odds(&counted, a, b) > 0.0 && odds(&Weights::default(), a, b) > 0.0,
                "{a} {b}"
            );
        }
    }

    #[test]
    fn a_table_is_taken_with_its_faults() {
        let row = |read, meant, odds| Confusion { read, meant, odds };
        let strange = Weights::new([
            row('8', 'B', f32::NAN),
            row('8', '8', 0.5),
            row('8', '囧', 0.5),
            row('8', '3', 7.0),
            row('8', '3', 0.1),
        ]);
        assert_eq!(odds(&strange, '8', '3'), 1.0);
        assert_eq!(strange.of(code('8').unwrap()).len(), 1);
    }
}
