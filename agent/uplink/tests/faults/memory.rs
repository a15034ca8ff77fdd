//! An outbox in memory that fails on demand.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use kakou_contract::{Committed, Cursor, Envelope, Held, Priority};
use kakou_uplink::{Store, StoreError};
use tokio::sync::watch;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fate {
    Waiting,
    Acked,
    Held(Held, String),
}

/// What the store does instead of its work.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    Error(StoreError),
    Panic,
    /// It never answers.
    Hang,
}

#[derive(Default)]
struct State {
    messages: BTreeMap<u64, (Envelope, Fate)>,
    fetch_fault: Option<Fault>,
    tell_fault: Option<Fault>,
    /// How often each was asked while it failed.
    failures: usize,
    /// Commits so far, by priority.
    counts: [u64; 4],
}

#[derive(Clone)]
pub(crate) struct Memory {
    state: Arc<Mutex<State>>,
    committed: Arc<watch::Sender<[u64; 4]>>,
}

impl Memory {
    pub(crate) fn new() -> Self {
        Self {
            state: Arc::default(),
            committed: Arc::new(watch::Sender::new([0; 4])),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn append(&self, envelope: Envelope) -> u64 {
        let mut state = self.state();
        let sequence = state.messages.len() as u64 + 1;
        let priority = envelope.priority;
        state.messages.insert(sequence, (envelope, Fate::Waiting));
        state.counts[priority.index()] += 1;
        self.committed.send_replace(state.counts);
        sequence
    }

    pub(crate) fn fate(&self, sequence: u64) -> Fate {
        self.state().messages[&sequence].1.clone()
    }

    pub(crate) fn count(&self, wanted: impl Fn(&Fate) -> bool) -> usize {
        let state = self.state();
        state.messages.values().filter(|(_, f)| wanted(f)).count()
    }

    pub(crate) fn acked(&self) -> usize {
        self.count(|fate| *fate == Fate::Acked)
    }

    pub(crate) fn held(&self) -> usize {
        self.count(|fate| matches!(fate, Fate::Held(..)))
    }

    pub(crate) fn fail_to_read(&self, fault: Option<Fault>) {
        self.state().fetch_fault = fault;
    }

    /// At what it is told: acknowledged, held, released.
    pub(crate) fn fail_to_write(&self, fault: Option<Fault>) {
        self.state().tell_fault = fault;
    }

    pub(crate) fn failures(&self) -> usize {
        self.state().failures
    }

    async fn fail(&self, of: fn(&State) -> &Option<Fault>) -> Result<(), StoreError> {
        let fault = {
            let mut state = self.state();
            let fault = of(&state).clone();
            state.failures += usize::from(fault.is_some());
            fault
        };
        match fault {
            None => Ok(()),
            Some(Fault::Error(e)) => Err(e),
            Some(Fault::Panic) => panic!("the store's own fault"),
            Some(Fault::Hang) => std::future::pending().await,
        }
    }

    async fn tell(&self, sequence: u64, fate: Fate) -> Result<(), StoreError> {
        self.fail(|state| &state.tell_fault).await?;
        self.state().messages.get_mut(&sequence).unwrap().1 = fate;
        Ok(())
    }
}

impl Store for Memory {
    async fn fetch(
        &self,
        after: Cursor,
        priorities: &[Priority],
        messages: usize,
        _bytes: usize,
    ) -> Result<Vec<Committed>, StoreError> {
        self.fail(|state| &state.fetch_fault).await?;
        let state = self.state();
        let of = |priority: Priority| {
            state.messages.iter().filter(move |(sequence, (e, fate))| {
                e.priority == priority
                    && *fate == Fate::Waiting
                    && **sequence > after.after(priority)
            })
        };
        let all = Priority::ORDER
            .into_iter()
            .filter(|p| priorities.contains(p));
        Ok(all
            .flat_map(of)
            .take(messages)
            .map(|(sequence, (envelope, _))| Committed {
                sequence: *sequence,
                envelope: envelope.clone(),
            })
            .collect())
    }

    async fn acked(&self, sequence: u64) -> Result<(), StoreError> {
        self.tell(sequence, Fate::Acked).await
    }

    async fn hold(&self, sequence: u64, reason: Held, why: String) -> Result<(), StoreError> {
        self.tell(sequence, Fate::Held(reason, why)).await
    }

    async fn release(&self, reason: Held, most: usize) -> Result<usize, StoreError> {
        self.fail(|state| &state.tell_fault).await?;
        let mut state = self.state();
        let held = state.messages.values_mut().map(|(_, fate)| fate);
        let all = held.filter(|fate| matches!(fate, Fate::Held(r, _) if *r == reason));
        Ok(all.take(most).map(|fate| *fate = Fate::Waiting).count())
    }

    async fn settle(&self) -> Result<(), StoreError> {
        self.fail(|state| &state.tell_fault).await
    }

    fn committed(&self) -> watch::Receiver<[u64; 4]> {
        self.committed.subscribe()
    }
}
