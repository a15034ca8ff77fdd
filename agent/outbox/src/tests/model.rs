//! The outbox against a model of it: random sequences of append, read, acknowledge, hold, release,
//! send again, limits by bytes and by age, retention, crash.
//!
//! A crash is a copy of the database and its write-ahead log as they are at that moment, opened
//! elsewhere: what a power cut leaves. The outbox that crashed is dropped without being closed.
//!
//! OutboxLimits and ages are looked at when a step says so, by the writer's own code
//! (`Outbox::upkeep_now`), with a clock that only steps drive.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use kakou_contract::{
    AuditEvent, AuditMessage, Continuity, Cursor, EvictionReason, Held, Keep, Message, Priority,
    Ranges,
};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kakou_contract::seal::Seal;
use kakou_time::SimulatedClock;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

use super::{clock, envelope, options};
use crate::*;

const HOUR: i64 = 3_600_000;
const START: i64 = 1_800_000_000_000;

#[derive(Debug, Clone)]
enum Step {
    /// Priority, and bytes of text.
    Append(Vec<(usize, usize)>),
    Read,
    Acked(u64),
    Hold(u64),
    Release(usize),
    Resend(u64, u64),
    /// Hours pass.
    Wait(i64),
    /// A priority may hold so many bytes.
    Bytes(usize, u64),
    /// What waits in a priority for more hours is given up.
    Age(usize, i64),
    /// What was acknowledged is kept for so many hours: passages, hits, control.
    Retain([i64; 3]),
    Crash,
    Reopen,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Where {
    // In the order in which a limit takes them.
    Kept,
    Held,
    Waiting,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    priority: usize,
    stage: Where,
    keep: Keep,
    size: u64,
    committed: i64,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => proptest::collection::vec((0_usize..4, 0_usize..300), 1..6).prop_map(Step::Append),
        3 => Just(Step::Read),
        4 => (1_u64..60).prop_map(Step::Acked),
        2 => (1_u64..60).prop_map(Step::Hold),
        1 => (0_usize..4).prop_map(Step::Release),
        1 => (1_u64..60, 0_u64..10).prop_map(|(first, more)| Step::Resend(first, first + more)),
        2 => (1_i64..30).prop_map(Step::Wait),
        // Not the control priority: its limit gives up the records of what is given up, and each
        // such record is one more.
        2 => (prop_oneof![Just(0_usize), Just(2), Just(3)], 0_u64..1500).prop_map(|(priority, bytes)| Step::Bytes(priority, bytes)),
        1 => (0_usize..4, 1_i64..40).prop_map(|(priority, hours)| Step::Age(priority, hours)),
        1 => proptest::array::uniform3(1_i64..40).prop_map(Step::Retain),
        1 => Just(Step::Crash),
        1 => Just(Step::Reopen),
    ]
}

