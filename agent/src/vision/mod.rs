//! Finding vehicles and plates and reading them; the only home of `ort`.
mod types;
pub use types::{Detections, PlateFind, VehicleFind};
