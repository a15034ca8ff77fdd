//! Several looks at one plate, read together.
//!
//! Every look gives the reader's probabilities step by step. What could be read is gathered by a
//! prefix beam search over each look (Graves, "Supervised Sequence Labelling with Recurrent Neural
//! Networks", 2012, section 7.5), each candidate is weighed by its CTC probability averaged over
//! all looks, and among candidates of about equal weight one that can be a plate goes before one
//! that cannot. Nothing comes in that no look has proposed.

use std::collections::BTreeMap;

use super::ctc::Steps;
use kakou_traffic::plate::{CharRead, PlateRead};

/// Prefixes kept per step.
const BEAM: usize = 8;
/// Characters less probable than this at a step are not followed.
const FAINT: f32 = 3e-3;
/// A text that can be a plate is preferred if it is at least this probable, as part of the best
/// text's probability.
const PREFERRED: f64 = 0.03;

/// The classes of a text, without blanks.
type Text = Vec<u16>;

/// Reads several looks at one plate as one. `plausible` says whether a text can be a plate.
pub(super) fn fuse(
    looks: &[Steps],
    dictionary: &[char],
    plausible: impl Fn(&str) -> bool,
) -> Option<PlateRead> {
    let mut texts: BTreeMap<Text, f64> = BTreeMap::new();
    for look in looks {
        for text in beam(look) {
            texts.entry(text).or_insert(0.0);
        }
    }
    for (text, p) in &mut texts {
        *p = looks.iter().map(|l| probability(l, text)).sum::<f64>() / looks.len().max(1) as f64;
    }
    let mut ranked: Vec<(Text, f64)> = texts.into_iter().filter(|t| !t.0.is_empty()).collect();
    // Stable, and the map's order is total: equal input gives equal output.
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    let best = ranked.first()?.1;
    let spelled = |t: &Text| {
        t.iter()
            .filter_map(|k| dictionary.get(usize::from(*k) - 1))
            .collect::<String>()
    };
    let chosen = ranked
        .iter()
        .find(|(t, p)| *p >= PREFERRED * best && plausible(&spelled(t)))
        .or(ranked.first())?;
    Some(characters(&chosen.0, &ranked, looks, dictionary))
}

/// Texts that one look may show, by prefix beam search.
fn beam(look: &Steps) -> Vec<Text> {
    // Probability of the prefix with a blank last, and with its last character last.
    let mut beams: Vec<(Text, (f64, f64))> = vec![(Vec::new(), (1.0, 0.0))];
    for step in look.iter() {
        let blank = f64::from(step[0]);
        let likely: Vec<(u16, f64)> = step
            .iter()
            .enumerate()
            .skip(1)
            .filter(|(_, p)| **p > FAINT)
            .map(|(k, p)| (k as u16, f64::from(*p)))
            .collect();
        let mut next: BTreeMap<Text, (f64, f64)> = BTreeMap::new();
        for (text, (with_blank, with_char)) in &beams {
            let all = with_blank + with_char;
            let last = text.last().copied();
            let same = next.entry(text.clone()).or_default();
            same.0 += all * blank;
            if let Some(l) = last {
                same.1 += with_char * f64::from(step[usize::from(l)]);
            }
            for (k, p) in &likely {
                let mut longer = text.clone();
                longer.push(*k);
                let from = if last == Some(*k) { *with_blank } else { all };
                next.entry(longer).or_default().1 += from * p;
            }
        }
        beams = next.into_iter().collect();
        beams.sort_by(|a, b| (b.1.0 + b.1.1).total_cmp(&(a.1.0 + a.1.1)));
        beams.truncate(BEAM);
    }
    beams.into_iter().map(|b| b.0).collect()
}

/// The CTC probability of a text: the forward algorithm over the text with blanks between.
fn probability(look: &Steps, text: &Text) -> f64 {
    let classes: Vec<usize> = std::iter::once(0)
        .chain(text.iter().flat_map(|k| [usize::from(*k), 0]))
        .collect();
    let n = classes.len();
    let mut alpha = vec![0.0f64; n];
    for (t, step) in look.iter().enumerate() {
        let mut next = vec![0.0; n];
        for s in 0..n {
            let mut from = if t == 0 {
                f64::from(u8::from(s < 2))
            } else {
                alpha[s]
            };
            if t > 0 && s >= 1 {
                from += alpha[s - 1];
            }
            if t > 0 && s >= 2 && classes[s] != 0 && classes[s] != classes[s - 2] {
                from += alpha[s - 2];
            }
            next[s] = from * f64::from(step[classes[s]]);
        }
        alpha = next;
    }
    alpha.iter().rev().take(2).sum()
}

