//! Names of sites, agents, cameras and lanes, and the ids of messages.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, FixedOffset};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use uuid::{Builder, NoContext, Timestamp, Uuid};

/// The longest [`Id`], in characters.
pub const ID_MAX: usize = 64;

/// The name of a site, an agent, a camera, a lane: 1 to 64 of `A-Z a-z 0-9 _ -`.
///
/// So narrow because it is a level of a topic: a `/`, `+` or `#` in it would change what a
/// subscriber receives.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Id(String);

/// Why a text is no [`Id`]. `key` says whose: a config key, a topic level, a message field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    #[error("{key} is empty; 1 to {ID_MAX} of A-Z a-z 0-9 _ - are allowed")]
    Empty { key: String },
    #[error("{key} has {length} characters; at most {ID_MAX} are allowed")]
    TooLong { key: String, length: usize },
    #[error(
        "{key} {value:?} has {character:?} at position {position}; only A-Z a-z 0-9 _ - are allowed"
    )]
    Character {
        key: String,
        value: String,
        character: char,
        /// Counted in characters, from 1.
        position: usize,
    },
}

impl Id {
    /// Checks `value`; `key` names it in the error.
    pub fn new(key: &str, value: impl Into<String>) -> Result<Self, IdError> {
        let value = value.into();
        let key = || key.to_owned();
        let bad = |c: &char| !(c.is_ascii_alphanumeric() || *c == '_' || *c == '-');
        if value.is_empty() {
            return Err(IdError::Empty { key: key() });
        }
        if let Some((at, character)) = value.chars().enumerate().find(|(_, c)| bad(c)) {
            return Err(IdError::Character {
                key: key(),
                value,
                character,
                position: at + 1,
            });
        }
        if value.len() > ID_MAX {
            return Err(IdError::TooLong {
                key: key(),
                length: value.len(),
            });
        }
        Ok(Self(value))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<str> for Id {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for Id {
    type Err = IdError;
    fn from_str(s: &str) -> Result<Self, IdError> {
        Self::new("id", s)
    }
}

impl TryFrom<String> for Id {
    type Error = IdError;
    fn try_from(s: String) -> Result<Self, IdError> {
        Self::new("id", s)
    }
}

impl From<Id> for String {
    fn from(id: Id) -> Self {
        id.0
    }
}

impl JsonSchema for Id {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Id".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$" })
    }
}

/// A message's id in service: a UUIDv7 of `time` and chance.
pub fn live_id(time: DateTime<FixedOffset>) -> Uuid {
    // Before 1970 only on a box whose clock was never set; the id must be made all the same.
    let seconds = u64::try_from(time.timestamp()).unwrap_or(0);
    Uuid::new_v7(Timestamp::from_unix(
        NoContext,
        seconds,
        time.timestamp_subsec_nanos(),
    ))
}

/// A message's id in a replay: a UUIDv7 of `time` and of what the message says, so that two
/// replays of one recording agree.
///
/// `content_hash` should be a cryptographic hash; its first 10 bytes are used (missing ones count
/// as zero).
pub fn replay_id(time: DateTime<FixedOffset>, content_hash: &[u8]) -> Uuid {
    let mut rest = [0; 10];
    for (to, from) in rest.iter_mut().zip(content_hash) {
        *to = *from;
    }
    let millis = u64::try_from(time.timestamp_millis()).unwrap_or(0);
    Builder::from_unix_timestamp_millis(millis, &rest).into_uuid()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_error_names_the_key_and_the_character() {
        let e = Id::new("camera", "gate/1").unwrap_err().to_string();
        assert_eq!(
            e,
            "camera \"gate/1\" has '/' at position 5; only A-Z a-z 0-9 _ - are allowed"
        );
        assert!(
            Id::new("site", "")
                .unwrap_err()
                .to_string()
                .starts_with("site is empty")
        );
        assert!(Id::new("site", "x".repeat(64)).is_ok());
        assert!(Id::new("site", "x".repeat(65)).is_err());
        assert!(
            Id::new("site", "卡口")
                .unwrap_err()
                .to_string()
                .contains("'卡' at position 1")
        );
    }

    #[test]
    fn live_ids_differ_and_sort_by_time() {
        let t = DateTime::parse_from_rfc3339("2031-05-04T08:00:00.123+08:00").unwrap();
        let (a, b) = (live_id(t), live_id(t));
        assert_ne!(a, b);
        assert_eq!(a.get_version_num(), 7);
        assert!(live_id(t + chrono::Duration::milliseconds(1)) > a);
    }

    proptest! {
        #[test]
        fn a_replay_id_is_a_uuid7_of_its_time(ms in 0_i64..1 << 47, hash in any::<[u8; 32]>()) {
            let t = DateTime::from_timestamp_millis(ms).unwrap().fixed_offset();
            let id = replay_id(t, &hash);
            prop_assert_eq!(id, replay_id(t, &hash));
            prop_assert_eq!(id.get_version_num(), 7);
            prop_assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
            let first = id.as_u128() >> 80;
            prop_assert_eq!(first, ms as u128);
        }
    }

    #[test]
    fn a_replay_id_depends_on_the_content_not_on_the_offset() {
        let t = DateTime::parse_from_rfc3339("2031-05-04T08:00:00.123+08:00").unwrap();
        let utc = DateTime::parse_from_rfc3339("2031-05-04T00:00:00.123Z").unwrap();
        assert_eq!(replay_id(t, &[1; 32]), replay_id(utc, &[1; 32]));
        assert_ne!(replay_id(t, &[1; 32]), replay_id(t, &[2; 32]));
        let long_ago = DateTime::parse_from_rfc3339("1969-01-01T00:00:00Z").unwrap();
        assert_eq!(replay_id(long_ago, &[]).get_version_num(), 7);
    }
}
