//! From a passage as the agent knows it to the message that leaves the box.

use kakou_contract::{
    Character, Confidence, Correction, Evidence, Id, IdError, Lane, ModelUsed, NoPlateReason, PassageMessage,
    PictureSize, PixelBox, Plate, PlateColourRead, PlateKind, RunnerUp, SchemaVersion, Sha256Hex, Vehicle, replay_id,
};
use sha2::{Digest, Sha256};

use crate::camera::Frame;
use crate::evidence::{CONTENT_TYPE, Picture};
use crate::passage::{Best, NoPlate, Passage};
use crate::plate::VotedPlate;

/// Who speaks: the same in every message of one camera.
#[derive(Debug, Clone)]
pub struct Speaker {
    pub site: Id,
    pub agent: Id,
    pub camera: Id,
    /// Lane ids with the names people gave them.
    pub lane_names: Vec<(String, Option<String>)>,
    pub models: Vec<ModelUsed>,
}

impl Speaker {
    /// The message of a recorded passage. Its id is made from its time and content, so that two replays agree.
    pub fn passage(
        &self,
        p: &Passage<Frame>,
        best: &Best<Frame>,
        pictures: &[Picture],
    ) -> Result<PassageMessage, IdError> {
        let lane = match &p.lane {
            Some(id) => Some(Lane { id: Id::new("lane", id.as_str())?, name: self.lane_name(id) }),
            None => None,
        };
        let vehicle = p.class.zip(best.vehicle).map(|((class, conf), r)| Vehicle {
            class,
            class_confidence: Confidence::new(conf),
            bounds: PixelBox::from_edges(r.x0, r.y0, r.x1, r.y1),
        });
        let plate = p.plate.as_ref().zip(best.quad).map(|(v, q)| plate(v, q.0.map(|c| [c.x.into(), c.y.into()])));
        let no_plate_reason = plate.is_none().then(|| reason(p.no_plate));
        // The vehicle was in sight from first to last; it passed somewhere in between.
        let time = p.passed_at.capture.clamp(p.first_seen.capture, p.last_seen.capture.max(p.first_seen.capture));
        let picture = &best.frame.picture;
        Ok(PassageMessage {
            is_late: false,
            schema_version: SchemaVersion::CURRENT,
            id: replay_id(time, &self.content_hash(p, pictures)),
            site: self.site.clone(),
            agent: self.agent.clone(),
            camera: self.camera.clone(),
            lane,
            direction: p.direction,
            // A passage says `false` also for a lane without a lawful direction, so only `true` is a statement.
            wrong_way: p.wrong_way.then_some(true),
            time,
            first_seen: p.first_seen.capture,
            last_seen: p.last_seen.capture,
            frames_seen: p.frames,
            picture: PictureSize { width: picture.width(), height: picture.height() },
            vehicle,
            plate,
            no_plate_reason,
            evidence: pictures.iter().map(evidence).collect(),
            clock: None,
            models: self.models.clone(),
            sequence: None,
        })
    }

    fn lane_name(&self, id: &str) -> Option<String> {
        self.lane_names.iter().find(|(l, _)| l == id).and_then(|(_, name)| name.clone())
    }

    fn content_hash(&self, p: &Passage<Frame>, pictures: &[Picture]) -> [u8; 32] {
        let mut h = Sha256::new();
        for part in [self.site.as_str(), self.agent.as_str(), self.camera.as_str()] {
            h.update(part);
            h.update([0]);
        }
        h.update(p.number.to_be_bytes());
        h.update(p.plate.as_ref().map_or("", |v| v.text.as_str()));
        for picture in pictures {
            h.update(picture.sha256);
        }
        h.finalize().into()
    }
}

fn reason(no_plate: Option<NoPlate>) -> NoPlateReason {
    match no_plate {
        Some(NoPlate::TooSmall) => NoPlateReason::TooSmall,
        Some(NoPlate::NotReadable) => NoPlateReason::NotReadable,
        Some(NoPlate::NoneFound) | None => NoPlateReason::NoneFound,
    }
}

fn plate(v: &VotedPlate, quad: [[kakou_contract::Px; 2]; 4]) -> Plate {
    Plate {
        text: v.text.clone(),
        confidence: Confidence::new(v.confidence),
        characters: v
            .chars
            .iter()
            .map(|c| Character {
                char: c.ch,
                confidence: Confidence::new(c.conf),
                runner_up: c.runner_up.map(|(char, conf)| RunnerUp { char, confidence: Confidence::new(conf) }),
            })
            .collect(),
        raw: v.raw.clone(),
        corrected: v
            .corrected
            .iter()
            .map(|c| Correction { position: u8::try_from(c.position).unwrap_or(u8::MAX), from: c.from, to: c.to })
            .collect(),
        rows: v.rows.clamp(1, 2),
        colour: v.colour.map(|(value, conf)| PlateColourRead { value, confidence: Confidence::new(conf) }),
        kind: PlateKind::from_code(&v.kind.to_string()),
        quad,
        reads: v.reads,
        frames_agreeing: v.frames_agreeing,
    }
}

fn evidence(p: &Picture) -> Evidence {
    Evidence {
        role: p.role,
        content_type: CONTENT_TYPE.into(),
        width: p.width,
        height: p.height,
        bytes: p.bytes.len() as u64,
        sha256: Sha256Hex(p.sha256),
        topic: None,
        name: None,
    }
}
