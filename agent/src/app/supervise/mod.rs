//! Parts of the agent that are supervised, each for itself.
//!
//! A part is a `run_once` that works until it is told to end. When it fails or panics, the
//! supervisor logs the whole chain of causes, waits (jittered, and longer each time), and runs it
//! again. Nothing that happens in one part ends another or the agent. What the supervisor knows of
//! a part is this trait, its name, and what it says by its [`Pulse`].
//!
//! | file | what it holds |
//! | --- | --- |
//! | `life` | the state of a part, and how long it waits after a failure; pure |
//! | `pulse` | what a part tells of itself, and what others read of it |
//! | `parts` | the list of all parts |
//! | `thread` | runs a part on a thread |
//! | `task` | runs a part as a tokio task, and catches panics in futures |

mod life;
mod parts;
mod pulse;
mod task;
mod thread;

pub use parts::Parts;
pub use pulse::Pulse;
pub use task::{Caught, TaskPart, caught, spawn_task};
pub use thread::{Part, Stop, spawn_thread};

use std::any::Any;

/// What a panic said.
fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|s| (*s).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    match text {
        Some(text) => format!("it panicked: {text}"),
        None => "it panicked".to_owned(),
    }
}
