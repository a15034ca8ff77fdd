//! Characters that readers take for each other, and how far two texts are apart.

use super::confusions::odds;
use super::grammar::Slot;

/// Taken for each other more often than this, in either direction, two characters are confusable.
const OFTEN: f32 = 0.002;

/// Whether the reader is known to take one of the two for the other.
pub fn confusable(a: char, b: char) -> bool {
    a != b && odds(a, b).max(odds(b, a)) > OFTEN
}

/// The one character that `ch`, impossible in `slot`, can only be. `None` where several could be.
pub(crate) fn only_reading(ch: char, slot: Slot) -> Option<char> {
    let to = match (slot, ch) {
        (Slot::Serial | Slot::Digit, 'O') => '0',
        (Slot::Serial | Slot::Digit, 'I') => '1',
        (Slot::Digit, 'D' | 'Q') => '0',
        (Slot::Digit, 'Z') => '2',
        (Slot::Office | Slot::Letter, '2') => 'Z',
        (Slot::Digit, 'S') => '5',
        (Slot::Digit, 'G') => '6',
        (Slot::Digit, 'B') => '8',
        (Slot::Office | Slot::Letter, '8') => 'B',
        (Slot::Office | Slot::Letter, '5') => 'S',
        (Slot::Office | Slot::Letter, '4') => 'A',
        (Slot::Energy, '0' | 'O' | 'Q') => 'D',
        _ => return None,
    };
    Some(to)
}

/// The cost of reading `a` where `b` stands: a known confusion is a small step.
fn substitution(a: char, b: char) -> f32 {
    if a == b {
        0.0
    } else if confusable(a, b) {
        0.4
    } else {
        1.0
    }
}

fn table(a: &[char], b: &[char]) -> Vec<f32> {
    let w = b.len() + 1;
    let mut t = vec![0.0_f32; (a.len() + 1) * w];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            t[i * w + j] = match (i, j) {
                (0, _) => j as f32,
                (_, 0) => i as f32,
                _ => (t[(i - 1) * w + j - 1] + substitution(a[i - 1], b[j - 1]))
                    .min(t[(i - 1) * w + j] + 1.0)
                    .min(t[i * w + j - 1] + 1.0),
            };
        }
    }
    t
}

/// Edit distance in which a known confusion costs less than half a step.
pub fn distance(a: &str, b: &str) -> f32 {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    distance_chars(&a, &b)
}

pub(crate) fn distance_chars(a: &[char], b: &[char]) -> f32 {
    table(a, b).last().copied().unwrap_or(0.0)
}

/// 1 for equal texts down to 0 for texts with nothing in common.
pub fn similarity(a: &str, b: &str) -> f32 {
    let n = a.chars().count().max(b.chars().count());
    if n == 0 {
        0.0
    } else {
        1.0 - distance(a, b) / n as f32
    }
}

/// For each character of `b` the place in `a` it lies at, by the cheapest alignment.
pub(crate) fn align(a: &[char], b: &[char]) -> Vec<Option<usize>> {
    let t = table(a, b);
    let w = b.len() + 1;
    let mut places = vec![None; b.len()];
    let (mut i, mut j) = (a.len(), b.len());
    while i > 0 && j > 0 {
        let here = t[i * w + j];
        if here == t[(i - 1) * w + j - 1] + substitution(a[i - 1], b[j - 1]) {
            (i, j) = (i - 1, j - 1);
            places[j] = Some(i);
        } else if here == t[(i - 1) * w + j] + 1.0 {
            i -= 1;
        } else {
            j -= 1;
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        assert_eq!(distance("皖A12345", "皖A12345"), 0.0);
        assert_eq!(distance("皖A12345", "皖A1234"), 1.0);
        assert!(distance("皖A1234O", "皖A12340") < 0.5);
        assert!(similarity("34A23126", "皖A23126") > 0.7);
        assert!(similarity("鲁E6K829", "鲁GD12345") < 0.5);
        assert_eq!(similarity("", ""), 0.0);
    }

    #[test]
    fn a_missing_character_leaves_its_place_empty() {
        let (a, b): (Vec<char>, Vec<char>) =
            ("皖A12345".chars().collect(), "皖A1345".chars().collect());
        let places: Vec<usize> = align(&a, &b).into_iter().flatten().collect();
        assert_eq!(places, [0, 1, 2, 4, 5, 6]);
    }
}
