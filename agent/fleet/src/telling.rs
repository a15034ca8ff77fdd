//! What an agent tells of a sighting: the passage with its pictures, the life of a hit, and what
//! does not fit.

use chrono::{DateTime, Days, FixedOffset, TimeDelta};
use kakou_contract::{
    Conflict, Doubt, HitMessage, HitState, Level, ListEntry, MatchKind, NoPlateReason,
    PassageMessage, Plate, PlateColour, Retraction, RetractionReason, SchemaVersion, SignalKind,
    SignalMessage, Trait, WeakCharacter,
};
use uuid::Uuid;

use crate::city::IN_SIGHT;
use crate::plates::{MadeUp, confused};
use crate::random::Random;
use crate::scene::{Scene, id};

const WORDS: [(&str, &str); 4] = [
    ("stolen", "reported stolen"),
    ("cloned", "plate seen twice"),
    ("overdue", "no inspection"),
    ("wanted", "wanted for questioning"),
];

/// The hit of a sighting, alike in all messages of its life.
#[derive(Debug, Clone)]
pub(crate) struct Hit {
    pub(crate) id: Uuid,
    /// The plate was read otherwise in the end.
    pub(crate) is_none: bool,
    level: Level,
    word: usize,
    near: bool,
}

impl Hit {
    pub(crate) fn of(scene: &mut Scene) -> Self {
        let random = &mut scene.random;
        Self {
            id: id(scene.best, random),
            is_none: random.chance(0.12),
            level: random.pick(Level::ALL),
            word: random.below(WORDS.len() as u64) as usize,
            near: random.chance(0.1),
        }
    }

    /// In sight: told before the vehicle has passed.
    pub(crate) fn in_sight(&self, scene: &Scene) -> Option<HitMessage> {
        let decided = scene.passage.last_seen - TimeDelta::milliseconds(IN_SIGHT);
        self.message(scene, HitState::Provisional, scene.best, decided)
    }

    /// The vehicle has passed.
    pub(crate) fn ended(&self, scene: &Scene) -> Option<HitMessage> {
        let passage = &scene.passage;
        if !self.is_none {
            return self.message(scene, HitState::Confirmed, passage.time, passage.last_seen);
        }
        let mut hit = self.message(scene, HitState::Retracted, passage.time, passage.last_seen)?;
        hit.retraction = Some(Retraction {
            reason: RetractionReason::VoteChanged,
            plate: Some(misread(&hit.plate).text),
        });
        Some(hit)
    }

    fn message(
        &self,
        scene: &Scene,
        state: HitState,
        time: DateTime<FixedOffset>,
        decided: DateTime<FixedOffset>,
    ) -> Option<HitMessage> {
        let passage = &scene.passage;
        let plate = passage.plate.clone()?;
        let (category, reason) = WORDS[self.word];
        let (entry, doubt) = self.entry(scene, &plate);
        Some(HitMessage {
            is_late: false,
            schema_version: SchemaVersion::CURRENT,
            id: self.id,
            state,
            retraction: None,
            site: passage.site.clone(),
            agent: passage.agent.clone(),
            camera: passage.camera.clone(),
            passage_id: passage.id,
            time,
            decided_at: Some(decided),
            level: self.level,
            category: category.to_owned(),
            reason: reason.to_owned(),
            entry,
            doubt,
            lane: passage.lane.clone(),
            direction: passage.direction,
            picture: passage.picture,
            vehicle: passage.vehicle.clone(),
            plate,
            evidence: passage.evidence.clone(),
            clock: passage.clock,
            sequence: None,
        })
    }

    fn entry(&self, scene: &Scene, plate: &Plate) -> (ListEntry, Doubt) {
        let mut listed = plate.text.clone();
        let mut differences = Vec::new();
        let weakest = plate.characters.iter().enumerate().skip(2);
        let weakest = weakest.min_by(|a, b| a.1.confidence.cmp(&b.1.confidence));
        if let Some((at, weak)) = weakest.filter(|_| self.near) {
            let other = confused(weak.char);
            let text = plate.text.chars().enumerate();
            listed = text.map(|(i, c)| if i == at { other } else { c }).collect();
            differences.push(kakou_contract::Difference {
                position: at as u8,
                read: Some(weak.char),
                listed: Some(other),
            });
        }
        (
            ListEntry {
                plate: listed,
                kind: scene.carried.kind,
                colour: None,
                class: None,
                list: "municipal".to_owned(),
                list_version: Some("made-up.1".to_owned()),
                authority: Some("made-up police".to_owned()),
                basis: None,
                valid_until: scene.passage.time.checked_add_days(Days::new(30)),
            },
            Doubt {
                kind: if self.near {
                    MatchKind::Near
                } else {
                    MatchKind::Exact
                },
                confidence: plate.confidence,
                differences,
                contradictions: Vec::new(),
                weakest: weakest.map(|(at, weak)| WeakCharacter {
                    position: at as u8,
                    char: weak.char,
                    confidence: weak.confidence,
                }),
            },
        )
    }
}

/// The plate with its last character read as another one.
pub(crate) fn misread(plate: &Plate) -> Plate {
    let mut other = plate.clone();
    if let Some(last) = other.characters.last_mut() {
        last.char = confused(last.char);
        last.runner_up = None;
    }
    other.text = other.characters.iter().map(|c| c.char).collect();
    other.raw.clone_from(&other.text);
    other
}

/// What does not fit about a passage, which may be changed for it; `None`: all fits.
pub(crate) fn signal(
    passage: &mut PassageMessage,
    carried: &MadeUp,
    share: f64,
    random: &mut Random,
) -> Option<SignalMessage> {
    let is_wrong_way = passage.wrong_way == Some(true);
    let has_none = passage.no_plate_reason == Some(NoPlateReason::NoneFound);
    let mut conflicts = Vec::new();
    let kind = if is_wrong_way {
        SignalKind::WrongWay
    } else if has_none {
        SignalKind::NoPlate
    } else if random.chance(share) {
        let colour = passage
            .plate
            .as_mut()
            .and_then(|plate| plate.colour.as_mut())?;
        let other = match carried.colour {
            PlateColour::White => PlateColour::Green,
            _ => PlateColour::White,
        };
        colour.value = other;
        conflicts.push(Conflict {
            what: Trait::PlateColour,
            seen: other.as_str().to_owned(),
            expected: carried.colour.as_str().to_owned(),
        });
        if let Some(plate) = &mut passage.plate {
            plate.kind = None;
        }
        SignalKind::Contradiction
    } else {
        return None;
    };
    Some(SignalMessage {
        is_late: false,
        schema_version: SchemaVersion::CURRENT,
        id: id(passage.last_seen, random),
        kind,
        passage_id: passage.id,
        site: passage.site.clone(),
        agent: passage.agent.clone(),
        camera: passage.camera.clone(),
        lane: passage.lane.clone(),
        direction: passage.direction,
        time: passage.time,
        first_seen: passage.first_seen,
        last_seen: passage.last_seen,
        picture: passage.picture,
        vehicle: passage.vehicle.clone(),
        plate: passage.plate.clone(),
        no_plate_reason: passage.no_plate_reason,
        conflicts,
        other: None,
        metres: None,
        speed_kmh: None,
        evidence: passage.evidence.clone(),
        clock: passage.clock,
        sequence: None,
    })
}
