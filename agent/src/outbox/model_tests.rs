//! The outbox against a model of it: random sequences of append, read, acknowledge, hold, release, send again, crash.
//! A crash is a copy of the files as they are at that moment, opened elsewhere.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::path::Path;

use kakou_contract::seal::Seal;
use kakou_contract::{Continuity, Held};
use proptest::prelude::*;

use super::tests::{draft, options};
use super::*;
use crate::uplink::Store;

#[derive(Debug, Clone)]
enum Step {
    Append(Vec<usize>),
    Read,
    Acked(u64),
    Hold(u64),
    Release(usize),
    Resend(u64, u64),
    Crash,
    Reopen,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Where {
    Waiting,
    Held,
    Kept,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => proptest::collection::vec(0_usize..4, 1..5).prop_map(Step::Append),
        3 => Just(Step::Read),
        3 => (1_u64..40).prop_map(Step::Acked),
        1 => (1_u64..40).prop_map(Step::Hold),
        1 => (0_usize..4).prop_map(Step::Release),
        1 => (1_u64..40, 0_u64..10).prop_map(|(first, more)| Step::Resend(first, first + more)),
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

/// What waits by the model: lanes by priority, the oldest first.
fn line(model: &BTreeMap<u64, (usize, Where)>) -> Vec<u64> {
    let mut all: Vec<_> = model.iter().filter(|(_, (_, w))| *w == Where::Waiting).map(|(n, (l, _))| (*l, *n)).collect();
    all.sort_unstable();
    all.into_iter().map(|(_, n)| n).collect()
}

fn run(steps: Vec<Step>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut dirs = vec![tempfile::tempdir().unwrap()];
    let mut outbox = Outbox::open(options(dirs[0].path())).unwrap();
    let key = outbox.public_key();
    // Number to lane and place.
    let mut model: BTreeMap<u64, (usize, Where)> = BTreeMap::new();
    for step in steps {
        match step {
            Step::Append(lanes) => {
                let drafts = lanes.iter().map(|l| draft(Lane::ORDER[*l], &l.to_string())).collect();
                let numbers = outbox.append(drafts).unwrap();
                let next = model.len() as u64 + 1;
                assert_eq!(numbers, (next..next + lanes.len() as u64).collect::<Vec<_>>());
                model.extend(numbers.iter().zip(&lanes).map(|(n, l)| (*n, (*l, Where::Waiting))));
            }
            Step::Read => {
                let read = runtime.block_on(outbox.fetch(Cursor::default(), &Lane::ORDER, 1000, 1 << 20)).unwrap();
                assert_eq!(read.iter().map(|p| p.sequence).collect::<Vec<_>>(), line(&model));
            }
            Step::Acked(n) => {
                runtime.block_on(async { (outbox.acked(n).await.unwrap(), outbox.settle().await.unwrap()) });
                if let Some((_, place)) = model.get_mut(&n) {
                    *place = Where::Kept;
                }
            }
            Step::Hold(n) => {
                runtime.block_on(async {
                    outbox.hold(n, Held::Refused, "test".into()).await.unwrap();
                    outbox.settle().await.unwrap();
                });
                if let Some((_, place @ Where::Waiting)) = model.get_mut(&n) {
                    *place = Where::Held;
                }
            }
            Step::Release(most) => {
                let released = runtime.block_on(outbox.release(Held::Refused, most)).unwrap();
                let held: Vec<u64> =
                    model.iter().filter(|(_, (_, w))| *w == Where::Held).map(|(n, _)| *n).take(most).collect();
                assert_eq!(released, held.len());
                held.iter().for_each(|n| model.get_mut(n).unwrap().1 = Where::Waiting);
            }
            Step::Resend(first, last) => {
                let resent = runtime.block_on(outbox.resend(first, last)).unwrap();
                let mut moved = 0;
                for (_, (_, place)) in model.range_mut(first..=last).filter(|(_, (_, w))| *w != Where::Waiting) {
                    *place = Where::Waiting;
                    moved += 1;
                }
                assert_eq!((resent.messages, resent.missing.len()), (moved, 0));
            }
            Step::Crash => {
                let to = tempfile::tempdir().unwrap();
                copy(dirs.last().unwrap().path(), to.path());
                drop(outbox);
                outbox = Outbox::open(options(to.path())).unwrap();
                dirs.push(to);
            }
            Step::Reopen => {
                outbox.close().unwrap();
                outbox = Outbox::open(options(dirs.last().unwrap().path())).unwrap();
            }
        }
    }
    // At the end everything is read again, and is one chain.
    runtime.block_on(outbox.resend(1, 1000)).unwrap();
    let mut chain = Continuity::new();
    for p in runtime.block_on(outbox.fetch(Cursor::default(), &Lane::ORDER, 1000, 1 << 20)).unwrap() {
        let seal = Seal::from_properties(&p.user_properties).unwrap();
        let id = &p.user_properties[0].1;
        seal.verify(&key, &p.topic, id, p.content_type.as_deref(), &p.payload).unwrap();
        chain.seal(&seal);
    }
    assert_eq!((chain.complete_to(), chain.gaps().len()), (model.len() as u64, 0));
    outbox.close().unwrap();
    let verdict = Inspection::open(dirs.last().unwrap().path()).unwrap().verify(|_| ()).unwrap();
    assert!(verdict.is_whole(), "{verdict:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn the_outbox_and_its_model_agree(steps in proptest::collection::vec(step(), 1..40)) {
        run(steps);
    }
}
