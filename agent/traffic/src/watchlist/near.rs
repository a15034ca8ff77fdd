//! What else a read may stand for: other texts, each with the odds that it and not the read is
//! right.
//!
//! A character is looked for as what readers take for it (the weights) and as what this very read
//! had second. Where the read is unsure of a character, any may stand there. At most two characters
//! differ; two only where both are likely. A text that the grammar does not know may have lost a
//! character, or got one twice.

use kakou_contract::{Character, PlateColour};

use super::codes::{self, code, is_chinese, is_province, pack};
use super::weights::Weights;
use crate::plate::check;

/// Below this a character is not known at all.
const UNSURE: f32 = 0.5;
/// What is left for one of the other characters of its place, if it is not known at all.
const OTHERS: f32 = 33.0;
/// Two characters may differ if the product of their odds is at least this.
const TWO: f32 = 2e-3;
/// From these odds on a pattern is compared with another character too.
const LIKELY: f32 = 0.03;
/// That a text which the grammar does not know has lost one character: spread over all that could
/// be the lost one.
const ONE_LOST: f32 = 0.3;
const ONE_TWICE: f32 = 0.2;
/// No character's second choice counts more than this against the first.
const MOST: f32 = 4.0;

/// How a text differs from the read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Change {
    One(usize, u8),
    Two((usize, u8), (usize, u8)),
    /// The read has no character in this place of the entry.
    Lost(usize, u8),
    /// The read has this character once too often.
    Twice(usize),
}

/// A text that may be right instead.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Variant {
    pub key: u64,
    /// For each time that the read is right.
    pub odds: f32,
    pub change: Change,
}

/// What may stand in each place of a read.
#[derive(Debug, Clone)]
pub(super) struct Doubts {
    codes: Vec<u8>,
    key: u64,
    /// For each place the other characters, likeliest first.
    others: Vec<Vec<(u8, f32)>>,
    is_torn: bool,
    /// Brings the odds of all texts together to what the confidence leaves for them.
    scale: f32,
}

impl Doubts {
    /// `None`: the text is longer than any plate.
    pub fn new(
        text: &[u8],
        characters: &[Character],
        confidence: f32,
        colour: Option<PlateColour>,
        weights: &Weights,
    ) -> Option<Self> {
        let key = pack(text)?;
        let none = (1.0, None);
        let others: Vec<Vec<(u8, f32)>> = text
            .iter()
            .enumerate()
            .map(|(at, read)| {
                let (sure, second) = characters.get(at).map_or(none, |c| {
                    let second = c
                        .runner_up
                        .and_then(|r| Some((code(r.char)?, r.confidence.get())));
                    (c.confidence.get(), second)
                });
                others(at, *read, sure, second, weights)
            })
            .collect();
        let spelled: String = text.iter().map(|c| codes::char_of(*c)).collect();
        let sum: f32 = others.iter().flatten().map(|(_, odds)| odds).sum();
        let left = (1.0 - confidence) / confidence.max(1e-3);
        Some(Self {
            key,
            others,
            is_torn: !check(&spelled, colour).is_valid(),
            scale: if sum > left { left / sum } else { 1.0 },
            codes: text.to_vec(),
        })
    }

    /// The odds as they are told: never more, all together, than the read's own doubt.
    pub fn calibrated(&self, variant: &Variant) -> f32 {
        match variant.change {
            Change::One(..) => variant.odds * self.scale,
            Change::Two(..) => variant.odds * self.scale * self.scale,
            Change::Lost(..) | Change::Twice(_) => variant.odds,
        }
    }

    /// Each text that may be right instead, in a fixed order.
    pub fn variants(&self, mut take: impl FnMut(Variant)) {
        let length = self.codes.len();
        for (at, others) in self.others.iter().enumerate() {
            for &(to, odds) in others {
                let key = codes::changed(self.key, length, at, self.codes[at], to);
                take(Variant {
                    key,
                    odds,
                    change: Change::One(at, to),
                });
                self.second_changes(key, (at, to, odds), &mut take);
            }
        }
        if self.is_torn {
            self.torn(&mut take);
        }
    }

