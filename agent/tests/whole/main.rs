//! The whole program, as its users run it. One test program: each of its own would compile the same
//! clients and message types anew.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "../support/agent.rs"]
mod agent;
#[path = "../uplink/mosquitto.rs"]
#[allow(dead_code)] // Not all of it is needed here.
mod mosquitto;
#[path = "../support/promtool.rs"]
mod promtool;
#[path = "../support/standing.rs"]
mod standing;
#[path = "../support/mod.rs"]
mod support;
#[path = "../uplink/tls.rs"]
#[allow(dead_code)]
mod tls;

mod check_config;
mod check_config_files;
mod clock;
mod cmd;
mod commands;
mod delivery;
mod desk;
mod disk;
mod docs;
mod doctor;
mod faults;
mod fleet;
mod help_from_afar;
mod hits;
mod hits_faults;
mod installed;
mod log;
mod metrics;
mod panel;
mod quality;
mod read;
mod repair;
mod replay;
mod rights;
mod run;
mod secrets;
mod setup;
mod signals;
mod systemd;
mod watchlist;
