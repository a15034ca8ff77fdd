//! What the agent gives to the panel. Everything is asked from a thread that may block, but for
//! [`Checkpoint::now`], [`Checkpoint::mono`] and [`Checkpoint::status`], which answer at once.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, FixedOffset};
use kakou_contract::{AuditEvent, CameraStatus, Direction, Sequence, Verdict};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::hub::{Answered, PassageRow};

/// As messages of the contract carry times.
pub(crate) fn as_text<S: Serializer>(
    time: &DateTime<FixedOffset>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&kakou_contract::time::to_text(time))
}

/// A table, and the range of the messages that it was made of.
pub type Report = (Bytes, Option<(Sequence, Sequence)>);

/// Why something that was asked for is not given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    Invalid(String),
    #[error("{0}")]
    Failed(String),
    #[error("the config was changed meanwhile")]
    Conflict,
    #[error("the agent would not run with this config")]
    Wrong(Vec<SaveNote>),
    #[error("{why}")]
    ReadOnly { why: String, toml: String },
}

/// The agent, as the panel knows it.
pub trait Checkpoint: Send + Sync + 'static {
    fn site(&self) -> String;
    fn agent(&self) -> String;
    fn version(&self) -> &'static str;
    /// The site's time, with its offset.
    fn now(&self) -> DateTime<FixedOffset>;
    /// Never runs backwards.
    fn mono(&self) -> Duration;
    /// How the box is: as `kakou status --json` says it.
    fn status(&self) -> Value;

    fn cameras(&self) -> Vec<Camera>;
    /// The newest picture as JPEG, no wider than `width`.
    fn picture(&self, camera: &str, width: u32) -> Result<Bytes, Refused>;
    /// The newest picture with what was found in it; the same for everybody who asks within a moment.
    fn scene(&self, camera: &str, motion: bool) -> Result<Scene, Refused>;
    /// The JPEG of a scene's picture, made once.
    fn scene_picture(&self, camera: &str, frame: u64) -> Result<Bytes, Refused>;
    fn geometry(&self, camera: &str) -> Result<Geometry, Refused>;
    /// Writes the config, checks it and takes it into use.
    fn save(&self, camera: &str, wanted: Geometry, by: &str) -> Result<Saved, Refused>;

    /// What an officer said. It is recorded before this returns.
    fn answer(&self, answer: Answer) -> Result<(), Refused>;
    /// Messages of hits that were told before the panel listened, the newest first.
    fn hits_before(&self, most: usize) -> Vec<Before>;
    fn passages(&self, wanted: &PassageQuery) -> Result<Passages, Refused>;
    /// A picture near a message with this number.
    fn evidence(&self, owner: Uuid, role: &str, near: u64) -> Result<Bytes, Refused>;
    fn quality(&self, hours: u32) -> Result<Quality, Refused>;
    /// Passages as CSV, the newest first, and the numbers of the first and the last message of them;
    /// `None`: there is none.
    fn report(&self, hours: u32) -> Result<Report, Refused>;
    fn log(&self, most: usize) -> Vec<LogLine>;
    /// What `kakou doctor` finds.
    fn doctor(&self) -> Result<Value, Refused>;
    /// Into the chain of the outbox. What cannot be recorded is not done.
    fn audit(&self, event: AuditEvent) -> Result<(), Refused>;
}

/// A hit of before the panel listened.
#[derive(Debug, Clone)]
pub struct Before {
    /// The message of the contract.
    pub hit: Value,
    /// The number of the message.
    pub near: Option<u64>,
    /// What an officer said to it.
    pub answer: Option<Answered>,
}

#[derive(Debug, Clone)]
pub struct Answer {
    pub hit: Uuid,
    pub verdict: Verdict,
    pub note: Option<String>,
    pub by: String,
}

/// A point in parts of the picture's width and height, 0 to 1, from the top left.
pub type Point = [f32; 2];

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LaneShape {
    pub id: String,
    #[serde(default)]
    pub name: Option<String>,
    #[schema(value_type = Vec<Vec<f32>>)]
    pub polygon: Vec<Point>,
    #[serde(default)]
    #[schema(value_type = Option<Vec<Vec<f32>>>)]
    pub trigger: Option<[Point; 2]>,
    /// `approaching` or `leaving`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub direction: Option<Direction>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Camera {
    pub id: String,
    /// As the platform has it: docs/messages.md.
    #[schema(value_type = Object)]
    pub status: CameraStatus,
    /// Of its pictures, in pixels.
    #[schema(value_type = Option<Vec<u32>>)]
    pub size: Option<[u32; 2]>,
    pub lanes: Vec<LaneShape>,
    #[schema(value_type = Vec<Vec<Vec<f32>>>)]
    pub masks: Vec<Vec<Point>>,
    /// Since the agent's start.
    pub passages: u64,
    pub read: u64,
    /// Of the plates read, in pixels of the camera's picture.
    pub plate_width: Option<f64>,
}

