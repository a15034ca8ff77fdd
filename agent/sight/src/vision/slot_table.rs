//! What a model of kind `slot-reader` says of one plate, as numbers, and how they become a read.
//! Pure.
//!
//! Every slot holds one character of the text, or the text's end. No character is ever dropped or
//! doubled, since no slot is merged with another; several looks are united by their mean.

use kakou_contract::PlateColour;

use super::reader::Reading;
use kakou_traffic::geometry::Quad;
use kakou_traffic::plate::{CharRead, PlateRead, check};

/// Characters a text can have at most.
pub(super) const SLOTS: usize = 9;
/// Class 0 says that the text has ended; class `i` is character `i - 1` of the alphabet.
pub(super) const CLASSES: usize = 81;
pub(super) const COLOURS: usize = 7;

/// Without I. O is an office of old police plates and stands here once, behind Z.
const ALPHABET: &str = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZO京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋\
                        蒙陕吉闽贵粤青藏川宁琼警学挂港澳使领应急民航临超试";
const END: usize = 0;
/// The classes of 0 and O. Everything that speaks of plates spells an old police plate's O as 0: so
/// does this.
const ZERO: usize = 1;
const LETTER_O: usize = 35;
/// Behind the letters stand the 31 provinces, behind them the marks.
const FIRST_PROVINCE: usize = LETTER_O + 1;
const FIRST_MARK: usize = FIRST_PROVINCE + 31;

/// The last one is anything else.
const GROUNDS: [PlateColour; COLOURS - 1] = [
    PlateColour::Blue,
    PlateColour::Yellow,
    PlateColour::Green,
    PlateColour::YellowGreen,
    PlateColour::White,
    PlateColour::Black,
];

/// Classes of a slot that are followed, and texts that are kept, in the search for one that can be
/// a plate.
const FOLLOWED: usize = 3;
const KEPT: usize = 24;
/// A text that can be a plate is preferred if it is at least this probable, as part of the best
/// text's probability.
const PREFERRED: f32 = 0.03;
/// And if the slots in which it shows another kind of character hold that kind with at least this
/// probability, all its characters together. So a letter never becomes a province that was not
/// seen: plates of other countries stay what they are.
const KIND_SEEN: f32 = 0.5;

/// What a character is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CharKind {
    Serial,
    Province,
    Mark,
}

impl CharKind {
    /// `None`: the text's end.
    fn of(class: usize) -> Option<Self> {
        match class {
            END => None,
            ZERO..FIRST_PROVINCE => Some(Self::Serial),
            FIRST_PROVINCE..FIRST_MARK => Some(Self::Province),
            _ => Some(Self::Mark),
        }
    }
}

/// The outputs of one look, or the mean of several.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SlotTable {
    text: Vec<f32>,
    colour: Vec<f32>,
    rows: Vec<f32>,
    plate: Vec<f32>,
}

impl SlotTable {
    /// `None` if these are not the outputs of such a model.
    pub(super) fn new(text: &[f32], colour: &[f32], rows: &[f32], plate: &[f32]) -> Option<Self> {
        let lengths = [text.len(), colour.len(), rows.len(), plate.len()];
        if lengths != [SLOTS * CLASSES, COLOURS, 2, 2] {
            return None;
        }
        // What is no number is no probability; a comparison would have to guess.
        let clean = |values: &[f32]| -> Vec<f32> {
            let part = |v: &f32| if v.is_nan() { 0.0 } else { v.clamp(0.0, 1.0) };
            values.iter().map(part).collect()
        };
        let mut text = clean(text);
        for slot in text.chunks_exact_mut(CLASSES) {
            slot[ZERO] = (slot[ZERO] + slot[LETTER_O]).min(1.0);
            slot[LETTER_O] = 0.0;
        }
        Some(Self {
            text,
            colour: clean(colour),
            rows: clean(rows),
            plate: clean(plate),
        })
    }

    /// Several looks at one plate as one. There is at least one.
    pub(super) fn mean(looks: &[Self]) -> Self {
        let of = |part: fn(&Self) -> &Vec<f32>, len: usize| -> Vec<f32> {
            let sum = |i: usize| looks.iter().map(|look| part(look)[i]).sum::<f32>();
            (0..len)
                .map(|i| sum(i) / looks.len().max(1) as f32)
                .collect()
        };
        Self {
            text: of(|t| &t.text, SLOTS * CLASSES),
            colour: of(|t| &t.colour, COLOURS),
            rows: of(|t| &t.rows, 2),
            plate: of(|t| &t.plate, 2),
        }
    }

    pub(super) fn rows(&self) -> u8 {
        if self.rows[1] > self.rows[0] { 2 } else { 1 }
    }

