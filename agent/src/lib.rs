//! Kakou, the agent of a road checkpoint.
pub mod geometry;
pub mod passage;
pub mod plate;
pub mod track;
pub mod vision;
