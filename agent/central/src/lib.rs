//! The central subscriber of Kakou: takes what the agents of a city send, believes what is sealed,
//! and keeps one row for each message, with nothing missing.

pub mod scratch;
pub mod store;
