//! The messages and topics of Kakou, as a central subscriber depends on them.
//!
//! What the agent says ([`PassageMessage`], [`HitMessage`], [`StatusMessage`], [`AuditMessage`],
//! [`ResultMessage`]), where it says it ([`Topic`], [`Filter`]), and the CloudEvents attributes beside
//! it ([`Attributes`]). What it is asked ([`Command`], [`Request`]). How a receiver can tell that
//! nothing was changed ([`Seal`]) or lost ([`Continuity`]). The same types write and read: a field of a
//! message that a reader does not know is passed over, so that an agent may be newer than the
//! platform.
//!
//! Nothing here does I/O, and no MQTT client, database or model runtime is known here.

mod audit;
mod cloudevents;
pub mod codes;
pub mod command;
mod continuity;
mod envelope;
mod fields;
mod hit;
mod id;
mod message;
mod passage;
mod ranges;
mod result;
pub mod schema;
pub mod seal;
mod status;
pub mod time;
pub mod topics;
mod values;

pub use audit::{AUDIT_RANGES_MAX, AuditEvent, AuditMessage, DeletionReason, EvictionReason, Keep};
pub use cloudevents::{Attributes, BadExtension, SPEC_VERSION};
pub use codes::{
    CameraState, Direction, EvidenceRole, Held, Level, NoPlateReason, PLATE_KIND_STANDARD,
    PlateColour, PlateKind, Priority, VehicleClass,
};
pub use command::{Command, CommandError, CommandFault, CommandName, Request};
pub use continuity::{Continuity, Finding};
/// To verify seals with this crate alone.
pub use ed25519_dalek::{SigningKey, VerifyingKey};
pub use envelope::{Committed, Cursor, Envelope};
pub use fields::FieldError;
pub use hit::{Difference, Doubt, HitMessage, ListEntry, MatchKind, WeakCharacter};
pub use id::{ID_MAX, Id, IdError, live_id, replay_id};
pub use message::{Message, MessageError, MessageKind, SchemaVersion};
pub use passage::{
    Character, ClockState, ClockStatus, Correction, Evidence, Lane, ModelUsed, PassageMessage,
    PictureSize, PixelBox, Plate, PlateColourRead, RunnerUp, Vehicle,
};
pub use ranges::Ranges;
pub use result::{ResultCode, ResultMessage};
pub use seal::{Seal, SealError, Sealed};
pub use status::{
    AgentState, CameraStatus, DiskStatus, Health, KeyError, OfflineReason, OutboxStatus, PartState,
    PartStatus, PublicKey, Software, StatusMessage, UplinkStatus, WatchlistStatus,
};
pub use topics::{Filter, QOS, Topic, TopicError};
pub use values::{Confidence, PerSecond, Px, Sha256Hex};
