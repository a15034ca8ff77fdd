//! What an early word would have been worth: a voted text is told as soon as its probability
//! reaches a threshold, and must not change after that. Pure.

use std::time::Duration;

use kakou_traffic::plate::Signs;
use serde::Serialize;

/// The thresholds of the table.
const THRESHOLDS: [f32; 10] = [0.5, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99];

/// What the vote over a vehicle's reads said after one more read.
#[derive(Debug, Clone, PartialEq)]
pub struct Word {
    /// Since the recording's first frame.
    pub at: Duration,
    pub reads: u32,
    pub text: String,
    pub probability: f32,
    pub signs: Signs,
}

/// The words about one vehicle, in order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Story {
    /// Of its first read, whether or not that gave a text.
    pub first_read: Duration,
    pub words: Vec<Word>,
    /// What stands on its plate; `None`: it is in no truth.
    pub truth: Option<String>,
}

impl Story {
    /// The word after exactly so many reads, or the last one of a vehicle read more often than
    /// `least` times.
    pub fn after(&self, reads: u32) -> Option<&Word> {
        self.words.iter().find(|w| w.reads == reads)
    }

    pub fn last(&self) -> Option<&Word> {
        self.words.last()
    }

    fn told(&self, threshold: f32) -> Option<&Word> {
        self.words.iter().find(|w| w.probability >= threshold)
    }
}

/// One row of the table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Early {
    pub threshold: f32,
    /// Vehicles of which something was read.
    pub vehicles: usize,
    pub told: usize,
    /// Of those told, how many ended with another text,
    pub changed: usize,
    /// how many are known, and how many of these were told wrong.
    pub known: usize,
    pub wrong: usize,
    /// From the first read to the telling, in milliseconds.
    pub delay_median_ms: u64,
    pub delay_p90_ms: u64,
    pub reads_median: u32,
}

pub fn table(stories: &[Story]) -> Vec<Early> {
    THRESHOLDS.iter().map(|t| row(stories, *t)).collect()
}

fn row(stories: &[Story], threshold: f32) -> Early {
    let told: Vec<(&Story, &Word)> = stories
        .iter()
        .filter_map(|s| s.told(threshold).map(|w| (s, w)))
        .collect();
    let changed = |s: &Story, w: &Word| s.last().is_some_and(|last| last.text != w.text);
    let known: Vec<(&String, &Word)> = told
        .iter()
        .filter_map(|(s, w)| s.truth.as_ref().map(|t| (t, *w)))
        .collect();
    let mut delays: Vec<u64> = told
        .iter()
        .map(|(s, w)| w.at.saturating_sub(s.first_read).as_millis() as u64)
        .collect();
    delays.sort_unstable();
    let mut reads: Vec<u32> = told.iter().map(|(_, w)| w.reads).collect();
    reads.sort_unstable();
    Early {
        threshold,
        vehicles: stories.iter().filter(|s| !s.words.is_empty()).count(),
        told: told.len(),
        changed: told.iter().filter(|(s, w)| changed(s, w)).count(),
        known: known.len(),
        wrong: known.iter().filter(|(t, w)| **t != w.text).count(),
        delay_median_ms: at_share(&delays, 0.5).unwrap_or(0),
        delay_p90_ms: at_share(&delays, 0.9).unwrap_or(0),
        reads_median: at_share(&reads, 0.5).unwrap_or(0),
    }
}

fn at_share<T: Copy>(sorted: &[T], share: f64) -> Option<T> {
    let at = (sorted.len() as f64 * share) as usize;
    sorted.get(at.min(sorted.len().saturating_sub(1))).copied()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use kakou_traffic::plate::{Ballot, CharRead, PlateRead, VoteConfig};

    fn story(words: &[(&str, f32)], truth: Option<&str>) -> Story {
        let read = PlateRead {
            chars: "皖A12345"
                .chars()
                .map(|ch| CharRead {
                    ch,
                    conf: 0.99,
                    runner_up: None,
                })
                .collect(),
            rows: 1,
        };
        let mut ballot = Ballot::new(VoteConfig::default());
        ballot.add(&read, 1.0);
        let signs = ballot.result_with_signs(None).unwrap().1;
        let words = words
            .iter()
            .zip(1_u32..)
            .map(|((text, probability), reads)| Word {
                at: Duration::from_millis(100 * u64::from(reads)),
                reads,
                text: (*text).into(),
                probability: *probability,
                signs,
            })
            .collect();
        Story {
            first_read: Duration::from_millis(100),
            words,
            truth: truth.map(Into::into),
        }
    }

    #[test]
    fn a_text_is_told_once_it_is_probable_and_must_stay() {
        let stories = [
            story(&[("a", 0.6), ("a", 0.92), ("a", 0.99)], Some("a")),
            story(&[("b", 0.91), ("c", 0.95)], Some("c")),
            story(&[("d", 0.4)], None),
            story(&[("e", 0.91)], Some("f")),
            Story::default(),
        ];
        let rows = table(&stories);
        let at = |t: f32| rows.iter().find(|r| r.threshold == t).unwrap();
        let row = at(0.9);
        assert_eq!(
            (row.vehicles, row.told, row.changed, row.known, row.wrong),
            (4, 3, 1, 3, 2)
        );
        assert_eq!((row.delay_median_ms, row.delay_p90_ms), (0, 100));
        let row = at(0.95);
        assert_eq!((row.told, row.changed, row.wrong), (2, 0, 0));
    }
}
