//! One text out of all reads of a vehicle's plate.
//!
//! Reads weigh by how legible the picture was, how sure the reader was of every character and, a
//! little, by the grammar. First the number of characters is voted (readers drop and double
//! characters), then each place on its own; reads of another length join where they align.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use kakou_contract::{PlateColour, PlateKind, VehicleClass};

use super::colour::{ColourVote, fits_length};
use super::confusable::{align, distance_chars};
use super::grammar::{Grammar, Invalid, check_chars};
use super::kind::kind;
use super::probability::{Signs, joint};
use super::read::{CharRead, PlateRead};
use super::tally::{Bounds, Cell, Correction, apply_grammar};

#[derive(Debug, Clone, PartialEq)]
pub struct VoteConfig {
    /// Reads kept for the vote, the best ones; a parked vehicle is read thousands of times.
    pub keep_reads: usize,
    /// Distinct texts that are counted; texts beyond it are voted on but not counted.
    pub keep_texts: usize,
    /// Texts shorter than this are no plate: a maker's badge, a plate cut by the picture's border.
    pub min_chars: usize,
    /// What a read outside the grammar weighs. Near 1: foreign plates must be able to win.
    pub outside_grammar: f32,
    /// A read weighs its sureness (0 to 1) to this power.
    pub sure_power: i32,
    /// What a read of another length weighs at the places where it aligns.
    pub other_length: f32,
    /// How many edits away a read of another length may be to be aligned at all.
    pub other_length_edits: f32,
    /// Evidence that counts as doubt: one perfect read gives a confidence of 1 / (1 + doubt).
    pub doubt: f32,
    /// Below this confidence the plate is not readable.
    pub min_confidence: f32,
    /// The share of the winner's votes that a second character needs for the grammar to prefer it.
    pub correction_share: f64,
    /// Characters of one plate that the grammar may change.
    pub max_corrections: usize,
}

impl Default for VoteConfig {
    fn default() -> Self {
        Self {
            keep_reads: 64,
            keep_texts: 512,
            min_chars: 5,
            outside_grammar: 0.9,
            sure_power: 5,
            other_length: 0.5,
            other_length_edits: 2.0,
            doubt: 0.12,
            min_confidence: 0.25,
            correction_share: 0.1,
            max_corrections: 2,
        }
    }
}

/// The voted plate.
#[derive(Debug, Clone, PartialEq)]
pub struct VotedPlate {
    pub text: String,
    /// 0 to 1: grows with agreeing reads, falls with doubt about any character or the length.
    pub confidence: f32,
    /// How probable it is that the whole text is right, as measured on reads whose truth is known.
    /// Messages say this; the rules of this crate go by `confidence`.
    pub probability: f32,
    /// Per character the share of the votes, and the character voted second with its share.
    pub chars: Vec<CharRead>,
    /// The text of the single best read, as the reader gave it.
    pub raw: String,
    pub corrected: Vec<Correction>,
    pub rows: u8,
    pub colour: Option<(PlateColour, f32)>,
    /// `None`: text and colour do not tell.
    pub kind: Option<PlateKind>,
    /// All reads taken in.
    pub reads: u32,
    /// Reads that said exactly this text.
    pub frames_agreeing: u32,
    pub grammar_valid: bool,
}

/// Why there is no voted plate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum NotReadable {
    NoRead,
    /// What was read most has fewer characters than any plate.
    TooShort {
        chars: usize,
    },
    TooUncertain {
        confidence: f32,
    },
}

#[derive(Debug, Clone, PartialEq)]
struct Kept {
    weight: f32,
    /// Legibility times mean confidence: what makes a picture the best one.
    quality: f32,
    legibility: f32,
    read: PlateRead,
}

