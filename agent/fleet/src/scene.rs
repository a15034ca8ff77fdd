//! From a sighting to the passage and its pictures, in the contract's own types.

use std::sync::Arc;

use chrono::{DateTime, FixedOffset, TimeDelta};
use kakou_contract::{
    Character, Confidence, Direction, Evidence, EvidenceRole, ModelUsed, NoPlateReason,
    PassageMessage, PictureSize, PixelBox, Plate, PlateColourRead, Px, RunnerUp, SchemaVersion,
    Sha256Hex, Topic, Vehicle, VehicleClass, VehicleColourRead, replay_id,
};
use uuid::Uuid;

use crate::checkpoint::Checkpoint;
use crate::city::{IN_SIGHT, Sighting, Traffic};
use crate::clock::FleetTime;
use crate::options::FleetOptions;
use crate::pictures::{Bank, Picture};
use crate::plates::{MadeUp, confused};
use crate::random::Random;

/// What all agents of a fleet share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: FleetOptions,
    pub(crate) traffic: Traffic,
    pub(crate) time: FleetTime,
    pub(crate) bank: Bank,
    pub(crate) models: Vec<ModelUsed>,
}

impl Shared {
    /// What is said to have found and read.
    pub(crate) fn models() -> Vec<ModelUsed> {
        let model = |name: &str, version: &str| ModelUsed {
            name: name.to_owned(),
            version: version.to_owned(),
        };
        vec![
            model("made-up-finder", "1.0.0"),
            model("made-up-reader", "1.0.0"),
        ]
    }
}

/// What was seen, before it is told.
#[derive(Debug, Clone)]
pub(crate) struct Scene {
    /// Without its pictures.
    pub(crate) passage: PassageMessage,
    /// When the pictures were captured, and what is in sight was read best.
    pub(crate) best: DateTime<FixedOffset>,
    /// The plate that the vehicle carries.
    pub(crate) carried: MadeUp,
    /// Draws for what follows from it.
    pub(crate) random: Random,
}

pub(crate) fn scene(shared: &Shared, checkpoint: &Checkpoint, seen: &Sighting) -> Scene {
    let mut random = shared.traffic.of_sighting(seen);
    let is_listed = shared.traffic.is_listed(seen.vehicle);
    let carried = shared.traffic.plate(seen.vehicle);
    let last_seen = checkpoint.shown(shared.time.at(seen.at_ms));
    let before = |ms: i64| last_seen.checked_sub_signed(TimeDelta::milliseconds(ms));
    let before = |ms: i64| before(ms).unwrap_or(last_seen);
    let first_seen = before(random.within(IN_SIGHT + 400, IN_SIGHT + 2_500));
    let best = before(random.within(IN_SIGHT + 40, IN_SIGHT + 360));
    let time = before(random.within(80, 1_200));
    let camera = &checkpoint.cameras[usize::from(seen.camera) % checkpoint.cameras.len()];
    let lane = camera.lanes.get(usize::from(seen.lane));
    let frame = shared.bank.frame();
    let is_read = is_listed || !random.chance(shared.options.no_plate);
    let at = Place::new(frame, carried.class, &mut random);
    let reads = random.within(4, 24) as u32;
    let plate = is_read.then(|| read(&carried, &at, reads, &mut random));
    let no_plate_reason = (!is_read).then(|| {
        use NoPlateReason as N;
        random.pick(&[
            N::NotReadable,
            N::NotReadable,
            N::TooSmall,
            N::TooUncertain,
            N::NoneFound,
        ])
    });
    let direction = if random.chance(0.9) {
        Direction::Approaching
    } else {
        Direction::Leaving
    };
    let wrong_way = random.chance(shared.options.signals * 0.2).then_some(true);
    let passage = PassageMessage {
        is_late: false,
        schema_version: SchemaVersion::CURRENT,
        id: id(first_seen, &mut random),
        site: checkpoint.site.clone(),
        agent: checkpoint.agent.clone(),
        camera: camera.id.clone(),
        lane: lane.cloned(),
        direction,
        wrong_way,
        time,
        first_seen,
        last_seen,
        frames_seen: reads + random.within(2, 60) as u32,
        picture: frame,
        vehicle: Some(Vehicle {
            class: carried.class,
            class_confidence: confidence(&mut random, 0.8, 0.99),
            colour: carried.paint().map(|value| VehicleColourRead {
                value,
                confidence: Confidence::new(0.8),
            }),
            bounds: at.vehicle,
        }),
        plate,
        no_plate_reason,
        plate_hash: None,
        evidence: Vec::new(),
        clock: Some(checkpoint.clock),
        models: shared.models.clone(),
        sequence: None,
    };
    Scene {
        passage,
        best,
        carried,
        random,
    }
}

