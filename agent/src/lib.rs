//! The binary of Kakou (卡口), the agent of a road checkpoint: it joins the crates, and supervises
//! what they do.
//!
//! | module | what it does |
//! | --- | --- |
//! | `config` | every setting, defined once: read, checked, documented |
//! | `check` | what can be found wrong with a config before anything is started |
//! | `doctor` | what of this box works, tried out |
//! | `probe` | listening to a live camera |
//! | `pipeline` | one camera's way from a frame to finished passages |
//! | `message` | a passage as `kakou-contract` has it |
//! | `store` | the outbox as the uplink reads it |
//! | `app` | `kakou run`: wiring, supervision, reload, commands, status |
//! | `cli` | one small file per command; the only place for tables and progress bars |
//! | `measure` | reads against the truth of pictures, passages against the truth of recordings |
//! | `demo` | the embedded broker of `kakou demo` |
//! | `log` | the log, for people and for the journal |
//!
//! Frames come from `kakou-sight`, what they mean from `kakou-traffic`. What must reach the
//! platform is kept by `kakou-outbox` and sent by `kakou-uplink`. docs/architecture.md is the map
//! of the whole.

pub mod app;
pub mod check;
pub mod cli;
pub mod config;
#[cfg(feature = "demo")]
pub mod demo;
pub mod doctor;
pub mod log;
pub mod measure;
pub mod message;
pub mod pipeline;
pub mod probe;
pub mod store;

/// Version and commit, for people: `0.1.0 (f8c9e8721c, 2026-11-27)`.
pub const LONG_VERSION: &str = env!("KAKOU_LONG_VERSION");

/// The same as SemVer has it, for messages: `0.1.0+f8c9e8721c`.
pub const SHORT_VERSION: &str = env!("KAKOU_SHORT_VERSION");
