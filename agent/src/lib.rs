//! Kakou (卡口), the agent of a road checkpoint. The map of the crate, in the direction frames take:
//!
//! | module | what it does |
//! | --- | --- |
//! | `camera` | frames of a recording, each with its capture time |
//! | `vision` | finds vehicles and plates and reads them; the only home of `ort` |
//! | `attention` | where plates are expected in the next frame; pure |
//! | `track` | which detection is which vehicle; pure |
//! | `passage` | when a vehicle has passed; lane, direction, the vote over its reads; pure |
//! | `plate` | plate grammar, colours, kinds, confusable characters; pure |
//! | `evidence` | the pictures of a passage |
//! | `message` | a passage as `kakou-contract` has it |
//! | `uplink` | MQTT; the only home of `rumqttc` |
//!
//! `pipeline` joins them for one camera, `replay` drives it with a recording. `config`, `models` and `cli` are what
//! people touch; `eval` and `replay_truth` measure.

pub mod app;
pub mod cli;
pub mod config;
#[cfg(feature = "demo")]
pub mod demo;
pub mod measure;
pub mod message;
pub mod pipeline;
pub mod store;