/// Confidence per place: the share of all candidates' probability, among those of this length, that
/// agrees there.
fn characters(
    text: &Text,
    ranked: &[(Text, f64)],
    looks: &[Steps],
    dictionary: &[char],
) -> PlateRead {
    let same: Vec<&(Text, f64)> = ranked
        .iter()
        .filter(|(t, _)| t.len() == text.len())
        .collect();
    let total: f64 = same.iter().map(|s| s.1).sum::<f64>().max(f64::MIN_POSITIVE);
    // A plate that no look shows clearly is not sure, however its candidates agree with each other.
    let all: f64 = ranked.iter().map(|r| r.1).sum();
    let seen = all.min(1.0).powf(1.0 / text.len().max(1) as f64);
    let mut chars = Vec::with_capacity(text.len());
    for (i, k) in text.iter().enumerate() {
        let mut votes: BTreeMap<u16, f64> = BTreeMap::new();
        for (t, p) in &same {
            *votes.entry(t[i]).or_default() += p / total;
        }
        let of = |k: u16| dictionary.get(usize::from(k) - 1).copied();
        let runner_up = votes
            .iter()
            .filter(|(c, _)| *c != k)
            .max_by(|a, b| a.1.total_cmp(b.1))
            .and_then(|(c, p)| of(*c).map(|c| (c, (p * seen) as f32)));
        if let Some(ch) = of(*k) {
            let conf = (votes.get(k).copied().unwrap_or(0.0) * seen) as f32;
            chars.push(CharRead {
                ch,
                conf,
                runner_up,
            });
        }
    }
    debug_assert!(!looks.is_empty());
    PlateRead { chars, rows: 1 }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const DICT: [char; 3] = ['A', '8', '0'];

    fn look(steps: &[[f32; 4]]) -> Steps {
        Steps {
            classes: 4,
            values: steps.concat(),
        }
    }

    #[test]
    fn the_forward_algorithm_counts_every_path() {
        let l = look(&[[0.5, 0.5, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0]]);
        // "A": A-, -A, AA; "": --
        assert!((probability(&l, &vec![1]) - 0.75).abs() < 1e-6);
        assert!((probability(&l, &vec![]) - 0.25).abs() < 1e-6);
        assert!(
            probability(&l, &vec![1, 1]).abs() < 1e-9,
            "a double needs a blank between"
        );
        let texts = beam(&l);
        assert!(texts.contains(&vec![1]) && texts.contains(&vec![]));
    }

    #[test]
    fn looks_are_weighed_together() {
        let sure = look(&[[0.0, 0.98, 0.02, 0.0], [0.9, 0.0, 0.1, 0.0]]);
        let unsure = look(&[[0.0, 0.45, 0.55, 0.0], [0.9, 0.0, 0.1, 0.0]]);
        let both = fuse(&[unsure.clone(), sure], &DICT, |_| true).unwrap();
        assert_eq!(both.text(), "A");
        let alone = fuse(&[unsure], &DICT, |_| true).unwrap();
        assert_eq!(alone.text(), "8");
        assert_eq!(alone.chars[0].runner_up.unwrap().0, 'A');
        assert!(both.chars[0].conf > alone.chars[0].conf);
    }

    #[test]
    fn what_can_be_a_plate_goes_before_what_cannot_but_only_if_it_was_seen() {
        let l = look(&[[0.0, 0.0, 0.6, 0.4]]);
        assert_eq!(
            fuse(std::slice::from_ref(&l), &DICT, |t| t == "0")
                .unwrap()
                .text(),
            "0"
        );
        assert_eq!(
            fuse(&[l], &DICT, |t| t == "A").unwrap().text(),
            "8",
            "A was never seen"
        );
        assert!(fuse(&[look(&[[1.0, 0.0, 0.0, 0.0]])], &DICT, |_| true).is_none());
    }
}
