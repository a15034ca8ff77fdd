//! From the cameras to the outbox. A camera hands its records over and goes on looking at the road,
//! however long a commit takes.
//!
//! Each producer has an [`Intake`] of its own, which commits in order. When the outbox cannot take
//! a record:
//!
//! - its hit, and every hit that waits behind it, goes past the outbox at once ([`HitsPast`]);
//! - where the error is one of this moment, the record stays in memory and is tried again, within
//!   the bounds of [`Backlog`]; where it concerns the message or the whole database, the record is
//!   given up and the next one is tried;
//! - an outbox that does not answer within [`PATIENCE`] counts as one that cannot take records now.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use kakou_contract::{AuditEvent, Envelope, Id, Priority};
use kakou_outbox::{Concern, Outbox, OutboxError};
use kakou_panel::Hub;
use kakou_time::SharedClock;
use kakou_uplink::Backoff;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::{Instant, interval_at, sleep};

use super::backlog::{Backlog, Group};
use super::panel::tap;
use super::past::HitsPast;
use super::supervise::{Caught, caught};

/// Payloads that one intake keeps in memory: a minute of dense traffic with its pictures.
const MOST_BYTES: usize = 24 << 20;
/// A commit takes milliseconds. After this long, hits go past it.
const PATIENCE: Duration = Duration::from_secs(1);
const RETRY_FIRST: Duration = Duration::from_millis(200);
const RETRY_MOST: Duration = Duration::from_secs(5);

/// Called for each message of a passage that is on disk: its number, its priority and its id.
pub type OnCommitted = Arc<dyn Fn(u64, Priority, &str) + Send + Sync>;

/// Makes intakes, and waits for them at the end. A clone is another hand on the same one.
#[derive(Clone)]
pub struct Recorder(Arc<Shared>);

struct Shared {
    outbox: Outbox,
    past: HitsPast,
    clock: SharedClock,
    site: Id,
    agent: Id,
    runtime: Handle,
    on_committed: Option<OnCommitted>,
    /// Who watches on the box's own page.
    page: Hub,
    /// Groups committed since the start.
    committed: AtomicU64,
    intakes: Mutex<Vec<Weak<Work>>>,
}

impl Recorder {
    /// Must be called within a tokio runtime, which does the work.
    pub fn new(
        outbox: Outbox,
        past: HitsPast,
        clock: SharedClock,
        (site, agent): (Id, Id),
        on_committed: Option<OnCommitted>,
        page: Hub,
    ) -> Self {
        Self(Arc::new(Shared {
            outbox,
            past,
            clock,
            site,
            agent,
            runtime: Handle::current(),
            on_committed,
            page,
            committed: AtomicU64::new(0),
            intakes: Mutex::default(),
        }))
    }

    /// A new intake. It ends when the handle is dropped and all that was handed over is committed.
    pub fn intake(&self, name: impl Into<String>) -> Intake {
        let work = Arc::new(Work {
            name: name.into(),
            shared: Arc::clone(&self.0),
            backlog: Mutex::new(Backlog::new(MOST_BYTES)),
            changed: Notify::new(),
            closed: AtomicBool::new(false),
        });
        let mut intakes = self
            .0
            .intakes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        intakes.retain(|intake| intake.strong_count() > 0);
        intakes.push(Arc::downgrade(&work));
        self.0.runtime.spawn(Arc::clone(&work).run());
        Intake(work)
    }

    /// Groups of passages committed since the start.
    pub fn committed(&self) -> u64 {
        self.0.committed.load(Ordering::Relaxed)
    }

