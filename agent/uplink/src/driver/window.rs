//! Out of the session into the link as the window allows, and what each acknowledgement means.

use kakou_contract::Held;
use tokio::time::Instant;

use super::Driver;
use super::connection::Connection;
use super::recorder::Record;
use crate::in_flight::{FROM_MEMORY, InFlight, family};
use crate::link::Handed;
use crate::session::{AckReason, Place, Verdict};
use crate::store::Store;

/// Topics that are reported as refused by name; a broker that refuses more refuses all.
const REFUSED_TOPICS: usize = 64;
/// Acknowledged messages that the outbox has not been told of. While it is away, no more than these
/// are sent.
const UNTOLD_MOST: usize = 8192;
/// As many messages as the outbox has; it takes some of them at a time.
const ALL: usize = usize::MAX >> 1;

impl<S: Store> Driver<S> {
    /// Gives the link what the window allows. Returns until when to wait, if the bandwidth cap says
    /// so.
    pub(super) fn hand_over(&mut self, c: &mut Connection) -> Option<Instant> {
        let now = Instant::now();
        let limits = c.limits?;
        if self.session.unanswered() == 0 {
            // Nothing was due while nothing was in flight.
            self.answers.idle();
        }
        // During a search the end of a connection is to speak about one thing alone.
        if c.subscribing.is_some() && self.session.is_searching() {
            return None;
        }
        let untold = self.recorder.len() >= UNTOLD_MOST;
        let (resting, hits_rest) = (later(c.rest_until, now), later(c.hits_rest_until, now));
        let now_ms = self.clock.wall_ms();
        loop {
            let ((rank, _), message) = self.session.next()?;
            if (c.goodbye.is_some() || untold) && rank != FROM_MEMORY {
                return None;
            }
            // Hits wait for nothing but an answer that was about a hit.
            let rests = if message.is_urgent() {
                hits_rest
            } else {
                resting || hits_rest
            };
            if rests {
                return None;
            }
            if !message.is_urgent()
                && let Some(until) = self.cap.as_ref().and_then(|cap| cap.wait(now))
            {
                return Some(until);
            }
            let payload = message.payload(now_ms, self.config.late_after);
            match c.link.publish(message, payload, &limits) {
                Handed::Queued(size) => {
                    self.session.hand_over();
                    self.answers.handed(now);
                    if let Some(cap) = &mut self.cap {
                        cap.spend(now, size);
                    }
                }
                Handed::Never(reason, why) => {
                    if let Some((_, message)) = self.session.set_aside() {
                        self.hold(message, reason, why);
                    }
                }
                Handed::Failed => return None,
            }
        }
    }

    pub(super) fn acked(&mut self, c: &mut Connection, id: u16, reason: AckReason) {
        let round_trip = self.answers.answered(Instant::now(), id);
        match self.session.acked(id, reason) {
            Verdict::Delivered {
                bytes,
                message,
                reason,
                ..
            } => {
                self.pace.acked(Instant::now(), bytes, round_trip);
                self.session.set_byte_window(self.pace.window());
                self.status.send_modify(|s| {
                    s.acked += 1;
                    s.acked_bytes += bytes as u64;
                    s.unheard += u64::from(reason == AckReason::NoSubscribers);
                });
                self.delivered(c, &message);
            }
            Verdict::Again(place, reason) => self.again(c, place, reason),
            Verdict::Refused(_, message, AckReason::NotAuthorised) => {
                self.forbidden(&c.broker, family(&message.envelope.topic));
                let why = AckReason::NotAuthorised.to_string();
                self.hold(message, Held::NotAuthorised, why);
            }
            Verdict::Refused(_, message, reason) => {
                self.hold(message, Held::Refused, reason.to_string());
            }
            Verdict::Unknown => tracing::warn!(broker = c.broker, id, "unknown acknowledgement"),
        }
    }

    fn delivered(&mut self, c: &Connection, message: &InFlight) {
        // A connection that delivers is a good one; one that is merely accepted may not be.
        self.reconnect.reset();
        if message.is_urgent() {
            self.retry_hits.reset();
        } else {
            self.retry.reset();
        }
        if let Some(sequence) = message.sequence {
            self.recorder.push(Record::Acked(sequence));
        }
        let suspicion = self.suspicions.get_mut(c.index).filter(|s| !s.is_idle());
        if suspicion.is_none() && self.refused_topics.is_empty() {
            return;
        }
        let topic = family(&message.envelope.topic);
        if let Some(guilty) = suspicion.and_then(|s| s.delivered(&topic)) {
            self.session.end_search();
            self.forbidden(&c.broker, guilty);
            // What rested during the trial is held now.
            self.read_anew();
        }
        if self.refused_topics.remove(&topic) {
            tracing::warn!(topic, "the broker takes this topic again");
            self.show_refused_topics();
            self.release(ALL);
        }
    }

    fn again(&mut self, c: &mut Connection, (rank, sequence): Place, reason: AckReason) {
        // Direct messages and hits have the first ranks.
        let hit = rank <= 1;
        let wait = if hit {
            self.retry_hits.wait()
        } else {
            self.retry.wait()
        };
        tracing::warn!(broker = c.broker, sequence, hit, retry_in = ?wait, "not taken: {reason}");
        let until = Some(Instant::now() + wait);
        if hit {
            c.hits_rest_until = until;
        } else {
            c.rest_until = until;
        }
        self.status
            .send_modify(|s| s.last_loss = Some(reason.to_string()));
    }

    /// Reported once for each topic, not for each of its messages.
    pub(super) fn forbidden(&mut self, broker: &str, topic: String) {
        let room = self.refused_topics.len() < REFUSED_TOPICS;
        if room && self.refused_topics.insert(topic.clone()) {
            tracing::error!(
                broker,
                topic,
                "not authorised to publish to this topic; its messages are held"
            );
            self.show_refused_topics();
        }
    }

    fn show_refused_topics(&self) {
        let topics = self.refused_topics.iter().cloned().collect();
        self.status.send_modify(|s| s.refused_topics = topics);
    }

    /// Takes a message out of the line; the outbox keeps it with the reason.
    pub(super) fn hold(&mut self, message: InFlight, reason: Held, why: String) {
        let topic = &message.envelope.topic;
        // That one was reported once for its topic.
        if reason != Held::NotAuthorised {
            tracing::error!(
                topic,
                sequence = message.sequence,
                "message set aside: {why}"
            );
        }
        self.status.send_modify(|s| s.set_aside(topic, &why));
        if let Some(sequence) = message.sequence {
            self.recorder.push(Record::Hold(sequence, reason, why));
        }
    }
}

fn later(time: Option<Instant>, now: Instant) -> bool {
    time.is_some_and(|t| t > now)
}
