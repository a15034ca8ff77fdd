//! Hits that go past the outbox: sent from memory as soon as there is a connection, for as long as
//! the outbox cannot take them. The platform may get one twice, once from here and once from the
//! outbox, with the same id.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kakou_contract::{Envelope, HitMessage, Keep, Message, Priority};

use super::link::Link;

/// Hits that wait in memory for a connection; of more, the oldest are given up.
const MOST: usize = 256;
/// How often they are tried.
const EVERY: Duration = Duration::from_millis(500);

/// The way past the outbox; a clone is another hand on the same one.
#[derive(Clone)]
pub struct HitsPast {
    link: Link,
    waiting: Arc<Mutex<VecDeque<HitMessage>>>,
}

impl HitsPast {
    pub fn new(link: Link) -> Self {
        Self {
            link,
            waiting: Arc::default(),
        }
    }

    /// Sends a hit at once, or as soon as there is a connection.
    pub fn send(&self, hit: &HitMessage, why: &str) {
        let sent = self.send_now(hit);
        tracing::error!(hit = %hit.id(), passage = %hit.passage_id, sent, "a hit goes past the outbox: {why}");
        if sent {
            return;
        }
        let mut waiting = self.lock();
        waiting.push_back(hit.clone());
        if waiting.len() > MOST
            && let Some(lost) = waiting.pop_front()
        {
            tracing::error!(hit = %lost.id(), "given up: {MOST} others wait for a connection as well");
        }
    }

    /// Tries those that wait, until the future is dropped.
    pub async fn keep_trying(self) {
        loop {
            tokio::time::sleep(EVERY).await;
            self.try_all();
        }
    }

    /// How many could not be sent yet.
    pub fn try_all(&self) -> usize {
        let mut waiting = self.lock();
        while let Some(hit) = waiting.front() {
            if !self.send_now(hit) {
                break;
            }
            tracing::warn!(hit = %hit.id(), "a hit that waited in memory was sent past the outbox");
            waiting.pop_front();
        }
        waiting.len()
    }

    fn send_now(&self, hit: &HitMessage) -> bool {
        Envelope::live(hit, Priority::Hit, Keep::Hit)
            .is_ok_and(|message| self.link.send_past(message))
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<HitMessage>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
