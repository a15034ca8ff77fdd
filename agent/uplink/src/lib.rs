//! MQTT 5 to and from the central platform; the only home of `rumqttc`.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `address` | a broker's address, as a URL says it; keeps the password out of every text |
//! | `backoff` | how long to wait before the next try; pure |
//! | `session` | which message is in flight under which packet id; pure |
//! | `pace` | how much to have on its way, and how fast; pure |
//! | `store` | what is asked of the outbox |
//! | `tls` | certificates, user and password |
//! | `message` | what is published, and what a subscriber received |
//! | `link` | one connection, from CONNECT to its end: the only file that names `rumqttc` |
//! | `uplink` | what the rest of the agent holds |
//! | `driver` | the task behind it: reads the outbox, feeds the session, one link after the other |
//! | `subscriber` | the central side: subscribes again on every connection |
//!
//! A connection is never taken up again inside `rumqttc`: each try is a fresh event loop, so that what is unacknowledged
//! is known in one place only, the outbox. `rumqttc` itself forgets what was in flight when the broker forgot the
//! session, and says nothing.

mod address;
mod backoff;
mod driver;
mod error;
mod link;
mod message;
mod pace;
mod session;
mod store;
mod subscriber;
mod tls;
#[allow(clippy::module_inception)]
mod uplink;

pub use address::{AddressError, BrokerAddress, Secret, User};
pub use backoff::Backoff;
pub use error::Error;
pub use message::{Known, Outgoing, Received, Unknown};
pub use session::{AckReason, Session, Verdict};
pub use store::{Store, StoreError};
pub use subscriber::{Event, Subscriber, SubscriberConfig};
pub use tls::{Login, TlsError, TlsFiles};
pub use uplink::{DirectSender, Drain, LinkState, Refusal, Status, Uplink, UplinkConfig};
