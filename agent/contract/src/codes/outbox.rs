//! Words about messages that wait on the box.

use super::word_list;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

word_list! {
    /// Who goes first. Within a priority the oldest goes first.
    pub enum Priority {
        Hit = "hit", "命中";
        /// Status, audit, and answers to commands.
        Control = "control", "状态与审计";
        Passage = "passage", "过车记录";
        Picture = "picture", "图片";
    }
}

impl Priority {
    /// By priority: the first leaves first and is given up last.
    pub const ORDER: [Self; 4] = [Self::Hit, Self::Control, Self::Passage, Self::Picture];

    pub const fn index(self) -> usize {
        match self {
            Self::Hit => 0,
            Self::Control => 1,
            Self::Passage => 2,
            Self::Picture => 3,
        }
    }

    pub fn at(index: usize) -> Option<Self> {
        Self::ORDER.get(index).copied()
    }
}

word_list! {
    /// Why a message is set aside: it waits for a person or for another rule at the broker.
    pub enum Held {
        /// The broker does not let this agent publish to the topic.
        NotAuthorised = "not_authorised", "无权限";
        /// Larger than the broker or this side takes.
        TooLarge = "too_large", "过大";
        /// The broker refused it for another reason that will not go away by itself.
        Refused = "refused", "被拒绝";
        /// Its bytes no longer have the hash they were committed with.
        Damaged = "damaged", "已损坏";
    }
}
