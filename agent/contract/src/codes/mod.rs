//! Closed lists of values that travel in messages, each with its Chinese name for displays.
//!
//! Closed means: within one major schema version no value is added, so a subscriber may match
//! on them exhaustively. Codes that a Chinese standard defines live in [`plate`] and
//! [`vehicle`].

mod camera;
mod outbox;
mod plate;
mod vehicle;

pub use camera::CameraState;
pub use outbox::{Held, Priority};
pub use plate::{PLATE_KIND_STANDARD, PlateColour, PlateKind};
pub use vehicle::{VehicleClass, VehicleColour};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A word that is in none of a list's values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{list} has no value {word:?}; it knows {known}")]
pub struct UnknownWord {
    pub list: &'static str,
    pub word: String,
    pub known: String,
}

/// An enum whose values are words in JSON and in topics. One place holds the word and the Chinese
/// name of each value, so that serde, topics and displays cannot drift apart.
macro_rules! word_list {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $( $(#[$vmeta:meta])* $variant:ident = $word:literal, $zh:literal; )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[derive(Serialize, Deserialize, JsonSchema)]
        pub enum $name {
            $( $(#[$vmeta])* #[serde(rename = $word)] $variant, )+
        }

        impl $name {
            /// Every value, in the order of the list.
            pub const ALL: &'static [Self] = &[$( Self::$variant, )+];

            /// The word used in JSON and in topics.
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $word, )+ }
            }

            /// The Chinese name, for displays.
            pub const fn zh(self) -> &'static str {
                match self { $( Self::$variant => $zh, )+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::codes::UnknownWord;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|v| v.as_str() == word).ok_or_else(|| {
                    $crate::codes::UnknownWord {
                        list: stringify!($name),
                        word: word.to_owned(),
                        known: Self::ALL.iter().map(|v| v.as_str()).collect::<Vec<_>>().join(", "),
                    }
                })
            }
        }
    };
}
pub(crate) use word_list;

word_list! {
    /// How a vehicle moved, seen from the camera.
    pub enum Direction {
        /// Towards the camera: its front was seen.
        Approaching = "approaching", "驶近";
        /// Away from the camera: its rear was seen.
        Leaving = "leaving", "驶离";
        /// It stood for as long as it was seen.
        Standing = "standing", "静止";
        /// It was seen too briefly, or it moved across the picture.
        Unknown = "unknown", "未知";
    }
}

word_list! {
    /// Why a passage has no plate.
    pub enum NoPlateReason {
        /// Plates were looked for, and none was found on this vehicle: it has none, or it was hidden.
        NoneFound = "none_found", "未发现号牌";
        /// A plate was found, but always smaller than can be read.
        TooSmall = "too_small", "号牌过小";
        /// A plate of sufficient size was found, but no read of it gave a plate's text: dirt, glare,
        /// motion blur, a cover.
        NotReadable = "not_readable", "无法识读";
        /// There were reads, but they contradict each other or stay below the configured confidence.
        TooUncertain = "too_uncertain", "识读不可信";
        /// Plates were not looked for: the plate models are off or not available.
        NotLookedFor = "not_looked_for", "未进行识别";
        /// It was read, but the vehicle is on no list, and the config says that such vehicles are
        /// not to be named.
        Withheld = "withheld", "不予提供";
    }
}

word_list! {
    /// The level of a watchlist entry; the first is the most urgent.
    pub enum Level {
        Red = "red", "红色预警";
        Orange = "orange", "橙色预警";
        Yellow = "yellow", "黄色预警";
        Blue = "blue", "蓝色预警";
    }
}

word_list! {
    /// What a picture of a passage shows.
    pub enum EvidenceRole {
        /// The whole frame in which the plate was read best.
        Frame = "frame", "全景图";
        /// The plate, cut from that same frame.
        Plate = "plate", "号牌图";
        /// The vehicle, small, for lists.
        Thumbnail = "thumbnail", "缩略图";
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn words_are_the_same_in_json_and_in_topics() {
        for level in Level::ALL {
            assert_eq!(serde_json::to_value(level).unwrap(), level.as_str());
            assert_eq!(level.as_str().parse::<Level>().unwrap(), *level);
        }
        for reason in NoPlateReason::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
        }
    }

    #[test]
    fn an_unknown_word_is_named_with_the_known_ones() {
        let e = "purple".parse::<Level>().unwrap_err().to_string();
        assert_eq!(
            e,
            "Level has no value \"purple\"; it knows red, orange, yellow, blue"
        );
    }

    #[test]
    fn red_is_the_first_level() {
        assert!(Level::Red < Level::Blue);
    }
}
