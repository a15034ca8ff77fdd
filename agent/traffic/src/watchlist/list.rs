//! The entries of a list, and the hits that passages are.

use std::collections::HashMap;

use chrono::{DateTime, FixedOffset};
use kakou_contract::{
    Doubt, HitMessage, HitState, Level, ListEntry, MatchKind, PassageMessage, Plate, PlateKind,
    SchemaVersion, WeakCharacter,
};
use uuid::Uuid;

use super::row::as_read;

/// From this confidence on a plate's colour is sure enough to rule an entry out by its kind.
const SURE_COLOUR: f32 = 0.7;

/// A plate that is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub plate: String,
    /// Plates of two kinds may have the same text: they are two vehicles. `None`: a plate of any
    /// kind.
    pub kind: Option<PlateKind>,
    pub level: Level,
    pub category: String,
    pub reason: String,
    pub valid_until: Option<DateTime<FixedOffset>>,
}

impl Entry {
    fn holds(&self, kind: Option<PlateKind>, at: DateTime<FixedOffset>) -> bool {
        let same_kind = self.kind.zip(kind).is_none_or(|(own, seen)| own == seen);
        same_kind && self.valid_until.is_none_or(|until| at <= until)
    }
}

/// A list that is in use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct List {
    pub name: String,
    /// The first 12 digits of `sha256`.
    pub version: String,
    /// Of the list's bytes, in hexadecimal digits.
    pub sha256: String,
    /// Rows that are not used.
    pub refused: u64,
    /// By the text that a reader gives for the plate; for each the most severe entry first, then by
    /// line.
    entries: HashMap<String, Vec<(u64, Entry)>>,
}

impl List {
    /// Without an entry yet.
    pub(super) fn new(name: &str, sha256: String) -> Self {
        Self {
            name: name.to_owned(),
            version: sha256.chars().take(12).collect(),
            sha256,
            ..Self::default()
        }
    }

    pub fn len(&self) -> usize {
        self.entries.values().map(Vec::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds an entry. Returns the line of an earlier one for the same plate and kind, if there is
    /// one.
    pub(super) fn add(&mut self, line: u64, entry: Entry) -> Option<u64> {
        let entries = self.entries.entry(as_read(&entry.plate)).or_default();
        let before = entries.iter().find(|(_, e)| e.kind == entry.kind);
        let before = before.map(|(line, _)| *line);
        entries.push((line, entry));
        entries.sort_by_key(|(line, e)| (severity(e.level), *line));
        before
    }

    /// The most severe entry for exactly this plate that holds at this time. `kind`: what the plate
    /// surely is.
    pub fn matches(
        &self,
        plate: &str,
        kind: Option<PlateKind>,
        at: DateTime<FixedOffset>,
    ) -> Option<&Entry> {
        let entries = self.entries.get(&as_read(plate))?;
        entries.iter().map(|(_, e)| e).find(|e| e.holds(kind, at))
    }

    /// The hit that a passage is, if it is one.
    pub fn hit(&self, passage: &PassageMessage, id: Uuid) -> Option<HitMessage> {
        let plate = passage.plate.as_ref()?;
        let entry = self.matches(&plate.text, sure_kind(plate), passage.time)?;
        let weakest = plate
            .characters
            .iter()
            .enumerate()
            .min_by(|(_, a), (_, b)| a.confidence.get().total_cmp(&b.confidence.get()));
        Some(HitMessage {
            is_late: false,
            schema_version: SchemaVersion::CURRENT,
            id,
            state: HitState::Confirmed,
            retraction: None,
            decided_at: Some(passage.last_seen),
            sequence: None,
            site: passage.site.clone(),
            agent: passage.agent.clone(),
            camera: passage.camera.clone(),
            passage_id: passage.id,
            time: passage.time,
            level: entry.level,
            category: entry.category.clone(),
            reason: entry.reason.clone(),
            entry: ListEntry {
                plate: entry.plate.clone(),
                kind: entry.kind,
                colour: None,
                class: None,
                authority: None,
                basis: None,
                list: self.name.clone(),
                list_version: Some(self.version.clone()),
                valid_until: entry.valid_until,
            },
            doubt: Doubt {
                kind: MatchKind::Exact,
                confidence: plate.confidence,
                differences: Vec::new(),
                contradictions: Vec::new(),
                weakest: weakest.map(|(at, c)| WeakCharacter {
                    position: u8::try_from(at).unwrap_or(u8::MAX),
                    char: c.char,
                    confidence: c.confidence,
                }),
            },
            lane: passage.lane.clone(),
            direction: passage.direction,
            picture: passage.picture,
            vehicle: passage.vehicle.clone(),
            plate: plate.clone(),
            evidence: passage.evidence.clone(),
            clock: passage.clock,
        })
    }
}

/// The kind, unless it rests on a colour that is in doubt: a hit too many is seen by a person, one
/// too few by nobody.
fn sure_kind(plate: &Plate) -> Option<PlateKind> {
    let colour = plate.colour.as_ref()?;
    plate
        .kind
        .filter(|_| colour.confidence.get() >= SURE_COLOUR)
}

/// 0 is the worst.
fn severity(level: Level) -> usize {
    Level::ALL
        .iter()
        .position(|l| *l == level)
        .unwrap_or(usize::MAX)
}
