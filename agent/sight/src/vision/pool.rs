//! A pool of things that one may use at a time, lent in the order in which they were asked for; and
//! the pool of model sets, as many as may compute at the same time, which all cameras share. A
//! camera costs no models of its own.
//!
//! What is on loan comes back when the loan is dropped, by a panic as well. Whoever waits, waits
//! behind those who came before, so no camera starves.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::look::Spent;
use super::open::{ModelChoice, OpenError, Opener};
use super::plates::PlateFinder;
use super::vehicles::VehicleDetector;
use crate::camera::RgbBuffer;

/// One of each model, and memory for the picture that they look at. Running one needs exclusive
/// access.
pub struct ModelSet {
    pub(super) vehicles: VehicleDetector,
    pub(super) plates: PlateFinder,
    pub(super) rgb: RgbBuffer,
}

impl ModelSet {
    fn spent(&self) -> Spent {
        Spent {
            vehicles: self.vehicles.net().spent(),
            plates: self.plates.detector.net().spent(),
            reader: self.plates.reader.spent(),
        }
    }
}

struct Lent<T> {
    idle: Vec<T>,
    /// Tickets of those who wait, in the order they came.
    waiting: VecDeque<u64>,
    next: u64,
}

/// Lends what it was given, one borrower each.
pub struct Pool<T> {
    lent: Mutex<Lent<T>>,
    changed: Condvar,
}

impl<T> Pool<T> {
    pub fn new(all: Vec<T>) -> Self {
        Self {
            lent: Mutex::new(Lent {
                idle: all,
                waiting: VecDeque::new(),
                next: 0,
            }),
            changed: Condvar::new(),
        }
    }

    /// Waits for one that is free.
    pub fn take(&self) -> Loan<'_, T> {
        let mut lent = self.lock();
        let mine = lent.next;
        lent.next += 1;
        lent.waiting.push_back(mine);
        loop {
            if lent.waiting.front() == Some(&mine)
                && let Some(one) = lent.idle.pop()
            {
                lent.waiting.pop_front();
                drop(lent);
                // The one behind may find another one free.
                self.changed.notify_all();
                return Loan {
                    pool: self,
                    one: Some(one),
                };
            }
            lent = self
                .changed
                .wait(lent)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Lent<T>> {
        self.lent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lent until it is dropped.
pub struct Loan<'a, T> {
    pool: &'a Pool<T>,
    one: Option<T>,
}

// It is there until `drop`: there is no other way to take it out.
impl<T> Deref for Loan<'_, T> {
    type Target = T;

    #[allow(clippy::expect_used)]
    fn deref(&self) -> &T {
        self.one.as_ref().expect("a loan is whole until dropped")
    }
}

impl<T> DerefMut for Loan<'_, T> {
    #[allow(clippy::expect_used)]
    fn deref_mut(&mut self) -> &mut T {
        self.one.as_mut().expect("a loan is whole until dropped")
    }
}

impl<T> Drop for Loan<'_, T> {
    fn drop(&mut self) {
        if let Some(one) = self.one.take() {
            self.pool.lock().idle.push(one);
            self.pool.changed.notify_all();
        }
    }
}

/// A model that is about to be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening<'a> {
    /// Its name in the manifest.
    pub model: &'a str,
    /// Of which set, from 1, and how many sets there will be.
    pub set: usize,
    pub of: usize,
}

pub type ModelLoan<'a> = Loan<'a, ModelSet>;

/// The sets of opened models.
pub struct ModelPool {
    sets: Pool<ModelSet>,
    used: Vec<(String, String)>,
}

impl ModelPool {
    /// Opens as many sets as may be in use at the same time. With some execution providers this
    /// takes minutes.
    pub fn open(choice: &ModelChoice, sets: usize) -> Result<Self, OpenError> {
        Self::open_telling(choice, sets, |_| {})
    }

    /// The same; `tell` is called before each model is opened, so that a caller can show that it
    /// lives.
    pub fn open_telling(
        choice: &ModelChoice,
        sets: usize,
        mut tell: impl FnMut(Opening<'_>),
    ) -> Result<Self, OpenError> {
        let opener = Opener::new(choice)?;
        let of = sets.max(1);
        let mut all = Vec::with_capacity(of);
        for set in 1..=of {
            let mut tell = |model: &str| tell(Opening { model, set, of });
            tell(&choice.vehicles);
            let vehicles = opener.vehicles()?;
            tell(&choice.plates);
            let detector = opener.plate_detector()?;
            tell(&choice.reader);
            let reader = opener.reader()?;
            all.push(ModelSet {
                vehicles,
                plates: PlateFinder::new(detector, reader),
                rgb: RgbBuffer::default(),
            });
        }
        Ok(Self {
            sets: Pool::new(all),
            used: opener.used(),
        })
    }

    /// Name and version of each model.
    pub fn used(&self) -> &[(String, String)] {
        &self.used
    }

    /// Waits for a set that is free.
    pub fn take(&self) -> ModelLoan<'_> {
        self.sets.take()
    }

    /// What the sets that are not on loan have spent.
    pub fn spent(&self) -> Spent {
        self.sets
            .lock()
            .idle
            .iter()
            .map(ModelSet::spent)
            .fold(Spent::default(), |all, one| all.plus(&one))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Blocks until `n` borrowers wait: no time is involved but the scheduler's.
    fn until_waiting<T>(pool: &Pool<T>, n: usize) {
        while pool.lock().waiting.len() < n {
            std::thread::yield_now();
        }
    }

    #[test]
    fn borrowers_are_served_in_the_order_they_came() {
        let pool = Pool::new(vec![()]);
        let served = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            let first = pool.take();
            for n in 0..8_usize {
                let (pool, served) = (&pool, &served);
                scope.spawn(move || {
                    let _loan = pool.take();
                    served.lock().unwrap().push(n);
                });
                until_waiting(pool, n + 1);
            }
            drop(first);
        });
        assert_eq!(served.into_inner().unwrap(), [0, 1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn never_more_are_on_loan_than_there_are_and_none_is_lent_twice() {
        let pool = Pool::new(vec![0_usize, 1, 2]);
        let (on_loan, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let in_use: [AtomicUsize; 3] = Default::default();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let loan = pool.take();
                        let now = on_loan.fetch_add(1, Ordering::SeqCst) + 1;
                        most.fetch_max(now, Ordering::SeqCst);
                        assert_eq!(in_use[*loan].fetch_add(1, Ordering::SeqCst), 0);
                        std::thread::yield_now();
                        in_use[*loan].fetch_sub(1, Ordering::SeqCst);
                        on_loan.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert!(most.into_inner() <= 3);
        assert_eq!(pool.lock().idle.len(), 3, "all came back");
    }

    #[test]
    fn two_wait_and_two_come_free_at_once() {
        let pool = Pool::new(vec![0, 1]);
        std::thread::scope(|scope| {
            let both = (pool.take(), pool.take());
            for n in 0..2 {
                let pool = &pool;
                scope.spawn(move || drop(pool.take()));
                until_waiting(pool, n + 1);
            }
            drop(both);
        });
        assert_eq!(pool.lock().idle.len(), 2);
    }

    #[test]
    fn what_a_panicking_borrower_had_comes_back() {
        let pool = Pool::new(vec![7]);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _loan = pool.take();
            std::panic::resume_unwind(Box::new("a fault"));
        }));
        assert!(panicked.is_err());
        assert_eq!(*pool.take(), 7);
    }
}
