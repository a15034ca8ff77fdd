//! Live cameras: the real binary, a real RTSP server, a real Mosquitto, the project's footage.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

#[allow(dead_code)]
mod checkpoint;
mod clock;
mod faults;
#[allow(dead_code)]
mod footage;
#[path = "../uplink/mosquitto.rs"]
#[allow(dead_code)]
mod mosquitto;
#[allow(dead_code)]
mod proc;
#[allow(dead_code)]
mod server;
mod streams;
#[path = "../support/mod.rs"]
mod support;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Each of these tests keeps all cores busy by itself.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}
