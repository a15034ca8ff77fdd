//! One vehicle's passage.

use chrono::{DateTime, FixedOffset};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::codes::{
    Direction, EvidenceRole, NoPlateReason, PlateColour, PlateKind, VehicleClass, VehicleColour,
};
use crate::message::{self, Message, MessageError, MessageKind, SchemaVersion};
use crate::sequence::Sequence;
use crate::values::{Confidence, Px, Sha256Hex};
use crate::{Id, Topic};

/// The most characters of a plate: far more than any has, so that a strange read still fits.
pub const PLATE_MAX: usize = 64;
/// The most pictures of a passage.
pub const EVIDENCE_MAX: usize = 16;
/// The longest side of a picture in pixels: that of JPEG.
pub const PICTURE_SIDE_MAX: u32 = 65_535;
/// The largest picture in bytes: the most that fits into a packet of MQTT.
pub const PICTURE_BYTES_MAX: u64 = 268_435_455;

/// One vehicle passed the checkpoint: exactly one message per vehicle, whether or not its plate
/// could be read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PassageMessage {
    /// Sent more than a minute after the vehicle was last seen: history, no reason to stop it.
    ///
    /// The first field: it is decided when the message is sent, after it was signed.
    #[serde(default)]
    pub is_late: bool,
    pub schema_version: SchemaVersion,
    /// UUIDv7 of the time at which the vehicle was first seen; it has it from then on. Repeats of a
    /// message carry the same id.
    pub id: Uuid,
    pub site: Id,
    pub agent: Id,
    pub camera: Id,
    /// `null`: the vehicle was in none of the configured lanes.
    pub lane: Option<Lane>,
    pub direction: Direction,
    /// Drives against the lane's lawful direction; missing when the lane has none, or when it cannot
    /// be said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrong_way: Option<bool>,
    /// When the vehicle passed: it crossed the lane's trigger line. Where it crossed none, when its
    /// plate was read best; without a read, when it was last seen. `evidence[].captured_at` says
    /// when the pictures were captured.
    #[serde(with = "crate::time")]
    #[schemars(with = "DateTime<FixedOffset>")]
    pub time: DateTime<FixedOffset>,
    /// Capture time of the first frame the vehicle was seen in.
    #[serde(with = "crate::time")]
    #[schemars(with = "DateTime<FixedOffset>")]
    pub first_seen: DateTime<FixedOffset>,
    /// Capture time of the last frame the vehicle was seen in.
    #[serde(with = "crate::time")]
    #[schemars(with = "DateTime<FixedOffset>")]
    pub last_seen: DateTime<FixedOffset>,
    /// In how many frames the vehicle or its plate was found.
    pub frames_seen: u32,
    /// Size of the evidence frame; boxes and corners are in its pixels.
    pub picture: PictureSize,
    /// `null`: only a plate was found, and the vehicle around it was not.
    pub vehicle: Option<Vehicle>,
    /// `null`: no plate could be read; `no_plate_reason` says why.
    pub plate: Option<Plate>,
    /// Present exactly when `plate` is `null`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_plate_reason: Option<NoPlateReason>,
    /// HMAC-SHA256 of the plate's text in UTF-8, by the key of `[privacy] key_file`. Present
    /// exactly when the plate was withheld.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plate_hash: Option<Sha256Hex>,
    /// The pictures; empty when none could be kept.
    #[serde(default)]
    #[schemars(length(max = EVIDENCE_MAX))]
    pub evidence: Vec<Evidence>,
    /// How the agent's clock stood. Missing in a replay, whose times are the recording's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<ClockStatus>,
    /// The models that found and read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<ModelUsed>,
    /// Continuous per agent over all its messages: a gap is a lost message. Missing in a replay.
    ///
    /// The last field: it is given when the message is committed, after it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<Sequence>,
}

/// A configured lane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Lane {
    pub id: Id,
    /// For people.
    #[serde(
        default,
        serialize_with = "crate::text::clipped",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<String>")]
    pub name: Option<String>,
}

/// Width and height of a picture in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PictureSize {
    #[schemars(range(min = 1, max = PICTURE_SIDE_MAX))]
    pub width: u32,
    #[schemars(range(min = 1, max = PICTURE_SIDE_MAX))]
    pub height: u32,
}