/// A total order, best first: what is kept must not depend on the order of arrival.
fn order(a: &Kept, b: &Kept) -> Ordering {
    let key = |c: &CharRead| {
        (
            c.ch,
            c.conf.to_bits(),
            c.runner_up.map(|r| (r.0, r.1.to_bits())),
        )
    };
    b.weight
        .total_cmp(&a.weight)
        .then_with(|| b.quality.total_cmp(&a.quality))
        .then_with(|| a.read.rows.cmp(&b.read.rows))
        .then_with(|| {
            a.read
                .chars
                .iter()
                .map(key)
                .cmp(b.read.chars.iter().map(key))
        })
}

/// Legibility times mean confidence: how much a picture shows of its plate.
pub(crate) fn quality(read: &PlateRead, legibility: f32) -> f32 {
    legibility.clamp(0.0, 1.0) * read.mean_conf()
}

/// Gathers the reads of one vehicle.
#[derive(Debug, Clone, PartialEq)]
pub struct Ballot {
    config: VoteConfig,
    kept: Vec<Kept>,
    counts: BTreeMap<String, u32>,
    colours: ColourVote,
    reads: u32,
}

impl Ballot {
    pub fn new(config: VoteConfig) -> Self {
        Self {
            config,
            kept: Vec::new(),
            counts: BTreeMap::new(),
            colours: ColourVote::default(),
            reads: 0,
        }
    }

    pub fn reads(&self) -> u32 {
        self.reads
    }

    /// How often exactly this text was read.
    pub fn count(&self, text: &str) -> u32 {
        self.counts.get(text).copied().unwrap_or(0)
    }

    pub fn add_colour(&mut self, colour: PlateColour, conf: f32, legibility: f32) {
        self.colours.add(colour, conf, legibility);
    }

    pub fn add(&mut self, read: &PlateRead, legibility: f32) {
        if read.chars.is_empty() {
            return;
        }
        self.reads = self.reads.saturating_add(1);
        self.tick(read.text(), 1);
        self.keep(self.weigh(read, legibility));
    }

    /// Takes in the reads of another ballot, of what turned out to be the same vehicle.
    pub fn merge(&mut self, other: Self) {
        self.reads = self.reads.saturating_add(other.reads);
        self.colours.merge(&other.colours);
        for (text, n) in other.counts {
            self.tick(text, n);
        }
        for k in other.kept {
            self.keep(k);
        }
    }

    fn tick(&mut self, text: String, n: u32) {
        if let Some(c) = self.counts.get_mut(&text) {
            *c = c.saturating_add(n);
        } else if self.counts.len() < self.config.keep_texts {
            self.counts.insert(text, n);
        }
    }

    fn keep(&mut self, k: Kept) {
        let at = self
            .kept
            .partition_point(|o| order(o, &k) == Ordering::Less);
        if at < self.config.keep_reads {
            self.kept.insert(at, k);
            self.kept.truncate(self.config.keep_reads);
        }
    }

    fn weigh(&self, read: &PlateRead, legibility: f32) -> Kept {
        let chars: Vec<char> = read.chars.iter().map(|c| c.ch).collect();
        // The weakest character says more about a read than its mean. The power is high because
        // unsure reads are wrong in the same way again and again: twenty of them must not outvote
        // three sure ones.
        let sure = 0.5 * (read.mean_conf() + read.min_conf());
        let mut weight =
            legibility.clamp(0.05, 1.0) * sure.clamp(0.0, 1.0).powi(self.config.sure_power);
        if !check_chars(&chars, None).is_valid() {
            weight *= self.config.outside_grammar;
        }
        if chars.len() < self.config.min_chars {
            weight *= 0.5;
        }
        Kept {
            weight,
            quality: quality(read, legibility),
            legibility: legibility.clamp(0.0, 1.0),
            read: read.clone(),
        }
    }

    /// The kept reads with their weights. Texts that fit the grammar but not the voted colour weigh
    /// as if outside the grammar: a white foreign plate is misread as a green one more easily than
    /// it is green.
    fn weighted(&self) -> Vec<(f32, &PlateRead)> {
        let colour = self.colours.decide(None).map(|c| c.0);
        let against = |k: &Kept| {
            let chars: Vec<char> = k.read.chars.iter().map(|c| c.ch).collect();
            colour.is_some()
                && matches!(
                    check_chars(&chars, colour),
                    Grammar::Invalid(Invalid::Colour(_))
                )
        };
        let weight = |k: &Kept| {
            if against(k) {
                k.weight * self.config.outside_grammar
            } else {
                k.weight
            }
        };
        self.kept.iter().map(|k| (weight(k), &k.read)).collect()
    }

