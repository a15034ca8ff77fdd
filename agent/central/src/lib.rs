//! The central subscriber of Kakou: takes what the agents of a city send, believes what is sealed,
//! and keeps one row for each message, with nothing missing.

pub mod alarms;
pub mod analysis;
pub mod api;
pub mod cli;
pub mod config;
pub mod here;
pub mod ingest;
pub mod leader;
pub mod life;
pub mod metrics;
pub mod push;
#[cfg(feature = "demo")]
pub mod scratch;
pub mod serve;
pub mod store;
pub mod table;
pub mod trust;
pub mod upper;