    fn second_changes(&self, key: u64, first: (usize, u8, f32), take: &mut impl FnMut(Variant)) {
        let length = self.codes.len();
        let (at, to, odds) = first;
        for (then, others) in self.others.iter().enumerate().skip(at + 1) {
            for &(also, more) in others.iter().take_while(|(_, more)| odds * more >= TWO) {
                take(Variant {
                    key: codes::changed(key, length, then, self.codes[then], also),
                    odds: odds * more,
                    change: Change::Two((at, to), (then, also)),
                });
            }
        }
    }

    fn torn(&self, take: &mut impl FnMut(Variant)) {
        let length = self.codes.len();
        for at in 0..=length {
            let may_be: Vec<u8> = match at {
                0 if self.codes.first().copied().is_some_and(is_chinese) => Vec::new(),
                0 => codes::provinces().collect(),
                _ if at == length => codes::serials().chain(codes::marks()).collect(),
                _ => codes::serials().collect(),
            };
            let each = ONE_LOST / (may_be.len().max(1) * (length + 1)) as f32;
            let mut whole = self.codes.clone();
            whole.insert(at, 0);
            for lost in may_be {
                // Behind its like it would be the same text again.
                if at > 0 && self.codes[at - 1] == lost {
                    continue;
                }
                whole[at] = lost;
                if let Some(key) = pack(&whole) {
                    take(Variant {
                        key,
                        odds: each,
                        change: Change::Lost(at, lost),
                    });
                }
            }
        }
        for at in 1..length {
            if self.codes[at] == self.codes[at - 1] {
                let mut whole = self.codes.clone();
                whole.remove(at);
                if let Some(key) = pack(&whole) {
                    take(Variant {
                        key,
                        odds: ONE_TWICE,
                        change: Change::Twice(at),
                    });
                }
            }
        }
    }

    /// The texts with one unknown character that a torn read may be part of.
    pub fn with_a_gap(&self) -> impl Iterator<Item = Vec<u8>> {
        let places = match self.is_torn {
            true => 0..self.codes.len() + 1,
            false => 0..0,
        };
        places.map(|at| {
            let mut whole = self.codes.clone();
            whole.insert(at, codes::LOST);
            whole
        })
    }

    /// The texts with one likely other character: what a pattern is compared with beside the read.
    pub fn likely(&self) -> Vec<(Vec<u8>, f32, usize, u8)> {
        let mut all = Vec::new();
        for (at, others) in self.others.iter().enumerate() {
            for &(to, odds) in others.iter().take_while(|(_, odds)| *odds >= LIKELY) {
                let mut text = self.codes.clone();
                text[at] = to;
                all.push((text, odds * self.scale, at, to));
            }
        }
        all
    }
}

fn others(
    at: usize,
    read: u8,
    sure: f32,
    second: Option<(u8, f32)>,
    weights: &Weights,
) -> Vec<(u8, f32)> {
    let mut all: Vec<(u8, f32)> = weights.of(read).to_vec();
    let mut add = |to: u8, odds: f32| {
        if to == read || odds.is_nan() || odds <= 0.0 {
            return;
        }
        match all.iter_mut().find(|(c, _)| *c == to) {
            Some((_, known)) => *known = known.max(odds),
            None => all.push((to, odds)),
        }
    };
    if let Some((to, chance)) = second {
        add(to, (chance / sure.max(1e-3)).min(MOST));
    }
    if sure < UNSURE {
        let left = (1.0 - sure - second.map_or(0.0, |(_, chance)| chance)).max(0.0);
        let each = (left / OTHERS / sure.max(1e-3)).min(MOST);
        match at == 0 && is_province(read) {
            true => codes::provinces().for_each(|c| add(c, each)),
            false => codes::serials().for_each(|c| add(c, each)),
        }
    }
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    all
}
