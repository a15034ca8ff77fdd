//! What the agent did that a person may ask about later, and what it lost.

use chrono::{DateTime, FixedOffset};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::codes::{CameraState, Priority};
use crate::command::{BY_MAX, HOURS_MAX, MINUTES_MAX, NOTE_MAX, Verdict, whole_hours};
use crate::message::{self, Message, MessageError, MessageKind, SchemaVersion};
use crate::passage::PLATE_MAX;
use crate::quality::QualityReport;
use crate::result::ResultCode;
use crate::sequence::Sequence;
use crate::values::{Confidence, Sha256Hex};
use crate::{Id, Topic};

/// How many ranges an agent puts into one audit message; of more it makes several messages, so that
/// none grows beyond what brokers take.
pub const AUDIT_RANGES_MAX: usize = 1_000;

crate::codes::word_list! {
    /// Why messages were given up before the platform had them.
    pub enum EvictionReason {
        /// The outbox reached its quota.
        Bytes = "bytes", "超出配额";
        /// The disk was too full.
        FreeDisk = "free_disk", "磁盘空间不足";
        /// They waited longer than the config allows.
        Age = "age", "超过时限";
    }
}

crate::codes::word_list! {
    /// How long a message is kept on the box after the platform has it.
    pub enum Keep {
        /// A passage that hit nothing, and its pictures.
        Passage = "passage", "普通过车";
        /// A hit, its passage and its pictures.
        Hit = "hit", "预警";
        /// Status, audit, answers.
        Control = "control", "状态与审计";
    }
}

crate::codes::word_list! {
    /// Why messages that the platform has were deleted on the box.
    pub enum DeletionReason {
        /// The time that the config or the platform set has passed.
        Retention = "retention", "保存期满";
        /// The outbox needed the room: it reached its quota, or the disk was too full.
        Room = "room", "空间不足";
    }
}

/// A record of what the agent did or lost, for those who must account for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AuditMessage {
    pub schema_version: SchemaVersion,
    /// UUIDv7. Repeats of a message carry the same id.
    pub id: Uuid,
    pub site: Id,
    pub agent: Id,
    /// When it happened; of `unrecorded` when it ended.
    #[serde(with = "crate::time")]
    #[schemars(with = "DateTime<FixedOffset>")]
    pub time: DateTime<FixedOffset>,
    pub event: AuditEvent,
    /// As in the passage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<Sequence>,
}

