//! The number of a message.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The largest whole number that every JSON reader keeps exactly, 2^53: many read numbers as
/// `f64`. No whole number of the contract is larger.
pub const WHOLE_MAX: u64 = 1 << 53;

/// The number of a message among all messages of its agent: 1 to 2^53.
///
/// A number that somebody else sent comes in through this type, so what is out of bounds is
/// refused at the border and never reaches a database or an addition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Sequence(u64);

/// Why a number is no [`Sequence`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{number} is no sequence number; they go from {min} to {max}", min = Sequence::MIN, max = Sequence::MAX)]
pub struct SequenceError {
    pub number: u64,
}

impl Sequence {
    /// That of an agent's first message.
    pub const MIN: Self = Self(1);
    pub const MAX: Self = Self(WHOLE_MAX);

    pub const fn new(number: u64) -> Result<Self, SequenceError> {
        if number < Self::MIN.0 || number > Self::MAX.0 {
            Err(SequenceError { number })
        } else {
            Ok(Self(number))
        }
    }

    pub const fn get(self) -> u64 {
        self.0
    }
}

impl TryFrom<u64> for Sequence {
    type Error = SequenceError;

    fn try_from(number: u64) -> Result<Self, SequenceError> {
        Self::new(number)
    }
}

impl From<Sequence> for u64 {
    fn from(sequence: Sequence) -> Self {
        sequence.0
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl JsonSchema for Sequence {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Sequence".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": Self::MIN.0, "maximum": Self::MAX.0 })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn numbers_beyond_either_bound_are_refused_with_both_bounds() {
        for (number, json) in [(1, "1"), (WHOLE_MAX, "9007199254740992")] {
            assert_eq!(Sequence::new(number).unwrap().get(), number);
            assert_eq!(
                serde_json::from_str::<Sequence>(json).unwrap().get(),
                number
            );
        }
        for number in [0, WHOLE_MAX + 1, 1 << 63, u64::MAX] {
            let error = Sequence::new(number).unwrap_err().to_string();
            assert_eq!(
                error,
                format!("{number} is no sequence number; they go from 1 to 9007199254740992")
            );
            assert!(serde_json::from_str::<Sequence>(&number.to_string()).is_err());
        }
        for json in ["-1", "1.5", "1e16", "\"1\"", "null", "18446744073709551616"] {
            assert!(serde_json::from_str::<Sequence>(json).is_err(), "{json}");
        }
    }
}
