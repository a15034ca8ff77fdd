//! All lists of a box, and the hit that a vehicle is.
//!
//! What is read is looked for as it stands first, among whole plates and patterns: of all entries
//! that hold here and now the most severe one counts. Only where there is none, what the read may
//! stand for instead is looked for: the likeliest listed text counts, and of its entries the most
//! severe one.

use std::cmp::Reverse;
use std::sync::Arc;

use chrono::{DateTime, FixedOffset};
use kakou_contract::{
    ClockState, ClockStatus, Difference, HitMessage, MatchKind, PassageMessage, Plate,
};
use uuid::Uuid;

use super::codes;
use super::found::{Listing, Match, Source};
use super::list::List;
use super::near::{Change, Doubts, Variant};
use super::patterns::fixed_places;
use super::policy::{Mode, Policy};
use super::rules::Sighting;
use super::store::{Meta, severity};
use super::traits::{Contradicted, contradictions};
use super::weights::Weights;

/// What a match depends on that no message says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conditions {
    /// While the clock may be wrong, nothing expires and no schedule applies.
    pub clock_is_right: bool,
}

impl Default for Conditions {
    fn default() -> Self {
        Self {
            clock_is_right: true,
        }
    }
}

impl From<ClockStatus> for Conditions {
    /// Where the system does not say how its clock is, it is taken to be right.
    fn from(status: ClockStatus) -> Self {
        Self {
            clock_is_right: status.state != ClockState::Unsynchronised,
        }
    }
}

/// A list and how it is used.
#[derive(Debug, Clone)]
pub struct Listed {
    pub list: Arc<List>,
    pub policy: Arc<Policy>,
}

/// A snapshot of the lists in use; cheap to clone, and it never changes.
#[derive(Debug, Clone, Default)]
pub struct Lists {
    lists: Vec<Listed>,
    weights: Arc<Weights>,
}

/// A read as it is looked for.
struct Seen<'a> {
    message: &'a PassageMessage,
    plate: &'a Plate,
    codes: Vec<u8>,
    sighting: Sighting<'a>,
    /// Now, by a clock that is right.
    at: Option<DateTime<FixedOffset>>,
}

/// A text of an entry that the read may stand for.
struct Find<'a> {
    plate: &'a [u8],
    meta: &'a Meta,
    kind: MatchKind,
    score: f32,
    /// Of a near match: how likely its text is, whatever else speaks against it.
    odds: f32,
    differences: Vec<Difference>,
}

impl Lists {
    pub fn new(lists: Vec<Listed>, weights: Arc<Weights>) -> Self {
        Self { lists, weights }
    }

    /// One list, used as it is by default.
    pub fn of(list: List) -> Self {
        let policy = Arc::default();
        let list = Arc::new(list);
        Self::new(vec![Listed { list, policy }], Arc::default())
    }

    pub fn iter(&self) -> impl Iterator<Item = &Listed> {
        self.lists.iter()
    }

    /// Entries of all lists.
    pub fn len(&self) -> usize {
        self.lists.iter().map(|l| l.list.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The hit that a passage is, if it is one. `confirmed`: a caller that knows better says so.
    pub fn hit(
        &self,
        passage: &PassageMessage,
        conditions: &Conditions,
        id: Uuid,
    ) -> Option<HitMessage> {
        let plate = passage.plate.as_ref()?;
        let found = self.best(passage, conditions)?;
        Some(found.message(passage, plate, id))
    }

    /// The match that counts.
    pub fn best(&self, passage: &PassageMessage, conditions: &Conditions) -> Option<Match<'_>> {
        let mut all = self.matches(passage, conditions, true);
        all.sort_by_key(|m| m.rank);
        all.into_iter().next()
    }

    /// Every match, the one that counts first.
    pub fn all(&self, passage: &PassageMessage, conditions: &Conditions) -> Vec<Match<'_>> {
        let mut all = self.matches(passage, conditions, false);
        all.sort_by_key(|m| m.rank);
        all
    }

