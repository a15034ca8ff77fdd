//! The ordered end of a connection: because the owner wants the uplink to end, or because a broker
//! before this one in the list is back.
//!
//! What was handed to the link is given time to be acknowledged, and nothing follows it but
//! messages from memory and one last message, which stands at once behind what is on the wire. At
//! the deadline DISCONNECT is sent whatever is still open: the outbox has it.

use std::time::Duration;

use kakou_contract::Envelope;
use tokio::time::Instant;

use super::connection::{Connection, Kept};
use super::{Driver, End, Ended};
use crate::in_flight::{FROM_MEMORY, InFlight};
use crate::order::{Drain, Order};
use crate::store::Store;
use crate::suspicion::Suspicion;

/// For DISCONNECT, at the most.
const CLOSE: Duration = Duration::from_secs(1);
/// For the last message and its acknowledgement, at the most, when not all was drained in time.
const LAST: Duration = Duration::from_secs(2);

/// The owner wants an end.
#[derive(Debug)]
pub(super) struct Finishing {
    pub(super) drain: Drain,
    pub(super) deadline: Instant,
    last: Option<Envelope>,
    /// When the last message is sent even if not all is drained.
    goodbye_at: Instant,
}

/// This connection is being ended.
#[derive(Debug)]
pub(super) struct Goodbye {
    /// When DISCONNECT is sent whatever is open.
    until: Instant,
    then: Then,
}

#[derive(Debug, Clone, Copy)]
enum Then {
    /// With whether all that was to be sent first was acknowledged.
    End(Ended),
    Return,
}

/// Until a broker before this one takes connections again.
pub(super) type Look = Kept<()>;

pub(super) async fn poll_look(looking: &mut Option<Look>) {
    match looking {
        Some(look) => look.as_mut().await,
        None => std::future::pending().await,
    }
}

impl<S: Store> Driver<S> {
    pub(super) fn order(&mut self, order: Option<Order>, up: bool) {
        match order {
            // From memory, so only over a connection that is there.
            Some(Order::Direct(envelope)) if up => self.push_direct(*envelope),
            Some(Order::Direct(_)) => {}
            Some(Order::Finish {
                drain,
                last,
                deadline,
            }) => {
                let left = deadline.saturating_duration_since(Instant::now());
                self.finishing = Some(Finishing {
                    drain,
                    deadline,
                    last: last.map(|last| *last),
                    goodbye_at: deadline - LAST.min(left / 3),
                });
            }
            // The owner is gone without a word: as if it had asked to stop at once.
            None => {
                let now = Instant::now();
                self.finishing.get_or_insert(Finishing {
                    drain: Drain::InFlight,
                    deadline: now + LAST,
                    last: None,
                    goodbye_at: now,
                });
            }
        }
    }

    fn push_direct(&mut self, envelope: Envelope) {
        self.directs += 1;
        let message = InFlight {
            sequence: None,
            envelope,
        };
        let place = message.place(self.directs);
        self.session.push(place, message.bytes(), message);
    }

    /// Begins and ends the goodbye when it is time. `reading`: it is not known whether the outbox
    /// has more.
    pub(super) async fn part(&mut self, c: &mut Connection, reading: bool) -> Option<End> {
        let now = Instant::now();
        if self.finishing.is_some() {
            if c.limits.is_none() && self.is_finishing(Drain::InFlight) {
                return Some(End::Done(Ended::Complete));
            }
            if c.limits.is_none() && self.finishing.as_ref().is_some_and(|f| f.deadline <= now) {
                return Some(End::Done(Ended::Incomplete));
            }
            self.begin_to_finish(c, reading, now);
        } else if c.looking.is_none() && c.index > 0 && c.limits.is_some() {
            self.begin_to_return(c, now);
        }
        let goodbye = c.goodbye.as_ref()?;
        let open = self.session.unanswered() > 0 || self.session.is_waiting(FROM_MEMORY);
        if open && now < goodbye.until {
            return None;
        }
        let then = goodbye.then;
        if open {
            let why = "the broker did not acknowledge in time".to_owned();
            self.status.send_modify(|s| s.last_loss = Some(why));
        }
        c.link.close(CLOSE).await;
        Some(match then {
            Then::Return => End::Return,
            Then::End(_) if open => End::Done(Ended::Incomplete),
            Then::End(ended) => End::Done(ended),
        })
    }

