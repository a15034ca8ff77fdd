//! A vehicle that is on the watchlist passed.

use chrono::{DateTime, FixedOffset};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::codes::{Direction, Level, PlateColour, PlateKind, VehicleClass};
use crate::message::{self, Message, MessageError, MessageKind, SchemaVersion};
use crate::passage::{
    ClockStatus, EVIDENCE_MAX, Evidence, Lane, PLATE_MAX, PictureSize, Plate, Vehicle,
};
use crate::sequence::Sequence;
use crate::values::Confidence;
use crate::{Id, Topic};

/// A vehicle whose plate is on the watchlist is passing, or has passed.
///
/// A hit lives: it is told as `provisional` as soon as the plate is read surely enough, and ended,
/// under the same `id`, by exactly one message that says `confirmed`, `retracted` or `unresolved`.
/// Where the plate was sure only at the end, that `confirmed` is the first message.
///
/// It overtakes the passages that wait, its own among them. So it repeats what a person needs to
/// decide before any vehicle is stopped: the pictures, the read with its raw form, the matched
/// entry, and the doubt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HitMessage {
    /// Sent more than a minute after `decided_at`: history, no reason to stop a vehicle.
    ///
    /// The first field: it is decided when the message is sent, after it was signed.
    #[serde(default)]
    pub is_late: bool,
    pub schema_version: SchemaVersion,
    /// UUIDv7 of the hit, the same in every message of its life. A repeat of a message carries the
    /// same `id` and the same `state`.
    pub id: Uuid,
    /// What is known of it now. Missing in messages of agents older than this field, which told
    /// only of what had passed.
    #[serde(default)]
    pub state: HitState,
    /// Present exactly when `state` is `retracted`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retraction: Option<Retraction>,
    pub site: Id,
    pub agent: Id,
    pub camera: Id,
    /// The `id` of the passage that hit. The passage message comes when the vehicle has passed;
    /// after a retraction perhaps never.
    pub passage_id: Uuid,
    /// `provisional`: when the frame was captured in which the plate was read. Else the `time` of
    /// the passage: when the vehicle passed.
    #[serde(with = "crate::time")]
    #[schemars(with = "DateTime<FixedOffset>")]
    pub time: DateTime<FixedOffset>,
    /// Capture time of the last frame that this message rests on. Missing in messages of agents
    /// older than this field.
    #[serde(
        default,
        with = "crate::time::option",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<DateTime<FixedOffset>>")]
    pub decided_at: Option<DateTime<FixedOffset>>,
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
    /// A plate, or a pattern: `?` is any one character, `*` any number of them. For a vehicle that
    /// is missing in a list of those allowed: `*`.
    #[schemars(length(min = 1, max = PLATE_MAX))]
    pub plate: String,
    /// The kind of plate that is looked for; missing: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<PlateKind>,
    /// The colour of the plate that is looked for; missing: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub colour: Option<PlateColour>,
    /// The class of vehicle that is looked for; missing: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<VehicleClass>,
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
    /// Who listed it.
    #[serde(
        default,
        serialize_with = "crate::text::clipped",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<String>")]
    pub authority: Option<String>,
    /// By which law, order or case.
    #[serde(
        default,
        serialize_with = "crate::text::clipped",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<String>")]
    pub basis: Option<String>,
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
    /// Where a hit is in its life.
    pub enum HitState {
        /// The vehicle is in sight, and its plate was read surely enough. What follows, under the
        /// same `id`, is `confirmed`, `retracted` or `unresolved`.
        Provisional = "provisional", "待核实";
        /// The vehicle has passed, and the vote over all its reads matches.
        Confirmed = "confirmed", "已确认";
        /// It was none: `retraction` says why.
        Retracted = "retracted", "已撤销";
        /// The agent ended abruptly before it was known.
        Unresolved = "unresolved", "未决";
        /// The vehicle of a hit that was told passed once more soon after, perhaps another camera
        /// of the box. `id` is that hit's, `passage_id` the later passage's.
        Again = "again", "再次出现";
    }
}

