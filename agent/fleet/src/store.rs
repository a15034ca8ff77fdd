//! An outbox in memory, as the uplink reads it.
//!
//! What happens at an agent waits as it is, in some bytes, and becomes messages when there is room
//! for them: so a day of history, or an hour without a network, costs little. Messages are numbered
//! in the order in which things happened, whenever that is. A message stays until the broker has
//! acknowledged it, and for as long as there is room after that, to be sent again.
//!
//! The uplink knows a message by a key of its own, not by its number: a message that is sent once
//! more, and one that is none of the agent's, has another key.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kakou_contract::{
    Committed, Cursor, Envelope, Held, MessageError, Priority, Ranges, Sha256Hex,
};
use kakou_uplink::{Store, StoreError};
use tokio::sync::watch;

use crate::city::Phase;
use crate::line::{Event, Line, Outgoing, Waiting, What};
use crate::random::Random;
use crate::tally::{Tally, kind, property};
use crate::truth::{Fate, Row, Sink};

/// Bytes of a message beside its payload, about.
const BESIDE_PAYLOAD: usize = 1_400;
/// Things that become messages in one read, so that a read does not take long.
const AT_ONCE: usize = 128;

/// What the stores of a fleet have in common.
#[derive(Clone)]
pub(crate) struct Books {
    pub(crate) tally: Arc<Tally>,
    pub(crate) sink: Sink,
    /// Things that have not become messages yet.
    pub(crate) untold: Arc<std::sync::atomic::AtomicI64>,
}

#[derive(Debug, Clone)]
struct Item {
    outgoing: Outgoing,
    /// It was acknowledged before.
    again: bool,
    /// When the uplink took it first.
    taken: Option<Duration>,
}

impl Item {
    fn bytes(&self) -> usize {
        self.outgoing.message.envelope.payload.len() + BESIDE_PAYLOAD
    }
}

struct Inner {
    line: Line,
    waiting: [BTreeMap<u64, Item>; 4],
    waiting_bytes: usize,
    /// By its number.
    kept: BTreeMap<u64, Outgoing>,
    kept_bytes: usize,
    held: Vec<(Item, Held)>,
    next_key: u64,
    repeats: Random,
    /// A read brought nothing though something had not become a message.
    starved: bool,
    connections: u64,
    scratch: Vec<Outgoing>,
}

struct Whole {
    inner: Mutex<Inner>,
    /// What happened and is no message yet.
    events: Mutex<VecDeque<Event>>,
    committed: watch::Sender<[u64; 4]>,
    room: usize,
    repeat_share: f64,
    books: Books,
}

/// What became of a request for messages.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Resent {
    pub(crate) messages: u64,
    pub(crate) missing: Vec<[u64; 2]>,
}

#[derive(Clone)]
pub(crate) struct MemoryStore(Arc<Whole>);

impl MemoryStore {
    pub(crate) fn new(line: Line, books: Books) -> Self {
        let options = &line.shared.options;
        let number = u64::from(line.checkpoint.number);
        let (room, repeat_share) = (options.bytes_each(), options.troubles.repeats);
        let repeats = Random::of(&[options.seed, 42, number]);
        let inner = Inner {
            line,
            waiting: Default::default(),
            waiting_bytes: 0,
            kept: BTreeMap::new(),
            kept_bytes: 0,
            held: Vec::new(),
            next_key: 0,
            repeats,
            starved: false,
            connections: 0,
            scratch: Vec::new(),
        };
        Self(Arc::new(Whole {
            inner: Mutex::new(inner),
            events: Mutex::default(),
            committed: watch::Sender::new([0; 4]),
            room,
            repeat_share,
            books,
        }))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn events(&self) -> MutexGuard<'_, VecDeque<Event>> {
        self.0.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something happened; messages follow when there is room.
    pub(crate) fn push(&self, event: Event) {
        let priority = match event {
            Event::Sighting(seen) if seen.phase == Phase::Passed => Priority::Passage,
            Event::Sighting(_) => Priority::Hit,
            Event::Status { .. } => Priority::Control,
        };
        self.0
            .books
            .untold
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.events().push_back(event);
        self.wake(priority);
    }

    fn wake(&self, priority: Priority) {
        self.0
            .committed
            .send_modify(|counts| counts[priority.index()] += 1);
    }

    /// Things that are no messages yet.
    pub(crate) fn untold(&self) -> usize {
        self.events().len()
    }

    /// Commits what `make` makes with the line at once, before all that has not become a message.
    pub(crate) fn commit<T>(
        &self,
        make: impl FnOnce(&mut Line, Waiting, &mut Vec<Outgoing>) -> Result<T, MessageError>,
    ) -> Result<T, MessageError> {
        let untold = self.untold();
        let mut inner = self.inner();
        let mut out = Vec::new();
        let waiting = inner.counts(untold);
        let made = make(&mut inner.line, waiting, &mut out);
        for outgoing in out {
            self.enter(&mut inner, outgoing);
        }
        drop(inner);
        self.wake(Priority::Control);
        made
    }

    /// Looks at the line, which stays as it is.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Line) -> T) -> T {
        look(&self.inner().line)
    }

