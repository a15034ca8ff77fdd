//! What a part tells of itself: that it lives, that it works, why it failed; and what others read
//! of that.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kakou_contract::PartStatus;
use kakou_time::SharedClock;
use kakou_uplink::Backoff;

use super::life::Life;

/// A thread that says nothing for so long hangs: no look at a frame and no wait for one takes that.
pub(super) const HANGS: Duration = Duration::from_secs(30);

/// The pulse of one part. The part and its supervisor write it, everybody reads it.
#[derive(Debug)]
pub struct Pulse {
    name: String,
    clock: SharedClock,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    life: Life,
    /// When it was heard of last, and how long it may be silent from then on; `None`: for ever.
    heard: Duration,
    patience: Option<Duration>,
    /// What it waits for, or is busy with, for people.
    busy_with: Option<String>,
}

impl Pulse {
    /// Of a part on a thread, which must be heard of.
    pub fn of_thread(name: impl Into<String>, clock: SharedClock) -> Self {
        Self::new(name.into(), clock, Some(HANGS))
    }

    /// Of a part that waits in tokio, where waiting is not hanging.
    pub fn of_task(name: impl Into<String>, clock: SharedClock) -> Self {
        Self::new(name.into(), clock, None)
    }

    fn new(name: String, clock: SharedClock, patience: Option<Duration>) -> Self {
        let now = clock.now();
        Self {
            name,
            inner: Mutex::new(Inner {
                life: Life::new(now),
                heard: now.mono,
                patience,
                busy_with: None,
            }),
            clock,
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The part lives.
    pub fn beat(&self) {
        let now = self.clock.mono();
        let mut inner = self.lock();
        inner.heard = now;
        if inner.patience.is_some() {
            inner.patience = Some(HANGS);
        }
    }

    /// It begins something that may take this long without a beat, as opening models does. The next
    /// beat ends it.
    pub fn long_work(&self, what: &str, most: Duration) {
        self.beat();
        let mut inner = self.lock();
        inner.busy_with = Some(what.to_owned());
        if inner.patience.is_some() {
            inner.patience = Some(most);
        }
    }

    /// It cannot work yet; what it waits for.
    pub fn waits_for(&self, what: &str) {
        self.beat();
        self.lock().busy_with = Some(what.to_owned());
    }

    /// It does what it is for.
    pub fn working(&self) {
        self.beat();
        let now = self.clock.now();
        let mut inner = self.lock();
        inner.busy_with = None;
        inner.life.working(now);
    }

    pub(super) fn begin(&self) {
        self.beat();
        self.lock().life.begin();
    }

    /// It failed: logs why, and returns how long to wait before the next try. For the supervisor,
    /// and for a part whose pieces fail one by one.
    pub fn failed(&self, cause: &str) -> Duration {
        self.beat();
        let now = self.clock.now();
        let mut inner = self.lock();
        let told = inner.life.is_told(cause);
        inner.busy_with = None;
        let wait = inner.life.failed(now, cause, Backoff::wait);
        drop(inner);
        // An operator is needed where it does not mend itself; the same again is no news.
        if told {
            tracing::warn!(retry_in = ?wait, "{} failed again: {cause}", self.name);
        } else {
            tracing::error!(retry_in = ?wait, "{} failed: {cause}", self.name);
        }
        wait
    }

    /// For how long it has been silent, if that is longer than it may be.
    pub fn hangs(&self) -> Option<Duration> {
        let now = self.clock.mono();
        let inner = self.lock();
        let silent = now.saturating_sub(inner.heard);
        inner.patience.is_some_and(|p| silent > p).then_some(silent)
    }

    /// Whether it is at something that takes long and has said so.
    pub fn is_at_long_work(&self) -> bool {
        let now = self.clock.mono();
        let inner = self.lock();
        let silent = now.saturating_sub(inner.heard);
        inner.patience.is_some_and(|p| p > HANGS && silent <= p)
    }

    pub fn status(&self) -> PartStatus {
        let now = self.clock.now();
        let mut inner = self.lock();
        let shown = inner.life.shown(now);
        PartStatus {
            name: self.name.clone(),
            state: shown.state,
            since: shown.since.wall,
            restarts: shown.restarts,
            detail: shown.cause.or_else(|| inner.busy_with.clone()),
        }
    }

    pub(super) fn clock(&self) -> &SharedClock {
        &self.clock
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
