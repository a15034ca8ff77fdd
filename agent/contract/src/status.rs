//! How the agent is: retained, so that who subscribes later sees the last word.

use chrono::{DateTime, FixedOffset};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::VerifyingKey;

use crate::codes::CameraState;
use crate::message::{self, Message, MessageError, MessageKind, SchemaVersion};
use crate::passage::{ClockStatus, ModelUsed};
use crate::sequence::Sequence;
use crate::values::{PerSecond, Sha256Hex};
use crate::{Id, Topic};

crate::codes::word_list! {
    /// Whether the agent is connected.
    pub enum AgentState {
        Online = "online", "在线";
        Offline = "offline", "离线";
    }
}

crate::codes::word_list! {
    /// Why an agent is offline.
    pub enum OfflineReason {
        /// Told to stop, as by the box's operator.
        Shutdown = "shutdown", "正常关闭";
        /// Stops to start again, as for a new version or a new config.
        Restart = "restart", "重新启动";
        /// Stops by itself: nothing has worked for minutes.
        Failure = "failure", "故障退出";
        /// The last will: the broker no longer hears from it.
        ConnectionLost = "connection_lost", "连接中断";
    }
}

crate::codes::word_list! {
    /// How well the agent or a part of it is; the last is the worst.
    pub enum Health {
        Ok = "ok", "正常";
        /// It works, with less than it should, or it is being tried again.
        Degraded = "degraded", "降级";
        /// It does not work.
        Failed = "failed", "失效";
    }
}

crate::codes::word_list! {
    /// What a supervised part of the agent is doing.
    pub enum PartState {
        /// It has not worked yet since the agent started, and has not failed either.
        Starting = "starting", "启动中";
        Working = "working", "运行中";
        /// It failed, and is started again after a while; `detail` says why.
        Failing = "failing", "故障重试";
    }
}

/// The agent's birth, its state at intervals and on change, and its last will.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StatusMessage {
    pub schema_version: SchemaVersion,
    /// UUIDv7. Repeats of a message carry the same id.
    pub id: Uuid,
    pub site: Id,
    pub agent: Id,
    /// When this was written. The last will is written when the agent connects, so its time is
    /// that of the connection, not of its loss.
    #[serde(with = "crate::time")]
    #[schemars(with = "DateTime<FixedOffset>")]
    pub time: DateTime<FixedOffset>,
    pub state: AgentState,
    /// Present exactly when `state` is `offline`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<OfflineReason>,
    /// When the agent started.
    #[serde(with = "crate::time")]
    #[schemars(with = "DateTime<FixedOffset>")]
    pub started_at: DateTime<FixedOffset>,
    pub software: Software,
    /// `degraded` as soon as one part is not `ok`; `failed` when no passage can be recorded.
    pub health: Health,
    #[serde(default)]
    pub cameras: Vec<CameraStatus>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<ClockStatus>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<DiskStatus>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outbox: Option<OutboxStatus>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uplink: Option<UplinkStatus>,
    /// The watchlist in use. Missing where none is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watchlist: Option<WatchlistStatus>,
    /// The parts of the agent. Each is supervised for itself, and none ends another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<PartStatus>,
    /// The models in use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<ModelUsed>,
    /// The key that this agent's messages are signed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<PublicKey>,
    /// Continuous per agent over all its messages: a gap is a lost message. Missing in a replay
    /// and in the last will, which the broker sends. The last field, as in the passage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<Sequence>,
}

/// The program that speaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Software {
    pub name: String,
    pub version: String,
}

/// How a camera is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CameraStatus {
    pub camera: Id,
    /// That of `state`, where that is given.
    pub health: Health,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<CameraState>,
    /// For people: what is wrong.
    #[serde(
        default,
        serialize_with = "crate::text::clipped",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<String>")]
    pub detail: Option<String>,
    /// Since when `state` is what it is; without one, `health`.
    #[serde(
        default,
        with = "crate::time::option",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<DateTime<FixedOffset>>")]
    pub since: Option<DateTime<FixedOffset>>,
    /// Capture time of the newest frame.
    #[serde(
        default,
        with = "crate::time::option",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<DateTime<FixedOffset>>")]
    pub last_frame: Option<DateTime<FixedOffset>>,
    /// Frames looked at since the agent started.
    pub frames: u64,
    /// Frames not looked at since the agent started: newer ones came first.
    pub frames_dropped: u64,
    /// Frames that could not be decoded since the agent started.
    pub frames_broken: u64,
    /// Frames not looked at since the agent started: nothing moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frames_still: Option<u64>,
    /// Frames received, lately.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fps: Option<PerSecond>,
    /// Frames looked at, lately.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fps_looked: Option<PerSecond>,
    /// Connections made anew since the agent started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restarts: Option<u64>,
}

/// How the file system that the agent keeps its data on is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DiskStatus {
    pub health: Health,
    pub free_bytes: u64,
    pub total_bytes: u64,
}

/// What waits for the platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OutboxStatus {
    pub health: Health,
    /// Messages not yet acknowledged.
    pub waiting: u64,
    /// Those of them that are hits.
    pub waiting_hits: u64,
    /// When the oldest of them was committed.
    #[serde(
        default,
        with = "crate::time::option",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<DateTime<FixedOffset>>")]
    pub oldest: Option<DateTime<FixedOffset>>,
    /// Messages given up for lack of room, ever.
    pub evicted: u64,
}

/// How the way to the platform is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UplinkStatus {
    pub health: Health,
    /// Connections made since the agent started.
    pub connections: u64,
    #[serde(
        default,
        with = "crate::time::option",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<DateTime<FixedOffset>>")]
    pub connected_since: Option<DateTime<FixedOffset>>,
}

