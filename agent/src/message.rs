//! From a passage as the agent knows it to the message that leaves the box.

use chrono::{DateTime, FixedOffset, TimeDelta};
use kakou_contract::{
    Character, Confidence, Correction, Evidence, Id, IdError, Lane, ModelUsed, NoPlateReason,
    PLATE_MAX, PassageMessage, PictureSize, PixelBox, Plate, PlateColourRead, RunnerUp,
    SchemaVersion, Sha256Hex, Vehicle, VehicleColourRead, replay_id,
};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use kakou_sight::camera::{Frame, Moment};
use kakou_sight::evidence::{CONTENT_TYPE, Picture};
use kakou_traffic::passage::{Best, NoPlate, Passage, VehicleId};
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
    /// The id of a vehicle's passage, which it has from its first frame on. Two replays of one
    /// recording agree; `stream` tells recordings apart that begin at the same time.
    pub fn passage_id(&self, stream: &[u8; 32], vehicle: VehicleId) -> Uuid {
        let mut h = Sha256::new();
        for part in [
            self.site.as_str(),
            self.agent.as_str(),
            self.camera.as_str(),
        ] {
            h.update(part);
            h.update([0]);
        }
        h.update(stream);
        h.update(vehicle.number.to_be_bytes());
        replay_id(vehicle.since.wall, &h.finalize())
    }

    /// The message of a passage, or of what is known of it so far.
    pub fn passage(
        &self,
        id: Uuid,
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
            colour: p.colour.map(|(value, sure)| VehicleColourRead {
                value,
                confidence: Confidence::new(sure),
            }),
            bounds: PixelBox::from_edges(r.x0, r.y0, r.x1, r.y1),
        });
        let plate = p
            .plate
            .as_ref()
            .zip(best.quad)
            .map(|(v, q)| plate(v, q.0.map(|c| [c.x.into(), c.y.into()])));
        let no_plate_reason = plate.is_none().then(|| reason(p.no_plate));
        let Times {
            first_seen,
            time,
            captured_at,
            last_seen,
        } = Times::of(p, best);
        let (width, height) = best.frame.size();
        Ok(PassageMessage {
            is_late: false,
            schema_version: SchemaVersion::CURRENT,
            id,
            site: self.site.clone(),
            agent: self.agent.clone(),
            camera: self.camera.clone(),
            lane,
            direction: p.direction,
            // A passage says `false` also for a lane without a lawful direction, so only `true` is
            // a statement.
            wrong_way: p.wrong_way.then_some(true),
            time,
            first_seen,
            last_seen,
            frames_seen: p.frames,
            picture: PictureSize { width, height },
            vehicle,
            plate,
            no_plate_reason,
            plate_hash: None,
            evidence: pictures
                .iter()
                .map(|picture| evidence(picture, captured_at))
                .collect(),
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
}

/// The wall-clock times of a passage. They are in order: the first is not after any other, and
/// the last not before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Times {
    first_seen: DateTime<FixedOffset>,
    /// When the vehicle passed.
    time: DateTime<FixedOffset>,
    /// When the evidence frame was captured.
    captured_at: DateTime<FixedOffset>,
    last_seen: DateTime<FixedOffset>,
}

/// More than a frame's time by which wall clock and monotonic clock may disagree within a passage.
const JUMP: TimeDelta = TimeDelta::seconds(1);

impl Times {
    fn of(passage: &Passage<Frame>, best: &Best<Frame>) -> Self {
        Self::in_order(
            passage.first_seen,
            [passage.passed_at, best.time],
            passage.last_seen,
        )
    }

    /// Whether the wall clock was set within the passage, the monotonic clock tells: by how long
    /// the steps are, and by their order, since a small step can turn two frames round. If it was,
    /// the times are those of the monotonic clock, counted from what the wall clock said last: it
    /// was set to be right.
    fn in_order(first: Moment, between: [Moment; 2], last: Moment) -> Self {
        let [passed, captured] = between;
        let all = [first, passed, captured, last];
        let before_last = |moment: Moment| {
            TimeDelta::from_std(last.mono.saturating_sub(moment.mono)).unwrap_or_default()
        };
        let jumped = all
            .iter()
            .any(|moment| (last.wall - moment.wall - before_last(*moment)).abs() > JUMP);
        let turned = all.iter().any(|one| {
            all.iter()
                .any(|other| one.mono < other.mono && one.wall > other.wall)
        });
        let [first_seen, time, captured_at, last_seen] = if jumped || turned {
            all.map(|moment| {
                let wall = last.wall.checked_sub_signed(before_last(moment));
                wall.unwrap_or(last.wall)
            })
        } else {
            all.map(|moment| moment.wall)
        };
        // The vehicle was in sight from first to last, whatever the source of the moments said.
        let first_seen = first_seen.min(last_seen);
        Self {
            first_seen,
            time: time.clamp(first_seen, last_seen),
            captured_at: captured_at.clamp(first_seen, last_seen),
            last_seen,
        }
    }
}

