//! `kakou eval --hits`: what a watchlist makes of real reads whose truth is known.
//!
//! The plates of the truth are dealt into two halves by their text. Once each half is listed, among
//! many plates that nobody drives, and all pictures are compared with that list: at level red,
//! where only exact matches count, and at level orange, where near ones count too.

use std::collections::BTreeSet;
use std::sync::Arc;

use kakou_contract::{Id, Level, PassageMessage, Px};
use kakou_time::{Clock, SystemClock};
use kakou_traffic::detections::PlateFind;
use kakou_traffic::plate::PROVINCES;
use kakou_traffic::watchlist::{Conditions, ListOptions, Listed, Lists, Match, Policy, Weights};
use serde::Serialize;

use super::common::print_line;
use super::eval::single_ballot;
use super::watchlist_test::passage_of;
use crate::app::watchfile::decode;
use crate::measure::eval::TruthPlate;

/// Plates in the list beside those of the truth.
const OTHERS: usize = 100_000;
const LETTERS: &str = "ABCDEFGHJKLMNPQRSTUVWXYZ";
const SERIAL: &str = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ";

/// A plate of the truth with what the agent would say of it.
struct Seen {
    truth: String,
    passage: PassageMessage,
}

#[derive(Default)]
pub(super) struct HitFigures {
    seen: Vec<Seen>,
    plates: usize,
}

/// Of all plates whose half was listed, and of all whose half was not: each plate is once in each.
#[derive(Debug, Default, Serialize)]
struct Figures {
    plates: usize,
    read: usize,
    read_right: usize,
    /// Of those read right, while listed: hits that name their entry.
    found: usize,
    /// Read with exactly one character wrong, while listed.
    one_wrong: usize,
    one_wrong_found: usize,
    /// Of them with a pair that is known to be confused.
    one_confused: usize,
    one_confused_found: usize,
    /// While not listed: red hits, of so many reads.
    not_listed: usize,
    false_red: usize,
    /// And near hits, which say that they are.
    false_near: usize,
}

impl HitFigures {
    /// A plate of a picture with what was found there.
    pub(super) fn add(
        &mut self,
        plate: &TruthPlate,
        find: Option<&PlateFind>,
    ) -> anyhow::Result<()> {
        self.plates += 1;
        let Some(Ok(voted)) = find.and_then(single_ballot).map(|b| b.result(None)) else {
            return Ok(());
        };
        let plate_read = crate::message::plate(&voted, [[Px::new(0.0); 2]; 4]);
        self.seen.push(Seen {
            truth: plate.text.clone(),
            passage: passage_of(
                plate_read,
                Id::new("camera", "cam-1")?,
                SystemClock::default().wall(),
            )?,
        });
        Ok(())
    }

    pub(super) fn print(&self, json: bool) -> anyhow::Result<()> {
        let figures = self.figures()?;
        if json {
            return print_line(&serde_json::to_string(&figures)?);
        }
        let share = |n: usize, of: usize| {
            format!("{n} of {of} ({:.1} %)", n as f64 * 100.0 / of.max(1) as f64)
        };
        let f = &figures;
        for line in [
            format!(
                "plates {}, read {}, read right {}",
                f.plates, f.read, f.read_right
            ),
            format!(
                "listed and read right: hits {}",
                share(f.found, f.read_right)
            ),
            format!(
                "listed and read with one known confusion: near hits {}",
                share(f.one_confused_found, f.one_confused)
            ),
            format!(
                "listed and read with any one character wrong: near hits {}",
                share(f.one_wrong_found, f.one_wrong)
            ),
            format!(
                "not listed: red hits {}, near hits below red {}",
                share(f.false_red, f.not_listed),
                share(f.false_near, f.not_listed)
            ),
        ] {
            print_line(&line)?;
        }
        Ok(())
    }

    fn figures(&self) -> anyhow::Result<Figures> {
        let truths: BTreeSet<&str> = self.seen.iter().map(|s| s.truth.as_str()).collect();
        let mut figures = Figures {
            plates: self.plates,
            read: self.seen.len(),
            ..Figures::default()
        };
        let weights = Weights::default();
        let strangers = strangers(&truths);
        for half in [0, 1] {
            let listed = truths.iter().copied().filter(|t| half_of(t) == half);
            let listed: Vec<&str> = listed.collect();
            let text = format!("plate\n{}\n{strangers}", listed.join("\n"));
            let (red, orange) = (lists(&text, Level::Red)?, lists(&text, Level::Orange)?);
            for seen in &self.seen {
                let conditions = Conditions::default();
                let at_red = red.best(&seen.passage, &conditions);
                let at_orange = orange.best(&seen.passage, &conditions);
                let names = |hit: &Option<Match<'_>>| {
                    hit.as_ref().is_some_and(|h| h.entry().plate == seen.truth)
                };
                let text = seen.passage.plate.as_ref().map_or("", |p| &p.text);
                if half_of(&seen.truth) != half {
                    figures.not_listed += 1;
                    figures.false_red += usize::from(at_red.is_some());
                    figures.false_near += usize::from(at_orange.is_some());
                } else if text == seen.truth {
                    figures.read_right += 1;
                    figures.found += usize::from(names(&at_red));
                } else if let Some((read, meant)) = one_wrong(text, &seen.truth) {
                    let found = usize::from(names(&at_orange));
                    figures.one_wrong += 1;
                    figures.one_wrong_found += found;
                    if weights.knows(read, meant) {
                        figures.one_confused += 1;
                        figures.one_confused_found += found;
                    }
                }
            }
        }
        Ok(figures)
    }
}

/// The same plate is always in the same half.
fn half_of(text: &str) -> u32 {
    text.chars().map(u32::from).sum::<u32>() % 2
}

/// The one pair of characters in which two texts of the same length differ: read, and meant.
fn one_wrong(read: &str, truth: &str) -> Option<(char, char)> {
    if read.chars().count() != truth.chars().count() {
        return None;
    }
    let mut pairs = read.chars().zip(truth.chars()).filter(|(a, b)| a != b);
    let pair = pairs.next()?;
    pairs.next().is_none().then_some(pair)
}

/// Plates that drive in no picture, a line each.
fn strangers(truths: &BTreeSet<&str>) -> String {
    let (mut text, mut made, mut random) = (String::new(), 0, Random(7));
    while made < OTHERS {
        let mut plate = String::new();
        plate.push(random.one_of(PROVINCES));
        plate.push(random.one_of(LETTERS));
        plate.extend((0..5).map(|_| random.one_of(SERIAL)));
        if !truths.contains(plate.as_str()) {
            text.push_str(&plate);
            text.push('\n');
            made += 1;
        }
    }
    text
}

/// Of plates, a line each.
fn lists(plates: &str, level: Level) -> anyhow::Result<Lists> {
    let options = ListOptions {
        level: Some(level),
        category: Some("stolen".to_owned()),
        ..ListOptions::default()
    };
    let list = Arc::new(decode(&options, plates.as_bytes())?.parsed.list);
    let policy = Arc::new(Policy::default());
    Ok(Lists::new(vec![Listed { list, policy }], Arc::default()))
}

/// The same numbers each time (SplitMix64).
struct Random(u64);

impl Random {
    fn one_of(&mut self, chars: &str) -> char {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        let count = chars.chars().count() as u64;
        chars.chars().nth((z % count) as usize).unwrap_or('0')
    }
}
