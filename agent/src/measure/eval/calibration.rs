//! Whether probabilities hold: of what is said with 0.9, nine of ten must be right. Pure.

use serde::Serialize;

/// The bins of the printed diagram. "About 0.9" has one of its own; few plates lie below it.
const EDGES: [f64; 8] = [0.0, 0.3, 0.5, 0.7, 0.85, 0.95, 0.99, 1.0];
/// Bins of equal width of the expected calibration error, as it is usually defined.
const EQUAL: usize = 10;
/// Bins with equally many samples each.
const ADAPTIVE: usize = 10;
/// Standard deviations of an interval of 95 %.
const Z: f64 = 1.959_964;

/// A probability that was said, and whether it came true.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Said {
    pub probability: f64,
    pub right: bool,
}

/// What was said with about the same probability.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bin {
    pub from: f64,
    pub to: f64,
    /// The mean of what was said.
    pub said: f64,
    pub right: usize,
    pub of: usize,
    /// Wilson's interval of 95 % for the share that is right.
    pub low: f64,
    pub high: f64,
}

/// Reliability diagram and its sums; also what `--json` prints.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Reliability {
    pub of: usize,
    pub right: usize,
    /// The mean of what was said.
    pub said: f64,
    pub bins: Vec<Bin>,
    /// Bins with equally many samples.
    pub adaptive: Vec<Bin>,
    /// Expected calibration error over ten bins of equal width,
    pub ece: f64,
    /// and over those with equally many samples.
    pub ece_adaptive: f64,
    /// Mean squared difference of what was said and what came true.
    pub brier: f64,
}

impl Reliability {
    pub fn of(said: &[Said]) -> Self {
        let mut sorted = said.to_vec();
        sorted.sort_by(|a, b| a.probability.total_cmp(&b.probability));
        let cut = |edges: &[f64]| -> Vec<Bin> {
            edges
                .windows(2)
                .filter_map(|edge| {
                    let last = edge[1] >= 1.0;
                    let within =
                        |s: &&Said| s.probability >= edge[0] && (s.probability < edge[1] || last);
                    let part: Vec<Said> = sorted.iter().filter(within).copied().collect();
                    bin(&part, edge[0], edge[1])
                })
                .collect()
        };
        let equal: Vec<f64> = (0..=EQUAL).map(|i| i as f64 / EQUAL as f64).collect();
        let adaptive = adaptive(&sorted);
        let n = sorted.len().max(1) as f64;
        let miss = |s: &Said| (s.probability - f64::from(u8::from(s.right))).powi(2);
        Self {
            of: sorted.len(),
            right: sorted.iter().filter(|s| s.right).count(),
            said: sorted.iter().map(|s| s.probability).sum::<f64>() / n,
            bins: cut(&EDGES),
            ece: error(&cut(&equal)),
            ece_adaptive: error(&adaptive),
            adaptive,
            brier: sorted.iter().map(miss).sum::<f64>() / n,
        }
    }
}

/// Equal probabilities stay together: a bin's edge between them would be made by chance.
fn adaptive(sorted: &[Said]) -> Vec<Bin> {
    let size = sorted.len().div_ceil(ADAPTIVE).max(1);
    let (mut bins, mut from) = (Vec::new(), 0);
    while from < sorted.len() {
        let mut to = (from + size).min(sorted.len());
        while to < sorted.len() && sorted[to].probability == sorted[to - 1].probability {
            to += 1;
        }
        let part = &sorted[from..to];
        bins.extend(bin(
            part,
            part[0].probability,
            part[part.len() - 1].probability,
        ));
        from = to;
    }
    bins
}

fn bin(part: &[Said], from: f64, to: f64) -> Option<Bin> {
    let of = part.len();
    let right = part.iter().filter(|s| s.right).count();
    let (low, high) = wilson(right, of)?;
    let said = part.iter().map(|s| s.probability).sum::<f64>() / of as f64;
    Some(Bin {
        from,
        to,
        said,
        right,
        of,
        low,
        high,
    })
}

/// Wilson's interval; `None` of nothing.
pub fn wilson(right: usize, of: usize) -> Option<(f64, f64)> {
    if of == 0 {
        return None;
    }
    let (n, p) = (of as f64, right as f64 / of as f64);
    let z2 = Z * Z;
    let middle = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = Z / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    Some(((middle - half).max(0.0), (middle + half).min(1.0)))
}

fn error(bins: &[Bin]) -> f64 {
    let all: usize = bins.iter().map(|b| b.of).sum();
    let gap = |b: &Bin| (b.said - b.right as f64 / b.of as f64).abs() * b.of as f64;
    bins.iter().map(gap).sum::<f64>() / all.max(1) as f64
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn said(probability: f64, right: usize, of: usize) -> Vec<Said> {
        (0..of)
            .map(|i| Said {
                probability,
                right: i < right,
            })
            .collect()
    }

    #[test]
    fn what_holds_has_no_error_and_what_does_not_has_its_gap() {
        let all = [said(0.9, 90, 100), said(0.25, 1, 4)].concat();
        let r = Reliability::of(&all);
        assert!(r.ece < 1e-9 && r.ece_adaptive < 1e-9, "{r:?}");
        assert_eq!((r.of, r.right), (104, 91));
        let r = Reliability::of(&said(0.9, 50, 100));
        assert!((r.ece - 0.4).abs() < 1e-9 && (r.brier - 0.41).abs() < 1e-9);
        let about = r.bins.iter().find(|b| b.from == 0.85).unwrap();
        assert_eq!((about.right, about.of), (50, 100));
    }

    #[test]
    fn nothing_said_is_nothing() {
        let r = Reliability::of(&[]);
        assert_eq!(
            (r.of, r.ece, r.bins.len(), r.adaptive.len()),
            (0, 0.0, 0, 0)
        );
        assert_eq!(wilson(0, 0), None);
    }

    #[test]
    fn intervals_are_wilson_s() {
        let (low, high) = wilson(9, 10).unwrap();
        assert!((low - 0.5958).abs() < 1e-3 && (high - 0.9821).abs() < 1e-3);
        let (low, high) = wilson(10, 10).unwrap();
        assert!((low - 0.7225).abs() < 1e-3 && high <= 1.0);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_between_bins(values in prop::collection::vec((0.0f64..=1.0, any::<bool>()), 0..200)) {
            let all: Vec<Said> = values
                .iter()
                .map(|&(probability, right)| Said { probability, right })
                .collect();
            let r = Reliability::of(&all);
            for bins in [&r.bins, &r.adaptive] {
                prop_assert_eq!(bins.iter().map(|b| b.of).sum::<usize>(), all.len());
                prop_assert_eq!(bins.iter().map(|b| b.right).sum::<usize>(), r.right);
                for b in bins {
                    let share = b.right as f64 / b.of as f64;
                    prop_assert!(b.low <= share + 1e-9 && share <= b.high + 1e-9);
                    prop_assert!(b.from <= b.said + 1e-9 && b.said <= b.to + 1e-9);
                }
            }
            prop_assert!((0.0..=1.0).contains(&r.ece) && (0.0..=1.0).contains(&r.brier));
        }
    }
}
