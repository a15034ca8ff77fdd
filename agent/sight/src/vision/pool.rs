//! Sets of opened models, as many as may compute at the same time, shared by all cameras. Whoever has a set on loan
//! computes; the others wait in the order they came. A camera costs no models of its own.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::look::Spent;
use super::open::{ModelChoice, OpenError, Opener};
use super::plates::PlateFinder;
use super::vehicles::VehicleDetector;

/// One of each model. Running one needs exclusive access.
pub struct ModelSet {
    pub(super) vehicles: VehicleDetector,
    pub(super) plates: PlateFinder,
}

impl ModelSet {
    fn open(opener: &Opener<'_>) -> Result<Self, OpenError> {
        Ok(Self {
            vehicles: opener.vehicles()?,
            plates: opener.plates()?,
        })
    }

    pub(super) fn spent(&self) -> Spent {
        Spent {
            vehicles: self.vehicles.net().spent(),
            plates: self.plates.detector.net().spent(),
            reader: self.plates.reader.net().spent(),
        }
    }
}

struct State {
    idle: Vec<ModelSet>,
    /// Tickets of those who wait, in the order they came.
    waiting: VecDeque<u64>,
    next: u64,
}

/// The models of the whole agent.
pub struct ModelPool {
    state: Mutex<State>,
    changed: Condvar,
    used: Vec<(String, String)>,
}

impl ModelPool {
    /// Opens `sets` sets. Takes seconds, with some providers minutes.
    pub fn open(choice: &ModelChoice, sets: usize) -> Result<Self, OpenError> {
        let opener = Opener::new(choice)?;
        let idle = (0..sets.max(1))
            .map(|_| ModelSet::open(&opener))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            state: Mutex::new(State {
                idle,
                waiting: VecDeque::new(),
                next: 0,
            }),
            changed: Condvar::new(),
            used: opener.used(),
        })
    }

    /// Name and version of each model.
    pub fn used(&self) -> &[(String, String)] {
        &self.used
    }

    /// Waits for a set that is free.
    pub fn take(&self) -> ModelLoan<'_> {
        let mut state = self.lock();
        let mine = state.next;
        state.next += 1;
        state.waiting.push_back(mine);
        loop {
            if state.waiting.front() == Some(&mine)
                && let Some(set) = state.idle.pop()
            {
                state.waiting.pop_front();
                drop(state);
                // The one behind may find another set free.
                self.changed.notify_all();
                return ModelLoan {
                    pool: self,
                    set: Some(set),
                };
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// What the sets that are not on loan have spent.
    pub fn spent(&self) -> Spent {
        self.lock()
            .idle
            .iter()
            .map(ModelSet::spent)
            .fold(Spent::default(), |all, one| all.plus(&one))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A set of models, until it is dropped.
pub struct ModelLoan<'a> {
    pool: &'a ModelPool,
    set: Option<ModelSet>,
}

// The set is there until `drop`: there is no other way to take it out.
impl Deref for ModelLoan<'_> {
    type Target = ModelSet;

    #[allow(clippy::expect_used)]
    fn deref(&self) -> &ModelSet {
        self.set.as_ref().expect("a loan has its set until dropped")
    }
}

impl DerefMut for ModelLoan<'_> {
    #[allow(clippy::expect_used)]
    fn deref_mut(&mut self) -> &mut ModelSet {
        self.set.as_mut().expect("a loan has its set until dropped")
    }
}

impl Drop for ModelLoan<'_> {
    fn drop(&mut self) {
        if let Some(set) = self.set.take() {
            self.pool.lock().idle.push(set);
            self.pool.changed.notify_all();
        }
    }
}