impl HitState {
    /// The vehicle has passed, and it is the one that is listed.
    pub const fn has_passed(self) -> bool {
        matches!(self, Self::Confirmed | Self::Again)
    }
}

impl Default for HitState {
    /// What agents older than the field told.
    fn default() -> Self {
        Self::Confirmed
    }
}

crate::codes::word_list! {
    /// Why a hit was none.
    pub enum RetractionReason {
        /// The vote over all reads of the vehicle gives another text.
        VoteChanged = "vote_changed", "识读结果已变";
        /// It stayed outside all lanes.
        OutsideLanes = "outside_lanes", "不在车道内";
        /// The plate belongs to another vehicle, whose passage is told by itself.
        OtherVehicle = "other_vehicle", "属于其他车辆";
        /// What was followed was no vehicle's plate.
        NoVehicle = "no_vehicle", "并非车辆号牌";
        /// The entry is not in the list any more, or no longer valid.
        NotListed = "not_listed", "名单已变更";
    }
}

crate::codes::word_list! {
    /// How a read matched an entry.
    pub enum MatchKind {
        /// Character by character.
        Exact = "exact", "精确匹配";
        /// Some characters differ, but are easily confused.
        Near = "near", "近似匹配";
        /// The read fits an entry with `?` or `*`, or what could be read of it fits an entry.
        Pattern = "pattern", "模式匹配";
        /// The plate is missing in a list of those allowed.
        Unlisted = "unlisted", "不在允许名单";
    }
}

/// What speaks against a match; for the person who decides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Doubt {
    #[serde(rename = "match")]
    pub kind: MatchKind,
    /// How sure it is that the vehicle carries the listed plate.
    pub confidence: Confidence,
    /// Where read and entry differ; empty unless the match is `near`.
    #[serde(default)]
    #[schemars(length(max = PLATE_MAX))]
    pub differences: Vec<Difference>,
    /// What else about the vehicle speaks against the entry; `confidence` counts it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 3))]
    pub contradictions: Vec<Contradiction>,
    /// The least sure character of the read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weakest: Option<WeakCharacter>,
}

/// What took a hit back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Retraction {
    pub reason: RetractionReason,
    /// The plate's text as it is known now; missing where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = PLATE_MAX))]
    pub plate: Option<String>,
}

crate::codes::word_list! {
    /// What can contradict an entry beside the text.
    pub enum Trait {
        PlateKind = "plate_kind", "号牌种类";
        PlateColour = "plate_colour", "号牌颜色";
        VehicleClass = "vehicle_class", "车辆类型";
    }
}

/// Something that was seen otherwise than it is listed. Both values are the words or codes that
/// `plate` and `vehicle` use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Contradiction {
    pub what: Trait,
    #[serde(serialize_with = "crate::text::clipped")]
    #[schemars(with = "String")]
    pub seen: String,
    #[serde(serialize_with = "crate::text::clipped")]
    #[schemars(with = "String")]
    pub listed: String,
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

    fn to_json(&self) -> Result<Vec<u8>, MessageError> {
        message::write(self)
    }
    fn from_json(payload: &[u8]) -> Result<Self, MessageError> {
        message::read(payload)
    }
    fn id(&self) -> Uuid {
        self.id
    }
    /// The hit and its state: each state is told by one message. Of `again` there may be several.
    fn event_id(&self) -> String {
        match self.state {
            HitState::Again => format!("{}/{}/{}", self.id, self.state, self.passage_id),
            state => format!("{}/{state}", self.id),
        }
    }
    fn captured_at(&self) -> DateTime<FixedOffset> {
        self.decided_at.unwrap_or(self.time)
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
        if (self.state == HitState::Retracted) != self.retraction.is_some() {
            let reason = format!("stands with state {:?} alone", HitState::Retracted.as_str());
            return Err(MessageError::invalid("retraction", reason));
        }
        Ok(())
    }
}
