//! GA/T 1400: objects of a view library (视图库), and the way to an upper one.
//!
//! | part | what |
//! | --- | --- |
//! | [`Mapping`] | a passage with its pictures becomes a [`MotorVehicle`] |
//! | [`rules`] | what each field may be; nothing leaves that breaks a rule |
//! | [`ids`], [`codes`], [`stamp`] | identifiers, code tables and times of the standard |
//! | [`UpperLibrary`] | registers with the upper library, keeps alive, and pushes what [`Outgoing`] has |
//! | [`router`] | takes the upper library's subscriptions |
//! | [`Subscription`], [`notification`] | which of them a vehicle matches, and what is told of it |
//!
//! Promises:
//!
//! - An object's ids are made from the passage's id and time alone: a repeat makes the same object.
//! - Nothing is given up silently. What the upper library took is reported as done, what it refuses
//!   for good is reported with its reason, and all else is sent again, over restarts of either side.
//! - What comes from outside is bounded before memory is taken, and no redirect is followed.
//!
//! No database is known here: what is sent comes through [`Outgoing`], and subscriptions are kept
//! by a [`SubscriptionStore`]. The text of the standard was not at hand: the tables follow public
//! implementations, and `docs/gat1400.md` says which.

pub mod codes;
mod config;
mod fault;
pub mod ids;
mod lenient;
mod map;
mod notify;
pub mod rules;
mod serve;
pub mod stamp;
mod subscription;
mod upper;
mod vehicle;
pub mod wire;

pub use config::{UpperConfig, UpperSettings};
pub use fault::{FieldError, UpperError};
pub use map::{CameraKey, MapError, Mapping, Picture, Site};
pub use notify::{NOTIFICATION_VEHICLES_MAX, disposition_notification, notification};
pub use serve::{Gate, SubscriptionStore, router};
pub use subscription::{Hosts, Subscription};
pub use upper::{Item, Outgoing, Refusal, UpperLibrary, UpperState, Verdict};
pub use vehicle::{MotorVehicle, SubImage, SubImageList};

/// The content type of every body, either way.
pub const CONTENT_TYPE: &str = "application/VIID+JSON;charset=UTF-8";
/// The header by which each side says who it is: its DeviceID.
pub const USER_IDENTIFY: &str = "User-Identify";