    /// The number of characters with the most support, and its share of all support.
    fn length(&self, reads: &[(f32, &PlateRead)]) -> Option<(usize, f64)> {
        let mut sums: BTreeMap<usize, f64> = BTreeMap::new();
        for (w, r) in reads {
            *sums.entry(r.chars.len()).or_default() += f64::from(*w);
        }
        if let Some((colour, share)) = self.colours.decide(None) {
            for (len, s) in &mut sums {
                *s *= f64::from(fits_length(*len, colour)).powf(f64::from(share));
            }
        }
        let total: f64 = sums.values().sum();
        let (len, sum) = sums
            .into_iter()
            .fold(None, |best: Option<(usize, f64)>, (l, s)| match best {
                // On equal support the longer one: readers drop characters more often than they
                // double them.
                Some((_, b)) if b > s => best,
                _ => Some((l, s)),
            })?;
        Some((len, if total > 0.0 { sum / total } else { 0.0 }))
    }

    fn cells(&self, reads: &[(f32, &PlateRead)], len: usize) -> Vec<Cell> {
        let mut cells = vec![Cell::default(); len];
        for (w, r) in reads.iter().filter(|r| r.1.chars.len() == len) {
            for (cell, c) in cells.iter_mut().zip(&r.chars) {
                cast(cell, c, *w);
            }
        }
        cells.iter_mut().for_each(Cell::settle);
        let pivot: Vec<char> = cells.iter().filter_map(|c| c.top().map(|t| t.0)).collect();
        for (w, r) in reads.iter().filter(|r| r.1.chars.len() != len) {
            let chars: Vec<char> = r.chars.iter().map(|c| c.ch).collect();
            if distance_chars(&pivot, &chars) > self.config.other_length_edits {
                continue;
            }
            for (place, c) in align(&pivot, &chars).into_iter().zip(&r.chars) {
                if let Some(p) = place {
                    cast(&mut cells[p], c, w * self.config.other_length);
                }
            }
        }
        cells.iter_mut().for_each(Cell::settle);
        cells
    }

    /// The voted plate; `class` is the vehicle's, for the kind.
    pub fn result(&self, class: Option<VehicleClass>) -> Result<VotedPlate, NotReadable> {
        self.result_with_signs(class).map(|(plate, _)| plate)
    }

    /// The same, with what its probability was made of.
    pub fn result_with_signs(
        &self,
        class: Option<VehicleClass>,
    ) -> Result<(VotedPlate, Signs), NotReadable> {
        let reads = self.weighted();
        let (len, length_share) = self.length(&reads).ok_or(NotReadable::NoRead)?;
        if len < self.config.min_chars {
            return Err(NotReadable::TooShort { chars: len });
        }
        let cells = self.cells(&reads, len);
        let bounds = Bounds {
            min_share: self.config.correction_share,
            max_changes: self.config.max_corrections,
        };
        let seen = self.colours.decide(None).map(|c| c.0);
        let (chars, corrected) = apply_grammar(&cells, seen, bounds);
        let text: String = chars.iter().collect();

        let evidence: f64 = reads
            .iter()
            .filter(|r| r.1.chars.len() == len)
            .map(|r| f64::from(r.0))
            .sum();
        let chars = self.voted_chars(&cells, &chars, &corrected);
        let confidence = self.confidence(&chars, evidence, length_share);
        if confidence < self.config.min_confidence {
            return Err(NotReadable::TooUncertain { confidence });
        }
        let rows = self.rows(len);
        let colour = self.colours.decide(Some(&text));
        let kind = kind(&text, colour.map(|c| c.0), rows, class);
        let voted: Vec<char> = text.chars().collect();
        let signs = self.signs(&text, &chars);
        let plate = VotedPlate {
            confidence,
            probability: signs.probability(),
            chars,
            raw: self.best_raw(),
            corrected,
            rows,
            colour,
            kind,
            reads: self.reads,
            frames_agreeing: self.count(&text),
            grammar_valid: check_chars(&voted, None).is_valid(),
            text,
        };
        Ok((plate, signs))
    }

