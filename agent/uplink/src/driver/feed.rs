//! From the outbox into the session: reads on when there is room. An outbox that cannot be read is
//! asked again with growing pauses; the connection stays, and messages from memory go out.

use std::sync::Arc;

use kakou_contract::{Committed, Cursor, Held, Priority};
use tokio::time::Instant;

use super::Driver;
use super::connection::{Connection, Kept};
use super::recorder::{Record, Told};
use crate::in_flight::{InFlight, family};
use crate::order::Drain;
use crate::store::{Store, StoreError};
use crate::suspicion::Suspicion;

/// Read ahead of the window.
const AHEAD_BYTES: usize = 4 << 20;
/// Read at a time: a hit waits for the read that is on its way, in which each message is signed.
const READ_MESSAGES: usize = 256;
/// Hits are read even when there is no room for others.
const READ_HITS: usize = 64;
/// What was not permitted and is let go for a try.
const PROBE_MESSAGES: usize = 16;

pub(super) type Fetch = Kept<Result<Vec<Committed>, StoreError>>;

pub(super) async fn poll_fetch(fetching: &mut Option<Fetch>) -> Result<Vec<Committed>, StoreError> {
    match fetching {
        Some(fetch) => fetch.as_mut().await,
        None => std::future::pending().await,
    }
}

impl<S: Store> Driver<S> {
    /// Reads on when there is room. Hits have room of their own.
    pub(super) fn fetch(&mut self) -> Option<Fetch> {
        if self.is_finishing(Drain::InFlight) || self.read_again_at.is_some() {
            return None;
        }
        let (messages, bytes) = self.session.waiting();
        let most = usize::from(self.config.window);
        let room = messages < most && bytes < AHEAD_BYTES;
        let priorities: &'static [Priority] = match (self.more && room, self.more_hits) {
            (true, _) => &Priority::ORDER,
            (false, true) => &[Priority::Hit],
            (false, false) => return None,
        };
        let (store, after) = (Arc::clone(&self.store), self.cursor);
        let (messages, bytes) = if room {
            (
                (most - messages).clamp(1, READ_MESSAGES),
                AHEAD_BYTES - bytes,
            )
        } else {
            (READ_HITS, AHEAD_BYTES)
        };
        self.more_hits = false;
        if room {
            // Set again by the next commit, or by a read that was full.
            self.more = false;
        }
        Some(Box::pin(async move {
            store.fetch(after, priorities, messages, bytes).await
        }))
    }

    /// What a read brought.
    pub(super) fn read(&mut self, c: &Connection, read: Result<Vec<Committed>, StoreError>) {
        let all = match read {
            Ok(all) => all,
            Err(e) => return self.store_fault(&e),
        };
        self.read_again.reset();
        self.store_works();
        // Only an empty answer says that there is no more.
        self.more |= !all.is_empty();
        for Committed { sequence, envelope } in all {
            self.cursor.advance(envelope.priority, sequence);
            // Its fate is known and the store has not yet been told.
            if self.recorder.knows(sequence) {
                continue;
            }
            let message = InFlight {
                sequence: Some(sequence),
                envelope,
            };
            if let Some(message) = self.permitted(c, message) {
                self.session
                    .push(message.place(0), message.bytes(), message);
            }
        }
    }

    /// The message, unless the broker closes the connection over its topic.
    fn permitted(&mut self, c: &Connection, message: InFlight) -> Option<InFlight> {
        let suspicion = self.suspicions.get(c.index).filter(|s| !s.is_idle());
        let Some(suspicion) = suspicion else {
            return Some(message);
        };
        let topic = family(&message.envelope.topic);
        if suspicion.is_on_trial(&topic) {
            // It is read again when the trial is over.
            return None;
        }
        if suspicion.is_convicted(&topic) {
            let why = "the broker closes the connection over this topic".to_owned();
            self.hold(message, Held::NotAuthorised, why);
            return None;
        }
        Some(message)
    }

    /// From the first message on: what is known to the session already is passed over.
    pub(super) fn read_anew(&mut self) {
        self.cursor = Cursor::default();
        self.more = true;
    }

    /// Lets some of what was not permitted be tried again.
    pub(super) fn probe(&mut self, c: &Connection) {
        let suspicion = self.suspicions.get_mut(c.index);
        if suspicion.is_some_and(Suspicion::let_go) {
            // What rested is sent again.
            self.read_anew();
        }
        self.release(PROBE_MESSAGES);
    }

    pub(super) fn release(&mut self, most: usize) {
        self.recorder
            .push(Record::Release(Held::NotAuthorised, most));
    }

    /// What came of telling the store.
    pub(super) fn told(&mut self, told: Told) {
        self.more |= told.released > 0;
        match told.fault {
            None => self.store_works(),
            Some(e) => self.show_store_fault(&e),
        }
    }

    pub(super) fn store_fault(&mut self, e: &StoreError) {
        self.show_store_fault(e);
        // What this read was to bring is still there.
        (self.more, self.more_hits) = (true, true);
        self.read_again_at = Some(Instant::now() + self.read_again.wait());
    }

    /// Once per change: ERROR where a person is needed, WARN where it may heal by itself.
    fn show_store_fault(&self, e: &StoreError) {
        let why = e.to_string();
        if self.status.borrow().store_fault.as_ref() == Some(&why) {
            return;
        }
        match e {
            StoreError::Gone(_) => tracing::error!("{why}; asking again until it works"),
            StoreError::Message(_) | StoreError::Unavailable(_) => {
                tracing::warn!("{why}; asking again until it works");
            }
        }
        self.status.send_modify(|s| s.store_fault = Some(why));
    }

    fn store_works(&mut self) {
        let fault = self.status.borrow().store_fault.is_some();
        if !fault || self.read_again_at.is_some() || self.recorder.is_pausing() {
            return;
        }
        tracing::info!("the outbox works again");
        if self.committed.is_none() {
            self.committed = Some(self.store.committed());
        }
        self.status.send_modify(|s| s.store_fault = None);
    }
}
