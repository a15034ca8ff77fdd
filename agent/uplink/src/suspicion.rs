//! Which messages a broker closes the connection over. Pure: no I/O, no clock.
//!
//! A broker may answer a forbidden publish with a PUBACK that says so, with a DISCONNECT, or by
//! closing the connection without a word. Sent again on each connection, such a message would hold
//! up all the others for ever. So it is found, and the topic it belongs to is set aside:
//!
//! 1. A DISCONNECT that blames a message starts the search at once; closes without a word do when
//!    the same message was open at three of them in a row.
//! 2. Search: messages go one at a time, so that the connection's end speaks about one alone.
//! 3. "Not authorised" then convicts the topic at once. Where the broker gave another reason or
//!    none, the message must have ended several connections in a row; and its topic only goes on
//!    trial: it rests until a message of another topic is delivered, which shows that the broker is
//!    well. When another topic fares the same, it is the broker and not a message, and nothing is
//!    held against either.
//!
//! What is convicted is not sent; the driver holds it in the outbox as not authorised and lets it
//! be tried again every few minutes. The subscription to commands can be the culprit as well:
//! during a search nothing is sent before it is answered.

use std::collections::{BTreeMap, BTreeSet};

use super::session::Place;

/// Closes without a word at which the same message was open, before the search begins.
const SILENT_CLOSES: u32 = 3;
/// Closes over a message that was alone, before its topic goes on trial.
const ALONE_WITH_REASON: u32 = 3;
const ALONE_SILENT: u32 = 8;

/// Whom the end of a connection speaks against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blame {
    /// The network, or the broker itself.
    Nobody,
    /// The broker closed the connection. With a reason that may be about a message, or without any.
    Perhaps { with_reason: bool },
    /// What was sent is forbidden.
    NotAuthorised,
    /// A packet that this broker does not take, whatever its topic.
    Packet,
}

/// What follows from a loss.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    Nothing,
    /// It may be one of several: send them one at a time.
    OneAtATime,
    /// The one message that was open, and only that.
    Message,
    /// This topic's messages are not sent any more.
    Convicted(String),
    /// Not one message: the broker closes over anything.
    Broker,
    /// The subscription.
    Subscription,
}

#[derive(Debug, Default)]
pub(crate) struct Suspicion {
    /// Places that were open at each of the last closes without a word, and how many those were.
    common: BTreeSet<Place>,
    closes: u32,
    /// The topic whose message was alone at the last closes, and how many those were.
    alone: Option<(String, u32)>,
    /// Closes with nothing open but the subscription.
    subscription: u32,
    on_trial: Option<String>,
    convicted: BTreeSet<String>,
    /// Convicted once and let go for a try.
    on_probation: BTreeSet<String>,
    /// The broker closes over anything; nothing is looked for until it takes something.
    given_up: bool,
}

impl Suspicion {
    /// Whether topics matter at all: nearly always they do not.
    pub(crate) fn is_idle(&self) -> bool {
        self.alone.is_none()
            && self.on_trial.is_none()
            && self.convicted.is_empty()
            && self.on_probation.is_empty()
            && !self.given_up
    }

    pub(crate) fn is_convicted(&self, topic: &str) -> bool {
        self.convicted.contains(topic)
    }

    pub(crate) fn is_on_trial(&self, topic: &str) -> bool {
        self.on_trial.as_deref() == Some(topic)
    }

    /// Whether messages of some topic wait for a trial to end.
    pub(crate) fn is_undecided(&self) -> bool {
        self.on_trial.is_some()
    }

    /// The connection ended with these messages open: their places and topics. `subscribing`: the
    /// subscription was not answered either.
    pub(crate) fn lost(
        &mut self,
        blame: Blame,
        subscribing: bool,
        open: &BTreeMap<Place, String>,
    ) -> Finding {
        let with_reason = match blame {
            Blame::Nobody => return Finding::Nothing,
            Blame::Perhaps { with_reason } => with_reason,
            Blame::NotAuthorised | Blame::Packet => true,
        };
        if open.is_empty() {
            return self.lost_with_nothing_open(blame, subscribing);
        }
        let known = open
            .values()
            .find(|topic| self.on_probation.contains(*topic));
        if let Some(topic) = known.cloned() {
            return self.convict(topic);
        }
        let mut all = open.iter();
        match (all.next(), all.next()) {
            (Some((_, topic)), None) if !subscribing => match blame {
                Blame::Packet => Finding::Message,
                Blame::NotAuthorised => self.convict(topic.clone()),
                Blame::Perhaps { .. } | Blame::Nobody => {
                    let finding = self.lost_alone(topic, with_reason);
                    match finding {
                        Finding::Nothing => self.lost_among(with_reason, open),
                        finding => finding,
                    }
                }
            },
            _ => self.lost_among(with_reason, open),
        }
    }

    fn lost_with_nothing_open(&mut self, blame: Blame, subscribing: bool) -> Finding {
        if !subscribing {
            return Finding::Nothing;
        }
        self.subscription += 1;
        if blame == Blame::NotAuthorised || self.subscription >= SILENT_CLOSES {
            self.subscription = 0;
            return Finding::Subscription;
        }
        Finding::Nothing
    }

    fn lost_alone(&mut self, topic: &str, with_reason: bool) -> Finding {
        let before = match self.alone.take() {
            Some((same, times)) if same == topic => times,
            _ => 0,
        };
        let most = if with_reason {
            ALONE_WITH_REASON
        } else {
            ALONE_SILENT
        };
        if self.given_up || before + 1 < most {
            self.alone = Some((topic.to_owned(), before + 1));
            return Finding::Nothing;
        }
        match self.on_trial.take() {
            None => {
                self.on_trial = Some(topic.to_owned());
                Finding::OneAtATime
            }
            Some(_) => {
                self.given_up = true;
                self.forget_closes();
                Finding::Broker
            }
        }
    }

    fn lost_among(&mut self, with_reason: bool, open: &BTreeMap<Place, String>) -> Finding {
        if self.given_up {
            return Finding::Nothing;
        }
        if with_reason {
            return Finding::OneAtATime;
        }
        self.common.retain(|place| open.contains_key(place));
        if self.common.is_empty() {
            self.common = open.keys().copied().collect();
            self.closes = 0;
        }
        self.closes += 1;
        if self.closes < SILENT_CLOSES {
            return Finding::Nothing;
        }
        Finding::OneAtATime
    }

    fn convict(&mut self, topic: String) -> Finding {
        self.on_probation.remove(&topic);
        self.convicted.insert(topic.clone());
        self.alone = None;
        self.forget_closes();
        Finding::Convicted(topic)
    }

    /// A message on this topic was acknowledged; returns a topic that this convicts.
    pub(crate) fn delivered(&mut self, topic: &str) -> Option<String> {
        self.alone = None;
        self.given_up = false;
        self.on_probation.remove(topic);
        self.convicted.remove(topic);
        let guilty = self.on_trial.take_if(|tried| tried != topic)?;
        self.convict(guilty.clone());
        Some(guilty)
    }

    /// The broker answered the subscription.
    pub(crate) fn subscribed(&mut self) {
        self.subscription = 0;
    }

    /// What was convicted may be tried once more. A trial that led to nothing ends: there may be no
    /// other topic to compare with. True if there was one.
    pub(crate) fn let_go(&mut self) -> bool {
        self.on_probation.append(&mut self.convicted);
        self.alone = None;
        self.on_trial.take().is_some()
    }

    fn forget_closes(&mut self) {
        self.common.clear();
        self.closes = 0;
    }
}

#[cfg(test)]
#[path = "suspicion_tests.rs"]
mod tests;
