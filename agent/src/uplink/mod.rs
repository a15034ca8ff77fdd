//! MQTT 5 to and from the central platform; the only home of `rumqttc`.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `address` | a broker's address, as a URL says it; keeps the password out of every text |
//! | `backoff` | how long to wait before the next try; pure |
//! | `session` | which message is in flight under which packet id; pure |
//! | `message` | what is published, and what a subscriber received |
//! | `link` | one connection, from CONNECT to its end: the only file that names `rumqttc` |
//! | `client` | the publisher that the rest of the agent holds: a bounded queue |
//! | `driver` | the task behind it: feeds the session, one link after the other |
//! | `subscriber` | the central side: subscribes again on every connection |
//!
//! A connection is never taken up again inside `rumqttc`: each try is a fresh event loop, so that what
//! is unacknowledged is known in one place only, the session. `rumqttc` itself forgets what was in
//! flight when the broker forgot the session, and says nothing.
//!
//! What this module does not do yet: TLS, and surviving the end of the process. Messages live in memory.

mod address;
mod backoff;
mod client;
mod driver;
mod error;
mod link;
mod message;
mod session;
mod store;
mod subscriber;

pub use address::{AddressError, BrokerAddress, Secret, User};
pub use backoff::Backoff;
pub use client::{Publisher, PublisherConfig, Refusal, Report, Status};
pub use error::Error;
pub use message::{Known, Outgoing, Received, Unknown};
pub use session::{AckReason, Session, Verdict};
pub use store::{Store, StoreError};
pub use subscriber::{Event, Subscriber, SubscriberConfig};
