//! The way to an upper view library (上级视图库) by GA/T 1400: `[gat1400]` of the config.
//!
//! | part | what |
//! | --- | --- |
//! | [`Filter`] | a new passage joins the queue, in the transaction that makes its row |
//! | `queue` | what the gateway sends, under a lease, once its pictures are there |
//! | [`Upper`] | one process of all registers, sends and notifies; another takes over when it ends |
//! | `subscriptions`, `notices` | what the upper library subscribes to, and what it is told of that |
//! | [`state`] | how it stands, for people |
//!
//! Promises: a passage whose row was committed reaches the upper library once, by its MotorVehicleID,
//! or stands refused with its reason in the table and in an alarm. A kill at any moment loses none;
//! what was on its way then is sent again, as the same object.

mod cameras;
mod config;
mod listen;
mod load;
mod notices;
mod queue;
mod service;
pub mod state;
mod subscriptions;

pub use config::{Gat1400Config, PlanError, SubscriptionsConfig, UpperPlan};
pub use queue::{Filter, again};
pub use service::Upper;

/// A reason in a table is for people.
const WHY_MAX: usize = 500;

/// As a table may keep it.
fn told(why: &str) -> String {
    let short: String = why.chars().take(WHY_MAX).collect();
    crate::ingest::stored(&short)
}
