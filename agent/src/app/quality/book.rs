//! What is written down of a day and of the days before it. Pure, but for the file.

use std::path::Path;

use anyhow::Context;
use chrono::{DateTime, FixedOffset, NaiveDate};
use kakou_contract::{
    CameraQuality, Id, LaneBefore, LaneQuality, QUALITY_DAYS_MAX, QUALITY_ROWS_MAX, QualityReport,
};
use kakou_guard::file::{read_bounded, replace};
use serde::{Deserialize, Serialize};

/// 28 days of some hundred lanes are 1 MiB.
const LARGEST: u64 = 16 << 20;
/// A day of which so little is known, and on which nothing passed, is none: a box that begins with
/// the clock of its last shutdown, and learns the time a minute later.
const HARDLY_BEGUN_S: f64 = 600.0;

/// A lane's day, in sums.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LaneDay {
    pub camera: Id,
    pub lane: Option<Id>,
    pub passages: u64,
    pub read: u64,
    pub confidence: f64,
    pub width: f64,
}

/// A camera's day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CameraDay {
    pub camera: Id,
    pub looked: u64,
    pub dropped: u64,
    pub restarts: u64,
    pub down_s: f64,
}

/// What came between two looks, or in a day.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    pub covered_s: f64,
    pub unsynchronised_s: f64,
    pub cameras: Vec<CameraDay>,
    pub lanes: Vec<LaneDay>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Day {
    date: NaiveDate,
    from: DateTime<FixedOffset>,
    counts: Counts,
}

/// Today, and the days that it is compared with, the oldest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Book {
    today: Option<Day>,
    past: Vec<Day>,
}

impl Counts {
    fn is_empty(&self) -> bool {
        self.lanes.is_empty() && self.covered_s < HARDLY_BEGUN_S
    }

    fn add(&mut self, more: Counts) {
        self.covered_s += more.covered_s;
        self.unsynchronised_s += more.unsynchronised_s;
        for new in more.cameras {
            match self.cameras.iter_mut().find(|c| c.camera == new.camera) {
                Some(known) => {
                    known.looked += new.looked;
                    known.dropped += new.dropped;
                    known.restarts += new.restarts;
                    known.down_s += new.down_s;
                }
                None => self.cameras.push(new),
            }
        }
        for new in more.lanes {
            let of = |l: &&mut LaneDay| l.camera == new.camera && l.lane == new.lane;
            match self.lanes.iter_mut().find(of) {
                Some(known) => {
                    known.passages += new.passages;
                    known.read += new.read;
                    known.confidence += new.confidence;
                    known.width += new.width;
                }
                None => self.lanes.push(new),
            }
        }
    }
}

impl LaneDay {
    fn mean(&self, sum: f64) -> Option<f32> {
        (self.read > 0).then(|| (sum / self.read as f64) as f32)
    }
}

impl Book {
    /// Reads what an earlier run wrote down. One that cannot be read is begun anew: it is no
    /// evidence, and must not keep a box from running.
    pub fn open(path: &Path) -> Self {
        let read = || -> anyhow::Result<Self> {
            let bytes = read_bounded(path, LARGEST).map_err(|e| anyhow::anyhow!(e.why))?;
            Ok(serde_json::from_slice(&bytes)?)
        };
        if !path.exists() {
            return Self::default();
        }
        read().unwrap_or_else(|e| {
            tracing::warn!(file = %path.display(), "the days before cannot be read, they are begun anew: {e:#}");
            Self::default()
        })
    }

    pub fn save(&self, path: &Path) -> anyhow::Result<()> {
        let bytes = serde_json::to_vec(self)?;
        replace(path, &bytes, 0o640)
            .with_context(|| format!("{}: the day's counts cannot be kept", path.display()))
    }

    /// Takes in what came until now. The report of a day that is over, if one is.
    pub fn add(&mut self, now: DateTime<FixedOffset>, counts: Counts) -> Option<QualityReport> {
        let date = now.date_naive();
        // A day further ahead than tomorrow was none of this time: the clock was wrong.
        let tomorrow = date.succ_opt().unwrap_or(date);
        let over = self
            .today
            .take_if(|day| day.date < date || day.date > tomorrow);
        let report = over.and_then(|day| self.close(day, now));
        // A clock that was set back goes on in the day that was begun.
        let today = self.today.get_or_insert_with(|| Day {
            date,
            from: now,
            counts: Counts::default(),
        });
        today.counts.add(counts);
        report
    }

    fn close(&mut self, day: Day, now: DateTime<FixedOffset>) -> Option<QualityReport> {
        if day.counts.is_empty() {
            return None;
        }
        let midnight = day
            .date
            .succ_opt()
            .and_then(|next| next.and_hms_opt(0, 0, 0))
            .and_then(|next| next.and_local_timezone(*now.offset()).single());
        let until = midnight.unwrap_or(now).max(day.from);
        let counts = &day.counts;
        let report = QualityReport {
            from: day.from,
            until,
            covered_s: counts.covered_s as u64,
            unsynchronised_s: counts.unsynchronised_s as u64,
            cameras: counts
                .cameras
                .iter()
                .take(QUALITY_ROWS_MAX)
                .map(camera)
                .collect(),
            lanes: counts
                .lanes
                .iter()
                .take(QUALITY_ROWS_MAX)
                .map(|lane| self.lane(lane))
                .collect(),
        };
        self.past.push(day);
        let most = QUALITY_DAYS_MAX as usize;
        self.past.drain(..self.past.len().saturating_sub(most));
        Some(report)
    }

    fn lane(&self, lane: &LaneDay) -> LaneQuality {
        LaneQuality {
            camera: lane.camera.clone(),
            lane: lane.lane.clone(),
            passages: lane.passages,
            read: lane.read,
            confidence: lane.mean(lane.confidence).map(Into::into),
            plate_width: lane.mean(lane.width).map(Into::into),
            before: self.before(lane),
        }
    }

    fn before(&self, lane: &LaneDay) -> Option<LaneBefore> {
        let days = self.past.iter().filter_map(|day| {
            let mut lanes = day.counts.lanes.iter();
            lanes.find(|l| l.camera == lane.camera && l.lane == lane.lane)
        });
        let (mut n, mut all) = (
            0,
            LaneDay {
                passages: 0,
                read: 0,
                confidence: 0.0,
                width: 0.0,
                ..lane.clone()
            },
        );
        for day in days {
            n += 1;
            all.passages += day.passages;
            all.read += day.read;
            all.confidence += day.confidence;
            all.width += day.width;
        }
        (n > 0).then(|| LaneBefore {
            days: n,
            passages: all.passages,
            read: all.read,
            confidence: all.mean(all.confidence).map(Into::into),
            plate_width: all.mean(all.width).map(Into::into),
        })
    }
}

fn camera(day: &CameraDay) -> CameraQuality {
    CameraQuality {
        camera: day.camera.clone(),
        looked: day.looked,
        dropped: day.dropped,
        restarts: day.restarts,
        down_s: day.down_s as u64,
    }
}

#[cfg(test)]
#[path = "book_tests.rs"]
mod tests;
