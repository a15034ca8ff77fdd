//! The messages and topics of Kakou, as a central subscriber depends on them.
//!
//! | part | what |
//! | --- | --- |
//! | [`PassageMessage`], [`HitMessage`], [`SignalMessage`], [`StatusMessage`], [`AuditMessage`], [`ResultMessage`] | what the agent says |
//! | [`Topic`], [`Filter`], [`Attributes`] | where it says it, and the CloudEvents attributes beside it |
//! | [`Command`], [`Request`] | what it can be asked |
//! | [`Envelope`] | a message with everything that MQTT carries: one shape from producer to broker |
//! | [`Sequence`], [`Seal`], [`Continuity`] | whether anything was changed or lost |
//! | [`schema`] | JSON Schemas made from the types; the one home of every bound |
//! | [`asyncapi`] | topics and messages as an AsyncAPI document |
//!
//! Promises:
//!
//! - The same types write and read. A reader passes over fields that it does not know, so an agent
//!   may be newer than the platform.
//! - Nothing that comes from outside passes beyond its bound ([`Message::from_json`],
//!   [`Command::parse`]): the error names the field and the bound. No input causes a panic.
//! - What the agent writes, a receiver takes: texts are cut to their bound when they are written.
//!
//! Nothing here does I/O, and no MQTT client, database or model runtime is known here.

pub mod asyncapi;
mod audit;
mod bounds;
mod cloudevents;
pub mod codes;
pub mod command;
mod continuity;
mod edition;
mod envelope;
mod fields;
mod hit;
mod id;
mod message;
mod passage;
mod quality;
mod ranges;
mod result;
mod rules;
pub mod schema;
pub mod seal;
mod sequence;
mod signal;
mod status;
mod text;
pub mod time;
pub mod topics;
mod values;

pub use audit::{AUDIT_RANGES_MAX, AuditEvent, AuditMessage, DeletionReason, EvictionReason, Keep};
pub use bounds::LIST_MAX;
pub use cloudevents::{Attributes, BadExtension, SPEC_VERSION};
pub use codes::{
    CameraState, Direction, EvidenceRole, Held, Level, NoPlateReason, PLATE_KIND_STANDARD,
    PlateColour, PlateKind, Priority, VehicleClass, VehicleColour,
};
pub use command::{Command, CommandError, CommandFault, CommandName, Request, Verdict};
pub use continuity::{Continuity, Finding};
/// To verify seals with this crate alone.
pub use ed25519_dalek::{SigningKey, VerifyingKey};
pub use edition::{
    CHUNK_BYTES_MAX, CHUNK_BYTES_MIN, Content, EDITION_PACKED_MAX, EDITION_WHOLE_MAX, Edition,
    EditionError, ListChunk, SignedEdition, trusted_key,
};
pub use envelope::{Committed, Cursor, Envelope};
pub use fields::FieldError;
pub use hit::{
    Contradiction, Difference, Doubt, HitMessage, HitState, ListEntry, MatchKind, Retraction,
    RetractionReason, Trait, WeakCharacter,
};
pub use id::{ID_MAX, Id, IdError, live_id, replay_id};
pub use message::{Message, MessageError, MessageKind, SchemaVersion};
pub use passage::{
    Character, ClockState, ClockStatus, Correction, EVIDENCE_MAX, Evidence, Lane, ModelUsed,
    PICTURE_BYTES_MAX, PICTURE_SIDE_MAX, PLATE_MAX, PassageMessage, PictureSize, PixelBox, Plate,
    PlateColourRead, RunnerUp, Vehicle, VehicleColourRead,
};
pub use quality::{
    CameraQuality, LaneBefore, LaneQuality, QUALITY_DAYS_MAX, QUALITY_ROWS_MAX, QualityReport,
};
pub use ranges::Ranges;
pub use result::{ResultCode, ResultMessage};
pub use seal::{Seal, SealError, Sealed};
pub use sequence::{Sequence, SequenceError, WHOLE_MAX};
pub use signal::{Conflict, OtherSighting, SignalKind, SignalMessage};
pub use status::{
    AgentState, CameraStatus, DiskStatus, Health, KeyError, LISTS_MAX, ListStatus, OfflineReason,
    OutboxStatus, PartState, PartStatus, PublicKey, Software, StatusMessage, UplinkStatus,
    WatchlistStatus,
};
pub use text::{TEXT_MAX, clip};
pub use topics::{Filter, QOS, Topic, TopicError};
pub use values::{Confidence, PerSecond, Px, Sha256Hex};
