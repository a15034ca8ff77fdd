//! What vision hands on. No pixels, no `ort` types.

use kakou_contract::{PlateColour, VehicleClass, VehicleColour};

use crate::geometry::{Quad, Rect};
use crate::plate::PlateRead;

/// A vehicle found in a frame.
#[derive(Debug, Clone, PartialEq)]
pub struct VehicleFind {
    pub rect: Rect,
    pub class: VehicleClass,
    /// Detector score of `class`, 0 to 1.
    pub score: f32,
    /// Of its body, and how sure, 0 to 1. `None`: it could not be told, or was not looked at.
    pub colour: Option<(VehicleColour, f32)>,
}

/// A plate found in a frame, read or not.
#[derive(Debug, Clone, PartialEq)]
pub struct PlateFind {
    pub quad: Quad,
    /// Detector score, 0 to 1.
    pub score: f32,
    /// `None`: found but not read (too small, too blurred, or not looked at in this frame).
    pub read: Option<PlateRead>,
    pub colour: Option<(PlateColour, f32)>,
    /// 0 to 1: how far a read of this picture deserves trust (size, sharpness, tilt).
    pub legibility: f32,
}

/// Everything found in one frame.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Detections {
    /// `false`: the vehicle detector was not run on this frame, so an absent vehicle means nothing.
    pub vehicles_looked_for: bool,
    pub plates_looked_for: bool,
    pub vehicles: Vec<VehicleFind>,
    pub plates: Vec<PlateFind>,
}

/// A plate that is followed already: where it should be in this frame, and whether it is worth
/// reading again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expected {
    pub quad: Quad,
    pub read: bool,
}