/// What the config says of where a camera looks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Geometry {
    /// Of the config file: what is saved must have been made of the file as it is.
    pub version: String,
    /// Whether the agent may write the file.
    #[serde(default)]
    pub writable: bool,
    /// Plates are looked for in a picture of this longer side.
    #[serde(default)]
    pub plate_side: Option<u32>,
    /// What the plates that passed ask for.
    #[serde(default)]
    pub plate_side_advice: Option<u32>,
    #[serde(default)]
    pub widths: Widths,
    pub lanes: Vec<LaneShape>,
    #[schema(value_type = Vec<Vec<Vec<f32>>>)]
    pub masks: Vec<Vec<Point>>,
}

/// Of plates where they were read, in pixels of the camera's picture.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Widths {
    pub median: Option<f64>,
    pub count: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum NoteKind {
    Error,
    Warning,
}

/// As `kakou check-config` says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SaveNote {
    pub kind: NoteKind,
    pub line: Option<usize>,
    pub key: Option<String>,
    pub message: String,
    pub mend: Option<String>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Saved {
    /// Of the new file.
    pub version: String,
    /// The old file's name, beside the new one.
    pub backup: String,
    pub notes: Vec<SaveNote>,
    /// Cameras that were started anew.
    pub started: Vec<String>,
}

/// A picture of a camera, and what was found in it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Scene {
    /// Counts up; the picture is asked for by it.
    pub frame: u64,
    #[serde(serialize_with = "as_text")]
    pub time: DateTime<FixedOffset>,
    /// In pixels.
    #[schema(value_type = Vec<u32>)]
    pub size: [u32; 2],
    /// Whether it was looked at; where nothing moves it is not, and nothing is found in it.
    pub looked: bool,
    pub vehicles: Vec<VehicleSight>,
    pub plates: Vec<PlateSight>,
    pub motion: Option<Motion>,
    /// How much the picture's middle differs from pixel to pixel; the larger, the sharper. For
    /// comparison while a lens is turned, and for nothing else.
    pub focus: f64,
    pub exposure: Exposure,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct VehicleSight {
    /// `[x, y, width, height]` in pixels.
    #[serde(rename = "box")]
    #[schema(value_type = Vec<f32>)]
    pub rect: [f32; 4],
    pub class: String,
    pub score: f32,
    pub track: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct PlateSight {
    /// From the plate's own top left, clockwise, in pixels.
    #[schema(value_type = Vec<Vec<f32>>)]
    pub quad: [[f32; 2]; 4],
    pub text: Option<String>,
    pub confidence: Option<f32>,
    pub score: f32,
    /// Of its upper edge, in pixels.
    pub width: f32,
}

/// Which cells of the picture have changed since it was looked at last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Motion {
    pub columns: u32,
    pub rows: u32,
    /// Row by row, from the top left.
    pub moved: Vec<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub struct Exposure {
    /// 0 to 255.
    pub mean: f32,
    /// Share of pixels that are as good as black.
    pub dark: f32,
    /// Share that are as good as white.
    pub bright: f32,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PassageQuery {
    pub camera: Option<String>,
    pub lane: Option<String>,
    pub class: Option<String>,
    pub unread: bool,
    /// `?` stands for one character, `*` for any.
    pub plate: Option<String>,
    pub before: Option<u64>,
    pub limit: usize,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Passages {
    pub passages: Vec<PassageRow>,
    /// `before` of the next page; missing: there is no more.
    pub next: Option<u64>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Quality {
    pub hours: Vec<Hour>,
}

/// One hour of one lane.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Hour {
    #[serde(serialize_with = "as_text")]
    pub start: DateTime<FixedOffset>,
    pub camera: String,
    pub lane: Option<String>,
    pub passages: u64,
    pub read: u64,
    /// Mean of those read, 0 to 1.
    pub confidence: Option<f64>,
    /// Mean width of the plates read, in pixels.
    pub width: Option<f64>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LogLine {
    #[serde(serialize_with = "as_text")]
    pub time: DateTime<FixedOffset>,
    pub level: &'static str,
    pub target: String,
    pub text: String,
}
