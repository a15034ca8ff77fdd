//! Kakou, the agent of a road checkpoint.
pub mod cli;
pub mod config;
pub mod eval;
pub mod geometry;
pub mod models;
pub mod plate;
pub mod vision;