fn copy(from: &Path, to: &Path) {
    for name in ["outbox.db", "outbox.db-wal", "agent.key"] {
        if from.join(name).exists() {
            std::fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }
}

/// Number, kind, priority of an eviction, ranges.
type Record = (u64, &'static str, Option<Priority>, Vec<[u64; 2]>);

/// The reference: what should be where, and what was deleted.
#[derive(Default)]
struct Model {
    all: BTreeMap<u64, Entry>,
    gone: Ranges,
    head: u64,
    now: i64,
    /// The records that must have been written, in order.
    records: Vec<Record>,
}

impl Model {
    /// Lanes by priority, the oldest first.
    fn line(&self) -> Vec<u64> {
        let mut all: Vec<_> = self
            .all
            .iter()
            .filter(|(_, e)| e.stage == Where::Waiting)
            .map(|(n, e)| (e.priority, *n))
            .collect();
        all.sort_unstable();
        all.into_iter().map(|(_, n)| n).collect()
    }

    fn append(&mut self, priority: usize, keep: Keep, size: u64) {
        self.head += 1;
        let entry = Entry {
            priority,
            stage: Where::Waiting,
            keep,
            size,
            committed: self.now,
        };
        self.all.insert(self.head, entry);
    }

    fn move_to(&mut self, n: u64, from: &[Where], to: Where) -> bool {
        match self.all.get_mut(&n) {
            Some(entry) if from.contains(&entry.stage) => {
                entry.stage = to;
                true
            }
            _ => false,
        }
    }

    /// Deletes these and writes the record; its size is filled in when it can be read.
    fn delete(
        &mut self,
        numbers: &[u64],
        kind: &'static str,
        priority: Option<Priority>,
        record: bool,
    ) {
        let ranges: Ranges = numbers.iter().copied().collect();
        for n in numbers {
            self.all.remove(n);
            self.gone.insert(*n, *n);
        }
        if record {
            self.append(Priority::Control.index(), Keep::Control, 0);
            self.records
                .push((self.head, kind, priority, ranges.pairs()));
        }
    }

    fn bytes(&mut self, priority: usize, limit: u64) {
        loop {
            let mut candidates: Vec<_> = self
                .all
                .iter()
                .filter(|(_, e)| e.priority == priority)
                .map(|(n, e)| (e.stage, e.keep == Keep::Hit, *n, e.size))
                .collect();
            let total: u64 = candidates.iter().map(|(.., size)| size).sum();
            if total <= limit {
                return;
            }
            // The platform's before the held before the waiting; of these, hits' messages last;
            // then the oldest, until it is enough.
            candidates.sort_unstable();
            let (stage, of_hit, ..) = candidates[0];
            let mut freed = 0;
            let mut numbers = Vec::new();
            for (.., n, size) in candidates
                .iter()
                .filter(|(s, h, ..)| (*s, *h) == (stage, of_hit))
            {
                if freed >= total - limit {
                    break;
                }
                freed += size;
                numbers.push(*n);
            }
            let kind = if stage == Where::Kept {
                "deletion"
            } else {
                "eviction"
            };
            self.delete(
                &numbers,
                kind,
                (kind == "eviction").then_some(Priority::ORDER[priority]),
                true,
            );
        }
    }

    fn older(&self, before: i64, keep: impl Fn(&Entry) -> bool) -> Vec<u64> {
        self.all
            .iter()
            .filter(|(_, e)| e.committed <= before && keep(e))
            .map(|(n, _)| *n)
            .collect()
    }

    fn age(&mut self, priority: usize, hours: i64) {
        for stage in [Where::Waiting, Where::Held] {
            for of_hit in [false, true] {
                let numbers = self.older(self.now - hours * HOUR, |e| {
                    e.priority == priority && e.stage == stage && (e.keep == Keep::Hit) == of_hit
                });
                for chunk in numbers.chunks(64) {
                    self.delete(chunk, "eviction", Some(Priority::ORDER[priority]), true);
                }
            }
        }
    }

    fn retain(&mut self, hours: [i64; 3]) {
        for (keep, hours) in [Keep::Passage, Keep::Hit, Keep::Control]
            .into_iter()
            .zip(hours)
        {
            let numbers = self.older(self.now - hours * HOUR, |e| {
                e.keep == keep && e.stage == Where::Kept
            });
            // Fewer than 64 of a priority: all at once.
            if !numbers.is_empty() {
                self.delete(&numbers, "deletion", None, keep != Keep::Control);
            }
        }
    }
}

struct Rig {
    runtime: tokio::runtime::Runtime,
    dirs: Vec<tempfile::TempDir>,
    clock: Arc<SimulatedClock>,
}

impl Rig {
    fn open(&self) -> Outbox {
        let mut options = options(self.dirs.last().unwrap().path());
        options.clock = Arc::clone(&self.clock) as _;
        // The steps say when anything is given up.
        (options.limits, options.retention) = long();
        Outbox::open(options).unwrap()
    }

    /// Has the outbox look after its limits, and compares the records it wrote with those of the
    /// model.
    fn upkeep(
        &self,
        outbox: &Outbox,
        model: &mut Model,
        limits: OutboxLimits,
        retention: Retention,
    ) {
        self.runtime
            .block_on(outbox.upkeep_now(limits, retention))
            .unwrap();
        for (n, kind, priority, ranges) in std::mem::take(&mut model.records) {
            let payload = self
                .runtime
                .block_on(outbox.stored_payload(n))
                .unwrap()
                .expect("the record of a deletion");
            model.all.get_mut(&n).unwrap().size = payload.len() as u64;
            let audit = AuditMessage::from_json(&payload).unwrap();
            assert_eq!(
                (audit.event.kind(), audit.event.gone()),
                (kind, ranges.as_slice())
            );
            if let AuditEvent::Eviction {
                priority: told,
                reason,
                ..
            } = audit.event
            {
                assert_eq!(Some(told), priority);
                assert!(matches!(
                    reason,
                    EvictionReason::Bytes | EvictionReason::Age
                ));
            }
        }
    }
}

/// Some passages and pictures belong to hits.
fn keep_of(priority: usize, bytes: usize) -> Keep {
    if priority == 0 || bytes.is_multiple_of(3) {
        Keep::Hit
    } else {
        Keep::Passage
    }
}

fn long() -> (OutboxLimits, Retention) {
    let forever = Duration::from_secs(1 << 32);
    let mut limits = OutboxLimits {
        bytes: 1 << 50,
        free_disk: 0,
        ..OutboxLimits::default()
    };
    limits.by_priority = limits.by_priority.map(|_| PriorityLimit {
        bytes: 1 << 50,
        age: forever,
    });
    (
        limits,
        Retention {
            passage: forever,
            hit: forever,
            control: forever,
        },
    )
}

fn run(steps: Vec<Step>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let dirs = vec![tempfile::tempdir().unwrap()];
    let mut rig = Rig {
        runtime,
        dirs,
        clock: clock(START),
    };
    let mut outbox = rig.open();
    let key = outbox.public_key();
    let mut model = Model {
        now: START,
        ..Model::default()
    };
    let hours = |h: i64| Duration::from_secs(h as u64 * 3600);
    for step in steps {
        match step {
            Step::Append(all) => {
                let text = |bytes: usize| "x".repeat(bytes);
                let envelopes = all
                    .iter()
                    .map(|(priority, bytes)| {
                        let mut one = envelope(Priority::ORDER[*priority], &text(*bytes));
                        one.keep = keep_of(*priority, *bytes);
                        one
                    })
                    .collect();
                let numbers = outbox.append(envelopes).unwrap();
                let next = model.head + 1;
                assert_eq!(numbers, (next..next + all.len() as u64).collect::<Vec<_>>());
                for (priority, bytes) in all {
                    let size = format!(
                        "{{\"text\":\"{}\",\"sequence\":{}}}",
                        text(bytes),
                        model.head + 1
                    )
                    .len();
                    model.append(priority, keep_of(priority, bytes), size as u64);
                }
            }
            Step::Read => {}
            Step::Acked(n) => {
                rig.runtime.block_on(async {
                    (
                        outbox.acked(n).await.unwrap(),
                        outbox.settle().await.unwrap(),
                    )
                });
                model.move_to(n, &[Where::Waiting, Where::Held], Where::Kept);
            }
            Step::Hold(n) => {
                rig.runtime.block_on(async {
                    outbox.hold(n, Held::Refused, "test".into()).await.unwrap();
                    outbox.settle().await.unwrap();
                });
                model.move_to(n, &[Where::Waiting], Where::Held);
            }
            Step::Release(most) => {
                let released = rig
                    .runtime
                    .block_on(outbox.release(Held::Refused, most))
                    .unwrap();
                let held: Vec<u64> = model
                    .all
                    .iter()
                    .filter(|(_, e)| e.stage == Where::Held)
                    .map(|(n, _)| *n)
                    .take(most)
                    .collect();
                assert_eq!(released, held.len());
                for n in held {
                    assert!(model.move_to(n, &[Where::Held], Where::Waiting));
                }
            }
            Step::Resend(first, last) => {
                let resent = rig.runtime.block_on(outbox.resend(first, last)).unwrap();
                let moved = (first..=last)
                    .filter(|n| model.move_to(*n, &[Where::Held, Where::Kept], Where::Waiting))
                    .count();
                let missing: Ranges = (first..=last).filter(|n| model.gone.contains(*n)).collect();
                assert_eq!(
                    resent,
                    Resent {
                        messages: moved as u64,
                        missing: missing.pairs()
                    }
                );
            }
            Step::Wait(h) => {
                // It is noted what was committed by now: ages are exact then.
                let (limits, retention) = long();
                rig.upkeep(&outbox, &mut model, limits, retention);
                model.now += h * HOUR;
                rig.clock.advance(hours(h));
            }
            Step::Bytes(priority, bytes) => {
                let (mut limits, retention) = long();
                limits.by_priority[priority].bytes = bytes;
                model.bytes(priority, bytes);
                rig.upkeep(&outbox, &mut model, limits, retention);
            }
            Step::Age(priority, h) => {
                let (mut limits, retention) = long();
                limits.by_priority[priority].age = hours(h);
                model.age(priority, h);
                rig.upkeep(&outbox, &mut model, limits, retention);
            }
            Step::Retain(h) => {
                let (limits, _) = long();
                let retention = Retention {
                    passage: hours(h[0]),
                    hit: hours(h[1]),
                    control: hours(h[2]),
                };
                model.retain(h);
                rig.upkeep(&outbox, &mut model, limits, retention);
            }
            Step::Crash => {
                let to = tempfile::tempdir().unwrap();
                copy(rig.dirs.last().unwrap().path(), to.path());
                drop(outbox);
                rig.dirs.push(to);
                outbox = rig.open();
            }
            Step::Reopen => {
                outbox.close().unwrap();
                outbox = rig.open();
            }
        }
        let read = rig
            .runtime
            .block_on(outbox.fetch(Cursor::default(), &Priority::ORDER, 1000, 1 << 20))
            .unwrap();
        assert_eq!(
            read.iter().map(|p| p.sequence).collect::<Vec<_>>(),
            model.line()
        );
    }
    // At the end everything is read again: one chain with the model's gaps.
    let resent = rig.runtime.block_on(outbox.resend(1, 100_000)).unwrap();
    assert_eq!(resent.missing, model.gone.pairs());
    let mut chain = Continuity::new();
    model
        .gone
        .pairs()
        .into_iter()
        .for_each(|[first, last]| chain.gone(first, last));
    let mut left = Vec::new();
    for p in rig
        .runtime
        .block_on(outbox.fetch(Cursor::default(), &Priority::ORDER, 10_000, 1 << 30))
        .unwrap()
    {
        let seal = Seal::from_properties(&p.envelope.user_properties).unwrap();
        let id = &p
            .envelope
            .user_properties
            .iter()
            .find(|(name, _)| name == "id")
            .unwrap()
            .1;
        seal.verify(
            &key,
            &p.envelope.topic,
            id,
            p.envelope.content_type.as_deref(),
            &p.envelope.payload,
        )
        .unwrap();
        assert_eq!(chain.seal(&seal), []);
        left.push(p.sequence);
    }
    left.sort_unstable();
    assert_eq!(left, model.all.keys().copied().collect::<Vec<_>>());
    assert_eq!((chain.complete_to(), chain.gaps().len()), (model.head, 0));
    outbox.close().unwrap();
    let verdict = Inspection::open(rig.dirs.last().unwrap().path())
        .unwrap()
        .verify(|_| ())
        .unwrap();
    assert!(verdict.is_whole(), "{verdict:?}");
    assert_eq!(
        (verdict.messages, verdict.gone),
        (model.all.len() as u64, model.gone.count())
    );
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
            "proptest-regressions/model.txt"
        ))),
        ..ProptestConfig::default()
    })]
    #[test]
    fn the_outbox_and_its_model_agree(steps in proptest::collection::vec(step(), 1..40)) {
        run(steps);
    }
}
