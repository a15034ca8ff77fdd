//! Votes per place, and what the grammar may change about the winner.

use kakou_contract::PlateColour;

use super::confusable::only_reading;
use super::grammar::{Form, PATTERNS, Pattern, Slot, check_chars};

/// A place where the grammar changed what was read most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Correction {
    /// Counted in characters from 0.
    pub position: usize,
    pub from: char,
    pub to: char,
}

/// The votes for one place, best first.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Cell {
    votes: Vec<(char, f64)>,
    /// What the readers gave to no character named here.
    open: f64,
}

impl Cell {
    pub(crate) fn add(&mut self, ch: char, weight: f64) {
        match self.votes.iter_mut().find(|(c, _)| *c == ch) {
            Some((_, w)) => *w += weight,
            None => self.votes.push((ch, weight)),
        }
    }

    pub(crate) fn leave_open(&mut self, weight: f64) {
        self.open += weight;
    }

    pub(crate) fn total(&self) -> f64 {
        self.open + self.votes.iter().map(|v| v.1).sum::<f64>()
    }

    /// Best first; equal weights by character, so that nothing depends on the order of reads.
    pub(crate) fn settle(&mut self) {
        self.votes
            .sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    }

    pub(crate) fn top(&self) -> Option<(char, f64)> {
        self.votes.first().copied()
    }

    pub(crate) fn weight(&self, ch: char) -> f64 {
        self.votes
            .iter()
            .find(|(c, _)| *c == ch)
            .map_or(0.0, |c| c.1)
    }

    /// The best character other than `ch`.
    pub(crate) fn next_to(&self, ch: char) -> Option<(char, f64)> {
        self.votes.iter().find(|(c, _)| *c != ch).copied()
    }
}

/// Bounds on what the grammar may do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bounds {
    /// A character voted second must have at least this share of the first one's votes.
    pub(crate) min_share: f64,
    pub(crate) max_changes: usize,
}

/// The most voted character of each place, changed where a layout of the grammar is nearly met.
/// Only characters that were read second, or that are the sole reading of an impossible one, come
/// in; and only into layouts whose Chinese characters were read as such, which keeps foreign plates
/// as they are.
pub(crate) fn apply_grammar(
    cells: &[Cell],
    colour: Option<PlateColour>,
    bounds: Bounds,
) -> (Vec<char>, Vec<Correction>) {
    let plain: Vec<char> = cells.iter().filter_map(|c| c.top().map(|t| t.0)).collect();
    if plain.len() != cells.len() || check_chars(&plain, None).is_valid() {
        return (plain, Vec::new());
    }
    let mut best: Option<(f64, Vec<Correction>)> = None;
    // Digits behind a province would turn any torn plate into a tractor's.
    let bendable = |p: &&Pattern| p.slots.len() == cells.len() && p.form != Form::Tractor;
    for p in PATTERNS.iter().filter(bendable) {
        let Some((mut cost, changes)) = bend(cells, &plain, p.slots, bounds) else {
            continue;
        };
        if colour.is_some_and(|c| !p.colours.contains(&c)) {
            cost += 1.0;
        }
        if best.as_ref().is_none_or(|b| cost < b.0) {
            best = Some((cost, changes));
        }
    }
    let changes = best.map(|b| b.1).unwrap_or_default();
    let mut text = plain;
    for c in &changes {
        text[c.position] = c.to;
    }
    (text, changes)
}

/// What it takes to make the winners fit a layout, with its cost. `None` when it would take too
/// much.
fn bend(
    cells: &[Cell],
    plain: &[char],
    slots: &[Slot],
    bounds: Bounds,
) -> Option<(f64, Vec<Correction>)> {
    if !slots.iter().any(|s| s.is_anchor()) {
        return None;
    }
    let (mut cost, mut changes) = (0.0, Vec::new());
    for (position, ((cell, &from), &slot)) in cells.iter().zip(plain).zip(slots).enumerate() {
        if slot.takes(from) {
            continue;
        }
        if slot.is_anchor() || changes.len() == bounds.max_changes {
            return None;
        }
        let first = cell.top().map_or(0.0, |t| t.1);
        let second = cell
            .votes
            .iter()
            .find(|(c, w)| slot.takes(*c) && *w >= first * bounds.min_share);
        let (to, c) = match (second, only_reading(from, slot)) {
            (Some(&(to, w)), _) => (to, (first / w).ln()),
            (None, Some(to)) => (to, (1.0 / bounds.min_share).ln()),
            (None, None) => return None,
        };
        cost += c;
        changes.push(Correction { position, from, to });
    }
    Some((cost, changes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        min_share: 0.1,
        max_changes: 2,
    };

    fn cells(text: &str) -> Vec<Cell> {
        text.chars()
            .map(|c| Cell {
                votes: vec![(c, 1.0)],
                open: 0.0,
            })
            .collect()
    }

    fn fixed(text: &str) -> (String, usize) {
        let (t, c) = apply_grammar(&cells(text), None, BOUNDS);
        (t.into_iter().collect(), c.len())
    }

    #[test]
    fn impossible_characters_are_put_right() {
        assert_eq!(fixed("皖A12O45"), ("皖A12045".into(), 1));
        assert_eq!(fixed("皖AI2O45"), ("皖A12045".into(), 2));
        assert_eq!(fixed("鲁G012E45"), ("鲁G012E45".into(), 0));
        assert_eq!(fixed("鲁G012345"), ("鲁GD12345".into(), 1));
    }

    #[test]
    fn foreign_and_broken_texts_stay() {
        for t in ["34A36837", "89C20339", "皖AIOIO5", "A1234", "VA1234O"] {
            assert_eq!(fixed(t), (t.into(), 0));
        }
    }

    #[test]
    fn a_runner_up_goes_before_a_likeness() {
        let mut c = cells("皖A12O45");
        c[4].add('Q', 0.3);
        let (t, changes) = apply_grammar(&c, None, BOUNDS);
        assert_eq!(t.into_iter().collect::<String>(), "皖A12Q45");
        assert_eq!(
            changes,
            [Correction {
                position: 4,
                from: 'O',
                to: 'Q'
            }]
        );
    }
}
