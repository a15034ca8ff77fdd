//! What all messages have in common.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, FixedOffset};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::cloudevents::Attributes;
use crate::rules::TextFault;
use crate::{Id, Topic, schema};

/// The version of a message's form, `major.minor`.
///
/// A minor version adds fields that a reader may pass over. Anything that would mislead an old
/// reader is a new major version, with topics of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SchemaVersion {
    major: u16,
    minor: u16,
}

impl SchemaVersion {
    /// What this crate writes.
    pub const CURRENT: Self = Self { major: 1, minor: 0 };

    pub const fn major(self) -> u16 {
        self.major
    }

    pub const fn minor(self) -> u16 {
        self.minor
    }
}

impl fmt::Display for SchemaVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl From<SchemaVersion> for String {
    fn from(v: SchemaVersion) -> Self {
        v.to_string()
    }
}

impl TryFrom<String> for SchemaVersion {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let number = |s: &str| u16::from_str(s).ok();
        let version = text
            .split_once('.')
            .and_then(|(major, minor)| {
                Some(Self {
                    major: number(major)?,
                    minor: number(minor)?,
                })
            })
            .ok_or_else(|| format!("schema version {text:?} is not of the form 1.0"))?;
        if version.major != Self::CURRENT.major {
            let known = Self::CURRENT.major;
            return Err(format!(
                "schema version {version} is not one of {known}.x, known here"
            ));
        }
        Ok(version)
    }
}

impl JsonSchema for SchemaVersion {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "SchemaVersion".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let pattern = format!("^{}\\.[0-9]+$", Self::CURRENT.major);
        json_schema!({ "type": "string", "pattern": pattern })
    }
}

/// What an MQTT message carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MessageKind {
    Passage,
    Hit,
    /// What does not fit about a passage, though no list asks for it.
    Signal,
    Status,
    /// What the agent did, and what it lost.
    Audit,
    /// The answer to a command.
    Result,
    /// A picture; its bytes are the whole payload.
    Evidence,
}

impl MessageKind {
    pub const ALL: [Self; 7] = [
        Self::Passage,
        Self::Hit,
        Self::Signal,
        Self::Status,
        Self::Audit,
        Self::Result,
        Self::Evidence,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passage => "passage",
            Self::Hit => "hit",
            Self::Signal => "signal",
            Self::Status => "status",
            Self::Audit => "audit",
            Self::Result => "result",
            Self::Evidence => "evidence",
        }
    }

    /// CloudEvents `type`.
    pub fn event_type(self) -> String {
        format!("kakou.{}.v{}", self.as_str(), SchemaVersion::CURRENT.major)
    }

    /// CloudEvents `dataschema` and the schema's `$id`; pictures have none.
    pub fn schema_uri(self) -> Option<String> {
        let version = SchemaVersion::CURRENT.major;
        (self != Self::Evidence).then(|| format!("urn:kakou:schema:{}:v{version}", self.as_str()))
    }

    /// Whether the broker keeps the last one for those who subscribe later.
    pub const fn retained(self) -> bool {
        matches!(self, Self::Status)
    }
}

/// Why bytes are no message, or no sensible one.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    #[error("not a {kind} message: {source}")]
    Json {
        kind: &'static str,
        source: serde_json::Error,
    },
    #[error("{field}: {reason}")]
    Invalid { field: String, reason: String },
}

impl MessageError {
    pub(crate) fn invalid(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid {
            field: field.into(),
            reason: reason.into(),
        }
    }
}

/// A JSON message of the agent.
pub trait Message: Serialize + DeserializeOwned + JsonSchema {
    const KIND: MessageKind;
    /// MQTT 5 content type, and CloudEvents `datacontenttype`.
    const CONTENT_TYPE: &'static str = "application/json";

    /// The same for every repeat of this message.
    fn id(&self) -> Uuid;
    /// CloudEvents `id`: different for each message, the same for its repeats.
    fn event_id(&self) -> String {
        self.id().to_string()
    }
    fn site(&self) -> &Id;
    fn agent(&self) -> &Id;
    /// When it happened, not when it was sent.
    fn time(&self) -> DateTime<FixedOffset>;
    /// When the last frame was captured that the message tells of. What is sent more than a minute
    /// later is late, however long the vehicle stood.
    fn captured_at(&self) -> DateTime<FixedOffset> {
        self.time()
    }
    fn topic(&self) -> Topic;
    /// CloudEvents `subject`: what at the agent this is about.
    fn subject(&self) -> String;
    /// What types and schema cannot say: fields that must agree with each other.
    fn check(&self) -> Result<(), MessageError>;

    /// The payload. A message that fails [`Message::check`] is still written: to lose it would be
    /// worse.
    fn to_json(&self) -> Result<Vec<u8>, MessageError>;

    /// Reads and checks a payload; unknown fields are passed over.
    ///
    /// Nothing comes through that is beyond a bound of the schema: the error names the field and
    /// the bound.
    fn from_json(payload: &[u8]) -> Result<Self, MessageError>;

    fn attributes(&self) -> Attributes {
        Attributes::of(self)
    }
}

/// [`Message::to_json`]. Each message calls it by itself, so that its code is made here, once, and not
/// in every crate that writes one.
pub(crate) fn write<M: Message>(message: &M) -> Result<Vec<u8>, MessageError> {
    serde_json::to_vec(message).map_err(|source| MessageError::Json {
        kind: M::KIND.as_str(),
        source,
    })
}

/// [`Message::from_json`], for the same reason.
pub(crate) fn read<M: Message>(payload: &[u8]) -> Result<M, MessageError> {
    let json = |source| MessageError::Json {
        kind: M::KIND.as_str(),
        source,
    };
    if let Some(rules) = schema::rules(M::KIND) {
        rules.check_text(payload).map_err(|fault| match fault {
            TextFault::Json(error) => json(error),
            TextFault::Bound(error) => error,
        })?;
    }
    let message: M = serde_json::from_slice(payload).map_err(json)?;
    message.check()?;
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_takes_later_minor_versions_and_no_other_major() {
        let parse = |s: &str| SchemaVersion::try_from(s.to_owned());
        assert_eq!(parse("1.0"), Ok(SchemaVersion::CURRENT));
        assert_eq!(parse("1.7").map(SchemaVersion::minor), Ok(7));
        assert_eq!(
            parse("2.0").map_err(|e| e.contains("2.0 is not one of 1.x")),
            Err(true)
        );
        for bad in ["", "1", "1.", "one.0", "1.0.0", "-1.0"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
