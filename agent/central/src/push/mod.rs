//! Hits to recipients, and commands to agents.
//!
//! # Promises
//!
//! - A hit that was committed is told to everybody who has a right to it, at least once, with the
//!   same id each time; or the table `deliveries` says why not.
//! - Nobody is told more than the config grants, by the rights at the time of the telling.
//! - One recipient that is slow or away delays no other. Red hits go first.
//! - A command is published under one request id until an answer is stored or its time is over, and
//!   never after that.
//! - No key and no address beyond its host is in an error, a log or the database.
//!
//! # Map
//!
//! | file | what it holds |
//! | --- | --- |
//! | `config` | who is told what: `[[recipient]]`, `[[agreement]]`, `[push]`, checked |
//! | `rights` | who may see a hit, and how much of it; pure |
//! | `event` | the hit as a CloudEvent, with what is withheld taken out; pure |
//! | `sign` | the signature of a webhook; pure |
//! | `queue` | the table of deliveries: [`enqueue`], take, record, give up |
//! | `upkeep` | what an operator asks of it |
//! | `pusher` | the task: [`Pusher`] |
//! | `lanes` | one recipient's channel: room and pauses |
//! | `webhook` | HTTP |
//! | `publisher` | MQTT, for hits and commands |
//! | `commands` | the table of commands: [`want`] |
//! | `commander` | the task that publishes them and joins the answers: [`Commander`] |

mod commander;
mod commands;
mod config;
mod event;
mod lanes;
mod publisher;
mod pusher;
mod queue;
mod rights;
mod sign;
mod upkeep;
mod webhook;

pub use commander::{CommandPace, Commander};
pub use commands::{CommandsError, want};
pub use config::{
    AgreementConfig, MqttConfig, PerLevel, PushConfigError, PushSettings, RecipientConfig,
    Recipients, WebhookConfig,
};
pub use publisher::PushBroker;
pub use pusher::{PushError, PushPace, Pusher};
pub use queue::{Channel, NOTIFIED, NewHit, enqueue};
pub use upkeep::{ChannelState, forget, state, switch_on};
pub use webhook::WebhookError;
