//! Kakou, the agent of a road checkpoint.
pub mod cli;
pub mod config;
#[cfg(feature = "demo")]
pub mod demo;
pub mod eval;
pub mod geometry;
pub mod models;
pub mod plate;
pub mod uplink;
pub mod vision;
