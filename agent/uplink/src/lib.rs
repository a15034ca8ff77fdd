//! MQTT 5 to and from the central platform; the only home of `rumqttc`.
//!
//! # Promises
//!
//! - A message leaves the outbox only when the broker has acknowledged that very message. Whatever
//!   ends a connection, what was not acknowledged is read again and sent again.
//! - A hit leaves before everything that waits.
//! - One message that a broker does not take holds up no other: it is set aside in the outbox with
//!   the reason, whether the broker refuses it, disconnects over it, or closes the connection.
//! - The uplink ends only when told to. No error of the network, the broker or the outbox ends it,
//!   and a panic in it is logged and the connection begun again. [`Status`] says what is wrong
//!   meanwhile.
//! - A command is acknowledged to the broker when it is handed over, so that none is lost in
//!   between.
//! - Payloads are shared from the outbox to the socket, never copied.
//!
//! # Map
//!
//! | file | what it holds |
//! | --- | --- |
//! | `handle` | what the rest of the agent holds: [`Uplink`], [`DirectSender`] |
//! | `config`, `order`, `status` | what the uplink is told, and what it says of itself |
//! | `store` | what it asks of the outbox |
//! | `driver` | the task behind it: one connection after the other, over the list of brokers |
//! | `link` | one connection, from CONNECT to its end, and one that only tries rights: the only folder that names `rumqttc` |
//! | `in_flight` | a message in the uplink's hands; pure |
//! | `session` | which message is in flight under which packet id; pure |
//! | `suspicion` | which messages a broker closes the connection over; pure |
//! | `answer_clock` | how long the broker has owed acknowledgements; pure |
//! | `pace` | how much to have on its way, and how fast; pure |
//! | `backoff` | how long to wait before the next try; pure |
//! | `address`, `tls` | a broker's address as a URL; certificates, user and password |
//! | `certificate` | until when a certificate holds; pure |
//! | `twin` | another client under our own identity |
//! | `message` | what a subscriber received |
//! | `doors` | packets of a broker for fuzzing |
//! | `subscriber` | the central side: subscribes again on every connection |
//! | `receiver` | the central side where nothing may be lost: acknowledges when told to |
//! | `caller` | the central side: one question, and its answer |
//!
//! A connection is never taken up again inside `rumqttc`: each try is a fresh event loop, so that
//! what is unacknowledged is known in one place only, the outbox. `rumqttc` itself forgets what was
//! in flight when the broker forgot the session, and says nothing.

mod address;
mod answer_clock;
mod backoff;
mod caller;
pub mod certificate;
mod config;
#[doc(hidden)]
pub mod doors;
mod driver;
mod error;
mod handle;
mod in_flight;
mod link;
mod message;
mod order;
mod pace;
mod receiver;
mod session;
mod status;
mod store;
mod subscriber;
mod suspicion;
#[cfg(test)]
mod test_envelope;
mod tls;
mod twin;

pub use address::{AddressError, BrokerAddress, User};
pub use backoff::Backoff;
pub use caller::{Call, CallError, CallEvent, Caller, CallerConfig};
pub use config::UplinkConfig;
pub use error::Error;
pub use handle::{DirectSender, Uplink};
pub use kakou_guard::Secret;
pub use link::{Answer, NoEntry, Right, Rights, Step, Tried, try_rights};
pub use message::{Known, Received, Unknown};
pub use order::Drain;
pub use receiver::{Acknowledger, Receipt, Receiver, ReceiverConfig, ReceiverEvent};
pub use status::{LinkState, Refusal, Status};
pub use store::{Store, StoreError};
pub use subscriber::{Subscriber, SubscriberConfig, SubscriberEvent};
pub use tls::{Login, TlsError, TlsFiles};
pub use twin::{Twin, TwinWatch};
