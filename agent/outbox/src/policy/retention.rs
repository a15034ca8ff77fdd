//! How long the box keeps what the platform has.

use std::time::Duration;

use kakou_contract::Keep;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// How long the box keeps what the platform has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Passages that hit nothing, and their pictures.
    pub passage: Duration,
    /// Hits, their passages and pictures.
    pub hit: Duration,
    /// Status, audit and answers.
    pub control: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            passage: DAY,
            hit: DAY * 30,
            control: DAY * 30,
        }
    }
}

impl Retention {
    pub(crate) fn each(&self) -> [(Keep, Duration); 3] {
        [
            (Keep::Passage, self.passage),
            (Keep::Hit, self.hit),
            (Keep::Control, self.control),
        ]
    }
}
