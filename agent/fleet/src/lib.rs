//! Made-up agents by the thousand, to try a platform with.
//!
//! # Promises
//!
//! - Each agent has a key, a chain from number 1, cameras and lanes of its own, and speaks through
//!   the real uplink (`kakou_uplink`) in the contract's own types.
//! - What happens follows from the seed: the same seed and options make the same passages, hits,
//!   signals and pictures, in the same order for each agent. A status says how the agent is at
//!   that moment, and answers come when they are asked for.
//! - [`Truth`] says of every message what became of it: what the broker acknowledged, what it did
//!   not, what was given up on purpose, and what was wrong on purpose.
//! - Memory is bounded by [`FleetOptions::memory`], by what is on its way, and by some 30 bytes for
//!   each thing that happened and is not told yet.
//!
//! # Map
//!
//! | file | what it holds |
//! | --- | --- |
//! | `fleet`, `options`, `truth` | what others use |
//! | `director` | says what happens when |
//! | `city`, `plates` | vehicles on their way, and their plates; pure |
//! | `checkpoint`, `clock` | one agent's names, key, cameras and clock |
//! | `scene`, `telling`, `pictures` | from a sighting to messages; pure |
//! | `line`, `chain`, `evil` | one agent's messages in their order, sealed; pure |
//! | `store` | the outbox in memory |
//! | `agent`, `commands` | one agent on its connection |
//! | `tally`, `random` | counts and times; draws that follow from a seed |
//! | `bench` | how fast messages are made, for the example `speed` |

mod agent;
#[doc(hidden)]
pub mod bench;
mod chain;
mod checkpoint;
mod city;
mod clock;
mod commands;
mod director;
mod fleet;
mod line;
mod options;
mod pictures;
mod plates;
mod random;
mod scene;
mod store;
mod tally;
mod telling;
mod truth;

pub use fleet::{AgentName, Fleet, Progress};
pub use options::{AGENTS_MAX, Evil, FleetError, FleetOptions, Troubles, TruthTo};
pub use truth::{Fate, Row, Summary, Truth};