    fn begin_to_finish(&mut self, c: &mut Connection, reading: bool, now: Instant) {
        let ending = c.goodbye.as_ref().map(|goodbye| goodbye.then);
        if c.limits.is_none() || matches!(ending, Some(Then::End(_))) {
            return;
        }
        let undecided = self
            .suspicions
            .get(c.index)
            .is_some_and(Suspicion::is_undecided);
        let Some(finishing) = &mut self.finishing else {
            return;
        };
        let ended = match finishing.drain {
            Drain::InFlight => Ended::Complete,
            // What was just committed counts.
            Drain::Everything
                if !reading
                    && !undecided
                    && !self.more
                    && self.read_again_at.is_none()
                    && self.session.is_empty()
                    && self.recorder.is_idle()
                    && !self
                        .committed
                        .as_ref()
                        .is_some_and(|counts| counts.has_changed().unwrap_or(false)) =>
            {
                Ended::Complete
            }
            Drain::Everything if now >= finishing.goodbye_at => Ended::Incomplete,
            Drain::Everything => return,
        };
        finishing.drain = Drain::InFlight;
        let left = finishing.deadline.saturating_duration_since(now);
        let until = finishing.deadline - (left / 10).min(CLOSE);
        if let Some(last) = finishing.last.take() {
            self.push_direct(last);
        }
        c.goodbye = Some(Goodbye {
            until,
            then: Then::End(ended),
        });
    }

    /// Not when nothing happens to be in flight, which under a constant backlog is never: nothing
    /// more is sent here, so that the window empties.
    fn begin_to_return(&mut self, c: &mut Connection, now: Instant) {
        if c.goodbye.is_some() {
            return;
        }
        tracing::info!(broker = c.broker, "a broker before this one is back");
        // The retained "online" would stay on this broker.
        if let Some(offline) = self.config.will.as_ref().and_then(|make| make()) {
            self.push_direct(offline);
        }
        c.goodbye = Some(Goodbye {
            until: now + self.config.answer_timeout,
            then: Then::Return,
        });
    }

    /// When `part` has to look again though nothing happened.
    pub(super) fn wake_at(&self, c: &Connection) -> Option<Instant> {
        let finishing = self.finishing.as_ref().map(|f| match c.limits {
            Some(_) => f.goodbye_at,
            None => f.deadline,
        });
        match &c.goodbye {
            None => finishing,
            Some(goodbye) => match goodbye.then {
                Then::End(_) => Some(goodbye.until),
                Then::Return => Some(finishing.map_or(goodbye.until, |at| at.min(goodbye.until))),
            },
        }
    }

    /// Waits until a broker before this one takes a TCP connection; `None` where there is none
    /// before it. Asked more rarely each time: one that takes TCP and then refuses us must not draw
    /// us away again and again.
    pub(super) fn look_back(&mut self, index: usize) -> Option<Look> {
        let before: Vec<_> = self
            .config
            .brokers
            .iter()
            .take(index)
            .map(|b| (b.host.clone(), b.port))
            .collect();
        if before.is_empty() {
            return None;
        }
        let (wait, within) = (self.look_back.wait(), self.config.connect_timeout);
        Some(Box::pin(async move {
            loop {
                tokio::time::sleep(wait).await;
                for (host, port) in &before {
                    let tcp =
                        tokio::net::TcpStream::connect((host.trim_matches(['[', ']']), *port));
                    if matches!(tokio::time::timeout(within, tcp).await, Ok(Ok(_))) {
                        return;
                    }
                }
            }
        }))
    }
}