fn reason(no_plate: Option<NoPlate>) -> NoPlateReason {
    match no_plate {
        Some(NoPlate::TooSmall) => NoPlateReason::TooSmall,
        Some(NoPlate::NotReadable) => NoPlateReason::NotReadable,
        Some(NoPlate::TooUncertain) => NoPlateReason::TooUncertain,
        Some(NoPlate::NotLookedFor) => NoPlateReason::NotLookedFor,
        Some(NoPlate::NoneFound) | None => NoPlateReason::NoneFound,
    }
}

pub(crate) fn plate(v: &VotedPlate, quad: [[kakou_contract::Px; 2]; 4]) -> Plate {
    let corrected = v.corrected.iter().filter(|c| c.position < PLATE_MAX);
    Plate {
        text: v.text.chars().take(PLATE_MAX).collect(),
        confidence: Confidence::new(v.probability),
        characters: v
            .chars
            .iter()
            .take(PLATE_MAX)
            .map(|c| Character {
                char: c.ch,
                confidence: Confidence::new(c.conf),
                runner_up: c.runner_up.map(|(char, conf)| RunnerUp {
                    char,
                    confidence: Confidence::new(conf),
                }),
            })
            .collect(),
        raw: v.raw.chars().take(PLATE_MAX).collect(),
        corrected: corrected
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
        kind: v.kind,
        quad,
        reads: v.reads,
        frames_agreeing: v.frames_agreeing,
    }
}

fn evidence(p: &Picture, captured_at: DateTime<FixedOffset>) -> Evidence {
    Evidence {
        role: p.role,
        content_type: CONTENT_TYPE.into(),
        width: p.width,
        height: p.height,
        captured_at: Some(captured_at),
        bytes: p.bytes.len() as u64,
        sha256: Sha256Hex(p.sha256),
        topic: None,
        name: None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn at(capture: &str, mono_ms: u64) -> Moment {
        let capture = DateTime::parse_from_rfc3339(&format!("2026-03-14T{capture}+08:00")).unwrap();
        Moment {
            wall: capture,
            mono: Duration::from_millis(mono_ms),
        }
    }

    fn texts([first, passed, last]: [Moment; 3]) -> [String; 3] {
        let times = Times::in_order(first, [passed, passed], last);
        assert_eq!(times.time, times.captured_at);
        [times.first_seen, times.time, times.last_seen]
            .map(|t| t.format("%H:%M:%S%.3f").to_string())
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

    #[test]
    fn a_small_step_back_does_not_turn_a_short_passage_round() {
        let back = [
            at("09:00:00.900", 0),
            at("09:00:00.300", 100),
            at("09:00:00.400", 200),
        ];
        assert_eq!(
            texts(back),
            ["09:00:00.200", "09:00:00.300", "09:00:00.400"]
        );
        // The pictures' time is turned round against the passing alone.
        let (first, last) = (at("09:00:00.000", 0), at("09:00:00.600", 600));
        let between = [at("09:00:00.500", 200), at("09:00:00.300", 400)];
        let times = Times::in_order(first, between, last);
        assert!(times.time < times.captured_at, "{times:?}");
    }

    proptest! {
        /// A wall clock that is set before each frame, by milliseconds or by years.
        #[test]
        fn times_are_in_order_whatever_the_wall_clock_does(
            start in -5_000_000_000_000_i64..5_000_000_000_000,
            frames in proptest::collection::vec((0_u64..3_000, step()), 4),
            swap in any::<bool>(),
        ) {
            let (mut wall, mut mono) = (start, 0);
            let moments: Vec<Moment> = frames
                .into_iter()
                .map(|(pause, step)| {
                    (wall, mono) = (wall + pause as i64 + step, mono + pause);
                    Moment {
                        wall: DateTime::from_timestamp_millis(wall).unwrap().fixed_offset(),
                        mono: Duration::from_millis(mono),
                    }
                })
                .collect();
            let mut between = [moments[1], moments[2]];
            if swap {
                between.reverse();
            }
            let mono = between.map(|moment| moment.mono);
            let times = Times::in_order(moments[0], between, moments[3]);
            let seen = times.first_seen..=times.last_seen;
            prop_assert!(seen.contains(&times.time) && seen.contains(&times.captured_at), "{times:?}");
            if mono[0] < mono[1] {
                prop_assert!(times.time <= times.captured_at, "{times:?}");
            } else if mono[1] < mono[0] {
                prop_assert!(times.captured_at <= times.time, "{times:?}");
            }
            prop_assert_eq!(times.last_seen, moments[3].wall, "what the clock said last holds");
        }
    }

    fn step() -> impl Strategy<Value = i64> {
        prop_oneof![
            Just(0_i64),
            -1_500_i64..1_500,
            -400_000_000_000_i64..400_000_000_000,
        ]
    }
}
