//! Points in time as messages carry them: RFC 3339 with milliseconds and the offset from UTC, as
//! in `2031-05-04T08:15:30.250+08:00`. The offset says what a person at the checkpoint saw on the
//! clock; the instant is unambiguous either way.

use chrono::{DateTime, FixedOffset, SecondsFormat};
use serde::{Deserialize, Deserializer, Serializer};

/// The text a message carries for `time`; digits below the millisecond are cut off.
pub fn to_text(time: &DateTime<FixedOffset>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, false)
}

pub(crate) fn serialize<S: Serializer>(
    time: &DateTime<FixedOffset>,
    s: S,
) -> Result<S::Ok, S::Error> {
    s.serialize_str(&to_text(time))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    d: D,
) -> Result<DateTime<FixedOffset>, D::Error> {
    Rfc3339::deserialize(d).map(|Rfc3339(time)| time)
}

/// Stricter than chrono's own reading, which takes several forms, and years of six digits.
#[derive(Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Rfc3339(pub DateTime<FixedOffset>);

impl TryFrom<String> for Rfc3339 {
    type Error = chrono::ParseError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        DateTime::parse_from_rfc3339(&text).map(Self)
    }
}

/// The same for a time that may be missing.
pub(crate) mod option {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(
        time: &Option<DateTime<FixedOffset>>,
        s: S,
    ) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => super::serialize(time, s),
            None => s.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        d: D,
    ) -> Result<Option<DateTime<FixedOffset>>, D::Error> {
        Ok(Option::<Rfc3339>::deserialize(d)?.map(|Rfc3339(time)| time))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn milliseconds_and_offset_are_always_written() {
        for (read, written) in [
            ("2031-05-04T08:15:30+08:00", "2031-05-04T08:15:30.000+08:00"),
            (
                "2031-05-04T00:15:30.123456Z",
                "2031-05-04T00:15:30.123+00:00",
            ),
        ] {
            assert_eq!(
                to_text(&DateTime::parse_from_rfc3339(read).unwrap()),
                written
            );
        }
    }
}
