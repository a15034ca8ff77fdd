//! When a vehicle has passed: lane, direction, class and the vote over its reads. Pure.
//!
//! One vehicle is one passage. While it is in sight, its plate is told as soon as it is sure. A track that ended waits a moment, in which its vehicle may show up
//! again (behind a truck, after a cut); then it goes out, and its plate is remembered so that a
//! late reappearance does not become a second record.
mod best;
mod colour;
mod config;
mod evidence;
mod lane;
mod passages;
mod rules;
mod same;
mod travel;

#[cfg(test)]
mod convoy_tests;
#[cfg(test)]
mod rate_tests;
#[cfg(test)]
mod scene_tests;
#[cfg(test)]
mod sure_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod uptime_tests;

use kakou_contract::{Direction, VehicleClass, VehicleColour};
use kakou_time::Moment;

pub use config::{Lane, PassageConfig};
pub use passages::Passages;
pub use rules::Reject;

use crate::geometry::{Quad, Rect};
use crate::plate::{PlateRead, VotedPlate};

/// A vehicle from the moment it is followed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VehicleId {
    /// Counts up from 1 in the order in which vehicles came into sight.
    pub number: u64,
    /// When it was seen first.
    pub since: Moment,
}

/// What one frame told.
#[derive(Debug, Clone, PartialEq)]
pub struct News<F> {
    /// Vehicles of which something was said, and that will be no passage of their own.
    pub dropped: Vec<Dropped>,
    /// Passages that are complete, in the order they passed.
    pub passed: Vec<Passage<F>>,
    /// Vehicles in sight whose plate is sure, as it is known so far: said when it becomes sure or
    /// another, and again from time to time. Their `number` is 0, and `passed_at` is when the frame
    /// was captured that shows the plate best.
    pub sure: Vec<Passage<F>>,
}

impl<F> Default for News<F> {
    fn default() -> Self {
        Self {
            dropped: Vec::new(),
            passed: Vec::new(),
            sure: Vec::new(),
        }
    }
}

/// A vehicle that is no passage although something was said of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Dropped {
    pub vehicle: VehicleId,
    pub also: Vec<VehicleId>,
    pub why: Reject,
}

/// Why a passage has no plate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoPlate {
    /// Plates were looked for, and none was found on this vehicle.
    NoneFound,
    /// Found, but always smaller than can be read.
    TooSmall,
    /// Found, but no read gave a text of a plate's length.
    NotReadable,
    /// Read, but the reads contradict each other or are too unsure.
    TooUncertain,
    /// Plates were not looked for as long as the vehicle was in sight.
    NotLookedFor,
}

/// The frame to show for a passage, with what was found in that very frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Best<F> {
    pub frame: F,
    /// When this frame was captured.
    pub time: Moment,
    pub quad: Option<Quad>,
    pub vehicle: Option<Rect>,
    pub read: Option<PlateRead>,
}

/// One vehicle that passed.
#[derive(Debug, Clone, PartialEq)]
pub struct Passage<F> {
    /// Counts up from 1 in the order of output.
    pub number: u64,
    pub vehicle: VehicleId,
    /// Others of which something was said while they were followed and that turned out to be this
    /// vehicle.
    pub also: Vec<VehicleId>,
    /// The lane's id; `None` only where no lanes are configured.
    pub lane: Option<String>,
    pub direction: Direction,
    /// It moved against the lane's expected direction.
    pub wrong_way: bool,
    /// With its share of the detector's votes; `None` for a plate whose vehicle was never found.
    pub class: Option<(VehicleClass, f32)>,
    /// Of the vehicle's body, and how sure.
    pub colour: Option<(VehicleColour, f32)>,
    pub plate: Option<VotedPlate>,
    /// Set exactly when `plate` is not.
    pub no_plate: Option<NoPlate>,
    pub first_seen: Moment,
    pub last_seen: Moment,
    /// When it crossed the trigger line, else the time of the best read, else last seen. Not the
    /// time of the picture: that is `Best::time`.
    pub passed_at: Moment,
    /// Frames in which the vehicle or its plate was found.
    pub frames: u32,
    pub best: Option<Best<F>>,
}