    pub(crate) fn connected(&self, connections: u64) {
        self.inner().connections = connections;
    }

    /// Puts messages back in line that the broker had acknowledged.
    pub(crate) fn resend(&self, first: u64, last: u64) -> Resent {
        let mut inner = self.inner();
        let held = inner.held.iter().map(|(item, _)| item);
        let waiting: Ranges = inner
            .waiting
            .iter()
            .flat_map(BTreeMap::values)
            .chain(held)
            .filter(|item| matches!(item.outgoing.what, What::True | What::Torn))
            .map(|item| item.outgoing.message.sequence)
            .collect();
        let again: Vec<Outgoing> = inner
            .kept
            .range(first..=last)
            .map(|(_, o)| o.clone())
            .collect();
        let mut here: Ranges = again.iter().map(|o| o.message.sequence).collect();
        for [from, to] in waiting.pairs() {
            here.insert(from, to);
        }
        here.insert(last.saturating_add(1), last.saturating_add(1));
        let messages = again.len() as u64;
        for outgoing in again {
            inner.put(outgoing, true);
        }
        drop(inner);
        for priority in Priority::ORDER {
            self.wake(priority);
        }
        let missing = here.gaps_from(first);
        let missing = missing
            .into_iter()
            .filter(|[from, _]| *from <= last)
            .collect();
        Resent { messages, missing }
    }

    fn enter(&self, inner: &mut Inner, outgoing: Outgoing) {
        let books = &self.0.books;
        books.tally.made.one();
        match outgoing.what {
            What::Evicted => {
                books.tally.evicted.one();
                if books.sink.is_wanted() {
                    books.sink.put(inner.row(&outgoing, Fate::Evicted));
                }
            }
            What::True | What::Torn | What::Evil(_) => inner.put(outgoing, false),
        }
    }

    /// Makes messages of what happened, as far as there is room.
    fn make(&self, inner: &mut Inner) {
        let mut made = 0;
        while made < AT_ONCE && inner.waiting_bytes < self.0.room {
            let (event, left) = {
                let mut events = self.events();
                (events.pop_front(), events.len())
            };
            let Some(event) = event else { break };
            made += 1;
            let waiting = inner.counts(left);
            let mut out = std::mem::take(&mut inner.scratch);
            if let Err(e) = inner.line.tell(event, waiting, &mut out) {
                tracing::error!("a made-up message cannot be written: {e}");
            }
            for outgoing in out.drain(..) {
                self.enter(inner, outgoing);
            }
            inner.scratch = out;
        }
        let all = i64::try_from(made).unwrap_or(0);
        self.0
            .books
            .untold
            .fetch_sub(all, std::sync::atomic::Ordering::Relaxed);
    }

    /// Nothing is given up any more, and what was is told.
    pub(crate) fn end_evicting(&self) {
        let ended = self.commit(|line, _, out| line.end_evicting(out));
        if let Err(e) = ended {
            tracing::error!("a made-up record cannot be written: {e}");
        }
    }

    /// Records what was not acknowledged; how many wait, and how many are held.
    pub(crate) fn close(&self) -> (u64, u64) {
        let inner = self.inner();
        let (mut waiting, mut held) = (0, 0);
        let all = inner.waiting.iter().flat_map(BTreeMap::values);
        let all = all.map(|item| (item, Fate::Unacknowledged));
        let all = all.chain(inner.held.iter().map(|(item, _)| (item, Fate::Held)));
        for (item, fate) in all {
            let is_true = matches!(item.outgoing.what, What::True | What::Torn);
            if !is_true || item.again {
                continue;
            }
            match fate {
                Fate::Held => held += 1,
                _ => waiting += 1,
            }
            if self.0.books.sink.is_wanted() {
                self.0.books.sink.put(inner.row(&item.outgoing, fate));
            }
        }
        (waiting, held)
    }

    fn delivered(&self, inner: &mut Inner, item: Item) {
        let books = &self.0.books;
        if let Some(taken) = item.taken {
            books
                .tally
                .took(inner.line.shared.time.elapsed().saturating_sub(taken));
        }
        if item.again {
            books.tally.repeats.one();
            return;
        }
        let fate = match item.outgoing.what {
            What::Evil(_) => {
                books.tally.evil.one();
                Fate::Evil
            }
            What::True | What::Torn | What::Evicted => Fate::Acknowledged,
        };
        if books.sink.is_wanted() {
            books.sink.put(inner.row(&item.outgoing, fate));
        }
        if fate == Fate::Evil {
            return;
        }
        if item.outgoing.what == What::Torn {
            books.tally.evil.one();
        }
        books.tally.acknowledged.one();
        books
            .tally
            .kind(kind(&item.outgoing.message.envelope))
            .one();
        if self.0.repeat_share > 0.0 && inner.repeats.chance(self.0.repeat_share) {
            let priority = item.outgoing.message.envelope.priority;
            inner.put(item.outgoing.clone(), true);
            self.wake(priority);
        }
        inner.keep(item.outgoing, self.0.room);
    }
}