/// An upright box in the evidence frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PixelBox {
    /// Left edge.
    pub x: Px,
    /// Upper edge.
    pub y: Px,
    pub width: Px,
    pub height: Px,
}

impl PixelBox {
    /// From the left, upper, right and lower edges.
    pub fn from_edges(x0: f32, y0: f32, x1: f32, y1: f32) -> Self {
        Self {
            x: x0.into(),
            y: y0.into(),
            width: (x1 - x0).into(),
            height: (y1 - y0).into(),
        }
    }
}

/// The vehicle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Vehicle {
    /// Voted over all frames.
    pub class: VehicleClass,
    pub class_confidence: Confidence,
    /// Of its body, voted over all frames. Missing: it could not be told, as in a picture taken by
    /// infra-red light.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub colour: Option<VehicleColourRead>,
    /// Where it is in the evidence frame.
    #[serde(rename = "box")]
    pub bounds: PixelBox,
}

/// The colour of a vehicle's body.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VehicleColourRead {
    pub value: VehicleColour,
    pub confidence: Confidence,
}

impl VehicleColourRead {
    /// A colour that is less sure is a guess, and is not shown to people.
    pub const SURE: f32 = 0.7;

    pub fn is_sure(&self) -> bool {
        self.confidence >= Confidence::new(Self::SURE)
    }
}

/// A plate, voted over all reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plate {
    /// The plate's text, without separators; of two rows, the upper one first.
    #[schemars(length(min = 1, max = PLATE_MAX))]
    pub text: String,
    /// How sure the whole text is.
    pub confidence: Confidence,
    /// One per character of `text`.
    #[schemars(length(min = 1, max = PLATE_MAX))]
    pub characters: Vec<Character>,
    /// The best single read as the reader gave it, before any correction.
    #[schemars(length(max = PLATE_MAX))]
    pub raw: String,
    /// The characters that the plate grammar changed; empty when it changed none.
    #[serde(default)]
    #[schemars(length(max = PLATE_MAX))]
    pub corrected: Vec<Correction>,
    /// 1 or 2.
    #[schemars(range(min = 1, max = 2))]
    pub rows: u8,
    /// `null`: the colour could not be told.
    pub colour: Option<PlateColourRead>,
    /// `null`: text and colour do not tell the kind.
    pub kind: Option<PlateKind>,
    /// Corners in the evidence frame as a reader sees the plate: left top, right top, right
    /// bottom, left bottom; each x, y.
    pub quad: [[Px; 2]; 4],
    /// How many times the plate was read.
    pub reads: u32,
    /// How many frames' reads were exactly `text`.
    pub frames_agreeing: u32,
}

/// One character of a plate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Character {
    pub char: char,
    pub confidence: Confidence,
    /// The next best character at this place; of a corrected one the character it replaced, which
    /// may be the surer of the two. `null`: there was no other candidate.
    pub runner_up: Option<RunnerUp>,
}

/// What a character would be if it were not what it is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunnerUp {
    pub char: char,
    pub confidence: Confidence,
}

/// A character the plate grammar changed, as the letter O, which serials do not have, to zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Correction {
    /// Index into `characters`, from 0.
    pub position: u8,
    /// What the vote over the reads gave.
    pub from: char,
    /// What `text` has.
    pub to: char,
}

/// The ground colour of a plate, voted over all reads.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlateColourRead {
    pub value: PlateColour,
    pub confidence: Confidence,
}

/// A picture of the passage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    pub role: EvidenceRole,
    /// MIME type.
    pub content_type: String,
    /// In pixels.
    #[schemars(range(min = 1, max = PICTURE_SIDE_MAX))]
    pub width: u32,
    /// In pixels.
    #[schemars(range(min = 1, max = PICTURE_SIDE_MAX))]
    pub height: u32,
    /// When the frame that this picture was made from was captured. All pictures of a passage are
    /// made from the evidence frame, so it need not be the passage's `time`. Missing in messages of
    /// agents older than this field.
    #[serde(
        default,
        with = "crate::time::option",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<DateTime<FixedOffset>>")]
    pub captured_at: Option<DateTime<FixedOffset>>,
    /// Size of the encoded picture.
    #[schemars(range(max = PICTURE_BYTES_MAX))]
    pub bytes: u64,
    /// Of the encoded picture.
    pub sha256: Sha256Hex,
    /// The topic its bytes are published on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// Its file, relative to the folder that the agent writes pictures to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

