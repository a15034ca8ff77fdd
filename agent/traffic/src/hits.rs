//! The life of a hit: told while the vehicle is in sight, ended once, never told twice. Pure.
//!
//! ```text
//!          sure of a listed plate             passed: the vote still matches
//! (none) ------------------------> provisional ------------------------------> confirmed
//!    |                                  |  taken back by a reason ----------> retracted
//!    |                                  |  the camera's run ended abruptly -> unresolved
//!    |  passed, and was never sure before
//!    +-----------------------------------------------------------------------> confirmed
//! ```
//!
//! A vote that turns to another listed plate takes the first hit back and opens a second; one that
//! turns back again opens none: its passage is told as `again`, under the id that it had.
//!
//! A hit and what follows within `story` for the same entry, in another passage or on another
//! camera of the box, are one story: the later passage is told as `again`, under the id of the first
//! hit. A vehicle that passes another camera while the first one still follows it has passed: that
//! confirms the hit, and what the first camera sees of it in the end is the `again`.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use chrono::{DateTime, FixedOffset};
use kakou_contract::{HitMessage, HitState, Id, PlateKind, Retraction, RetractionReason};
use uuid::Uuid;

use crate::passage::Reject;

/// Stories remembered; of more, the oldest are forgotten.
const STORIES: usize = 10_000;
/// Hits with an end that are remembered of one vehicle in sight.
const ENDED: usize = 8;

/// What tells one entry of the lists from another.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    list: String,
    plate: String,
    kind: Option<PlateKind>,
    /// Of a hit that is missing in a list of those allowed: what was read.
    read: Option<String>,
}

impl Key {
    fn of(hit: &HitMessage) -> Self {
        let pattern = hit.entry.plate.contains(['*', '?']);
        Self {
            list: hit.entry.list.clone(),
            plate: hit.entry.plate.clone(),
            kind: hit.entry.kind,
            read: pattern.then(|| hit.plate.text.clone()),
        }
    }
}

#[derive(Debug, Clone)]
struct Story {
    key: Key,
    hit: Uuid,
    last: Duration,
}

/// What was told of a vehicle that is still in sight.
#[derive(Debug, Default)]
struct Followed {
    /// Of whom something was told.
    camera: Option<Id>,
    open: Option<HitMessage>,
    /// Hits that ended while it was in sight: the vote turned, or it passed another camera. What
    /// comes of them in the end is told as `again`.
    ended: Vec<(Key, Uuid)>,
}

impl Followed {
    /// Its hit ends while it is in sight, and is remembered.
    fn end(&mut self) -> Option<HitMessage> {
        let open = self.open.take()?;
        if self.ended.len() < ENDED {
            self.ended.push((Key::of(&open), open.id));
        }
        Some(open)
    }
}

/// What a vote says, and when.
#[derive(Debug, Clone, Copy)]
pub struct Word<'a> {
    /// The plate's text; `None`: no plate could be read.
    pub text: Option<&'a str>,
    /// Monotonic.
    pub now: Duration,
    /// Capture time of the last frame that it rests on.
    pub decided_at: DateTime<FixedOffset>,
}

/// All hits of the box that are alive, and those that were told lately.
#[derive(Debug, Default)]
pub struct Hits {
    story: Duration,
    /// By passage.
    followed: HashMap<Uuid, Followed>,
    stories: VecDeque<Story>,
}

impl Hits {
    /// The same entry seen again within `story` is the same story.
    pub fn new(story: Duration) -> Self {
        Self {
            story,
            ..Self::default()
        }
    }

    pub fn set_story(&mut self, story: Duration) {
        self.story = story;
    }

    /// Hits that have no end yet.
    pub fn open(&self) -> impl Iterator<Item = &HitMessage> {
        self.followed.values().filter_map(|f| f.open.as_ref())
    }

    /// A vehicle in sight is surely read. `found` is what the lists say of it; `enough`: it may be
    /// told. Returns what is to be told, in this order.
    pub fn sure(
        &mut self,
        passage: Uuid,
        word: Word<'_>,
        found: Option<HitMessage>,
        enough: bool,
    ) -> Vec<HitMessage> {
        self.forget(word.now);
        let key = found.as_ref().map(Key::of);
        let mut out = Vec::new();
        if let Some(open) = self.open_of(passage) {
            if key.as_ref() == Some(&Key::of(open)) {
                let hit = open.id;
                self.touch(hit, word.now);
                return out;
            }
            out.extend(self.take_back(passage, word));
        }
        let (Some(found), Some(key)) = (found, key) else {
            return out;
        };
        let before = self
            .followed
            .get(&passage)
            .is_some_and(|f| f.ended.iter().any(|(k, _)| *k == key));
        // What is known of this entry already is told when the vehicle has passed.
        if !enough || before || self.told(&key).is_some() {
            return out;
        }
        let hit = HitMessage {
            state: HitState::Provisional,
            retraction: None,
            decided_at: Some(word.decided_at),
            passage_id: passage,
            ..found
        };
        self.remember(key, hit.id, word.now);
        let followed = self.followed.entry(passage).or_default();
        followed.camera = Some(hit.camera.clone());
        followed.open = Some(hit.clone());
        out.push(hit);
        out
    }

