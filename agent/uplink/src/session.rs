//! Which message is in flight under which packet id. Pure: no I/O, no clock.
//!
//! A message that was read from the outbox is in exactly one of three places until its fate is
//! known:
//!
//! ```text
//! push -> waiting -> handed (given to rumqttc) -> in flight under a packet id -> acknowledged
//!            ^                                            |
//!            +--------------------------------------------+   "try again"
//! ```
//!
//! It leaves only by its own PUBACK, or because it can never be delivered as it is. What waits is
//! ordered by rank, then by sequence number, so a hit that comes later goes before every passage
//! not yet handed over. When the connection is lost everything is forgotten: the outbox still has
//! it and is read anew.
//!
//! The window has a size in messages and one in bytes. rumqttc counts packet ids upwards from 1 to
//! its window and does not look whether one is still in use: a broker that acknowledges out of
//! order makes it stall. So no message is handed over whose id, counted along here, is not free.
//!
//! A message the broker chokes on (it closes the connection and blames the packet) would be sent
//! again for ever. After such a loss as many messages as were open are sent one at a time, until
//! the one is found.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
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
        matches!(
            self,
            Self::Unspecified | Self::Implementation | Self::IdInUse | Self::QuotaExceeded
        )
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
    Delivered {
        place: Place,
        bytes: usize,
        message: M,
        reason: AckReason,
    },
    /// Not now. It waits in its old place; pause before handing over more.
    Again(Place, AckReason),
    /// Never, as it is.
    Refused(Place, M, AckReason),
    /// No message is in flight under this id: the broker acknowledged what was not sent.
    Unknown,
}

/// A message's place in the line: its rank by priority, and its sequence number.
pub type Place = (usize, u64);

/// Which of the open messages broke the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Culprit {
    None,
    /// They are sent one at a time from now on, until the one is found.
    OneOfThem,
    /// Only one was open, and it must not be sent again.
    TheOnlyOne,
}

#[derive(Debug)]
struct Item<M> {
    place: Place,
    bytes: usize,
    message: M,
}

/// The state of one publisher over all its connections.
#[derive(Debug)]
pub struct Session<M> {
    waiting: BTreeMap<Place, Item<M>>,
    waiting_bytes: usize,
    handed: VecDeque<Item<M>>,
    in_flight: BTreeMap<u16, Item<M>>,
    /// The places of all of these.
    known: BTreeSet<Place>,
    open_bytes: usize,
    /// How many of what size are given to the connection and not acknowledged.
    open_sizes: BTreeMap<usize, usize>,
    /// The most that this side wants open at a time.
    window: u16,
    byte_window: usize,
    /// Packet ids of this connection: 1 to `ids`, the smaller of the window and the broker's
    /// receive maximum; 0 while there is no connection.
    ids: u16,
    /// The id given last on this connection.
    last_id: u16,
    /// How many messages are still sent one at a time, because one of them broke the connection.
    suspects: usize,
}

impl<M> Session<M> {
    pub fn new(window: u16, byte_window: usize) -> Self {
        Self {
            waiting: BTreeMap::new(),
            waiting_bytes: 0,
            handed: VecDeque::new(),
            in_flight: BTreeMap::new(),
            known: BTreeSet::new(),
            open_bytes: 0,
            open_sizes: BTreeMap::new(),
            window: window.max(1),
            byte_window,
            ids: 0,
            last_id: 0,
            suspects: 0,
        }
    }

    /// Takes in a message; false when it is here already.
    pub fn push(&mut self, place: Place, bytes: usize, message: M) -> bool {
        let new = self.known.insert(place);
        if new {
            self.waiting_bytes += bytes;
            self.waiting.insert(
                place,
                Item {
                    place,
                    bytes,
                    message,
                },
            );
        }
        new
    }

    /// Messages read and not handed over, and their bytes.
    pub fn waiting(&self) -> (usize, usize) {
        (self.waiting.len(), self.waiting_bytes)
    }

    /// Messages given to the connection and not acknowledged.
    pub fn unanswered(&self) -> usize {
        self.handed.len() + self.in_flight.len()
    }

