//! The life of agents: who is there, who is not, since when, and how their clocks and cameras are.
//!
//! The process that leads listens to every status as the broker keeps it, so that a new leader knows
//! all agents at once. The last word of each agent stands in `agent_state` and `camera_state`; what
//! is wrong is an open alarm, which ends when it is right again:
//!
//! - `silent`: the broker lost the agent (its last will, after one and a half keep-alives), or the
//!   agent says nothing although it is connected;
//! - `offline`: it said goodbye, and has not come back;
//! - `clock`: its clock is not synchronised, or off by more than a second (GA/T 832);
//! - `camera`: a camera does not work.

mod state;
mod watch;

pub use state::{Life, LifeConfig};
pub use watch::Watch;
