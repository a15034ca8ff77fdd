//! Hits to recipients and commands to agents, against a real PostgreSQL, a real Mosquitto and real
//! HTTP servers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod commands;
mod faults;
mod latency;
#[path = "../../../tests/uplink/mosquitto.rs"]
#[allow(dead_code, clippy::disallowed_methods)] // Not all of it is needed here.
mod mosquitto;
mod mqtt;
mod restart;
mod rig;
mod server;
mod tls;
mod told;
