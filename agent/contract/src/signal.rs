//! Something about a passage that a person should look at, though no list asks for it.

use chrono::{DateTime, FixedOffset};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::codes::{Direction, NoPlateReason};
use crate::hit::Trait;
use crate::message::{self, Message, MessageError, MessageKind, SchemaVersion};
use crate::passage::{ClockStatus, EVIDENCE_MAX, Evidence, Lane, PictureSize, Plate, Vehicle};
use crate::sequence::Sequence;
use crate::{Id, Topic};

/// A passage that does not fit: with itself, with another passage, or with the rules of the road.
///
/// It is no hit: nobody asked for this vehicle, and nothing here is a reason to stop it. It is
/// committed together with its passage and waits as one, and repeats of it what a person needs to
/// judge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SignalMessage {
    /// Sent more than a minute after the vehicle was last seen: history, no reason to stop it.
    ///
    /// The first field: it is decided when the message is sent, after it was signed.
    #[serde(default)]
    pub is_late: bool,
    pub schema_version: SchemaVersion,
    /// UUIDv7 of the signal. A passage gives at most one signal of each kind.
    pub id: Uuid,
    pub kind: SignalKind,
    /// The `id` of the passage that it is about.
    pub passage_id: Uuid,
    pub site: Id,
    pub agent: Id,
    pub camera: Id,
    /// As in the passage.
    pub lane: Option<Lane>,
    /// As in the passage.
    pub direction: Direction,
    /// As in the passage: when the vehicle passed.
    #[serde(with = "crate::time")]
    #[schemars(with = "DateTime<FixedOffset>")]
    pub time: DateTime<FixedOffset>,
    /// As in the passage.
    #[serde(with = "crate::time")]
    #[schemars(with = "DateTime<FixedOffset>")]
    pub first_seen: DateTime<FixedOffset>,
    /// As in the passage.
    #[serde(with = "crate::time")]
    #[schemars(with = "DateTime<FixedOffset>")]
    pub last_seen: DateTime<FixedOffset>,
    /// As in the passage.
    pub picture: PictureSize,
    /// As in the passage.
    pub vehicle: Option<Vehicle>,
    /// As in the passage.
    pub plate: Option<Plate>,
    /// As in the passage: present exactly when `plate` is `null`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_plate_reason: Option<NoPlateReason>,
    /// What contradicts what; empty unless `kind` is `contradiction`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 3))]
    pub conflicts: Vec<Conflict>,
    /// The other passage with the same plate; present exactly when `kind` is `twice` or `travel`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other: Option<OtherSighting>,
    /// The configured length of road between the two cameras; present exactly when `other` is of
    /// another camera.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metres: Option<u32>,
    /// The least speed, in km/h, at which one vehicle could have been both; present exactly when
    /// `kind` is `travel`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed_kmh: Option<u32>,
    /// As in the passage, which is where the pictures belong.
    #[serde(default)]
    #[schemars(length(max = EVIDENCE_MAX))]
    pub evidence: Vec<Evidence>,
    /// As in the passage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<ClockStatus>,
    /// Continuous per agent over all its messages: a gap is a lost message.
    ///
    /// The last field: it is given when the message is committed, after it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<Sequence>,
}

crate::codes::word_list! {
    /// What does not fit.
    pub enum SignalKind {
        /// The plate's text, its ground colour and the vehicle cannot belong together.
        Contradiction = "contradiction", "号牌矛盾";
        /// One plate was in two places of the box at once.
        Twice = "twice", "同牌同现";
        /// The vehicle has no plate, or it is covered.
        NoPlate = "no_plate", "无牌遮挡";
        /// It drove against the lane's lawful direction.
        WrongWay = "wrong_way", "逆行";
        /// One plate was at two cameras of the box sooner than any vehicle gets from one to the
        /// other.
        Travel = "travel", "异速出现";
    }
}

/// A trait that does not fit the rest. Its values are the words that `plate` and `vehicle` use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Conflict {
    pub what: Trait,
    #[serde(serialize_with = "crate::text::clipped")]
    #[schemars(with = "String")]
    pub seen: String,
    /// What would fit; several words are separated by a comma and a space.
    #[serde(serialize_with = "crate::text::clipped")]
    #[schemars(with = "String")]
    pub expected: String,
}