crate::codes::word_list! {
    /// What is known of the agent's clock.
    pub enum ClockState {
        /// Disciplined by a time source.
        Synchronised = "synchronised", "已同步";
        /// Not disciplined, or no longer.
        Unsynchronised = "unsynchronised", "未同步";
        /// The system does not say.
        Unknown = "unknown", "未知";
    }
}

/// The agent's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Clock")]
pub struct ClockStatus {
    pub state: ClockState,
    /// The time source's time less the agent's, in milliseconds, as last measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset_ms: Option<i64>,
}

/// A model that had a part in the passage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ModelUsed {
    #[serde(serialize_with = "crate::text::clipped")]
    #[schemars(with = "String")]
    pub name: String,
    #[serde(serialize_with = "crate::text::clipped")]
    #[schemars(with = "String")]
    pub version: String,
}

impl Message for PassageMessage {
    const KIND: MessageKind = MessageKind::Passage;

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
        Topic::Passage {
            site: self.site.clone(),
            agent: self.agent.clone(),
            camera: self.camera.clone(),
        }
    }
    fn subject(&self) -> String {
        self.camera.to_string()
    }

    fn check(&self) -> Result<(), MessageError> {
        let invalid = MessageError::invalid;
        match (&self.plate, self.no_plate_reason) {
            (Some(plate), None) => plate.check("plate")?,
            (None, Some(NoPlateReason::Withheld)) => {}
            (None, Some(_)) if self.vehicle.is_some() => {}
            (None, Some(_)) => {
                return Err(invalid(
                    "vehicle",
                    "null beside a plate that is null: nothing passed",
                ));
            }
            (Some(_), Some(_)) => {
                return Err(invalid(
                    "no_plate_reason",
                    "present although there is a plate",
                ));
            }
            (None, None) => return Err(invalid("no_plate_reason", "missing: plate is null")),
        }
        let withheld = self.no_plate_reason == Some(NoPlateReason::Withheld);
        if withheld != self.plate_hash.is_some() {
            let reason = "stands exactly where no_plate_reason says withheld";
            return Err(invalid("plate_hash", reason));
        }
        if self.first_seen > self.last_seen {
            return Err(invalid("first_seen", "after last_seen"));
        }
        if self.time < self.first_seen || self.time > self.last_seen {
            return Err(invalid("time", "not within first_seen to last_seen"));
        }
        let seen = self.first_seen..=self.last_seen;
        let captured = self
            .evidence
            .iter()
            .filter_map(|picture| picture.captured_at);
        if captured.into_iter().any(|at| !seen.contains(&at)) {
            let reason = "not within first_seen to last_seen";
            return Err(invalid("evidence.captured_at", reason));
        }
        Ok(())
    }
}

impl Plate {
    /// Whether text, characters and corrections tell one story; `at` is the field's place.
    pub(crate) fn check(&self, at: &str) -> Result<(), MessageError> {
        let characters: String = self.characters.iter().map(|c| c.char).collect();
        if self.text.is_empty() || characters != self.text {
            let reason = format!("spell {characters:?}, the text is {:?}", self.text);
            return Err(MessageError::invalid(format!("{at}.characters"), reason));
        }
        for c in &self.corrected {
            let now = self.characters.get(usize::from(c.position)).map(|c| c.char);
            if now != Some(c.to) {
                let reason = format!("position {} of the text is not {:?}", c.position, c.to);
                return Err(MessageError::invalid(format!("{at}.corrected"), reason));
            }
        }
        if !matches!(self.rows, 1 | 2) {
            let reason = format!("{} is neither 1 nor 2", self.rows);
            return Err(MessageError::invalid(format!("{at}.rows"), reason));
        }
        Ok(())
    }
}
