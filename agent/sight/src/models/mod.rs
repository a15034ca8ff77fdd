//! The model manifest: which models there are, where their files lie, and whether they are the right bytes.

mod locate;
mod manifest;
mod verify;
pub use locate::{Location, locate};
pub use manifest::{Kind, Manifest, ManifestError, ModelEntry};
pub use verify::{Checked, State, check_file, verify};
