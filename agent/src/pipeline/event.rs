//! What frames tell.

use std::sync::Arc;

use kakou_contract::{EvidenceRole, PassageMessage, Topic};
use kakou_sight::camera::Frame;
use kakou_sight::evidence::{EvidenceConfig, Picture, pictures};
use kakou_traffic::passage::{Best, Passage, Reject};
use uuid::Uuid;

use super::{Record, RecordError};
use crate::message::Speaker;

/// What a frame told, or the time that went by without one.
#[derive(Debug, Clone)]
pub enum Event {
    /// A vehicle is in sight, and its plate is sure.
    Sure(Box<Sighting>),
    /// A vehicle has passed.
    Passed(Box<Record>),
    /// What was sure before is no passage.
    Dropped {
        /// The ids that it was told by.
        passages: Vec<Uuid>,
        /// `None`: it was a passage, but its record could not be made.
        why: Option<Reject>,
    },
}

impl Event {
    /// The passage, for those who only ask for what has passed.
    pub fn passed(self) -> Option<Box<Record>> {
        match self {
            Self::Passed(record) => Some(record),
            Self::Sure(_) | Self::Dropped { .. } => None,
        }
    }
}

/// A vehicle in sight whose plate is sure. Pictures are made only where somebody is told of it.
#[derive(Debug, Clone)]
pub struct Sighting {
    /// The passage as far as it is known, without pictures. Its `time` is when the frame was
    /// captured that shows the plate best.
    pub message: PassageMessage,
    pub(super) speaker: Arc<Speaker>,
    pub(super) passage: Passage<Frame>,
    pub(super) best: Best<Frame>,
    pub(super) evidence: EvidenceConfig,
}

impl Sighting {
    /// The same with pictures that are published under `owner`.
    pub fn illustrated(&self, owner: Uuid) -> anyhow::Result<(PassageMessage, Vec<Picture>)> {
        let (message, pictures) = illustrated(
            &self.speaker,
            (self.message.id, owner),
            &self.passage,
            &self.best,
            &self.evidence,
        )?;
        let clock = self.message.clock;
        Ok((PassageMessage { clock, ..message }, pictures))
    }
}

/// The message of a passage with its pictures, which are published under `owner`.
pub(super) fn illustrated(
    speaker: &Speaker,
    (id, owner): (Uuid, Uuid),
    passage: &Passage<Frame>,
    best: &Best<Frame>,
    config: &EvidenceConfig,
) -> Result<(PassageMessage, Vec<Picture>), RecordError> {
    let (quad, vehicle) = (best.quad.as_ref(), best.vehicle.as_ref());
    let pictures =
        pictures(&best.frame, quad, vehicle, config).map_err(|source| RecordError::Evidence {
            frame: best.frame.name.to_string(),
            source,
        })?;
    let mut message = speaker.passage(id, passage, best, &pictures)?;
    for evidence in &mut message.evidence {
        let topic = evidence_topic(speaker, owner, evidence.role);
        evidence.topic = Some(topic.to_string());
    }
    Ok((message, pictures))
}

fn evidence_topic(speaker: &Speaker, owner: Uuid, role: EvidenceRole) -> Topic {
    Topic::Evidence {
        site: speaker.site.clone(),
        agent: speaker.agent.clone(),
        passage: owner,
        role,
    }
}
