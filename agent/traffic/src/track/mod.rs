//! Which detection is which vehicle. Pure: no clock, no pixels, and the same input gives the same
//! output.
//!
//! A track is a vehicle box, a plate, or both. Plates are found far more steadily than vehicles, so
//! they are matched first; a plate then vouches for the vehicle box that holds it.
mod associate;
mod config;
mod motion;
mod state;
mod texts;
mod tracker;

#[cfg(test)]
pub(crate) mod sim;
#[cfg(test)]
mod tests;

pub(crate) use associate::are_in_line;
pub use config::TrackConfig;
pub use tracker::Tracker;

use crate::geometry::{Quad, Rect};

/// Counts up over the life of a tracker; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrackId(pub u64);

/// Why a track ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// Over the border of the picture.
    LeftPicture,
    /// Not seen for too long.
    Lost,
    /// The footage was cut, or stopped for too long.
    Cut,
    /// Another plate has taken its place.
    Replaced,
}

/// One live track in one frame.
#[derive(Debug, Clone, PartialEq)]
pub struct TrackView {
    pub id: TrackId,
    /// The vehicle's box: as found in this frame, else where it should be by now.
    pub vehicle: Option<Rect>,
    /// Index into `Detections::vehicles`; `None` when it was not found in this frame.
    pub vehicle_find: Option<usize>,
    /// Index into `Detections::plates`.
    pub plate_find: Option<usize>,
    /// The plate as found in this frame.
    pub plate: Option<Quad>,
    /// A vehicle box of this frame that holds the plate, though it may belong to another track.
    pub around: bool,
    /// Hardly moved for about a second.
    pub standing: bool,
}

/// Two tracks that turned out to be one vehicle: `gone` has no views any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Merge {
    pub gone: TrackId,
    pub into: TrackId,
}

/// What one frame did to the tracks. In the order: `merged`, then `ended`, then `tracks`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Updates {
    /// The size of the picture.
    pub size: (u32, u32),
    pub merged: Vec<Merge>,
    /// Ended before or in this frame; they have no view.
    pub ended: Vec<(TrackId, EndReason)>,
    /// Ordered by id.
    pub tracks: Vec<TrackView>,
}
