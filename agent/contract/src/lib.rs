//! The messages and topics of Kakou, as a central subscriber depends on them.
pub mod codes;
pub use codes::{Direction, PlateColour, PlateKind, VehicleClass};
