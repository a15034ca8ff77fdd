//! What a day was worth as data: the daily report of an agent, by camera and lane.

use chrono::{DateTime, FixedOffset};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Id;
use crate::message::MessageError;
use crate::values::{Confidence, Px};

/// The most lanes and cameras of a report.
pub const QUALITY_ROWS_MAX: usize = 1_000;
/// The most days that a day is compared with.
pub const QUALITY_DAYS_MAX: u32 = 28;

/// One day of one box, midnight to midnight in the zone of its clock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QualityReport {
    /// When it began to count: midnight, or when the box was first started.
    #[serde(with = "crate::time")]
    #[schemars(with = "DateTime<FixedOffset>")]
    pub from: DateTime<FixedOffset>,
    /// When it ended.
    #[serde(with = "crate::time")]
    #[schemars(with = "DateTime<FixedOffset>")]
    pub until: DateTime<FixedOffset>,
    /// For how many seconds of it the agent ran, to a few minutes: what a kill took is not counted.
    pub covered_s: u64,
    /// For how many seconds of them no time source disciplined the clock.
    pub unsynchronised_s: u64,
    #[schemars(length(max = QUALITY_ROWS_MAX))]
    pub cameras: Vec<CameraQuality>,
    /// Those that a vehicle passed.
    #[schemars(length(max = QUALITY_ROWS_MAX))]
    pub lanes: Vec<LaneQuality>,
}

/// How a camera served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CameraQuality {
    pub camera: Id,
    /// Frames looked at.
    pub looked: u64,
    /// Frames not looked at because a newer one came first.
    pub dropped: u64,
    /// Connections made anew.
    pub restarts: u64,
    /// Seconds in a state in which nothing can be recorded.
    pub down_s: u64,
}

/// What passed a lane, and what could be read of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LaneQuality {
    pub camera: Id,
    /// `null`: outside of all lanes.
    pub lane: Option<Id>,
    pub passages: u64,
    /// Of them, those whose plate was read.
    pub read: u64,
    /// Mean of the plates that were read; missing where none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<Confidence>,
    /// Their mean width in pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plate_width: Option<Px>,
    /// The same lane on the days before; missing on its first day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<LaneBefore>,
}

/// A lane over the days before: what a day is compared with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LaneBefore {
    /// Days on which something passed.
    #[schemars(range(min = 1, max = QUALITY_DAYS_MAX))]
    pub days: u32,
    /// Passages of all of them.
    pub passages: u64,
    pub read: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<Confidence>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plate_width: Option<Px>,
}

impl QualityReport {
    pub(crate) fn check(&self) -> Result<(), MessageError> {
        if self.from > self.until {
            return Err(MessageError::invalid("event.from", "after event.until"));
        }
        for (at, lane) in self.lanes.iter().enumerate() {
            if lane.read > lane.passages {
                let reason = format!("{}, of {} passages", lane.read, lane.passages);
                let place = format!("event.lanes[{at}].read");
                return Err(MessageError::invalid(place, reason));
            }
        }
        Ok(())
    }
}