/// What happened. Ranges are of sequence numbers, `[first, last]` with both included, rising and
/// apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum AuditEvent {
    /// The platform asked for something.
    Command {
        /// The last level of the topic it came on; it need not be a command the agent knows.
        command: Id,
        /// Missing when it could not be read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request_id: Option<Uuid>,
        /// Who asked, as the platform says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(length(max = BY_MAX))]
        by: Option<String>,
        /// The agent set about it; `code` says with what result.
        accepted: bool,
        code: ResultCode,
        /// For people.
        #[serde(
            default,
            serialize_with = "crate::text::clipped",
            skip_serializing_if = "Option::is_none"
        )]
        #[schemars(with = "Option<String>")]
        detail: Option<String>,
    },
    /// Messages were given up before the platform had them. They will not come: no gap.
    Eviction {
        /// The priority they waited in.
        #[serde(rename = "lane")]
        priority: Priority,
        reason: EvictionReason,
        messages: u64,
        /// Of their payloads.
        bytes: u64,
        #[schemars(with = "Vec<[Sequence; 2]>", length(max = AUDIT_RANGES_MAX))]
        ranges: Vec<[u64; 2]>,
    },
    /// Messages that the platform has were deleted on the box; they cannot be sent again.
    Deletion {
        keep: Keep,
        reason: DeletionReason,
        /// All that were committed before this time.
        #[serde(with = "crate::time")]
        #[schemars(with = "DateTime<FixedOffset>")]
        older_than: DateTime<FixedOffset>,
        messages: u64,
        #[schemars(with = "Vec<[Sequence; 2]>", length(max = AUDIT_RANGES_MAX))]
        ranges: Vec<[u64; 2]>,
    },
    /// Messages could not be committed: they never had a number, so they make no gap.
    Unrecorded {
        messages: u64,
        /// When the first of them was captured.
        #[serde(with = "crate::time")]
        #[schemars(with = "DateTime<FixedOffset>")]
        from: DateTime<FixedOffset>,
        /// When the last of them was captured.
        #[serde(with = "crate::time")]
        #[schemars(with = "DateTime<FixedOffset>")]
        to: DateTime<FixedOffset>,
        /// For people.
        #[serde(serialize_with = "crate::text::clipped")]
        #[schemars(with = "String")]
        reason: String,
    },
    /// The box's store was damaged.
    Damage {
        /// For people.
        #[serde(serialize_with = "crate::text::clipped")]
        #[schemars(with = "String")]
        detail: String,
        /// Messages that are lost by it: they will not come. Empty when it is not known which.
        #[schemars(with = "Vec<[Sequence; 2]>", length(max = AUDIT_RANGES_MAX))]
        ranges: Vec<[u64; 2]>,
    },
    /// A watchlist was taken into use.
    Watchlist {
        /// Its name.
        #[serde(serialize_with = "crate::text::clipped")]
        #[schemars(with = "String")]
        list: String,
        /// The first 12 digits of its SHA-256.
        #[schemars(length(max = 64))]
        version: String,
        /// Plates in it.
        entries: u64,
        /// Lines that could not be used.
        refused: u64,
    },
    /// An edition of a list, or a chunk of one, was not taken; the list in use stays.
    ListRefused {
        /// Its name, as the topic has it.
        list: Id,
        /// Missing where the header could not be believed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<Sequence>,
        /// For people.
        #[serde(serialize_with = "crate::text::clipped")]
        #[schemars(with = "String")]
        detail: String,
    },
    /// The box lacks an edition, or chunks of one: the platform is asked to send them.
    ListWanted {
        list: Id,
        /// The version in use; missing: none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        have: Option<Sequence>,
        /// The edition of which chunks are missing. Missing: every edition after `have` is wanted,
        /// or the whole list.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<Sequence>,
        /// The chunks of it that are missing.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        #[schemars(with = "Vec<[Sequence; 2]>", length(max = AUDIT_RANGES_MAX))]
        chunks: Vec<[u64; 2]>,
    },
    /// The config was read again.
    ConfigReload {
        /// Of the file.
        sha256: Sha256Hex,
        /// For people: what changed, or why the old one stays.
        #[serde(
            default,
            serialize_with = "crate::text::clipped",
            skip_serializing_if = "Option::is_none"
        )]
        #[schemars(with = "Option<String>")]
        detail: Option<String>,
    },
    /// A camera's state changed.
    Camera {
        camera: Id,
        state: CameraState,
        /// Before.
        was: CameraState,
        /// Since when `state` holds, as far as known: of `no_frames` the last frame's time, before the message's time.
        #[serde(with = "crate::time")]
        #[schemars(with = "DateTime<FixedOffset>")]
        since: DateTime<FixedOffset>,
        /// For people.
        #[serde(
            default,
            serialize_with = "crate::text::clipped",
            skip_serializing_if = "Option::is_none"
        )]
        #[schemars(with = "Option<String>")]
        detail: Option<String>,
    },
    /// The platform set anew how long messages are kept on the box after it has them.
    Retention {
        /// Missing where it is not a whole number of hours.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(range(min = 1, max = HOURS_MAX))]
        passage_hours: Option<u32>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(range(min = 1, max = HOURS_MAX))]
        hit_hours: Option<u32>,
        /// Missing in messages of agents older than this field.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(range(min = 1, max = MINUTES_MAX))]
        passage_minutes: Option<u32>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(range(min = 1, max = MINUTES_MAX))]
        hit_minutes: Option<u32>,
    },
    /// Somebody asked on the box what the lists say of a plate.
    Lookup {
        #[schemars(length(max = BY_MAX))]
        by: String,
        /// Why, as that person said.
        #[serde(serialize_with = "crate::text::clipped")]
        #[schemars(with = "String")]
        reason: String,
        /// What was looked up.
        #[schemars(length(min = 1, max = PLATE_MAX))]
        plate: String,
        /// Whether it is listed.
        found: bool,
    },
    /// Somebody took messages out of the box's store.
    Export {
        #[schemars(length(max = BY_MAX))]
        by: String,
        #[serde(
            default,
            serialize_with = "crate::text::clipped",
            skip_serializing_if = "Option::is_none"
        )]
        #[schemars(with = "Option<String>")]
        reason: Option<String>,
        first: Sequence,
        last: Sequence,
    },
    /// An officer answered to a hit.
    Answer {
        /// Its `id`.
        hit: Uuid,
        verdict: Verdict,
        #[schemars(length(max = BY_MAX))]
        by: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(length(max = NOTE_MAX))]
        note: Option<String>,
        /// The list that the hit was from; missing when the agent does not remember the hit.
        #[serde(
            default,
            serialize_with = "crate::text::clipped",
            skip_serializing_if = "Option::is_none"
        )]
        #[schemars(with = "Option<String>")]
        list: Option<String>,
        /// The listed plate.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(length(min = 1, max = PLATE_MAX))]
        plate: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        camera: Option<Id>,
        /// The entry was wrong so often that from now on its hit is told in sight from this
        /// probability on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        raised: Option<Confidence>,
    },
    /// A day is over: what it was worth as data, by camera and lane.
    Quality(QualityReport),
}

