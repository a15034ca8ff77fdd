//! Kakou, the agent of a road checkpoint.
pub mod attention;
pub mod camera;
pub mod cli;
pub mod config;
pub mod eval;
pub mod evidence;
pub mod geometry;
pub mod message;
pub mod models;
pub mod passage;
pub mod pipeline;
pub mod plate;
pub mod replay;
pub mod replay_truth;
pub mod track;
pub mod uplink;
pub mod vision;
