//! The daily report: what each day was worth as data, by camera and lane, so that a dirty lens shows
//! at the centre before somebody drives there. It goes out as an audit message after midnight.

mod book;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use kakou_contract::{AuditEvent, ClockState, Health, Id};
use tokio::time::{MissedTickBehavior, interval};

use super::overview::Sources;
use super::recorder::Intake;
use super::supervise::{Pulse, TaskPart};
use book::{Book, CameraDay, Counts, LaneDay};

/// How often it is looked what came.
const EVERY: Duration = Duration::from_secs(5);
/// How often it is written down: what a kill takes is no more.
const SAVE_EVERY: Duration = Duration::from_secs(300);
/// The file's name in the state folder.
const FILE: &str = "quality.json";

/// Counts that grow from the start of a camera or of the agent, as they stood at the last look.
#[derive(Default)]
struct Last {
    cameras: BTreeMap<Id, [u64; 3]>,
    lanes: BTreeMap<(Id, Option<Id>), LaneDay>,
    looked: Option<Duration>,
}

pub struct QualityPart {
    sources: Sources,
    intake: Intake,
    file: PathBuf,
    book: Book,
    last: Last,
    saved: Duration,
}

impl QualityPart {
    pub fn new(sources: Sources, intake: Intake, state: &std::path::Path) -> Self {
        let file = state.join(FILE);
        Self {
            book: Book::open(&file),
            saved: sources.clock.mono(),
            sources,
            intake,
            file,
            last: Last::default(),
        }
    }

    async fn look(&mut self) -> anyhow::Result<()> {
        let now = self.sources.clock.now();
        let counts = self.counts(now.mono);
        let report = self.book.add(now.wall, counts);
        if report.is_some() || now.mono.saturating_sub(self.saved) >= SAVE_EVERY {
            self.saved = now.mono;
            let (book, file) = (self.book.clone(), self.file.clone());
            // A disk may let a write wait.
            let saved = tokio::task::spawn_blocking(move || book.save(&file)).await?;
            if let Err(e) = saved {
                // The report is worth more than the file: without it a restart tells the day again.
                tracing::warn!("{e:#}");
            }
        }
        if let Some(report) = report {
            self.intake.audit(AuditEvent::Quality(report));
        }
        Ok(())
    }

    /// What came since the last look.
    fn counts(&mut self, now: Duration) -> Counts {
        let since = self.last.looked.replace(now);
        let passed = since.map_or(0.0, |then| now.saturating_sub(then).as_secs_f64());
        let unsynchronised = self.sources.clock.status().state == ClockState::Unsynchronised;
        let views = self.sources.views.all();
        let cameras = views.iter().map(|view| {
            let status = view.status();
            let all = [
                status.frames,
                status.frames_dropped,
                status.restarts.unwrap_or(0),
            ];
            let before = self.last.cameras.insert(status.camera.clone(), all);
            let before = before.unwrap_or_default();
            let [looked, dropped, restarts] = [0, 1, 2].map(|at| grown(before[at], all[at]));
            CameraDay {
                camera: status.camera,
                looked,
                dropped,
                restarts,
                down_s: if status.health == Health::Failed {
                    passed
                } else {
                    0.0
                },
            }
        });
        let cameras = cameras.collect();
        let mut lanes = Vec::new();
        for (camera, tally) in self.sources.tallies.all() {
            for (lane, counts) in tally.lanes {
                let all = LaneDay {
                    camera: camera.clone(),
                    lane: lane.clone(),
                    passages: counts.passages(),
                    read: counts.read,
                    confidence: counts.confidence.sum,
                    width: counts.width.sum,
                };
                let key = (camera.clone(), lane);
                let new = match self.last.lanes.get(&key) {
                    Some(before) => LaneDay {
                        passages: all.passages.saturating_sub(before.passages),
                        read: all.read.saturating_sub(before.read),
                        confidence: all.confidence - before.confidence,
                        width: all.width - before.width,
                        ..all.clone()
                    },
                    None => all.clone(),
                };
                self.last.lanes.insert(key, all);
                if new.passages > 0 {
                    lanes.push(new);
                }
            }
        }
        Counts {
            covered_s: passed,
            unsynchronised_s: if unsynchronised { passed } else { 0.0 },
            cameras,
            lanes,
        }
    }
}

/// By how much a count has grown; one that is smaller than before began anew.
fn grown(before: u64, now: u64) -> u64 {
    now.checked_sub(before).unwrap_or(now)
}

impl TaskPart for QualityPart {
    async fn run_once(&mut self, pulse: &Pulse) -> anyhow::Result<()> {
        let mut tick = interval(EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            self.look().await?;
            pulse.working();
        }
    }
}

impl Drop for QualityPart {
    /// The ordered end.
    fn drop(&mut self) {
        let now = self.sources.clock.now();
        let counts = self.counts(now.mono);
        // A day that ends just now is told at the next start.
        if self.book.add(now.wall, counts).is_none()
            && let Err(e) = self.book.save(&self.file)
        {
            tracing::warn!("{e:#}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_that_begins_anew_has_grown_by_what_it_is() {
        assert_eq!((grown(5, 9), grown(9, 2), grown(0, 0)), (4, 2, 0));
    }
}
