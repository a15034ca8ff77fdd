//! The messages and topics of Kakou, as a central subscriber depends on them.
//!
//! What the agent says ([`PassageMessage`], [`HitMessage`], [`StatusMessage`]), where it says it
//! ([`Topic`], [`Filter`]), and the CloudEvents attributes beside it ([`Attributes`]). The same
//! types write and read: a field that a reader does not know is passed over, so that an agent may
//! be newer than the platform.
//!
//! Nothing here does I/O, and no MQTT client, database or model runtime is known here.

mod cloudevents;
pub mod codes;
mod hit;
mod id;
mod message;
mod passage;
pub mod schema;
mod status;
pub mod time;
pub mod topics;
mod values;

pub use cloudevents::{Attributes, BadExtension, SPEC_VERSION};
pub use codes::{
    Direction, EvidenceRole, Held, Lane as OutboxLane, Level, NoPlateReason, PLATE_KIND_STANDARD, PlateColour,
    PlateKind, VehicleClass,
};
pub use hit::{Difference, Doubt, HitMessage, ListEntry, MatchKind, WeakCharacter};
pub use id::{ID_MAX, Id, IdError, live_id, replay_id};
pub use message::{Message, MessageError, MessageKind, SchemaVersion};
pub use passage::{
    Character, Clock, ClockState, Correction, Evidence, Lane, ModelUsed, PassageMessage, PictureSize, PixelBox, Plate,
    PlateColourRead, RunnerUp, Vehicle,
};
pub use status::{
    AgentState, CameraStatus, DiskStatus, Health, OfflineReason, OutboxStatus, PublicKey, Software, StatusMessage,
    UplinkStatus,
};
pub use topics::{Filter, QOS, Topic, TopicError};
pub use values::{Confidence, Px, Sha256Hex};
