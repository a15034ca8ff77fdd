//! Kakou, the agent of a road checkpoint.
pub mod attention;
pub mod camera;
pub mod cli;
pub mod config;
#[cfg(feature = "demo")]
pub mod demo;
pub mod eval;
pub mod evidence;
pub mod geometry;
pub mod message;
pub mod models;
pub mod passage;
pub mod pipeline;
pub mod plate;
pub mod uplink;
pub mod vision;
