//! What is counted of a whole fleet while it runs, and how long acknowledgements take.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kakou_contract::{Envelope, MessageKind};

/// Buckets for each doubling: neighbours are 9 % apart.
const STEPS: u64 = 8;
const BUCKETS: usize = 40 * STEPS as usize;

#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn one(&self) {
        self.add(1);
    }

    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug)]
pub(crate) struct Tally {
    /// Acknowledged, each once: passages, hits, signals, status, audit, answers, pictures.
    pub(crate) kinds: [Count; 7],
    pub(crate) acknowledged: Count,
    pub(crate) made: Count,
    pub(crate) repeats: Count,
    pub(crate) evicted: Count,
    pub(crate) evil: Count,
    pub(crate) outages: Count,
    pub(crate) commands: Count,
    took: Vec<AtomicU64>,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            kinds: Default::default(),
            acknowledged: Count::default(),
            made: Count::default(),
            repeats: Count::default(),
            evicted: Count::default(),
            evil: Count::default(),
            outages: Count::default(),
            commands: Count::default(),
            took: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

impl Tally {
    pub(crate) fn kind(&self, kind: MessageKind) -> &Count {
        let at = MessageKind::ALL.iter().position(|k| *k == kind);
        // Every kind is in the list of all.
        &self.kinds[at.unwrap_or(0)]
    }

    pub(crate) fn took(&self, time: Duration) {
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1);
        if let Some(count) = self.took.get(bucket(us)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The time within which this share of the acknowledgements came, in milliseconds.
    pub(crate) fn within(&self, share: f64) -> f64 {
        let counts: Vec<u64> = self
            .took
            .iter()
            .map(|n| n.load(Ordering::Relaxed))
            .collect();
        let all: u64 = counts.iter().sum();
        let wanted = (all as f64 * share).ceil() as u64;
        let mut so_far = 0;
        let at = counts.iter().position(|n| {
            so_far += n;
            so_far >= wanted && so_far > 0
        });
        at.map_or(0.0, |at| upper_us(at as u64) / 1000.0)
    }
}

fn bucket(us: u64) -> usize {
    let doublings = u64::from(us.ilog2());
    let rest = us - (1 << doublings);
    let step = (u128::from(rest) * u128::from(STEPS)) >> doublings;
    ((doublings * STEPS + step as u64) as usize).min(BUCKETS - 1)
}

fn upper_us(bucket: u64) -> f64 {
    let (doublings, step) = (bucket / STEPS, bucket % STEPS);
    (1_u64 << doublings) as f64 * (1.0 + (step + 1) as f64 / STEPS as f64)
}

/// What a message is, by the CloudEvents type beside it.
pub(crate) fn kind(envelope: &Envelope) -> MessageKind {
    let told = property(envelope, "type").and_then(|t| t.split('.').nth(1));
    let found = MessageKind::ALL
        .into_iter()
        .find(|k| Some(k.as_str()) == told);
    found.unwrap_or(MessageKind::Evidence)
}

pub(crate) fn property<'a>(envelope: &'a Envelope, name: &str) -> Option<&'a str> {
    let all = &envelope.user_properties;
    all.iter()
        .find(|(n, _)| n == name)
        .map(|(_, value)| value.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_times_are_told_to_within_a_bucket() {
        let tally = Tally::default();
        assert!(tally.within(0.5).abs() < f64::EPSILON);
        for ms in 1..=1_000 {
            tally.took(Duration::from_millis(ms));
        }
        for (share, ms) in [(0.5, 500.0), (0.99, 990.0), (1.0, 1_000.0)] {
            let told = tally.within(share);
            assert!((ms * 0.99..ms * 1.15).contains(&told), "{share}: {told}");
        }
        tally.took(Duration::MAX);
        tally.took(Duration::ZERO);
    }
}