impl Inner {
    fn put(&mut self, outgoing: Outgoing, again: bool) {
        let item = Item {
            outgoing,
            again,
            taken: None,
        };
        self.enter(item);
    }

    fn enter(&mut self, item: Item) {
        self.next_key += 1;
        self.waiting_bytes += item.bytes();
        let priority = item.outgoing.message.envelope.priority;
        self.waiting[priority.index()].insert(self.next_key, item);
    }

    fn leave(&mut self, key: u64) -> Option<Item> {
        let item = self.waiting.iter_mut().find_map(|of| of.remove(&key))?;
        self.waiting_bytes = self.waiting_bytes.saturating_sub(item.bytes());
        Some(item)
    }

    fn keep(&mut self, outgoing: Outgoing, room: usize) {
        let bytes = |o: &Outgoing| o.message.envelope.payload.len() + BESIDE_PAYLOAD;
        self.kept_bytes += bytes(&outgoing);
        self.kept.insert(outgoing.message.sequence, outgoing);
        while self.kept_bytes > room
            && let Some((_, oldest)) = self.kept.pop_first()
        {
            self.kept_bytes = self.kept_bytes.saturating_sub(bytes(&oldest));
        }
    }

    fn counts(&self, untold: usize) -> Waiting {
        let messages: usize = self.waiting.iter().map(BTreeMap::len).sum();
        Waiting {
            messages: (messages + untold) as u64,
            hits: self.waiting[Priority::Hit.index()].len() as u64,
            connections: self.connections,
        }
    }

    fn row(&self, outgoing: &Outgoing, fate: Fate) -> Row {
        let checkpoint = &self.line.checkpoint;
        let envelope = &outgoing.message.envelope;
        let evil = match outgoing.what {
            What::Evil(kind) => Some(kind),
            What::Torn => Some(crate::Evil::BrokenChain),
            What::True | What::Evicted => None,
        };
        Row {
            fate,
            site: checkpoint.site.to_string(),
            agent: checkpoint.agent.to_string(),
            sequence: outgoing.message.sequence,
            event_id: envelope.id.clone(),
            kind: kind(envelope).as_str().to_owned(),
            topic: envelope.topic.clone(),
            time: property(envelope, "time").unwrap_or_default().to_owned(),
            sha256: Sha256Hex(outgoing.message.digest).to_string(),
            evil: evil.map(|kind| kind.to_string()),
        }
    }
}

impl Store for MemoryStore {
    async fn fetch(
        &self,
        after: Cursor,
        priorities: &[Priority],
        messages: usize,
        bytes: usize,
    ) -> Result<Vec<Committed>, StoreError> {
        let mut inner = self.inner();
        let inner = &mut *inner;
        self.make(inner);
        let now = inner.line.shared.time.elapsed();
        let (mut all, mut room) = (Vec::new(), bytes);
        for priority in Priority::ORDER {
            if !priorities.contains(&priority) {
                continue;
            }
            let from = after.after(priority).saturating_add(1);
            for (key, item) in inner.waiting[priority.index()].range_mut(from..) {
                if all.len() >= messages || (room == 0 && !all.is_empty()) {
                    break;
                }
                item.taken.get_or_insert(now);
                let envelope: Envelope = item.outgoing.message.envelope.clone();
                room = room.saturating_sub(envelope.payload.len());
                all.push(Committed {
                    sequence: *key,
                    envelope,
                });
            }
        }
        inner.starved = all.is_empty();
        Ok(all)
    }

    async fn acked(&self, key: u64) -> Result<(), StoreError> {
        let mut inner = self.inner();
        if let Some(item) = inner.leave(key) {
            self.delivered(&mut inner, item);
        }
        let starved = std::mem::take(&mut inner.starved);
        drop(inner);
        if starved && self.untold() > 0 {
            self.wake(Priority::Passage);
        }
        Ok(())
    }

    async fn hold(&self, key: u64, reason: Held, why: String) -> Result<(), StoreError> {
        let mut inner = self.inner();
        if let Some(item) = inner.leave(key) {
            let topic = &item.outgoing.message.envelope.topic;
            tracing::warn!(topic, "the broker does not take it: {why}");
            inner.held.push((item, reason));
        }
        Ok(())
    }

    async fn release(&self, reason: Held, most: usize) -> Result<usize, StoreError> {
        let mut inner = self.inner();
        let (mut released, mut stay) = (0, Vec::new());
        for (item, why) in std::mem::take(&mut inner.held) {
            if why == reason && released < most {
                released += 1;
                inner.enter(item);
            } else {
                stay.push((item, why));
            }
        }
        inner.held = stay;
        Ok(released)
    }

    async fn settle(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn committed(&self) -> watch::Receiver<[u64; 4]> {
        self.0.committed.subscribe()
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
