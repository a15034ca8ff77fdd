//! News, handed to everybody who watches: hits as they live, passages, answers.
//!
//! The agent tells it in passing and never waits: a message is written once, and who is too slow to
//! take it is told to ask anew. Hits of the last hours are remembered with their pictures, so that
//! who comes back after a lost connection gets what was missed.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use chrono::{DateTime, FixedOffset};
use kakou_contract::{HitMessage, PassageMessage, Verdict};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::broadcast;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::access::Role;
use crate::checkpoint::{Before, as_text};

/// Hits that are remembered.
const HITS: usize = 200;
/// Pictures that are kept in memory, until the database has them for sure.
const PICTURES: usize = 96;
const PICTURES_BYTES: usize = 24 << 20;
/// News that a slow viewer may lag behind.
const LAG: usize = 256;

/// Where pictures are to be had, as paths of this server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pictures {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frame: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plate: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thumbnail: Option<String>,
}

impl Pictures {
    /// From the `evidence` of a message. `near`: the number of a message that was committed with them.
    pub fn of(evidence: &Value, near: Option<u64>) -> Self {
        let mut pictures = Self::default();
        for one in evidence.as_array().into_iter().flatten() {
            let (Some(role), Some(topic)) = (one["role"].as_str(), one["topic"].as_str()) else {
                continue;
            };
            let Some(owner) = owner_of(topic) else {
                continue;
            };
            let near = near.map_or_else(String::new, |near| format!("?near={near}"));
            let path = Some(format!("/api/v1/pictures/{owner}/{role}{near}"));
            match role {
                "frame" => pictures.frame = path,
                "plate" => pictures.plate = path,
                "thumbnail" => pictures.thumbnail = path,
                _ => {}
            }
        }
        pictures
    }
}