    /// A vehicle has passed. `also`: other ids that parts of it were told by.
    pub fn passed(
        &mut self,
        (passage, also): (Uuid, &[Uuid]),
        word: Word<'_>,
        found: Option<HitMessage>,
    ) -> Vec<HitMessage> {
        self.forget(word.now);
        let key = found.as_ref().map(Key::of);
        let (mut out, mut kept, mut turned_back) = (Vec::new(), None, None);
        for id in std::iter::once(&passage).chain(also) {
            let Some(followed) = self.followed.remove(id) else {
                continue;
            };
            for (k, hit) in followed.ended {
                if key.as_ref() == Some(&k) {
                    turned_back.get_or_insert(hit);
                }
            }
            let Some(open) = followed.open else { continue };
            if kept.is_none() && key.as_ref() == Some(&Key::of(&open)) {
                kept = Some(open.id);
            } else {
                out.push(self.retract(open, RetractionReason::VoteChanged, word));
            }
        }
        let (Some(found), Some(key)) = (found, key) else {
            return out;
        };
        let (id, state) = match (kept, turned_back.or_else(|| self.told(&key))) {
            (Some(kept), _) => (kept, HitState::Confirmed),
            (None, Some(first)) => match self.end_elsewhere(first) {
                true => (first, HitState::Confirmed),
                false => (first, HitState::Again),
            },
            (None, None) => (found.id, HitState::Confirmed),
        };
        match self.stories.iter().any(|s| s.hit == id) {
            true => self.touch(id, word.now),
            false => self.remember(key, id, word.now),
        }
        out.push(HitMessage {
            id,
            state,
            retraction: None,
            decided_at: Some(word.decided_at),
            passage_id: passage,
            ..found
        });
        out
    }

    /// Something that was told will be no passage. `why`: `None` if it was one that could not be
    /// recorded.
    pub fn dropped(
        &mut self,
        passages: &[Uuid],
        why: Option<Reject>,
        decided: DateTime<FixedOffset>,
    ) -> Vec<HitMessage> {
        let open: Vec<HitMessage> = passages
            .iter()
            .filter_map(|id| self.followed.remove(id)?.open)
            .collect();
        let word = Word {
            text: None,
            now: Duration::ZERO,
            decided_at: decided,
        };
        open.into_iter()
            .map(|hit| match why {
                Some(why) => self.retract(hit, reason(why), word),
                None => unresolved(hit, decided),
            })
            .collect()
    }

    /// A camera's run ended without saying what became of what it followed.
    pub fn abandoned(&mut self, camera: &Id, decided: DateTime<FixedOffset>) -> Vec<HitMessage> {
        let mut ids: Vec<Uuid> = self
            .followed
            .iter()
            .filter(|(_, f)| f.camera.as_ref() == Some(camera))
            .map(|(id, _)| *id)
            .collect();
        ids.sort();
        let hits = ids.iter().filter_map(|id| self.followed.remove(id)?.open);
        hits.map(|hit| unresolved(hit, decided)).collect()
    }

    fn open_of(&self, passage: Uuid) -> Option<&HitMessage> {
        self.followed.get(&passage)?.open.as_ref()
    }

    /// Takes back what is open of a vehicle in sight.
    fn take_back(&mut self, passage: Uuid, word: Word<'_>) -> Option<HitMessage> {
        let followed = self.followed.get_mut(&passage)?;
        let open = followed.end()?;
        Some(self.retract(open, RetractionReason::VoteChanged, word))
    }

    /// The vehicle of this hit has passed one camera. True if another one still follows it: the hit
    /// has its end now, and that camera's own vote takes nothing back any more.
    fn end_elsewhere(&mut self, hit: Uuid) -> bool {
        let follows = |f: &Followed| f.open.as_ref().is_some_and(|open| open.id == hit);
        let followed = self.followed.values_mut().find(|f| follows(f));
        followed.and_then(Followed::end).is_some()
    }

    fn retract(&mut self, hit: HitMessage, reason: RetractionReason, word: Word<'_>) -> HitMessage {
        // What was taken back is no part of a story.
        self.stories.retain(|s| s.hit != hit.id);
        let same_text = word.text == Some(hit.plate.text.as_str());
        let reason = match reason {
            // The text is what it was: the list has changed.
            RetractionReason::VoteChanged if same_text => RetractionReason::NotListed,
            reason => reason,
        };
        HitMessage {
            state: HitState::Retracted,
            retraction: Some(Retraction {
                reason,
                plate: word.text.map(str::to_owned),
            }),
            decided_at: Some(word.decided_at),
            ..hit
        }
    }

    fn told(&self, key: &Key) -> Option<Uuid> {
        self.stories.iter().find(|s| s.key == *key).map(|s| s.hit)
    }

    fn remember(&mut self, key: Key, hit: Uuid, last: Duration) {
        self.stories.push_back(Story { key, hit, last });
        while self.stories.len() > STORIES {
            self.stories.pop_front();
        }
    }

    fn touch(&mut self, hit: Uuid, now: Duration) {
        if let Some(story) = self.stories.iter_mut().find(|s| s.hit == hit) {
            story.last = story.last.max(now);
        }
    }

    /// A story goes on for as long as its hit is open, however long the vehicle stands.
    fn forget(&mut self, now: Duration) {
        let open: Vec<Uuid> = self.open().map(|hit| hit.id).collect();
        let story = self.story;
        self.stories
            .retain(|s| s.last + story >= now || open.contains(&s.hit));
    }
}

/// What ends a hit of which an agent that ended abruptly has not said what became of it.
pub fn unresolved(hit: HitMessage, decided: DateTime<FixedOffset>) -> HitMessage {
    HitMessage {
        state: HitState::Unresolved,
        retraction: None,
        decided_at: Some(decided),
        sequence: None,
        ..hit
    }
}

fn reason(why: Reject) -> RetractionReason {
    match why {
        Reject::OutsideLanes => RetractionReason::OutsideLanes,
        Reject::Shadow | Reject::Repeated => RetractionReason::OtherVehicle,
        Reject::NoRealPlate | Reject::Faint | Reject::Static => RetractionReason::NoVehicle,
    }
}

#[cfg(test)]
#[path = "hits_tests.rs"]
mod tests;
