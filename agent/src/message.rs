//! From a passage as the agent knows it to the message that leaves the box.

use std::time::Duration;

use chrono::{DateTime, FixedOffset, TimeDelta};
use kakou_contract::{
    Character, Confidence, Correction, Evidence, Id, IdError, Lane, ModelUsed, NoPlateReason,
    PassageMessage, PictureSize, PixelBox, Plate, PlateColourRead, PlateKind, RunnerUp,
    SchemaVersion, Sha256Hex, Vehicle, replay_id,
};
use sha2::{Digest, Sha256};

use kakou_sight::camera::{Frame, Moment};
use kakou_sight::evidence::{CONTENT_TYPE, Picture};
use kakou_traffic::passage::{Best, NoPlate, Passage};
use kakou_traffic::plate::VotedPlate;

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
            Some(id) => Some(Lane {
                id: Id::new("lane", id.as_str())?,
                name: self.lane_name(id),
            }),
            None => None,
        };
        let vehicle = p.class.zip(best.vehicle).map(|((class, conf), r)| Vehicle {
            class,
            class_confidence: Confidence::new(conf),
            bounds: PixelBox::from_edges(r.x0, r.y0, r.x1, r.y1),
        });
        let plate = p
            .plate
            .as_ref()
            .zip(best.quad)
            .map(|(v, q)| plate(v, q.0.map(|c| [c.x.into(), c.y.into()])));
        let no_plate_reason = plate.is_none().then(|| reason(p.no_plate));
        let [first_seen, passed_at, last_seen] = in_order([p.first_seen, p.passed_at, p.last_seen]);
        // The vehicle was in sight from first to last; it passed somewhere in between.
        let time = passed_at.clamp(first_seen, last_seen.max(first_seen));
        let (width, height) = best.frame.size();
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
            first_seen,
            last_seen,
            frames_seen: p.frames,
            picture: PictureSize { width, height },
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
        self.lane_names
            .iter()
            .find(|(l, _)| l == id)
            .and_then(|(_, name)| name.clone())
    }

    fn content_hash(&self, p: &Passage<Frame>, pictures: &[Picture]) -> [u8; 32] {
        let mut h = Sha256::new();
        for part in [
            self.site.as_str(),
            self.agent.as_str(),
            self.camera.as_str(),
        ] {
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

/// More than a frame's time by which wall clock and monotonic clock may disagree within a passage.
const JUMP: Duration = Duration::from_secs(1);

/// Capture times of a vehicle's first sight, passage and last sight. If the wall clock was set meanwhile, the time that
/// passed is what the monotonic clock says, counted from what the wall clock said last: it was set to be right.
fn in_order(times: [Moment; 3]) -> [DateTime<FixedOffset>; 3] {
    let last = times[2];
    let steps =
        times.map(|t| TimeDelta::from_std(last.mono.saturating_sub(t.mono)).unwrap_or_default());
    let jump = TimeDelta::from_std(JUMP).unwrap_or_default();
    let set = times
        .iter()
        .zip(&steps)
        .any(|(t, step)| (last.wall - t.wall - *step).abs() > jump);
    if !set {
        return times.map(|t| t.wall);
    }
    steps.map(|step| last.wall.checked_sub_signed(step).unwrap_or(last.wall))
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
                runner_up: c.runner_up.map(|(char, conf)| RunnerUp {
                    char,
                    confidence: Confidence::new(conf),
                }),
            })
            .collect(),
        raw: v.raw.clone(),
        corrected: v
            .corrected
            .iter()
            .map(|c| Correction {
                position: u8::try_from(c.position).unwrap_or(u8::MAX),
                from: c.from,
                to: c.to,
            })
            .collect(),
        rows: v.rows.clamp(1, 2),
        colour: v.colour.map(|(value, conf)| PlateColourRead {
            value,
            confidence: Confidence::new(conf),
        }),
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn at(capture: &str, mono_ms: u64) -> Moment {
        let capture = DateTime::parse_from_rfc3339(&format!("2026-03-14T{capture}+08:00")).unwrap();
        Moment {
            wall: capture,
            mono: Duration::from_millis(mono_ms),
        }
    }

    fn texts(times: [Moment; 3]) -> [String; 3] {
        in_order(times).map(|t| t.format("%H:%M:%S%.3f").to_string())
    }

    #[test]
    fn a_clock_that_was_set_meanwhile_does_not_turn_a_passage_round() {
        let right = [
            at("09:00:00.000", 100),
            at("09:00:01.004", 1100),
            at("09:00:02.000", 2100),
        ];
        assert_eq!(
            texts(right),
            ["09:00:00.000", "09:00:01.004", "09:00:02.000"]
        );
        let back = [
            at("09:00:00.000", 100),
            at("07:00:01.000", 1100),
            at("07:00:02.000", 2100),
        ];
        assert_eq!(
            texts(back),
            ["07:00:00.000", "07:00:01.000", "07:00:02.000"]
        );
        let ahead = [
            at("00:00:00.000", 0),
            at("00:00:01.000", 1000),
            at("12:00:02.500", 2500),
        ];
        assert_eq!(
            texts(ahead),
            ["12:00:00.000", "12:00:01.000", "12:00:02.500"]
        );
    }
}
