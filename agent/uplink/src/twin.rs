//! Another client under our own identity: a copied card, or a box that was replaced and still runs.
//!
//! A broker lets one client of a name in, so two throw each other out. By MQTT 5 the broker says so;
//! Mosquitto just closes the connection. So who was thrown out, or lost several connections soon after
//! they were made, listens to its own status topic: what another one says there shows who it is. The
//! one that started later stands back, so that the one that was there goes on, and both name the other.

use std::sync::Arc;
use std::time::Duration;

/// The one that started later tries again after this: by then somebody may have mended it.
pub(crate) const STAND_BACK: Duration = Duration::from_secs(600);

/// Who speaks under our identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Twin {
    /// As people find it: since when it runs, and its key.
    pub who: String,
    /// It started before us.
    pub is_older: bool,
    /// The last that was heard of it is that it has gone. Of who throws us out again and again that
    /// is its last will, which the broker sends each time that we throw it out.
    pub is_gone: bool,
}

/// Reads a status that came on our own topic; `None`: it is our own, or none.
pub type Look = Arc<dyn Fn(&[u8]) -> Option<Twin> + Send + Sync>;

/// How a twin is known.
#[derive(Clone)]
pub struct TwinWatch {
    /// Our own status topic.
    pub topic: String,
    pub look: Look,
}

impl std::fmt::Debug for TwinWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.topic)
    }
}
