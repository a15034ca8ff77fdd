//! `kakou eval --calibration`: what was said with which probability, and whether it held.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Context;
use serde::Serialize;

use super::common::print_line;
use super::eval::single_ballot;
use crate::measure::eval::{
    Bin, Early, Recording, Reliability, Said, Story, TruthPicture, TruthPlate, early_table,
};
use kakou_traffic::detections::PlateFind;
use kakou_traffic::plate::Signs;

/// Votes are looked at after so many reads.
const AFTER: [u32; 4] = [1, 2, 4, 8];

/// Gathers what is said; writes down what it was made of, if that is wanted.
pub(super) struct Calibration {
    singles: Vec<Said>,
    /// Single reads that were too unsure to say a text.
    silent: usize,
    stories: Vec<Story>,
    signs: Option<BufWriter<File>>,
}

/// A line of the signs file.
#[derive(Serialize)]
struct Line<'a> {
    set: &'a str,
    picture: &'a str,
    /// The vehicle of a recording; `None`: a single picture.
    vehicle: Option<usize>,
    at_ms: u128,
    truth: Option<&'a str>,
    text: &'a str,
    probability: f32,
    #[serde(flatten)]
    signs: &'a Signs,
}

#[derive(Serialize)]
struct Printed<'a> {
    singles: &'a Reliability,
    silent: usize,
    vehicles: usize,
    votes: Vec<(String, Reliability)>,
    early: Vec<Early>,
}

impl Calibration {
    pub(super) fn new(signs: Option<&Path>) -> anyhow::Result<Self> {
        let signs = signs
            .map(|path| File::create(path).with_context(|| format!("writing {}", path.display())))
            .transpose()?;
        Ok(Self {
            singles: Vec::new(),
            silent: 0,
            stories: Vec::new(),
            signs: signs.map(BufWriter::new),
        })
    }

    /// A plate of a picture with what was found there.
    pub(super) fn single(
        &mut self,
        set: &str,
        picture: &TruthPicture,
        plate: &TruthPlate,
        find: &PlateFind,
    ) -> anyhow::Result<()> {
        let Some(ballot) = single_ballot(find) else {
            return Ok(());
        };
        let Ok((voted, signs)) = ballot.result_with_signs(None) else {
            self.silent += 1;
            return Ok(());
        };
        self.singles.push(Said {
            probability: f64::from(voted.probability),
            right: voted.text == plate.text,
        });
        self.write(&Line {
            set,
            picture: &picture.image.to_string_lossy(),
            vehicle: None,
            at_ms: 0,
            truth: Some(&plate.text),
            text: &voted.text,
            probability: voted.probability,
            signs: &signs,
        })
    }

    /// The vehicles of a recording.
    pub(super) fn stories(
        &mut self,
        set: &str,
        recording: &Recording,
        stories: Vec<Story>,
    ) -> anyhow::Result<()> {
        for (number, story) in stories.iter().enumerate() {
            for word in &story.words {
                self.write(&Line {
                    set,
                    picture: &recording.path.to_string_lossy(),
                    vehicle: Some(number),
                    at_ms: word.at.saturating_sub(story.first_read).as_millis(),
                    truth: story.truth.as_deref(),
                    text: &word.text,
                    probability: word.probability,
                    signs: &word.signs,
                })?;
            }
        }
        self.stories.extend(stories);
        Ok(())
    }

    fn write(&mut self, line: &Line<'_>) -> anyhow::Result<()> {
        if let Some(out) = &mut self.signs {
            writeln!(out, "{}", serde_json::to_string(line)?)?;
        }
        Ok(())
    }

    /// The votes after some reads each, of vehicles whose plate is known.
    fn votes(&self) -> Vec<(String, Reliability)> {
        let said = |word: fn(&Story, u32) -> Option<&crate::measure::eval::Word>, reads| {
            let all: Vec<Said> = self
                .stories
                .iter()
                .filter_map(|story| Some((story.truth.as_ref()?, word(story, reads)?)))
                .map(|(truth, word)| Said {
                    probability: f64::from(word.probability),
                    right: word.text == *truth,
                })
                .collect();
            Reliability::of(&all)
        };
        let mut votes: Vec<(String, Reliability)> = AFTER
            .iter()
            .map(|n| (format!("after {n} read(s)"), said(Story::after, *n)))
            .collect();
        votes.push(("after all reads".into(), said(|story, _| story.last(), 0)));
        votes
    }

    pub(super) fn print(mut self, json: bool) -> anyhow::Result<()> {
        if let Some(out) = &mut self.signs {
            out.flush()?;
        }
        let singles = Reliability::of(&self.singles);
        let (votes, early) = (self.votes(), early_table(&self.stories));
        if json {
            return print_line(&serde_json::to_string(&Printed {
                singles: &singles,
                silent: self.silent,
                vehicles: self.stories.len(),
                votes,
                early,
            })?);
        }
        print_line(&format!(
            "single reads: {}; {} more were too unsure to say a text",
            summary(&singles),
            self.silent
        ))?;
        diagram(&singles.bins)?;
        print_line("  as many in each bin:")?;
        diagram(&singles.adaptive)?;
        if self.stories.is_empty() {
            return Ok(());
        }
        let known = self.stories.iter().filter(|s| s.truth.is_some()).count();
        print_line(&format!(
            "recordings: {} vehicles with a read plate, {known} of them in the truth",
            self.stories.len()
        ))?;
        for (name, votes) in &votes {
            print_line(&format!("votes {name}: {}", summary(votes)))?;
            diagram(&votes.bins)?;
        }
        print_line("an early word, by the probability that it waits for:")?;
        print_line(
            "  from   told            later changed   told wrong      delay ms: median, p90",
        )?;
        for e in &early {
            let share = |n: usize, of: usize| {
                format!("{n} of {of} {:.1} %", n as f64 * 100.0 / of.max(1) as f64)
            };
            print_line(&format!(
                "  {:<6.2} {:<15} {:<15} {:<15} {}, {}",
                e.threshold,
                share(e.told, e.vehicles),
                share(e.changed, e.told),
                share(e.wrong, e.known),
                e.delay_median_ms,
                e.delay_p90_ms
            ))?;
        }
        Ok(())
    }
}

fn summary(r: &Reliability) -> String {
    format!(
        "{} of {} right ({:.1} %), said {:.1} %; expected calibration error {:.3} (equal widths), {:.3} (equal counts); Brier {:.4}",
        r.right,
        r.of,
        r.right as f64 * 100.0 / r.of.max(1) as f64,
        r.said * 100.0,
        r.ece,
        r.ece_adaptive,
        r.brier
    )
}

fn diagram(bins: &[Bin]) -> anyhow::Result<()> {
    print_line("  said            mean    right           interval of 95 %")?;
    for b in bins {
        print_line(&format!(
            "  {:.3} to {:.3}  {:.3}   {:<15} {:.3} to {:.3}",
            b.from,
            b.to,
            b.said,
            format!("{} of {}", b.right, b.of),
            b.low,
            b.high
        ))?;
    }
    Ok(())
}