/// Which watchlists passages are compared with: all of them together, and each by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WatchlistStatus {
    /// `degraded` while a configured list is not the one in use.
    pub health: Health,
    /// The configured file's name, without its folder; of several lists each.
    #[serde(serialize_with = "crate::text::clipped")]
    #[schemars(with = "String")]
    pub file: String,
    /// Plates in the lists in use; 0 while there is none.
    pub entries: u64,
    /// Of the list in use. Missing while there is none, and where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Sha256Hex>,
    /// When the file of the list in use was last written; of several the oldest.
    #[serde(
        default,
        with = "crate::time::option",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<DateTime<FixedOffset>>")]
    pub modified: Option<DateTime<FixedOffset>>,
    /// Since when the list is in use; of several the newest.
    #[serde(
        default,
        with = "crate::time::option",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<DateTime<FixedOffset>>")]
    pub since: Option<DateTime<FixedOffset>>,
    /// For people: why a configured list is not in use.
    #[serde(
        default,
        serialize_with = "crate::text::clipped",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<String>")]
    pub detail: Option<String>,
    /// Each configured list. Missing in messages of agents older than this field.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = LISTS_MAX))]
    pub lists: Vec<ListStatus>,
}

/// The most watchlists of a box.
pub const LISTS_MAX: usize = 64;

/// One watchlist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListStatus {
    /// What hits call it.
    #[serde(serialize_with = "crate::text::clipped")]
    #[schemars(with = "String")]
    pub name: String,
    /// `degraded` while the configured file is not the list in use.
    pub health: Health,
    /// Plates in it; 0 while it is not in use.
    pub entries: u64,
    /// Lines of it that could not be used.
    pub refused: u64,
    /// As hits say it.
    #[serde(
        default,
        serialize_with = "crate::text::clipped",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<String>")]
    pub version: Option<String>,
    /// Who answers for it.
    #[serde(
        default,
        serialize_with = "crate::text::clipped",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<String>")]
    pub authority: Option<String>,
    /// When the file in use was last written.
    #[serde(
        default,
        with = "crate::time::option",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<DateTime<FixedOffset>>")]
    pub modified: Option<DateTime<FixedOffset>>,
    /// Since when it is in use.
    #[serde(
        default,
        with = "crate::time::option",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<DateTime<FixedOffset>>")]
    pub since: Option<DateTime<FixedOffset>>,
    /// For people: why the configured file is not in use.
    #[serde(
        default,
        serialize_with = "crate::text::clipped",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<String>")]
    pub detail: Option<String>,
}

/// How a supervised part of the agent is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PartStatus {
    /// `models`, `uplink`, `watchlist`, `delivery`, `metrics`, `metrics-server`, `status-socket`, `commands`, `notes`, `quality`,
    /// `status`, `reload`, or `camera-` and the camera's id.
    #[serde(serialize_with = "crate::text::clipped")]
    #[schemars(with = "String")]
    pub name: String,
    pub state: PartState,
    /// Since when `state` is what it is.
    #[serde(with = "crate::time")]
    #[schemars(with = "DateTime<FixedOffset>")]
    pub since: DateTime<FixedOffset>,
    /// How often it failed and was started again since the agent started.
    pub restarts: u64,
    /// For people: why it failed, or what it waits for.
    #[serde(
        default,
        serialize_with = "crate::text::clipped",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<String>")]
    pub detail: Option<String>,
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PublicKey {
    /// `ed25519`.
    pub algorithm: String,
    /// The key, in base64 with padding.
    pub base64: String,
}

/// Why a [`PublicKey`] is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("public key algorithm {0:?} is not known here; ed25519 is")]
    Algorithm(String),
    #[error("the public key is not 32 bytes in base64 with padding")]
    Form,
    /// No point of the curve, or one with which signatures prove nothing.
    #[error("the public key is no sound ed25519 key")]
    Unsound,
}

impl PublicKey {
    const ED25519: &str = "ed25519";

    pub fn of(key: &VerifyingKey) -> Self {
        Self {
            algorithm: Self::ED25519.to_owned(),
            base64: STANDARD.encode(key.as_bytes()),
        }
    }

    /// The key to verify with ([`crate::Seal::verify`]).
    ///
    /// A status that anybody could have published proves nothing: compare the key with the one noted
    /// when the box was installed.
    pub fn key(&self) -> Result<VerifyingKey, KeyError> {
        if self.algorithm != Self::ED25519 {
            return Err(KeyError::Algorithm(self.algorithm.clone()));
        }
        let bytes = STANDARD
            .decode(&self.base64)
            .ok()
            .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let key = VerifyingKey::from_bytes(&bytes.ok_or(KeyError::Form)?)
            .map_err(|_| KeyError::Unsound)?;
        if key.is_weak() {
            Err(KeyError::Unsound)
        } else {
            Ok(key)
        }
    }
}

impl Message for StatusMessage {
    const KIND: MessageKind = MessageKind::Status;

    fn to_json(&self) -> Result<Vec<u8>, MessageError> {
        message::write(self)
    }
    fn from_json(payload: &[u8]) -> Result<Self, MessageError> {
        message::read(payload)
    }
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
        Topic::Status {
            site: self.site.clone(),
            agent: self.agent.clone(),
        }
    }
    fn subject(&self) -> String {
        self.agent.to_string()
    }

    fn check(&self) -> Result<(), MessageError> {
        match (self.state, self.reason) {
            (AgentState::Online, Some(_)) => Err(MessageError::invalid(
                "reason",
                "present although the agent is online",
            )),
            (AgentState::Offline, None) => Err(MessageError::invalid(
                "reason",
                "missing: the agent is offline",
            )),
            _ => Ok(()),
        }
    }
}
