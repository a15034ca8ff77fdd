//! Kakou, the agent of a road checkpoint.
pub mod geometry;
pub mod plate;
pub mod vision;