    /// The ground colour; `None` where it is none of the known ones.
    pub(super) fn colour(&self) -> Option<(PlateColour, f32)> {
        let best = best_of(&self.colour);
        GROUNDS.get(best).map(|colour| (*colour, self.colour[best]))
    }

    pub(super) fn reading(&self, quad: Quad) -> Reading {
        Reading {
            read: self.read(|text| check(text, None).is_valid()),
            quad,
            colour: self.colour(),
            plate: Some(self.plate[1]),
            province: Some(self.kind_mass(0, Some(CharKind::Province))),
        }
    }

    /// The most probable text, or another one about as probable that can be a plate.
    pub(super) fn read(&self, plausible: impl Fn(&str) -> bool) -> PlateRead {
        let texts = self.likely();
        let least = texts.first().map_or(0.0, |best| PREFERRED * best.1);
        let chosen = texts
            .iter()
            .find(|(text, p)| {
                *p >= least && plausible(&spelled(text)) && self.shows_kinds_of(text, &texts[0].0)
            })
            .or(texts.first());
        let mut chars: Vec<CharRead> = match chosen {
            Some((text, _)) => (0..)
                .zip(text)
                .map(|(k, class)| self.char(k, *class))
                .collect(),
            None => Vec::new(),
        };
        // That the text ends here is a claim like any other.
        let end = (chars.len() < SLOTS).then(|| self.slot(chars.len())[END]);
        if let (Some(last), Some(end)) = (chars.last_mut(), end) {
            last.conf = last.conf.min(end);
        }
        PlateRead {
            chars,
            rows: self.rows(),
        }
    }

    /// Whether what `text` shows of another kind than `best` was seen as that kind.
    fn shows_kinds_of(&self, text: &[usize], best: &[usize]) -> bool {
        text.iter().enumerate().all(|(k, class)| {
            let kind = CharKind::of(*class);
            kind == best.get(k).copied().and_then(CharKind::of)
                || self.kind_mass(k, kind) >= KIND_SEEN
        })
    }

    /// How probable a kind is in a slot, all its characters together.
    fn kind_mass(&self, k: usize, kind: Option<CharKind>) -> f32 {
        let of_kind = (0..CLASSES).filter(|class| CharKind::of(*class) == kind);
        of_kind.map(|class| self.slot(k)[class]).sum()
    }

    fn slot(&self, k: usize) -> &[f32] {
        &self.text[k * CLASSES..(k + 1) * CLASSES]
    }

    fn char(&self, k: usize, class: usize) -> CharRead {
        let slot = self.slot(k);
        let runner_up = (1..CLASSES)
            .filter(|i| *i != class && slot[*i] > 0.0)
            .max_by(|a, b| slot[*a].total_cmp(&slot[*b]))
            .map(|i| (symbol(i), slot[i]));
        CharRead {
            ch: symbol(class),
            conf: slot[class],
            runner_up,
        }
    }

    /// The most probable texts, as classes without the end, best first.
    fn likely(&self) -> Vec<(Vec<usize>, f32)> {
        let mut open: Vec<(Vec<usize>, f32)> = vec![(Vec::new(), 1.0)];
        let mut ended: Vec<(Vec<usize>, f32)> = Vec::new();
        // A text that ends early still has to account for what the slots behind its end show: else
        // a doubtful plate would be less probable than none at all.
        let behind = |k: usize| -> f32 {
            let surest = |k: usize| self.slot(k)[best_of(self.slot(k))];
            (k + 1..SLOTS).map(surest).product()
        };
        for k in 0..SLOTS {
            let slot = self.slot(k);
            let mut classes: Vec<usize> = (0..CLASSES).collect();
            classes.sort_by(|a, b| slot[*b].total_cmp(&slot[*a]));
            let mut next = Vec::new();
            for (text, p) in open {
                for class in &classes[..FOLLOWED] {
                    let p = p * slot[*class];
                    if *class == END {
                        ended.push((text.clone(), p * behind(k)));
                    } else {
                        let mut longer = text.clone();
                        longer.push(*class);
                        next.push((longer, p));
                    }
                }
            }
            // Stable, and made in a fixed order: equal input gives equal output.
            next.sort_by(|a, b| b.1.total_cmp(&a.1));
            next.truncate(KEPT);
            open = next;
        }
        ended.extend(open);
        ended.sort_by(|a, b| b.1.total_cmp(&a.1));
        ended
    }
}

/// The first of the largest.
fn best_of(values: &[f32]) -> usize {
    let mut best = 0;
    for (i, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = i;
        }
    }
    best
}

fn symbol(class: usize) -> char {
    ALPHABET.chars().nth(class - 1).unwrap_or('?')
}

fn spelled(text: &[usize]) -> String {
    text.iter().map(|class| symbol(*class)).collect()
}

#[cfg(test)]
#[path = "slot_table_tests.rs"]
mod tests;