/// An id that follows from the draws, in the form of a live one.
pub(crate) fn id(time: DateTime<FixedOffset>, random: &mut Random) -> Uuid {
    let bytes = [random.draw().to_be_bytes(), random.draw().to_be_bytes()];
    replay_id(time, bytes.as_flattened())
}

pub(crate) fn confidence(random: &mut Random, from: f64, to: f64) -> Confidence {
    Confidence::new((from + random.unit() * (to - from)) as f32)
}

impl Scene {
    /// Takes the pictures that belong to this owner: the passage, or a hit in sight.
    pub(crate) fn photograph(&mut self, shared: &Arc<Shared>, owner: Uuid) -> Vec<Picture> {
        let count = usize::from(shared.options.pictures);
        let has_plate = self.passage.plate.is_some();
        let roles = [
            EvidenceRole::Frame,
            EvidenceRole::Plate,
            EvidenceRole::Thumbnail,
        ];
        let roles = roles
            .into_iter()
            .take(count)
            .filter(|role| has_plate || *role != EvidenceRole::Plate);
        let mut pictures = Vec::with_capacity(count);
        self.passage.evidence.clear();
        for role in roles {
            let picture = shared
                .bank
                .picture(role, &format!("{owner}/{role}"), &mut self.random);
            let topic = Topic::Evidence {
                site: self.passage.site.clone(),
                agent: self.passage.agent.clone(),
                passage: owner,
                role,
            };
            self.passage.evidence.push(Evidence {
                role,
                content_type: "image/jpeg".to_owned(),
                width: picture.width,
                height: picture.height,
                captured_at: Some(self.best),
                bytes: picture.bytes.len() as u64,
                sha256: Sha256Hex(picture.sha256),
                topic: Some(topic.to_string()),
                name: None,
            });
            pictures.push(picture);
        }
        pictures
    }
}

/// Where in the frame it is.
#[derive(Debug, Clone, Copy)]
struct Place {
    vehicle: PixelBox,
    plate: [[Px; 2]; 4],
}

impl Place {
    fn new(frame: PictureSize, class: VehicleClass, random: &mut Random) -> Self {
        let (width, height) = (frame.width as f32, frame.height as f32);
        let size = match class {
            VehicleClass::Bus | VehicleClass::Truck => 0.45,
            VehicleClass::Car => 0.3,
            VehicleClass::Motorcycle | VehicleClass::Bicycle => 0.12,
        };
        let left = width * (0.1 + 0.4 * random.unit() as f32);
        let top = height * (0.2 + 0.2 * random.unit() as f32);
        let (right, bottom) = (left + width * size, top + height * size * 1.3);
        let (x0, y0) = (left + width * size * 0.35, bottom - height * 0.09);
        let (x1, y1) = (x0 + width * size * 0.3, y0 + height * 0.05);
        let corner = |x: f32, y: f32| [Px::new(x), Px::new(y)];
        Self {
            vehicle: PixelBox::from_edges(left, top, right, bottom),
            plate: [
                corner(x0, y0),
                corner(x1, y0 + 1.0),
                corner(x1, y1),
                corner(x0, y1 - 1.0),
            ],
        }
    }
}

/// The plate as it was read: rightly, more or less surely.
fn read(carried: &MadeUp, at: &Place, reads: u32, random: &mut Random) -> Plate {
    let characters: Vec<Character> = carried
        .text
        .chars()
        .map(|char| {
            let sure = 0.97 + 0.0295 * random.unit();
            let rest = (1.0 - sure) * 0.6;
            let runner_up = random.chance(0.35).then(|| RunnerUp {
                char: confused(char),
                confidence: Confidence::new(rest as f32),
            });
            Character {
                char,
                confidence: Confidence::new(sure as f32),
                runner_up,
            }
        })
        .collect();
    let whole: f32 = characters.iter().map(|c| c.confidence.get()).product();
    Plate {
        text: carried.text.clone(),
        confidence: Confidence::new(whole.min(0.998)),
        characters,
        raw: carried.text.clone(),
        corrected: Vec::new(),
        rows: carried.rows,
        colour: Some(PlateColourRead {
            value: carried.colour,
            confidence: confidence(random, 0.93, 0.998),
        }),
        kind: carried.kind,
        quad: at.plate,
        reads,
        frames_agreeing: reads.saturating_sub(random.below(4) as u32),
    }
}