impl AuditEvent {
    /// The word in `kind`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Command { .. } => "command",
            Self::Eviction { .. } => "eviction",
            Self::Deletion { .. } => "deletion",
            Self::Unrecorded { .. } => "unrecorded",
            Self::Damage { .. } => "damage",
            Self::Watchlist { .. } => "watchlist",
            Self::ListRefused { .. } => "list_refused",
            Self::ListWanted { .. } => "list_wanted",
            Self::ConfigReload { .. } => "config_reload",
            Self::Camera { .. } => "camera",
            Self::Retention { .. } => "retention",
            Self::Lookup { .. } => "lookup",
            Self::Export { .. } => "export",
            Self::Answer { .. } => "answer",
            Self::Quality(_) => "quality",
        }
    }

    /// The sequence numbers that will not come if they have not come yet: what
    /// [`crate::Continuity::gone`] takes.
    pub fn gone(&self) -> &[[u64; 2]] {
        match self {
            Self::Eviction { ranges, .. }
            | Self::Deletion { ranges, .. }
            | Self::Damage { ranges, .. } => ranges,
            _ => &[],
        }
    }

    /// How long messages are kept from now on.
    pub fn retention(passage_minutes: u32, hit_minutes: u32) -> Self {
        Self::Retention {
            passage_hours: whole_hours(passage_minutes),
            hit_hours: whole_hours(hit_minutes),
            passage_minutes: Some(passage_minutes),
            hit_minutes: Some(hit_minutes),
        }
    }

    fn check(&self) -> Result<(), MessageError> {
        let ranges = self.gone();
        let rising = ranges.windows(2).all(|w| w[0][1] < w[1][0]);
        if let Some([first, last]) = ranges.iter().find(|[first, last]| first > last) {
            return Err(MessageError::invalid(
                "event.ranges",
                format!("{first} to {last} is no range"),
            ));
        }
        if !rising {
            return Err(MessageError::invalid(
                "event.ranges",
                "not rising and apart",
            ));
        }
        if let Self::Eviction { messages, .. } | Self::Deletion { messages, .. } = self {
            let in_ranges = ranges.iter().fold(0, |sum: u64, [a, b]| {
                sum.saturating_add((b - a).saturating_add(1))
            });
            if in_ranges != *messages {
                let reason = format!("{messages}, but the ranges have {in_ranges} numbers");
                return Err(MessageError::invalid("event.messages", reason));
            }
        }
        match self {
            Self::Command {
                accepted: true,
                code: ResultCode::Done | ResultCode::Failed,
                ..
            }
            | Self::Command {
                accepted: false, ..
            } => Ok(()),
            Self::Command { code, .. } => Err(MessageError::invalid(
                "event.accepted",
                format!("true beside {code}"),
            )),
            Self::Unrecorded { from, to, .. } if from > to => {
                Err(MessageError::invalid("event.from", "after event.to"))
            }
            Self::Camera { state, was, .. } if state == was => Err(MessageError::invalid(
                "event.was",
                format!("{was}, as event.state: nothing changed"),
            )),
            Self::Quality(report) => report.check(),
            _ => Ok(()),
        }
    }
}

impl Message for AuditMessage {
    const KIND: MessageKind = MessageKind::Audit;

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
        Topic::Audit {
            site: self.site.clone(),
            agent: self.agent.clone(),
        }
    }
    fn subject(&self) -> String {
        self.event.kind().to_owned()
    }

    fn check(&self) -> Result<(), MessageError> {
        self.event.check()
    }
}
