//! What is done with a list: which way round it is, how near is near enough, and where it counts.

use kakou_contract::{Level, MatchKind};

use super::rules::Rules;
use super::store::severity;

/// Which vehicles of a list are hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Those that are listed.
    #[default]
    Watch,
    /// Those that are not: a closed road.
    Allow,
}

/// How a list is used.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    pub mode: Mode,
    /// For each level whether a near match is one, the most severe first.
    pub near: [bool; 4],
    /// For each level the least score of a match, the most severe first.
    pub min_score: [f32; 4],
    /// When and where the list counts.
    pub rules: Rules,
    /// What a hit says of a vehicle that a list of those allowed does not have.
    pub unlisted: Unlisted,
}

/// See [`Policy::unlisted`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unlisted {
    pub level: Level,
    pub category: String,
    pub reason: String,
}

impl Default for Policy {
    /// Near matches at all levels but red, at which a vehicle is stopped on the spot. Each match of
    /// the whole text, however unsure its read.
    fn default() -> Self {
        Self {
            mode: Mode::Watch,
            near: [false, true, true, true],
            min_score: [0.0; 4],
            rules: Rules::default(),
            unlisted: Unlisted {
                level: Level::Yellow,
                category: "not_allowed".to_owned(),
                reason: String::new(),
            },
        }
    }
}

impl Policy {
    pub(super) fn has_near(&self) -> bool {
        self.near.contains(&true)
    }

    pub(super) fn takes(&self, level: Level, kind: MatchKind, score: f32) -> bool {
        let at = usize::from(severity(level));
        let near = kind != MatchKind::Near || self.near.get(at).copied().unwrap_or(false);
        near && score >= self.min_score.get(at).copied().unwrap_or(0.0)
    }
}
