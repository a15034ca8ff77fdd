//! Entries with `?` and `*`.
//!
//! Patterns of one shape (which places before the first `*` and after the last one are fixed) are
//! found by the characters in those places: a look-up costs one probe for each shape, of which even
//! long lists have few, and not one comparison for each pattern.

use std::collections::HashMap;

use super::codes::{ANY, LONGEST, MANY, pack};
use super::store::Meta;

/// Which places are fixed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Shape {
    /// Before the first `*`; without one, the whole pattern.
    front: Vec<bool>,
    /// After the last `*`; `None`: there is none.
    back: Option<Vec<bool>>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Patterns {
    shapes: Vec<Shape>,
    /// By shape and by the characters in its fixed places.
    places: HashMap<(u32, u64), Vec<u32>>,
    patterns: Vec<(Box<[u8]>, Meta)>,
}

impl Patterns {
    pub fn new(patterns: Vec<(Box<[u8]>, Meta)>) -> Self {
        let mut all = Self {
            patterns,
            ..Self::default()
        };
        let mut known = HashMap::new();
        for (at, (pattern, _)) in (0_u32..).zip(&all.patterns) {
            let shape = Shape::of(pattern);
            let key = shape.key(pattern);
            let next = all.shapes.len() as u32;
            let id = *known.entry(shape.clone()).or_insert(next);
            if id == next {
                all.shapes.push(shape);
            }
            all.places.entry((id, key)).or_default().push(at);
        }
        all
    }

    pub fn len(&self) -> usize {
        self.patterns.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &Meta)> {
        self.patterns.iter().map(|(codes, meta)| (&**codes, meta))
    }

    /// Each pattern that a text fits, in the order of the list.
    pub fn fitting(&self, text: &[u8]) -> Vec<(&[u8], &Meta)> {
        let mut found: Vec<u32> = Vec::new();
        for (id, shape) in (0_u32..).zip(&self.shapes) {
            if shape.has_room(text)
                && let Some(all) = self.places.get(&(id, shape.key(text)))
            {
                let fits = |at: &u32| fits(&self.patterns[*at as usize].0, text);
                found.extend(all.iter().copied().filter(fits));
            }
        }
        found.sort_unstable();
        let pattern = |at: u32| {
            let (codes, meta) = &self.patterns[at as usize];
            (&**codes, meta)
        };
        found.into_iter().map(pattern).collect()
    }

    pub fn bytes(&self) -> usize {
        self.patterns.len() * (size_of::<(Box<[u8]>, Meta)>() + LONGEST)
            + self.places.len() * size_of::<((u32, u64), Vec<u32>)>() * 2
            + self.patterns.len() * size_of::<u32>()
    }
}

impl Shape {
    fn of(pattern: &[u8]) -> Self {
        let fixed = |part: &[u8]| part.iter().map(|c| *c != ANY).collect::<Vec<bool>>();
        match pattern.iter().position(|c| *c == MANY) {
            None => Self {
                front: fixed(pattern),
                back: None,
            },
            Some(first) => {
                let last = pattern.iter().rposition(|c| *c == MANY).unwrap_or(first);
                Self {
                    front: fixed(&pattern[..first]),
                    back: Some(fixed(&pattern[last + 1..])),
                }
            }
        }
    }

    fn has_room(&self, text: &[u8]) -> bool {
        match &self.back {
            None => text.len() == self.front.len(),
            Some(back) => text.len() >= self.front.len() + back.len(),
        }
    }

    /// The characters in the fixed places, of a pattern or of a text that has room.
    fn key(&self, text: &[u8]) -> u64 {
        let back = self.back.as_deref().unwrap_or(&[]);
        let last = &text[text.len().saturating_sub(back.len())..];
        let places = self.front.iter().zip(text).chain(back.iter().zip(last));
        let fixed: Vec<u8> = places.filter(|(f, _)| **f).map(|(_, c)| *c).collect();
        // A list takes no pattern with more fixed places than a key holds.
        pack(&fixed).unwrap_or(0)
    }
}

/// Whether a text fits a pattern.
pub(super) fn fits(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // The last `*`, and how much of the text it has taken.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(&MANY) => {
                star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == ANY || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    (p, t) = (at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == MANY)
}

/// The places of a text that a fixed character of the pattern stands for.
pub(super) fn fixed_places(pattern: &[u8], text: &[u8]) -> Vec<usize> {
    let front = pattern.iter().take_while(|c| **c != MANY);
    let mut places: Vec<usize> = front
        .enumerate()
        .filter(|(_, c)| **c != ANY)
        .map(|(at, _)| at)
        .collect();
    if pattern.contains(&MANY) {
        let back = pattern.iter().rev().take_while(|c| **c != MANY);
        let from_end = back.enumerate().filter(|(_, c)| **c != ANY);
        places.extend(from_end.filter_map(|(at, _)| text.len().checked_sub(at + 1)));
        // Between two `*`: somewhere.
        let inner = pattern.iter().filter(|c| **c != ANY && **c != MANY).count();
        let missing = inner.saturating_sub(places.len());
        let others: Vec<usize> = (0..text.len()).filter(|at| !places.contains(at)).collect();
        places.extend(others.into_iter().take(missing));
    }
    places
}
