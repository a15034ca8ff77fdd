//! Codes that travel in messages, each with the standard it comes from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The class of a vehicle, voted over its track.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VehicleClass {
    Car,
    Bus,
    Truck,
    Motorcycle,
    Bicycle,
}

/// The ground colour of a plate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlateColour {
    Blue,
    Yellow,
    Green,
    /// Large new-energy vehicles: yellow at the left, green at the right.
    YellowGreen,
    White,
    Black,
}

/// The kind of a plate (号牌种类), code of GA 36.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum PlateKind {
    #[serde(rename = "02")]
    Small,
}

/// How a vehicle moved, seen from the camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    Approaching,
    Leaving,
    Standing,
    Unknown,
}
