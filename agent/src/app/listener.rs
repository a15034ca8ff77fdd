//! Hears commands and has each carried out for itself: one that hangs, fails or panics is answered
//! so, and keeps no other waiting. None is dropped without an answer: where too many wait already,
//! the answer is that the agent is busy.

use std::sync::Arc;
use std::time::Duration;

use kakou_uplink::Received;
use tokio::sync::Semaphore;

use super::commands::Commander;
use super::supervise::Pulse;

/// Commands that are carried out at the same time.
const AT_ONCE: usize = 4;
/// Commands that wait or are carried out; who comes then is told to try again.
const MOST: usize = 64;
/// Answers of that kind that are on their way at the same time. Beyond this the platform sends
/// faster than any answer could reach it.
const BUSY_MOST: usize = 256;
/// Nothing that may be asked for takes this long.
const LONGEST: Duration = Duration::from_secs(120);

/// Where commands come in; a clone is another hand on the same one.
#[derive(Clone)]
pub struct Listener(Arc<Inner>);

struct Inner {
    commander: Commander,
    pulse: Arc<Pulse>,
    waiting: Arc<Semaphore>,
    running: Semaphore,
    busy: Arc<Semaphore>,
}

impl Listener {
    pub fn new(commander: Commander, pulse: Arc<Pulse>) -> Self {
        pulse.working();
        Self(Arc::new(Inner {
            commander,
            pulse,
            waiting: Arc::new(Semaphore::new(MOST)),
            running: Semaphore::new(AT_ONCE),
            busy: Arc::new(Semaphore::new(BUSY_MOST)),
        }))
    }

    /// Has a command carried out in the background. Must be called within a tokio runtime.
    pub fn hear(&self, received: Received) {
        let inner = Arc::clone(&self.0);
        if let Ok(place) = Arc::clone(&inner.waiting).try_acquire_owned() {
            tokio::spawn(async move {
                // The semaphore is never closed.
                let _turn = inner.running.acquire().await;
                match inner.commander.obey(received, LONGEST).await {
                    Ok(()) => inner.pulse.working(),
                    Err(why) => drop(inner.pulse.failed(&why)),
                }
                drop(place);
            });
        } else if let Ok(place) = Arc::clone(&inner.busy).try_acquire_owned() {
            tokio::spawn(async move {
                inner.commander.refuse_as_busy(received).await;
                drop(place);
            });
        } else {
            tracing::error!(
                topic = received.topic,
                "a command was not answered: {} others wait for an answer",
                MOST + BUSY_MOST
            );
        }
    }
}
