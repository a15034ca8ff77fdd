//! When a vehicle has passed: lane, direction, class and the vote over its reads. Pure.
//!
//! One vehicle is one passage. A track that ended waits a moment, in which its vehicle may show up
//! again (behind a truck, after a cut); then it goes out, and its plate is remembered so that a
//! late reappearance does not become a second record.
mod best;
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
mod tests;
#[cfg(test)]
mod uptime_tests;

use kakou_contract::{Direction, VehicleClass};
use kakou_time::Moment;

pub use config::{Lane, PassageConfig};
pub use passages::Passages;
pub use rules::Reject;

use crate::geometry::{Quad, Rect};
use crate::plate::{PlateRead, VotedPlate};

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
    /// The lane's id; `None` only where no lanes are configured.
    pub lane: Option<String>,
    pub direction: Direction,
    /// It moved against the lane's expected direction.
    pub wrong_way: bool,
    /// With its share of the detector's votes; `None` for a plate whose vehicle was never found.
    pub class: Option<(VehicleClass, f32)>,
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
