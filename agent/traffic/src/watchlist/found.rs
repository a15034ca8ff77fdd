//! What is found in the lists: which entry a read matches, and the hit that it makes.

use std::cmp::Reverse;

use kakou_contract::{
    Contradiction, Difference, Doubt, HitMessage, HitState, ListEntry, MatchKind, PassageMessage,
    Plate, SchemaVersion, WeakCharacter,
};
use uuid::Uuid;

use super::list::{Entry, List};
use super::lists::Listed;
use super::store::Meta;

/// A listed plate that a read matches.
#[derive(Debug, Clone)]
pub struct Match<'a> {
    pub(super) listed: &'a Listed,
    pub(super) source: Source<'a>,
    pub kind: MatchKind,
    /// How probable it is that the vehicle carries the listed plate.
    pub score: f32,
    pub differences: Vec<Difference>,
    pub contradictions: Vec<Contradiction>,
    /// The better of two matches has the smaller one.
    pub(super) rank: Rank,
}

/// Tier, likelihood of the text, severity, order of kinds, score, place of the list, line.
pub(super) type Rank = (u8, Reverse<u32>, u8, u8, Reverse<u32>, usize, u64);

/// Where a match comes from. Its entry is put together when somebody asks for it: the texts of a
/// long list lie far apart in memory, and most look-ups ask only which match counts.
#[derive(Debug, Clone)]
pub(super) enum Source<'a> {
    Entry(&'a Meta, Listing<'a>),
    /// A list of those allowed does not have the vehicle.
    Unlisted,
}

/// The plate of an entry.
#[derive(Debug, Clone)]
pub(super) enum Listing<'a> {
    /// Just what was read.
    AsRead(String),
    Whole(Vec<u8>),
    Pattern(&'a [u8]),
}

impl<'a> Match<'a> {
    pub fn list(&self) -> &'a List {
        &self.listed.list
    }

    /// The entry, as it stands in the list. Of a vehicle that a list of those allowed does not have:
    /// one that stands for all others, with line 0.
    pub fn entry(&self) -> Entry<'a> {
        let list = self.list();
        match &self.source {
            Source::Entry(meta, Listing::AsRead(text)) => Entry {
                plate: text.clone(),
                ..list.entry(&[], meta)
            },
            Source::Entry(meta, Listing::Whole(codes)) => list.entry(codes, meta),
            Source::Entry(meta, Listing::Pattern(pattern)) => list.entry(pattern, meta),
            Source::Unlisted => {
                let unlisted = &self.listed.policy.unlisted;
                Entry {
                    plate: "*".to_owned(),
                    kind: None,
                    colour: None,
                    class: None,
                    level: unlisted.level,
                    category: &unlisted.category,
                    reason: &unlisted.reason,
                    authority: list.authority.as_deref(),
                    basis: list.basis.as_deref(),
                    valid_from: None,
                    valid_until: None,
                    rules: None,
                    line: 0,
                }
            }
        }
    }

    pub(super) fn message(self, passage: &PassageMessage, plate: &Plate, id: Uuid) -> HitMessage {
        let weakest = plate
            .characters
            .iter()
            .enumerate()
            .min_by(|(_, a), (_, b)| a.confidence.get().total_cmp(&b.confidence.get()));
        let entry = self.entry();
        HitMessage {
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
            category: entry.category.to_owned(),
            reason: entry.reason.to_owned(),
            entry: ListEntry {
                plate: entry.plate,
                kind: entry.kind,
                colour: entry.colour,
                class: entry.class,
                list: self.list().name.clone(),
                list_version: Some(self.list().version.clone()),
                authority: entry.authority.map(str::to_owned),
                basis: entry.basis.map(str::to_owned),
                valid_until: entry.valid_until,
            },
            doubt: Doubt {
                kind: self.kind,
                confidence: self.score.into(),
                differences: self.differences,
                contradictions: self.contradictions,
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
        }
    }
}
