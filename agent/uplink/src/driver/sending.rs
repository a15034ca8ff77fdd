//! The sending half of the driver: from the outbox into the window, and out of it by the broker's answers.

use std::sync::Arc;

use kakou_contract::seal::marked_late;
use kakou_contract::{Held, Priority};
use tokio::time::Instant;

use super::super::link::Prepared;
use super::super::message::Outgoing;
use super::super::session::{AckReason, Verdict};
use super::super::store::Store;
use super::super::uplink::Drain;
use super::{AHEAD_BYTES, Connection, Driver, End, Fetch, Sending};
use kakou_contract::Committed;

/// Topics that are told to be refused, by name; a broker that refuses more refuses all.
const REFUSED_TOPICS: usize = 64;
/// Read at a time: a hit waits for the read that is on its way, in which each message is signed.
const READ_MESSAGES: usize = 256;

impl<S: Store> Driver<S> {
    /// Reads on when there is room. Hits have room of their own.
    pub(super) fn fetch(&mut self) -> Option<Fetch> {
        if self
            .finishing
            .as_ref()
            .is_some_and(|(drain, _)| *drain == Drain::InFlight)
        {
            return None;
        }
        let (messages, bytes) = self.session.waiting();
        let most = usize::from(self.config.window);
        let room = messages < most && bytes < AHEAD_BYTES;
        let lanes: &'static [Priority] = match (self.more && room, self.more_hits) {
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
            (64, AHEAD_BYTES)
        };
        self.more_hits = false;
        if room {
            // Set again by the next commit, or by a read that was full.
            self.more = false;
        }
        Some(Box::pin(async move {
            store.fetch(after, lanes, messages, bytes).await
        }))
    }

    pub(super) fn take(&mut self, all: Vec<Committed>) {
        // Only an empty answer says that there is no more.
        self.more |= !all.is_empty();
        for p in all {
            self.cursor.advance(p.envelope.priority, p.sequence);
            // The direct messages have the first lane.
            let place = (p.envelope.priority.index() + 1, p.sequence);
            let bytes = p.envelope.payload.len() + 512;
            let outgoing = Outgoing {
                topic: p.envelope.topic,
                payload: p.envelope.payload.to_vec(),
                content_type: p.envelope.content_type,
                user_properties: p.envelope.user_properties,
                retain: p.envelope.retain,
                correlation: p.envelope.correlation,
            };
            let hit = p.envelope.priority == Priority::Hit;
            let sending = Sending {
                sequence: Some(p.sequence),
                hit,
                captured_ms: p.envelope.captured_ms,
                outgoing,
            };
            self.session.push(place, bytes, sending);
        }
    }

    /// Gives the link what the window allows. Returns until when to wait, if the bandwidth cap says so.
    pub(super) async fn hand_over(&mut self, c: &mut Connection) -> Option<Instant> {
        let now = Instant::now();
        let limits = c.limits?;
        if self.session.unanswered() == 0 {
            // Nothing was due while nothing was in flight.
            c.heard = now;
        }
        let (resting, hits_rest) = (later(c.rest_until, now), later(c.hits_rest_until, now));
        loop {
            let (_, sending) = self.session.next()?;
            // Hits wait for nothing but an answer that was about a hit.
            if if sending.hit {
                hits_rest
            } else {
                resting || hits_rest
            } {
                return None;
            }
            if !sending.hit
                && let Some(until) = self.cap.as_ref().and_then(|cap| cap.wait(now))
            {
                return Some(until);
            }
            let prepared = Prepared::new(self.in_time(sending));
            let fault = if let Some(why) = sending.outgoing.fault() {
                Some((Held::Refused, why.to_owned()))
            } else if prepared.size() > limits.max_packet.min(self.config.max_packet as usize) {
                let most = limits.max_packet.min(self.config.max_packet as usize);
                Some((
                    Held::TooLarge,
                    format!("{} bytes as a packet, {most} are taken", prepared.size()),
                ))
            } else if prepared.retain() && !limits.retain {
                Some((
                    Held::Refused,
                    "the broker keeps no retained messages".to_owned(),
                ))
            } else {
                None
            };
            match fault {
                Some((reason, why)) => {
                    if let Some((_, sending)) = self.session.set_aside() {
                        self.hold(sending, reason, why).await;
                    }
                }
                None if c.link.publish(&prepared) => {
                    self.session.hand_over();
                    if let Some(cap) = &mut self.cap {
                        cap.spend(now, prepared.size());
                    }
                }
                // The link has failed; its next event tells why.
                None => return None,
            }
        }
    }

    /// The message as it is sent now: late, if it was captured long ago.
    fn in_time(&self, sending: &Sending) -> Outgoing {
        let mut outgoing = sending.outgoing.clone();
        let age = |ms: i64| chrono::Utc::now().timestamp_millis().saturating_sub(ms);
        let limit = i64::try_from(self.config.late_after.as_millis()).unwrap_or(i64::MAX);
        if sending.captured_ms.is_some_and(|ms| age(ms) > limit) {
            outgoing.payload = marked_late(outgoing.payload);
        }
        outgoing
    }

    pub(super) async fn acked(
        &mut self,
        c: &mut Connection,
        id: u16,
        reason: AckReason,
    ) -> Result<(), End> {
        let round_trip = self.sent_at.remove(&id).map(|at| at.elapsed());
        match self.session.acked(id, reason) {
            Verdict::Delivered {
                bytes,
                message,
                reason,
                ..
            } => {
                // A connection that delivers is a good one; one that is merely accepted may not be.
                self.reconnect.reset();
                (if message.hit {
                    &mut self.retry_hits
                } else {
                    &mut self.retry
                })
                .reset();
                self.pace.acked(Instant::now(), bytes, round_trip);
                self.session.set_byte_window(self.pace.window());
                if let Some(sequence) = message.sequence {
                    self.store.acked(sequence).await.map_err(End::Store)?;
                }
                self.status.send_modify(|s| {
                    s.acked += 1;
                    s.acked_bytes += bytes as u64;
                    s.unheard += u64::from(reason == AckReason::NoSubscribers);
                });
                if !self.refused_topics.is_empty()
                    && self.refused_topics.remove(&family(&message.outgoing.topic))
                {
                    tracing::warn!(
                        topic = message.outgoing.topic,
                        "the broker takes this topic again"
                    );
                    self.status.send_modify(|s| {
                        s.refused_topics = self.refused_topics.iter().cloned().collect()
                    });
                    self.probe(usize::MAX >> 1).await;
                }
            }
            Verdict::Again((lane, _), reason) => {
                let hit = lane <= Priority::Hit.index() + 1;
                let wait = (if hit {
                    &mut self.retry_hits
                } else {
                    &mut self.retry
                })
                .wait();
                tracing::warn!(broker = c.broker, hit, retry_in = ?wait, "not taken: {reason}");
                *(if hit {
                    &mut c.hits_rest_until
                } else {
                    &mut c.rest_until
                }) = Some(Instant::now() + wait);
                self.status
                    .send_modify(|s| s.last_loss = Some(reason.to_string()));
            }
            Verdict::Refused(_, sending, AckReason::NotAuthorised) => {
                let topic = family(&sending.outgoing.topic);
                let room = self.refused_topics.len() < REFUSED_TOPICS;
                if room && self.refused_topics.insert(topic.clone()) {
                    tracing::error!(
                        broker = c.broker,
                        topic,
                        "not authorised to publish to this topic; its messages are held"
                    );
                    self.status.send_modify(|s| {
                        s.refused_topics = self.refused_topics.iter().cloned().collect()
                    });
                }
                self.hold(
                    sending,
                    Held::NotAuthorised,
                    AckReason::NotAuthorised.to_string(),
                )
                .await;
            }
            Verdict::Refused(_, sending, reason) => {
                self.hold(sending, Held::Refused, reason.to_string()).await
            }
            Verdict::Unknown => tracing::warn!(broker = c.broker, id, "unknown acknowledgement"),
        }
        Ok(())
    }

    /// Lets some of what was not permitted be tried again.
    pub(super) async fn probe(&mut self, most: usize) {
        match self.store.release(Held::NotAuthorised, most).await {
            Ok(n) => self.more |= n > 0,
            Err(e) => tracing::warn!("{e}"),
        }
    }

    pub(super) async fn hold(&mut self, sending: Sending, reason: Held, why: String) {
        let topic = &sending.outgoing.topic;
        // That one was told once for its topics.
        if reason != Held::NotAuthorised {
            tracing::error!(
                topic,
                sequence = sending.sequence,
                "message set aside: {why}"
            );
        }
        self.status.send_modify(|s| s.set_aside(topic, &why));
        if let Some(sequence) = sending.sequence
            && let Err(e) = self.store.hold(sequence, reason, why).await
        {
            tracing::error!(sequence, "{e}");
        }
    }
}

fn later(time: Option<Instant>, now: Instant) -> bool {
    time.is_some_and(|t| t > now)
}

/// A topic as the broker's rules have it: the pictures of each passage have a topic of their own, and one rule forbids
/// them all.
fn family(topic: &str) -> String {
    let level = |level| {
        if uuid::Uuid::try_parse(level).is_ok() {
            "+"
        } else {
            level
        }
    };
    topic.split('/').map(level).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::family;

    #[test]
    fn the_pictures_of_all_passages_are_one_family() {
        let of = |id: &str| format!("kakou/v1/site-1/agent-1/evidence/{id}/plate");
        let id = uuid::Uuid::now_v7().to_string();
        assert_eq!(family(&of(&id)), of("+"));
        assert_eq!(
            family("kakou/v1/site-1/agent-1/passage/cam-1"),
            "kakou/v1/site-1/agent-1/passage/cam-1"
        );
    }
}
