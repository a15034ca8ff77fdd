//! Which message is in flight under which packet id. Pure: no I/O, no clock.
//!
//! A message is in exactly one of three places until its fate is known:
//!
//! ```text
//! push -> waiting -> handed (given to rumqttc) -> in flight under a packet id -> acknowledged
//!            ^            |                              |
//!            +------------+------------------------------+   connection lost, or "try again"
//! ```
//!
//! It leaves only by its own PUBACK or because it can never be delivered. What goes back to `waiting`
//! takes the place it had, so the order of first sending is the order of pushing.
//!
//! rumqttc counts packet ids upwards from 1 to its window and does not look whether one is still in
//! use: a broker that acknowledges out of order makes it stall. So no message is handed over whose id,
//! counted along here, is not free.
//!
//! A message the broker chokes on (it closes the connection and blames the packet) would be sent again
//! for ever. After such a loss what was in flight is sent one at a time, until the one is found.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

/// What a PUBACK says, MQTT 5 section 3.4.2.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AckReason {
    Success,
    /// The broker took it and has nobody to give it to.
    NoSubscribers,
    Unspecified,
    Implementation,
    NotAuthorised,
    TopicInvalid,
    IdInUse,
    QuotaExceeded,
    PayloadInvalid,
}

impl AckReason {
    fn is_success(self) -> bool {
        matches!(self, Self::Success | Self::NoSubscribers)
    }

    /// Whether the same message may pass later without anyone changing it or the broker's rules.
    fn may_pass_later(self) -> bool {
        matches!(self, Self::Unspecified | Self::Implementation | Self::IdInUse | Self::QuotaExceeded)
    }
}

impl fmt::Display for AckReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Success => "success",
            Self::NoSubscribers => "no matching subscribers",
            Self::Unspecified => "unspecified error",
            Self::Implementation => "implementation specific error",
            Self::NotAuthorised => "not authorised to publish to this topic",
            Self::TopicInvalid => "topic name not accepted",
            Self::IdInUse => "packet id in use",
            Self::QuotaExceeded => "quota exceeded",
            Self::PayloadInvalid => "payload does not have the announced format",
        })
    }
}

/// What became of the message that a PUBACK names.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict<M> {
    /// The broker has it: the only way a message counts as delivered.
    Delivered(M, AckReason),
    /// Not now. It waits in its old place; pause before handing over more.
    Again(AckReason),
    /// Never, as it is.
    Refused(M, AckReason),
    /// No message is in flight under this id: the broker acknowledged what was not sent.
    Unknown,
}

#[derive(Debug)]
struct Item<M> {
    order: u64,
    message: M,
}

/// The state of one publisher over all its connections.
#[derive(Debug)]
pub struct Session<M> {
    waiting: VecDeque<Item<M>>,
    handed: VecDeque<Item<M>>,
    in_flight: BTreeMap<u16, Item<M>>,
    next_order: u64,
    /// The most that this side wants in flight.
    window: u16,
    /// Packet ids of this connection: 1 to `ids`, the smaller of the window and the broker's receive
    /// maximum; 0 while there is no connection.
    ids: u16,
    /// The id given last on this connection.
    last_id: u16,
    /// How many of the oldest messages are sent one at a time, because one of them broke the connection.
    suspects: usize,
}

impl<M> Session<M> {
    pub fn new(window: u16) -> Self {
        Self {
            waiting: VecDeque::new(),
            handed: VecDeque::new(),
            in_flight: BTreeMap::new(),
            next_order: 0,
            window: window.max(1),
            ids: 0,
            last_id: 0,
            suspects: 0,
        }
    }

    pub fn push(&mut self, message: M) {
        self.waiting.push_back(Item { order: self.next_order, message });
        self.next_order += 1;
    }

    /// Messages whose fate is open.
    pub fn len(&self) -> usize {
        self.waiting.len() + self.unanswered()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Messages given to the connection and not acknowledged.
    pub fn unanswered(&self) -> usize {
        self.handed.len() + self.in_flight.len()
    }

    /// The broker accepted the connection and takes `receive_max` messages at a time.
    pub fn connected(&mut self, receive_max: u16) {
        self.ids = self.window.min(receive_max.max(1));
        self.last_id = 0;
    }

    /// The message to hand over next; `None` when there is none or the window is full.
    pub fn next(&self) -> Option<&M> {
        let allowed = if self.suspects > 0 { 1 } else { self.ids };
        if self.ids == 0 || self.unanswered() >= usize::from(allowed) {
            return None;
        }
        // The window keeps `handed` below `ids`, so this stays within u16 arithmetic.
        let ahead = u32::from(self.last_id) + self.handed.len() as u32;
        let id = (ahead % u32::from(self.ids)) as u16 + 1;
        if self.in_flight.contains_key(&id) {
            return None;
        }
        self.waiting.front().map(|item| &item.message)
    }

    /// The message that `next` showed was given to the connection.
    pub fn hand_over(&mut self) {
        self.handed.extend(self.waiting.pop_front());
    }

    /// Takes out the message that `next` showed: it must not be sent.
    pub fn set_aside(&mut self) -> Option<M> {
        self.resolved();
        self.waiting.pop_front().map(|item| item.message)
    }

    /// The oldest handed message went out under this id. False when that cannot be: the connection is
    /// then not to be trusted any more.
    #[must_use]
    pub fn sent(&mut self, id: u16) -> bool {
        if self.in_flight.contains_key(&id) {
            return false;
        }
        let Some(item) = self.handed.pop_front() else {
            return false;
        };
        self.in_flight.insert(id, item);
        self.last_id = id;
        true
    }

    pub fn acked(&mut self, id: u16, reason: AckReason) -> Verdict<M> {
        let Some(item) = self.in_flight.remove(&id) else {
            return Verdict::Unknown;
        };
        if reason.is_success() {
            self.resolved();
            Verdict::Delivered(item.message, reason)
        } else if reason.may_pass_later() {
            let place = self.waiting.partition_point(|waiting| waiting.order < item.order);
            self.waiting.insert(place, item);
            Verdict::Again(reason)
        } else {
            self.resolved();
            Verdict::Refused(item.message, reason)
        }
    }

    /// The connection is gone; everything unanswered waits again. With `blames_message` the broker said
    /// that a packet of ours was at fault: where only one was open, it is returned and not sent again.
    pub fn lost(&mut self, blames_message: bool) -> Option<M> {
        self.ids = 0;
        let mut open: Vec<Item<M>> = std::mem::take(&mut self.in_flight).into_values().collect();
        open.extend(self.handed.drain(..));
        open.sort_by_key(|item| item.order);
        let mut culprit = None;
        if blames_message {
            if open.len() == 1 {
                culprit = open.pop().map(|item| item.message);
                self.resolved();
            } else {
                self.suspects = self.suspects.max(open.len());
            }
        }
        for item in open {
            let place = self.waiting.partition_point(|waiting| waiting.order < item.order);
            self.waiting.insert(place, item);
        }
        culprit
    }

    /// One message found its end: one suspect less.
    fn resolved(&mut self) {
        self.suspects = self.suspects.saturating_sub(1);
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