/// The passage that the same plate was in too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OtherSighting {
    pub passage_id: Uuid,
    pub camera: Id,
    pub lane: Option<Lane>,
    #[serde(with = "crate::time")]
    #[schemars(with = "DateTime<FixedOffset>")]
    pub first_seen: DateTime<FixedOffset>,
    #[serde(with = "crate::time")]
    #[schemars(with = "DateTime<FixedOffset>")]
    pub last_seen: DateTime<FixedOffset>,
}

impl SignalKind {
    /// It is about two passages with one plate.
    pub const fn is_of_two(self) -> bool {
        matches!(self, Self::Twice | Self::Travel)
    }
}

impl Message for SignalMessage {
    const KIND: MessageKind = MessageKind::Signal;

    fn to_json(&self) -> Result<Vec<u8>, MessageError> {
        message::write(self)
    }
    fn from_json(payload: &[u8]) -> Result<Self, MessageError> {
        message::read(payload)
    }
    fn id(&self) -> Uuid {
        self.id
    }
    fn captured_at(&self) -> DateTime<FixedOffset> {
        self.last_seen
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
        Topic::Signal {
            site: self.site.clone(),
            agent: self.agent.clone(),
            kind: self.kind,
            camera: self.camera.clone(),
        }
    }
    fn subject(&self) -> String {
        self.passage_id.to_string()
    }

    fn check(&self) -> Result<(), MessageError> {
        use SignalKind as K;
        let kind = self.kind;
        if let Some(plate) = &self.plate {
            plate.check("plate")?;
        }
        stands_where(
            "no_plate_reason",
            self.no_plate_reason.is_some(),
            self.plate.is_none(),
            "plate is null",
        )?;
        match kind {
            K::Contradiction | K::Twice | K::Travel if self.plate.is_none() => {
                return Err(wrong("plate", format!("null, but {kind} is about a plate")));
            }
            K::NoPlate if self.plate.is_some() => {
                return Err(wrong("plate", format!("present, but the kind is {kind}")));
            }
            K::NoPlate if self.vehicle.is_none() => {
                return Err(wrong("vehicle", "null: nothing passed without a plate"));
            }
            _ => {}
        }
        let has = !self.conflicts.is_empty();
        let of_contradiction = kind == K::Contradiction;
        stands_where("conflicts", has, of_contradiction, "kind is contradiction")?;
        let (of_two, words) = (kind.is_of_two(), "kind is twice or travel");
        stands_where("other", self.other.is_some(), of_two, words)?;
        let elsewhere = self.other.as_ref().is_some_and(|o| o.camera != self.camera);
        let words = "other is of another camera";
        stands_where("metres", self.metres.is_some(), elsewhere, words)?;
        let of_travel = kind == K::Travel;
        stands_where(
            "speed_kmh",
            self.speed_kmh.is_some(),
            of_travel,
            "kind is travel",
        )?;
        if of_travel && !elsewhere {
            return Err(wrong("other.camera", "the same: nothing was travelled"));
        }
        if self.time < self.first_seen || self.time > self.last_seen {
            return Err(wrong("time", "not within first_seen to last_seen"));
        }
        match &self.other {
            Some(other) => self.check_other(other),
            None => Ok(()),
        }
    }
}

impl SignalMessage {
    fn check_other(&self, other: &OtherSighting) -> Result<(), MessageError> {
        if other.passage_id == self.passage_id {
            return Err(wrong(
                "other.passage_id",
                "that of the signal's own passage",
            ));
        }
        if other.first_seen > other.last_seen {
            return Err(wrong("other.first_seen", "after other.last_seen"));
        }
        let at_once = other.first_seen <= self.last_seen && self.first_seen <= other.last_seen;
        if self.kind == SignalKind::Twice && !at_once {
            return Err(wrong("other", "not in sight at the same time"));
        }
        Ok(())
    }
}

fn wrong(field: &str, reason: impl Into<String>) -> MessageError {
    MessageError::invalid(field, reason)
}

fn stands_where(field: &str, has: bool, must: bool, place: &str) -> Result<(), MessageError> {
    match has == must {
        true => Ok(()),
        false => Err(wrong(field, format!("stands exactly where {place}"))),
    }
}
