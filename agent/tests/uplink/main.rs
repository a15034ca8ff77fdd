//! Outbox, uplink and subscriber against the embedded broker, a real Mosquitto, a scripted broker,
//! and a network that fails.
//!
//! | file | what it proves |
//! | --- | --- |
//! | `delivery` | what is sent arrives, once where nothing fails; a hit overtakes |
//! | `answers` | every reason code, acknowledgements out of order and none at all |
//! | `access` | certificates, passwords, topics |
//! | `failover` | the list of brokers, the last will, commands |
//! | `network` | black holes, half-open connections, cuts in the middle of a packet, a broker that forgets |
//! | `load` | `kakou load` ends when told to |
//! | `pace` | slow links, the bandwidth cap, late messages |
#![cfg(feature = "demo")]
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

mod access;
mod answers;
mod chance;
mod delivery;
mod failover;
mod ledger;
mod load;
mod mosquitto;
mod network;
mod pace;
mod proxy;
mod rig;
mod scripted;
mod tls;