    /// Waits until all is committed. What is not by then is lost, but for the hits, which have gone
    /// past the outbox.
    pub async fn finish(&self, until: Instant) {
        loop {
            let waiting: Vec<_> = self
                .intakes()
                .into_iter()
                .filter(|l| !l.is_idle())
                .collect();
            let waits = !waiting.is_empty() || self.0.past.try_all() > 0;
            if !waits {
                return;
            }
            if Instant::now() >= until {
                waiting.iter().for_each(|intake| intake.abandon());
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    fn intakes(&self) -> Vec<Arc<Work>> {
        let intakes = self
            .0
            .intakes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        intakes.iter().filter_map(Weak::upgrade).collect()
    }
}

/// Where one producer hands over its records. Handing over never blocks and never fails.
pub struct Intake(Arc<Work>);

impl Intake {
    /// Commits these together, after all that was handed over before.
    pub fn keep(&self, group: Group) {
        let shared = &self.0.shared;
        tap::tell(&shared.page, &group, shared.clock.wall());
        let gone = self.0.backlog().push(group);
        for group in gone {
            self.0
                .lost(&group, "no room in memory while the outbox takes nothing");
        }
        self.0.changed.notify_one();
    }

    /// Commits a record of what happened on this box.
    pub fn audit(&self, event: AuditEvent) {
        let kind = event.kind();
        match self.0.audit(event) {
            Ok(envelope) => self.keep(Group::new(vec![envelope], Vec::new())),
            Err(e) => tracing::error!(event = kind, "it was not recorded: {e}"),
        }
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        self.0.closed.store(true, Ordering::Relaxed);
        self.0.changed.notify_one();
    }
}

struct Work {
    name: String,
    shared: Arc<Shared>,
    backlog: Mutex<Backlog>,
    changed: Notify,
    closed: AtomicBool,
}

impl Work {
    /// Commits one group after the other until the intake is closed and empty.
    async fn run(self: Arc<Self>) {
        while let Err(Caught(why)) = caught(self.commit_all()).await {
            // It may be this group that it cannot get over; those behind it can still be committed.
            tracing::error!(intake = self.name, "a record was given up: {why}");
            if let Some(group) = self.backlog().done() {
                self.lost(&group, &why);
            }
        }
    }

    async fn commit_all(&self) {
        let mut backoff = Backoff::new(RETRY_FIRST, RETRY_MOST);
        // What was logged of the trouble that lasts.
        let mut trouble: Option<String> = None;
        loop {
            let next = self.backlog().begin();
            let Some(envelopes) = next else {
                if self.closed.load(Ordering::Relaxed) {
                    return;
                }
                self.changed.notified().await;
                continue;
            };
            match self.commit(envelopes).await {
                Ok(numbers) => {
                    if trouble.take().is_some() {
                        tracing::warn!(intake = self.name, "the outbox takes records again");
                    }
                    backoff.reset();
                    self.committed(&numbers);
                }
                Err(e) => {
                    self.send_hits_past(&e.to_string());
                    // The outbox itself counts what a full disk has no room for, and tells the
                    // platform how many.
                    let concern = match e.is_full() {
                        true => Concern::Database,
                        false => e.concern(),
                    };
                    if trouble.as_ref() != Some(&e.to_string()) {
                        match concern {
                            // Said of each record, below.
                            Concern::Message => {}
                            Concern::Now => {
                                tracing::warn!(
                                    intake = self.name,
                                    "not committed yet, tried again: {e}"
                                );
                            }
                            Concern::Database => {
                                tracing::error!(intake = self.name, "nothing is recorded: {e}");
                            }
                        }
                    }
                    match concern {
                        Concern::Message => self.give_up(&e),
                        Concern::Now => {
                            trouble = Some(e.to_string());
                            sleep(backoff.wait()).await;
                        }
                        Concern::Database => {
                            trouble = Some(e.to_string());
                            self.give_up(&e);
                        }
                    }
                }
            }
        }
    }

    /// Commits a group. While it is waited for, hits go past it.
    async fn commit(&self, envelopes: Vec<Envelope>) -> Result<Vec<u64>, OutboxError> {
        let mut append = pin!(self.shared.outbox.append_async(envelopes));
        let mut patience = interval_at(Instant::now() + PATIENCE, PATIENCE);
        loop {
            tokio::select! {
                outcome = &mut append => return outcome,
                _ = patience.tick() => self.send_hits_past("the outbox does not answer"),
            }
        }
    }

    fn committed(&self, numbers: &[u64]) {
        let Some(group) = self.backlog().done() else {
            return;
        };
        let is_passage = group
            .envelopes
            .iter()
            .any(|e| e.priority == Priority::Passage);
        if is_passage {
            self.shared.committed.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(tell) = self.shared.on_committed.as_ref().filter(|_| is_passage) {
            for (number, envelope) in numbers.iter().zip(&group.envelopes) {
                tell(*number, envelope.priority, &envelope.id);
            }
        }
        self.tell_lost();
    }

    /// There is room again: the platform learns what it will never get.
    fn tell_lost(&self) {
        let mut backlog = self.backlog();
        let Some(event) = backlog.lost.event() else {
            return;
        };
        backlog.lost = Default::default();
        match self.audit(event) {
            // There is always room for what was just made.
            Ok(envelope) => drop(backlog.push(Group::new(vec![envelope], Vec::new()))),
            Err(e) => tracing::error!("what was lost was not recorded: {e}"),
        }
    }

    fn give_up(&self, error: &OutboxError) {
        if let Some(group) = self.backlog().done() {
            self.lost(&group, &error.to_string());
        }
    }

    fn lost(&self, group: &Group, why: &str) {
        let hit_is_past = group.hit_is_past;
        tracing::error!(
            intake = self.name,
            id = group.id(),
            hit_is_past,
            "a record is lost: {why}"
        );
    }

    fn send_hits_past(&self, why: &str) {
        let hits = self.backlog().hits_to_send_past();
        hits.iter().for_each(|hit| self.shared.past.send(hit, why));
    }

    fn is_idle(&self) -> bool {
        self.backlog().is_empty()
    }

    fn abandon(&self) {
        self.send_hits_past("the agent ends");
        for group in self.backlog().abandon() {
            self.lost(&group, "it could not be committed before the agent's end");
        }
    }

    fn audit(&self, event: AuditEvent) -> Result<Envelope, kakou_contract::MessageError> {
        let now = self.shared.clock.wall();
        Envelope::audit(&self.shared.site, &self.shared.agent, now, event)
    }

    fn backlog(&self) -> MutexGuard<'_, Backlog> {
        self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use kakou_contract::{HitMessage, Keep, Message, PassageMessage};
    use kakou_outbox::OutboxOptions;
    use kakou_time::{Clock, SystemClock};

    use super::super::link::Link;
    use super::*;

    const HIT: &[u8] = include_bytes!("../../contract/golden/hit.json");
    const PASSAGE: &[u8] = include_bytes!("../../contract/golden/passage.json");

    struct Rig {
        outbox: Outbox,
        past: HitsPast,
        recorder: Recorder,
        told: Arc<Mutex<Vec<(u64, String)>>>,
        _folder: tempfile::TempDir,
    }

    impl Rig {
        /// Without a connection: what goes past the outbox waits.
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let ids: (Id, Id) = ("north".parse().unwrap(), "box-1".parse().unwrap());
            let options = OutboxOptions::new(folder.path(), ids.0.clone(), ids.1.clone());
            let outbox = Outbox::open(options).unwrap();
            let past = HitsPast::new(Link::default());
            let told: Arc<Mutex<Vec<(u64, String)>>> = Arc::default();
            let tell = Arc::clone(&told);
            let on_committed: OnCommitted = Arc::new(move |number, _, id| {
                tell.lock().unwrap().push((number, id.to_owned()));
            });
            let recorder = Recorder::new(
                outbox.clone(),
                past.clone(),
                Arc::new(SystemClock::new()),
                ids,
                Some(on_committed),
                Hub::new(SystemClock::new().wall()),
            );
            Self {
                outbox,
                past,
                recorder,
                told,
                _folder: folder,
            }
        }
    }

    fn group(n: u32) -> Group {
        let (hit, passage) = (
            HitMessage::from_json(HIT).unwrap(),
            PassageMessage::from_json(PASSAGE).unwrap(),
        );
        let named = |mut envelope: Envelope, what: &str| {
            envelope.id = format!("{what}-{n}");
            envelope
        };
        let hit_envelope = Envelope::live(&hit, Priority::Hit, Keep::Hit).unwrap();
        let envelope = Envelope::live(&passage, Priority::Passage, Keep::Hit).unwrap();
        let both = vec![named(hit_envelope, "hit"), named(envelope, "passage")];
        Group::new(both, vec![hit])
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn records_are_committed_in_order_and_told() {
        let rig = Rig::new();
        let intake = rig.recorder.intake("camera-a");
        (0..3).for_each(|n| intake.keep(group(n)));
        rig.recorder
            .finish(Instant::now() + Duration::from_secs(60))
            .await;
        let told: Vec<String> = rig
            .told
            .lock()
            .unwrap()
            .iter()
            .map(|t| t.1.clone())
            .collect();
        assert_eq!(
            told,
            [
                "hit-0",
                "passage-0",
                "hit-1",
                "passage-1",
                "hit-2",
                "passage-2"
            ]
        );
        assert_eq!((rig.recorder.committed(), rig.past.try_all()), (3, 0));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_hit_goes_past_an_outbox_that_takes_nothing_and_the_next_record_is_tried() {
        let rig = Rig::new();
        let intake = rig.recorder.intake("camera-a");
        let outbox = rig.outbox.clone();
        tokio::task::spawn_blocking(move || outbox.close())
            .await
            .unwrap()
            .unwrap();
        (0..3).for_each(|n| intake.keep(group(n)));
        while !rig.recorder.intakes().iter().all(|l| l.is_idle()) {
            tokio::task::yield_now().await;
        }
        assert_eq!(rig.past.try_all(), 3, "each hit waits for a connection");
        assert_eq!(rig.recorder.committed(), 0);
    }
}
