//! The centre against a real PostgreSQL, a real Mosquitto and the real program. One program: each
//! would compile server, client and messages anew.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod api;
mod chaos;
mod demo;
mod docs;
mod gaps;
mod ingest;
mod keys;
mod metrics;
mod partitions;
#[path = "../../../tests/support/promtool.rs"]
mod promtool;
mod rights;
mod scale;
mod stores;
mod support;
mod upper;
