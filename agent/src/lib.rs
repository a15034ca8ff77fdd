//! Kakou, the agent of a road checkpoint.
pub mod attention;
pub mod camera;
pub mod cli;
pub mod config;
pub mod eval;
pub mod evidence;
pub mod geometry;
pub mod passage;
pub mod plate;
pub mod track;
pub mod vision;