/// The passage or hit that a picture's topic is of: the level before the last.
fn owner_of(topic: &str) -> Option<Uuid> {
    topic.rsplit('/').nth(1)?.parse().ok()
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Answered {
    #[schema(value_type = String)]
    pub verdict: Verdict,
    pub by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    #[serde(serialize_with = "as_text")]
    pub time: DateTime<FixedOffset>,
}

/// A hit as it stands.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct HitRow {
    /// Which run of the agent tells it: another one numbers anew, perhaps by a clock that was set
    /// back meanwhile.
    pub run: u64,
    /// Counts up within a run, whatever the wall clock does: the larger is the newer.
    pub number: u64,
    /// When it was told so.
    #[serde(serialize_with = "as_text")]
    pub told: DateTime<FixedOffset>,
    /// The message: docs/messages.md.
    #[schema(value_type = Object)]
    pub hit: Value,
    pub pictures: Pictures,
    pub answer: Option<Answered>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PassageRow {
    pub sequence: Option<u64>,
    /// The message: docs/messages.md.
    #[schema(value_type = Object)]
    pub passage: Value,
    pub pictures: Pictures,
    /// Whether it has a hit.
    pub hit: bool,
}

/// One piece of news, as it is sent.
#[derive(Debug)]
pub(crate) struct News {
    pub kind: &'static str,
    /// Of hits: counts up over restarts.
    pub number: Option<u64>,
    pub data: String,
    pub to: &'static [Role],
}

struct Kept {
    id: Uuid,
    row: HitRow,
}

struct Memory {
    hits: VecDeque<Kept>,
    /// The first number of this run.
    run: u64,
    next: u64,
    pictures: VecDeque<(Uuid, String, Bytes)>,
    picture_bytes: usize,
}

/// A clone is another hand on the same one.
#[derive(Clone)]
pub struct Hub(Arc<Inner>);

struct Inner {
    /// Somebody could watch.
    listening: AtomicBool,
    /// What was told before the start is remembered.
    begun: AtomicBool,
    news: broadcast::Sender<Arc<News>>,
    memory: Mutex<Memory>,
    viewers: AtomicUsize,
}

/// Who sees hits.
pub(crate) const OF_HITS: &[Role] = &[Role::Officer, Role::Operator];
/// Who sees passages as they come.
pub(crate) const OF_PASSAGES: &[Role] = &[Role::Installer, Role::Operator];

impl Hub {
    /// `start`: numbers begin with its milliseconds, so that those of a later run are larger, unless
    /// the clock was set back between them.
    pub fn new(start: DateTime<FixedOffset>) -> Self {
        let run = u64::try_from(start.timestamp_millis())
            .unwrap_or(1)
            .saturating_mul(1000);
        Self(Arc::new(Inner {
            listening: AtomicBool::new(false),
            begun: AtomicBool::new(false),
            news: broadcast::Sender::new(LAG),
            memory: Mutex::new(Memory {
                hits: VecDeque::new(),
                run,
                next: run,
                pictures: VecDeque::new(),
                picture_bytes: 0,
            }),
            viewers: AtomicUsize::new(0),
        }))
    }

    /// There is a page from now on. Returns whether that is so for the first time.
    pub fn begin(&self) -> bool {
        self.0.listening.store(true, Ordering::Relaxed);
        !self.0.begun.swap(true, Ordering::Relaxed)
    }

    /// There is no page any more.
    pub fn listen_to_nothing(&self) {
        self.0.listening.store(false, Ordering::Relaxed);
    }

    pub fn is_listening(&self) -> bool {
        self.0.listening.load(Ordering::Relaxed)
    }

    /// Whether somebody watches right now.
    pub fn is_watched(&self) -> bool {
        self.0.news.receiver_count() > 0
    }

    /// A hit was told, or its state has changed.
    pub fn hit(&self, hit: &HitMessage, now: DateTime<FixedOffset>) {
        let id = hit.id;
        match serde_json::to_value(hit) {
            Ok(hit) => self.told(&mut self.memory(), id, hit, now, None),
            Err(e) => tracing::error!(hit = %id, "not shown on the page: {e}"),
        }
    }

    /// Hits that were told before anybody listened, the oldest first. One that came live since stays
    /// in its state, which is newer than all that was written down; it takes only what it lacks.
    pub fn remember(&self, hits: impl IntoIterator<Item = Before>) {
        let mut memory = self.memory();
        let mut live = std::mem::take(&mut memory.hits);
        for Before { hit, near, answer } in hits {
            let id: Option<Uuid> = hit["id"].as_str().and_then(|id| id.parse().ok());
            let told = hit["decided_at"].as_str().or(hit["time"].as_str());
            let told = told.and_then(|t| DateTime::parse_from_rfc3339(t).ok());
            let Some((id, told)) = id.zip(told) else {
                continue;
            };
            if let Some(kept) = live.iter_mut().find(|kept| kept.id == id) {
                if kept.row.pictures == Pictures::default() {
                    kept.row.pictures = Pictures::of(&hit["evidence"], near);
                }
                kept.row.answer = kept.row.answer.take().or(answer);
                continue;
            }
            self.told(&mut memory, id, hit, told, near);
            if let Some(answer) = answer {
                self.answer(&mut memory, id, answer);
            }
        }
        // The live ones are the newest, and the last to be forgotten.
        memory.hits.append(&mut live);
        while memory.hits.len() > HITS {
            memory.hits.pop_front();
        }
    }

    fn told(
        &self,
        memory: &mut Memory,
        id: Uuid,
        hit: Value,
        told: DateTime<FixedOffset>,
        near: Option<u64>,
    ) {
        let pictures = Pictures::of(&hit["evidence"], near);
        let before = memory.hits.iter().position(|kept| kept.id == id);
        let before = before.and_then(|at| memory.hits.remove(at));
        let (answer, was) = before.map_or((None, None), |kept| {
            (kept.row.answer, Some(kept.row.pictures))
        });
        // An end without pictures of its own keeps those that the hit began with.
        let pictures = match was {
            Some(was) if pictures == Pictures::default() => was,
            _ => pictures,
        };
        let row = HitRow {
            run: memory.run,
            number: memory.next,
            told,
            hit,
            pictures,
            answer,
        };
        self.keep(memory, "hit", id, row);
    }

    /// An officer has answered. The hit as it stands now; `None`: it is not remembered.
    pub(crate) fn answered(&self, id: Uuid, answer: Answered) -> Option<HitRow> {
        self.answer(&mut self.memory(), id, answer)
    }

    fn answer(&self, memory: &mut Memory, id: Uuid, answer: Answered) -> Option<HitRow> {
        let at = memory.hits.iter().position(|kept| kept.id == id)?;
        let row = HitRow {
            number: memory.next,
            answer: Some(answer),
            ..memory.hits.remove(at)?.row
        };
        self.keep(memory, "answer", id, row.clone());
        Some(row)
    }

    /// The number is given and the news sent under one lock, so that they come in the order of their
    /// numbers. `row` has the next one.
    fn keep(&self, memory: &mut Memory, kind: &'static str, id: Uuid, row: HitRow) {
        memory.next += 1;
        self.send(kind, Some(row.number), &row, OF_HITS);
        memory.hits.push_back(Kept { id, row });
        if memory.hits.len() > HITS {
            memory.hits.pop_front();
        }
    }

    /// A vehicle has passed.
    pub fn passage(&self, passage: &PassageMessage, hit: bool) {
        if self.0.news.receiver_count() == 0 {
            return;
        }
        match serde_json::to_value(passage) {
            Ok(passage) => {
                let row = PassageRow {
                    sequence: None,
                    pictures: Pictures::of(&passage["evidence"], None),
                    passage,
                    hit,
                };
                self.send("passage", None, &row, OF_PASSAGES);
            }
            Err(e) => tracing::error!(passage = %passage.id, "not shown on the page: {e}"),
        }
    }

    /// Pictures that were made for a hit or a passage.
    pub fn pictures(&self, owner: Uuid, role: &str, bytes: &Bytes) {
        let mut memory = self.memory();
        memory.picture_bytes += bytes.len();
        memory
            .pictures
            .push_back((owner, role.to_owned(), bytes.clone()));
        while memory.pictures.len() > PICTURES || memory.picture_bytes > PICTURES_BYTES {
            let Some((_, _, gone)) = memory.pictures.pop_front() else {
                return;
            };
            memory.picture_bytes -= gone.len();
        }
    }

    pub(crate) fn picture(&self, owner: Uuid, role: &str) -> Option<Bytes> {
        let memory = self.memory();
        let mut all = memory.pictures.iter().rev();
        all.find(|(id, r, _)| *id == owner && r == role)
            .map(|(_, _, bytes)| bytes.clone())
    }

    pub(crate) fn remembers(&self, id: Uuid) -> bool {
        self.memory().hits.iter().any(|kept| kept.id == id)
    }

    /// The newest first.
    pub(crate) fn hits(&self, most: usize) -> Vec<HitRow> {
        let memory = self.memory();
        let newest = memory.hits.iter().rev().take(most);
        newest.map(|kept| kept.row.clone()).collect()
    }

    /// The news from now on, and first the hits with a number after `seen`, for who sees hits.
    pub(crate) fn listen(
        &self,
        seen: Option<u64>,
    ) -> (Vec<Arc<News>>, broadcast::Receiver<Arc<News>>) {
        let memory = self.memory();
        let receiver = self.0.news.subscribe();
        let missed = memory
            .hits
            .iter()
            .filter(|k| seen.is_some_and(|seen| k.row.number > seen));
        let missed = missed.filter_map(|k| news("hit", Some(k.row.number), &k.row, OF_HITS));
        (missed.map(Arc::new).collect(), receiver)
    }

    /// Who watches now; it counts until the guard is dropped.
    pub(crate) fn viewer(&self) -> Viewer {
        self.0.viewers.fetch_add(1, Ordering::Relaxed);
        Viewer(self.clone())
    }

    pub fn viewers(&self) -> usize {
        self.0.viewers.load(Ordering::Relaxed)
    }

    fn send(
        &self,
        kind: &'static str,
        number: Option<u64>,
        row: &impl Serialize,
        to: &'static [Role],
    ) {
        if self.0.news.receiver_count() == 0 {
            return;
        }
        if let Some(news) = news(kind, number, row, to) {
            // Who listened has left: nobody is to be told.
            let _ = self.0.news.send(Arc::new(news));
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn news(
    kind: &'static str,
    number: Option<u64>,
    row: &impl Serialize,
    to: &'static [Role],
) -> Option<News> {
    let data = serde_json::to_string(row)
        .inspect_err(|e| tracing::error!("news of the page cannot be written: {e}"))
        .ok()?;
    Some(News {
        kind,
        number,
        data,
        to,
    })
}

pub(crate) struct Viewer(Hub);

impl Drop for Viewer {
    fn drop(&mut self) {
        self.0.0.viewers.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use kakou_contract::{HitState, Message};

    use super::*;

    fn hit(n: u128) -> HitMessage {
        let json = include_bytes!("../../contract/golden/hit.json");
        let mut hit = HitMessage::from_json(json).unwrap();
        hit.id = Uuid::from_u128(n);
        hit
    }

    fn now() -> DateTime<FixedOffset> {
        hit(1).time
    }

    #[test]
    fn who_comes_back_gets_what_was_missed_in_order_and_once() {
        let hub = Hub::new(now());
        hub.hit(&hit(1), now());
        let (missed, mut live) = hub.listen(None);
        assert!(missed.is_empty(), "a first visit asks for the list");
        hub.hit(&hit(2), now());
        let seen = live.try_recv().unwrap().number;
        drop(live);
        hub.hit(&hit(3), now());
        let mut ended = hit(1);
        ended.state = HitState::Retracted;
        ended.evidence.clear();
        hub.hit(&ended, now());
        let (missed, _live) = hub.listen(seen);
        let states: Vec<Value> = missed
            .iter()
            .map(|n| serde_json::from_str(&n.data).unwrap())
            .collect();
        assert_eq!(states.len(), 2);
        assert_eq!(states[0]["hit"]["id"], Uuid::from_u128(3).to_string());
        assert_eq!(states[1]["hit"]["state"], "retracted");
        assert!(
            states[1]["pictures"]["plate"].is_string(),
            "those it began with"
        );
        assert_eq!(hub.hits(10).len(), 3);
    }

    #[test]
    fn an_answer_stays_with_the_hit_through_its_states() {
        let hub = Hub::new(now());
        hub.hit(&hit(1), now());
        let answer = Answered {
            verdict: Verdict::WrongPlate,
            by: "li".into(),
            note: None,
            time: now(),
        };
        let row = hub.answered(Uuid::from_u128(1), answer.clone()).unwrap();
        assert_eq!(row.answer.unwrap().by, "li");
        assert!(hub.answered(Uuid::from_u128(9), answer).is_none());
        hub.hit(&hit(1), now());
        assert!(hub.hits(1)[0].answer.is_some());
    }

    #[test]
    fn rows_are_numbered_in_their_order_whatever_the_clock_does() {
        let hub = Hub::new(now());
        hub.hit(&hit(1), now());
        let first = hub.hits(1)[0].clone();
        let mut ended = hit(1);
        ended.state = HitState::Retracted;
        hub.hit(&ended, now() - chrono::TimeDelta::hours(8));
        let second = hub.hits(1)[0].clone();
        let answer = Answered {
            verdict: Verdict::Released,
            by: "li".into(),
            note: None,
            time: now(),
        };
        let third = hub.answered(Uuid::from_u128(1), answer).unwrap();
        assert!(first.number < second.number && second.number < third.number);
        assert_eq!(hub.hits(1)[0].number, third.number);
        assert_eq!((first.run, second.run), (third.run, third.run));
        // The next run may begin with smaller numbers, and says that it is another one.
        let next = Hub::new(now() - chrono::TimeDelta::hours(8));
        next.hit(&hit(1), now());
        assert_ne!(next.hits(1)[0].run, first.run);
    }

    #[test]
    fn what_was_told_before_takes_the_place_of_no_news() {
        let before = |n: u128, answer: Option<Answered>| Before {
            hit: serde_json::to_value(hit(n)).unwrap(),
            near: Some(7),
            answer,
        };
        let answer = Answered {
            verdict: Verdict::Released,
            by: "li".into(),
            note: None,
            time: now(),
        };
        let hub = Hub::new(now());
        hub.begin();
        // It ends while what was told before is still being read.
        let mut ended = hit(1);
        ended.state = HitState::Unresolved;
        ended.evidence.clear();
        hub.hit(&ended, now());
        hub.remember([before(2, None), before(1, Some(answer))]);
        let hits = hub.hits(10);
        let states: Vec<&str> = hits
            .iter()
            .map(|row| row.hit["state"].as_str().unwrap())
            .collect();
        assert_eq!((hits.len(), states[0]), (2, "unresolved"));
        assert_eq!(hits[0].answer.as_ref().unwrap().by, "li");
        assert!(hits[0].pictures.plate.is_some(), "those it began with");
        // Nor do many old ones push it out.
        hub.remember((10..10 + 2 * HITS as u128).map(|n| before(n, None)));
        assert_eq!(hub.hits(1)[0].hit["state"], "unresolved");
        assert_eq!(hub.hits(5000).len(), HITS);
    }

    #[test]
    fn memory_is_bounded_and_a_slow_viewer_costs_nobody() {
        let hub = Hub::new(now());
        let (_, mut slow) = hub.listen(None);
        for n in 0..1000 {
            hub.hit(&hit(n), now());
            hub.pictures(Uuid::from_u128(n), "frame", &Bytes::from(vec![0; 1 << 20]));
        }
        assert_eq!(hub.hits(5000).len(), HITS);
        assert!(hub.picture(Uuid::from_u128(999), "frame").is_some());
        assert!(hub.picture(Uuid::from_u128(1), "frame").is_none());
        assert!(hub.memory().picture_bytes <= PICTURES_BYTES);
        assert!(matches!(
            slow.try_recv(),
            Err(broadcast::error::TryRecvError::Lagged(_))
        ));
    }

    #[test]
    fn paths_of_pictures_come_from_their_topics() {
        let hit = serde_json::to_value(hit(1)).unwrap();
        let pictures = Pictures::of(&hit["evidence"], Some(7));
        let owner = hit["passage_id"].as_str().unwrap();
        assert_eq!(
            pictures.plate.unwrap(),
            format!("/api/v1/pictures/{owner}/plate?near=7")
        );
        let wrong = serde_json::json!([{ "role": "frame", "topic": "../../etc/passwd" }]);
        assert_eq!(Pictures::of(&wrong, None), Pictures::default());
    }
}