    /// `brief`: what is near is looked for only where nothing matches as it stands.
    fn matches(
        &self,
        passage: &PassageMessage,
        conditions: &Conditions,
        brief: bool,
    ) -> Vec<Match<'_>> {
        let Some(plate) = &passage.plate else {
            return Vec::new();
        };
        let seen = Seen {
            message: passage,
            plate,
            // What no plate says is on no list, and may still be missing in one.
            codes: codes::codes(&plate.text).unwrap_or_default(),
            sighting: Sighting {
                camera: passage.camera.as_str(),
                lane: passage.lane.as_ref().map(|l| l.id.as_str()),
                direction: passage.direction,
            },
            at: conditions.clock_is_right.then_some(passage.time),
        };
        let here = |listed: &Listed| listed.policy.rules.hold(&seen.sighting, seen.at);
        let lists = || self.lists.iter().enumerate().filter(|(_, l)| here(l));
        let mut found = Vec::new();
        for (at, listed) in lists().filter(|(_, l)| l.policy.mode == Mode::Watch) {
            self.as_it_stands(&seen, listed, |find| {
                found.extend(seen.judged(find, listed, at))
            });
        }
        let mut doubts = None;
        for (at, listed) in lists() {
            match listed.policy.mode {
                Mode::Watch if (found.is_empty() || !brief) && listed.policy.has_near() => {
                    let doubts = doubts.get_or_insert_with(|| self.doubts(&seen));
                    near(doubts.as_ref(), &seen, listed, |find| {
                        found.extend(seen.judged(find, listed, at));
                    });
                }
                Mode::Watch => {}
                Mode::Allow => {
                    let doubts = doubts.get_or_insert_with(|| self.doubts(&seen));
                    if !self.is_allowed(&seen, doubts.as_ref(), listed) {
                        found.extend(seen.unlisted(listed, at));
                    }
                }
            }
        }
        found
    }

    fn doubts(&self, seen: &Seen<'_>) -> Option<Doubts> {
        let (plate, colour) = (seen.plate, seen.plate.colour);
        let sure = colour.filter(|c| c.confidence.get() >= super::traits::SURE);
        Doubts::new(
            &seen.codes,
            &plate.characters,
            plate.confidence.get(),
            sure.map(|c| c.value),
            &self.weights,
        )
    }

    /// Finds the read itself, among whole plates and patterns.
    fn as_it_stands<'a>(
        &self,
        seen: &Seen<'_>,
        listed: &'a Listed,
        mut take: impl FnMut(Find<'a>),
    ) {
        let list = &*listed.list;
        let confidence = seen.plate.confidence.get();
        let find = |plate, meta, kind, score| Find {
            plate,
            meta,
            kind,
            score,
            odds: 1.0,
            differences: Vec::new(),
        };
        if let Some(key) = codes::pack(&seen.codes) {
            for meta in list.exact.get(key) {
                take(find(&[], meta, MatchKind::Exact, confidence));
            }
        }
        if list.patterns.len() == 0 || seen.codes.is_empty() {
            return;
        }
        for (pattern, meta) in list.patterns.fitting(&seen.codes) {
            let score = seen.fixed_score(pattern);
            take(find(pattern, meta, MatchKind::Pattern, score));
        }
        // What could be read of a torn plate fits a pattern that leaves the rest open.
        if let Some(doubts) = self.doubts(seen) {
            for torn in doubts.with_a_gap() {
                for (pattern, meta) in list.patterns.fitting(&torn) {
                    take(find(pattern, meta, MatchKind::Pattern, confidence));
                }
            }
        }
    }

    /// Whether a list of those allowed has this vehicle, or one whose plate may be misread as its.
    fn is_allowed(&self, seen: &Seen<'_>, doubts: Option<&Doubts>, listed: &Listed) -> bool {
        let mut allowed = false;
        let mut see = |find: Find<'_>| allowed |= seen.holds(&find, listed).is_some();
        self.as_it_stands(seen, listed, &mut see);
        if listed.policy.has_near() {
            near(doubts, seen, listed, see);
        }
        allowed
    }
}

/// Finds what the read may stand for instead.
fn near<'a>(
    doubts: Option<&Doubts>,
    seen: &Seen<'_>,
    listed: &'a Listed,
    mut take: impl FnMut(Find<'a>),
) {
    let Some(doubts) = doubts else {
        return;
    };
    let list = &*listed.list;
    let confidence = seen.plate.confidence.get();
    doubts.variants(|variant| {
        for meta in list.exact.get(variant.key) {
            take(Find {
                plate: &[],
                meta,
                kind: MatchKind::Near,
                score: confidence * doubts.calibrated(&variant),
                odds: variant.odds,
                differences: seen.differences(&variant),
            });
        }
    });
    if list.patterns.len() == 0 {
        return;
    }
    for (text, odds, at, to) in doubts.likely() {
        for (pattern, meta) in list.patterns.fitting(&text) {
            // One that the read itself fits differs in nothing.
            if super::patterns::fits(pattern, &seen.codes) {
                continue;
            }
            take(Find {
                plate: pattern,
                meta,
                kind: MatchKind::Near,
                score: seen.fixed_score(pattern) * odds,
                odds,
                differences: vec![seen.difference(at, Some(to))],
            });
        }
    }
}

