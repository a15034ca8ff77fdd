//! Kakou, the agent of a road checkpoint.
#[cfg(feature = "demo")]
pub mod demo;
pub mod geometry;
pub mod plate;
pub mod uplink;
pub mod vision;
