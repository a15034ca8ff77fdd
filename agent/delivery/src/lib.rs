//! Watchlists that the platform delivers over MQTT.
//!
//! ```text
//! platform: a list -> whole text -> edition (whole, or changes since another) -> signed -> chunks
//! box:      chunks -> inbox -> verified -> applied -> vault (a file) -> read as any other list
//! ```
//!
//! What it promises:
//!
//! - Nothing changes before signature, version, length and digest have been checked: what is
//!   unsigned, foreign, older, replayed, damaged or meant for others changes nothing and is told.
//! - The list in the vault is the old one or the new one, whenever the power fails.
//! - What is missing is asked for by the box itself, again and again, further apart each time.
//! - Chunks that have come are kept over restarts.
//! - With a key, nothing of a list is on the disk in the clear.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `content` | the text of a list, and the changes between two |
//! | `package` | an edition as a file: what `kakou watchlist sign` writes |
//! | `vault` | the list in use, on disk |
//! | `partial` | the chunks that have come, on disk |
//! | `inbox` | what is done with each chunk, and what is asked for |
//! | `platform_key` | what the platform signs with |
//! | `sealing` | encryption at rest |

mod content;
mod inbox;
mod package;
mod partial;
mod platform_key;
mod sealing;
mod vault;

#[cfg(test)]
mod tests;

pub use content::{ContentError, apply, changes, entries, whole};
pub use inbox::{Inbox, InboxOptions, Told, Wanted};
pub use package::{Draft, Package};
pub use platform_key::{PlatformKeyError, make_platform_key, read_platform_key};
pub use sealing::{KeyError, SealingKey};
pub use vault::{Stored, Vault, VaultError};