    fn signs(&self, text: &str, chars: &[CharRead]) -> Signs {
        let voted: Vec<char> = chars.iter().map(|c| c.ch).collect();
        let same: Vec<&Kept> = self.kept.iter().filter(|k| k.read.text() == text).collect();
        let legibility = same
            .iter()
            .map(|k| (joint(&k.read.chars), k.legibility))
            .max_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let colour = self.colours.decide(None).map(|c| c.0);
        let on_colour = check_chars(&voted, colour);
        Signs {
            joint: joint(chars),
            frames_agreeing: self.count(text),
            reads: self.reads,
            agreeing: same.iter().map(|k| k.weight).sum(),
            all: self.kept.iter().map(|k| k.weight).sum(),
            legibility: legibility.map_or(0.0, |surest| surest.1),
            valid: check_chars(&voted, None).is_valid(),
            colour_against: matches!(on_colour, Grammar::Invalid(Invalid::Colour(_))),
        }
    }

    fn voted_chars(
        &self,
        cells: &[Cell],
        text: &[char],
        corrected: &[Correction],
    ) -> Vec<CharRead> {
        let all = |cell: &Cell| -> f64 { cell.total().max(f64::MIN_POSITIVE) };
        text.iter()
            .zip(cells)
            .enumerate()
            .map(|(i, (&ch, cell))| {
                // A corrected character has the reader's doubt against it, and the grammar for it.
                let own = if corrected.iter().any(|c| c.position == i) {
                    cell.weight(ch).max(0.5 * cell.top().map_or(0.0, |t| t.1))
                } else {
                    cell.weight(ch)
                };
                let share = |w: f64| (w / all(cell)).min(1.0) as f32;
                CharRead {
                    ch,
                    conf: share(own),
                    runner_up: cell.next_to(ch).map(|(c, w)| (c, share(w))),
                }
            })
            .collect()
    }

    fn confidence(&self, chars: &[CharRead], evidence: f64, length_share: f64) -> f32 {
        let n = chars.len() as f32;
        let geometric = chars.iter().map(|c| c.conf.max(1e-6).ln()).sum::<f32>() / n;
        let weakest = chars.iter().map(|c| c.conf).fold(1.0, f32::min);
        let doubt = f64::from(self.config.doubt);
        let seen = (evidence / (evidence + doubt)) as f32;
        0.5 * (geometric.exp() + weakest) * seen * length_share.sqrt() as f32
    }

    fn rows(&self, len: usize) -> u8 {
        let two: f64 = self
            .kept
            .iter()
            .filter(|k| k.read.chars.len() == len)
            .map(|k| {
                if k.read.rows >= 2 {
                    f64::from(k.weight)
                } else {
                    -f64::from(k.weight)
                }
            })
            .sum();
        if two > 0.0 { 2 } else { 1 }
    }

    fn best_raw(&self) -> String {
        let best = self
            .kept
            .iter()
            .max_by(|a, b| a.quality.total_cmp(&b.quality).then_with(|| order(b, a)));
        best.map(|k| k.read.text()).unwrap_or_default()
    }
}

/// A read's vote for its character, for the runner-up, and what it left open.
fn cast(cell: &mut Cell, c: &CharRead, weight: f32) {
    let conf = c.conf.clamp(0.0, 1.0);
    cell.add(c.ch, f64::from(weight * conf));
    let mut open = 1.0 - conf;
    if let Some((ch, r)) = c.runner_up {
        // Never more than the first choice, whatever the reader reports.
        let r = r.clamp(0.0, open.min(conf));
        cell.add(ch, f64::from(weight * r));
        open -= r;
    }
    cell.leave_open(f64::from(weight * open));
}
