//! The model manifest: which models there are, where their files lie, and whether they are the
//! right bytes.

mod locate;
mod manifest;
mod verify;
pub use locate::{Location, locate};
pub use manifest::{Manifest, ManifestError, ModelEntry, ModelKind, ProviderEntry};
pub use verify::{Checked, FileState, check_file, verify, verify_provider};
