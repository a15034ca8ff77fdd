//! The uplink against a broker that misbehaves by its script and an outbox in memory that fails as
//! its test says. The real outbox, a real Mosquitto and a faulty network are in the agent's tests.
//!
//! | file | what it proves |
//! | --- | --- |
//! | `blame` | a broker that closes the connection over a message holds up no other message |
//! | `commands` | commands are acknowledged as they are handed over, and none is lost |
//! | `goodbye` | the ordered end, and the return to the first broker |
//! | `habits` | what some makers' brokers do, and others do not |
//! | `outbox` | an outbox that fails, for a while or for good, never ends the uplink |
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod blame;
mod commands;
mod goodbye;
mod habits;
mod memory;
mod outbox;
mod rig;
#[path = "../../../tests/uplink/scripted.rs"]
mod scripted;
