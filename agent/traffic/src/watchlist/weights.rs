//! What readers take for what, and how often: the weights of near matches.

use super::codes::{CODES, code};
use crate::plate::confusable;

/// The most characters that one character is looked for as.
const MOST: usize = 8;

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
    /// character the eight likeliest are kept.
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

    pub(super) fn of(&self, read: u8) -> &[(u8, f32)] {
        self.0
            .get(usize::from(read))
            .map_or(&[], |row| row.as_slice())
    }
}

impl Default for Weights {
    /// The pairs that readers are known for, all alike, and provinces that look alike.
    fn default() -> Self {
        const PAIR: f32 = 0.01;
        let latin = || ('0'..='9').chain('A'..='Z');
        let pairs = latin().flat_map(|a| latin().map(move |b| (a, b)));
        let known = pairs.filter(|(a, b)| confusable(*a, *b));
        let provinces = PROVINCES_ALIKE.iter().flat_map(|alike| {
            alike
                .chars()
                .flat_map(|a| alike.chars().map(move |b| (a, b)))
        });
        Self::new(
            known
                .chain(provinces)
                .map(|(read, meant)| Confusion {
                    read,
                    meant,
                    odds: PAIR,
                }),
        )
    }
}

/// Provinces that share much of their strokes.
const PROVINCES_ALIKE: &[&str] = &[
    "京琼", "鲁鄂", "苏赣", "皖浙", "渝湘", "津浙", "豫粤", "陕闽", "贵青", "吉青", "桂赣", "甘吉",
    "晋青", "新皖", "云宁", "藏蒙",
];