impl<'s> Seen<'s> {
    /// The match that a find is, if it holds for this vehicle, here and now.
    fn judged<'a>(&self, find: Find<'a>, listed: &'a Listed, at: usize) -> Option<Match<'a>> {
        let contradicted = self.holds(&find, listed)?;
        let meta = find.meta;
        let score = find.score * contradicted.factor;
        if !listed.policy.takes(meta.level(), find.kind, score) {
            return None;
        }
        let (tier, odds, order) = match find.kind {
            MatchKind::Near => (1, find.odds, 2),
            MatchKind::Exact => (0, 0.0, 0),
            MatchKind::Pattern | MatchKind::Unlisted => (0, 0.0, 1),
        };
        let plate = match (find.plate.is_empty(), find.kind) {
            // As it was read: the office O of older police plates too.
            (true, MatchKind::Exact) => Listing::AsRead(self.plate.text.clone()),
            (true, _) => Listing::Whole(self.listed(&find.differences)),
            (false, _) => Listing::Pattern(find.plate),
        };
        Some(Match {
            listed,
            source: Source::Entry(meta, plate),
            kind: find.kind,
            score,
            differences: find.differences,
            contradictions: contradicted.what,
            rank: (
                tier,
                Reverse(odds.to_bits()),
                severity(meta.level()),
                order,
                Reverse(score.to_bits()),
                at,
                meta.line.into(),
            ),
        })
    }

    /// `None`: the entry does not hold, or is of another vehicle.
    fn holds(&self, find: &Find<'_>, listed: &Listed) -> Option<Contradicted> {
        let (shared, meta) = (&listed.list.shared, find.meta);
        if let Some(at) = self.at.map(|at| at.timestamp())
            && (shared.seconds(meta.from).is_some_and(|from| at < from)
                || shared.seconds(meta.until).is_some_and(|until| at > until))
        {
            return None;
        }
        if let Some(rules) = shared.rules(meta.rules)
            && !rules.hold(&self.sighting, self.at)
        {
            return None;
        }
        let vehicle = self.message.vehicle.as_ref();
        contradictions(meta, self.plate, vehicle, !find.plate.is_empty())
    }

    /// What a list of those allowed says of a vehicle that it does not have.
    fn unlisted<'a>(&self, listed: &'a Listed, at: usize) -> Option<Match<'a>> {
        let unlisted = &listed.policy.unlisted;
        let score = self.plate.confidence.get();
        if !listed
            .policy
            .takes(unlisted.level, MatchKind::Unlisted, score)
        {
            return None;
        }
        Some(Match {
            listed,
            source: Source::Unlisted,
            kind: MatchKind::Unlisted,
            score,
            differences: Vec::new(),
            contradictions: Vec::new(),
            rank: (
                0,
                Reverse(0),
                severity(unlisted.level),
                2,
                Reverse(score.to_bits()),
                at,
                0,
            ),
        })
    }

    /// How probable it is that the fixed characters of a pattern are right: the confidence of the
    /// whole text, shared out by the doubt in each character.
    fn fixed_score(&self, pattern: &[u8]) -> f32 {
        let places = fixed_places(pattern, &self.codes);
        let doubt = |at: usize| {
            let sure = self
                .plate
                .characters
                .get(at)
                .map_or(1.0, |c| c.confidence.get());
            1e-4 - sure.max(1e-3).ln()
        };
        let all: f32 = (0..self.codes.len()).map(doubt).sum();
        let fixed: f32 = places.into_iter().map(doubt).sum();
        let confidence = self.plate.confidence.get();
        confidence.max(1e-6).powf((fixed / all.max(1e-6)).min(1.0))
    }

    fn difference(&self, at: usize, listed: Option<u8>) -> Difference {
        Difference {
            position: u8::try_from(at).unwrap_or(u8::MAX),
            read: self.codes.get(at).map(|c| codes::char_of(*c)),
            listed: listed.map(codes::char_of),
        }
    }

    fn differences(&self, variant: &Variant) -> Vec<Difference> {
        match variant.change {
            Change::One(at, to) => vec![self.difference(at, Some(to))],
            Change::Two((a, x), (b, y)) => {
                vec![self.difference(a, Some(x)), self.difference(b, Some(y))]
            }
            Change::Lost(at, lost) => vec![Difference {
                read: None,
                ..self.difference(at, Some(lost))
            }],
            Change::Twice(at) => vec![self.difference(at, None)],
        }
    }

    /// The listed text that differs from the read in this way.
    fn listed(&self, differences: &[Difference]) -> Vec<u8> {
        let mut text = self.codes.clone();
        for d in differences {
            let at = usize::from(d.position);
            match (d.read, d.listed.and_then(codes::code)) {
                (Some(_), Some(to)) if at < text.len() => text[at] = to,
                (None, Some(lost)) if at <= text.len() => text.insert(at, lost),
                (Some(_), None) if at < text.len() => {
                    text.remove(at);
                }
                _ => {}
            }
        }
        text
    }
}