    /// Bytes of the largest of them.
    pub fn largest_unanswered(&self) -> usize {
        self.open_sizes
            .last_key_value()
            .map_or(0, |(bytes, _)| *bytes)
    }

    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// How many bytes may be open from now on; a single larger message still goes alone.
    pub fn set_byte_window(&mut self, bytes: usize) {
        self.byte_window = bytes;
    }

    /// The broker accepted the connection and takes `receive_max` messages at a time.
    pub fn connected(&mut self, receive_max: u16) {
        self.ids = self.window.min(receive_max.max(1));
        self.last_id = 0;
    }

    /// The message to hand over next; `None` when there is none or the window is full.
    pub fn next(&self) -> Option<(Place, &M)> {
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
        let (place, item) = self.waiting.first_key_value()?;
        if self.unanswered() > 0 && self.open_bytes + item.bytes > self.byte_window {
            return None;
        }
        Some((*place, &item.message))
    }

    /// The message that `next` showed was given to the connection.
    pub fn hand_over(&mut self) {
        if let Some((_, item)) = self.waiting.pop_first() {
            self.waiting_bytes -= item.bytes;
            self.open_bytes += item.bytes;
            *self.open_sizes.entry(item.bytes).or_insert(0) += 1;
            self.handed.push_back(item);
        }
    }

    /// Takes out the message that `next` showed: it must not be sent.
    pub fn set_aside(&mut self) -> Option<(Place, M)> {
        let (place, item) = self.waiting.pop_first()?;
        self.waiting_bytes -= item.bytes;
        self.known.remove(&place);
        self.resolved();
        Some((place, item.message))
    }

    /// The oldest handed message went out under this id. False when that cannot be: the connection
    /// is then not to be trusted any more.
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
        self.open_bytes -= item.bytes;
        if let Entry::Occupied(mut same) = self.open_sizes.entry(item.bytes) {
            *same.get_mut() -= 1;
            if *same.get() == 0 {
                same.remove();
            }
        }
        if reason.may_pass_later() {
            self.waiting_bytes += item.bytes;
            let place = item.place;
            self.waiting.insert(place, item);
            return Verdict::Again(place, reason);
        }
        self.resolved();
        self.known.remove(&item.place);
        if reason.is_success() {
            Verdict::Delivered {
                place: item.place,
                bytes: item.bytes,
                message: item.message,
                reason,
            }
        } else {
            Verdict::Refused(item.place, item.message, reason)
        }
    }

    /// Messages given to the connection and not acknowledged, in no order.
    pub fn open(&self) -> impl Iterator<Item = (Place, &M)> {
        self.in_flight
            .values()
            .chain(&self.handed)
            .map(|item| (item.place, &item.message))
    }

    /// Bytes of all of them.
    pub fn open_bytes(&self) -> usize {
        self.open_bytes
    }

    /// Whether one of this rank waits to be handed over.
    pub fn is_waiting(&self, rank: usize) -> bool {
        self.waiting
            .first_key_value()
            .is_some_and(|((first, _), _)| *first <= rank)
    }

    /// Whether messages go one at a time.
    pub fn is_searching(&self) -> bool {
        self.suspects > 0
    }

    /// Messages need not go one at a time any more.
    pub fn end_search(&mut self) {
        self.suspects = 0;
    }

    /// The connection is gone and with it all that is known here. Returns the message that was open
    /// alone and is given up as the one that broke it.
    pub fn lost(&mut self, culprit: Culprit) -> Option<(Place, M)> {
        self.ids = 0;
        self.waiting.clear();
        self.known.clear();
        (self.waiting_bytes, self.open_bytes) = (0, 0);
        self.open_sizes.clear();
        let mut open: Vec<Item<M>> = std::mem::take(&mut self.in_flight).into_values().collect();
        open.extend(self.handed.drain(..));
        match culprit {
            Culprit::None => None,
            Culprit::OneOfThem => {
                self.suspects = self.suspects.max(open.len());
                None
            }
            Culprit::TheOnlyOne => {
                self.resolved();
                let only = open.pop().filter(|_| open.is_empty());
                only.map(|item| (item.place, item.message))
            }
        }
    }

    /// One message found its end: one suspect less.
    fn resolved(&mut self) {
        self.suspects = self.suspects.saturating_sub(1);
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
