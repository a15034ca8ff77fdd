//! A vehicle that is on the watchlist passed.

use chrono::{DateTime, FixedOffset};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::codes::{Direction, Level};
use crate::message::{Message, MessageError, MessageKind, SchemaVersion};
use crate::passage::{
    ClockStatus, EVIDENCE_MAX, Evidence, Lane, PLATE_MAX, PictureSize, Plate, Vehicle,
};
use crate::sequence::Sequence;
use crate::values::Confidence;
use crate::{Id, Topic};

/// A vehicle whose plate is on the watchlist passed.
///
/// It overtakes the passages that wait, its own among them. So it repeats what a person needs to
/// decide before any vehicle is stopped: the pictures, the read with its raw form, the matched
/// entry, and the doubt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HitMessage {
    /// Sent more than a minute after it was captured: history, no reason to stop a vehicle.
    ///
    /// The first field: it is decided when the message is sent, after it was signed.
    #[serde(default)]
    pub is_late: bool,
    pub schema_version: SchemaVersion,
    /// UUIDv7, not that of the passage. Repeats of a message carry the same id.
    pub id: Uuid,
    pub site: Id,
    pub agent: Id,
    pub camera: Id,
    /// The `id` of the passage that hit.
    pub passage_id: Uuid,
    /// The `time` of that passage: when the vehicle passed.
    #[serde(with = "crate::time")]
    #[schemars(with = "DateTime<FixedOffset>")]
    pub time: DateTime<FixedOffset>,
    pub level: Level,
    /// The list's own word for what this is about, as "stolen".
    #[serde(serialize_with = "crate::text::clipped")]
    #[schemars(with = "String")]
    pub category: String,
    /// For people: why the plate is listed.
    #[serde(serialize_with = "crate::text::clipped")]
    #[schemars(with = "String")]
    pub reason: String,
    /// What was matched.
    pub entry: ListEntry,
    /// What speaks against the match.
    pub doubt: Doubt,
    /// As in the passage.
    pub lane: Option<Lane>,
    /// As in the passage.
    pub direction: Direction,
    /// As in the passage.
    pub picture: PictureSize,
    /// As in the passage.
    pub vehicle: Option<Vehicle>,
    /// As in the passage.
    pub plate: Plate,
    /// As in the passage.
    #[serde(default)]
    #[schemars(length(max = EVIDENCE_MAX))]
    pub evidence: Vec<Evidence>,
    /// As in the passage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<ClockStatus>,
    /// Continuous per agent over all its messages: a gap is a lost message. Missing in a replay.
    ///
    /// The last field: it is given when the message is committed, after it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<Sequence>,
}

/// The entry of the watchlist that matched, as it stands in the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListEntry {
    #[schemars(length(min = 1, max = PLATE_MAX))]
    pub plate: String,
    /// Which list it is in.
    #[serde(serialize_with = "crate::text::clipped")]
    #[schemars(with = "String")]
    pub list: String,
    /// Which version of the list.
    #[serde(
        default,
        serialize_with = "crate::text::clipped",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<String>")]
    pub list_version: Option<String>,
    /// The entry ends at this time; missing when it has no end.
    #[serde(
        default,
        with = "crate::time::option",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<DateTime<FixedOffset>>")]
    pub valid_until: Option<DateTime<FixedOffset>>,
}

crate::codes::word_list! {
    /// How a read matched an entry.
    pub enum MatchKind {
        /// Character by character.
        Exact = "exact", "精确匹配";
        /// Some characters differ, but are easily confused.
        Near = "near", "近似匹配";
    }
}

/// What speaks against a match; for the person who decides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Doubt {
    #[serde(rename = "match")]
    pub kind: MatchKind,
    /// How sure it is that the vehicle carries the listed plate.
    pub confidence: Confidence,
    /// Where read and entry differ; empty for an exact match.
    #[serde(default)]
    #[schemars(length(max = PLATE_MAX))]
    pub differences: Vec<Difference>,
    /// The least sure character of the read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weakest: Option<WeakCharacter>,
}

/// A place where read and entry differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// Index into the entry's plate, from 0.
    pub position: u8,
    /// `null`: the read has no character here.
    pub read: Option<char>,
    /// `null`: the entry has no character here.
    pub listed: Option<char>,
}

/// The least sure character of a read.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WeakCharacter {
    /// Index into `plate.characters`, from 0.
    pub position: u8,
    pub char: char,
    pub confidence: Confidence,
}

impl Message for HitMessage {
    const KIND: MessageKind = MessageKind::Hit;

    fn id(&self) -> Uuid {
        self.id
    }
    fn site(&self) -> &Id {
        &self.site
    }
    fn agent(&self) -> &Id {
        &self.agent
    }
    fn time(&self) -> DateTime<FixedOffset> {
        self.time
    }
    fn topic(&self) -> Topic {
        Topic::Hit {
            site: self.site.clone(),
            agent: self.agent.clone(),
            level: self.level,
            camera: self.camera.clone(),
        }
    }
    fn subject(&self) -> String {
        self.passage_id.to_string()
    }

    fn check(&self) -> Result<(), MessageError> {
        self.plate.check("plate")?;
        let exact = self.doubt.kind == MatchKind::Exact;
        if exact && (self.entry.plate != self.plate.text || !self.doubt.differences.is_empty()) {
            let reason = format!(
                "{:?} against {:?} is no exact match",
                self.plate.text, self.entry.plate
            );
            return Err(MessageError::invalid("doubt.match", reason));
        }
        Ok(())
    }
}
