//! The task behind a publisher: feeds the session, one link after the other.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::backoff::Backoff;
use super::client::{Queued, Refusal, Status};
use super::link::{Limits, Link, LinkEvent, LinkOptions, Loss};
use super::session::{AckReason, Session, Verdict};

/// How many refusals are kept word by word; the rest is counted.
const REFUSALS_KEPT: usize = 8;

pub(super) struct Driver {
    options: LinkOptions,
    broker: String,
    session: Session<Queued>,
    queue: mpsc::Receiver<Queued>,
    /// False once the publisher takes no more messages.
    queue_open: bool,
    status: watch::Sender<Status>,
    answer_timeout: Duration,
    reconnect: Backoff,
    retry: Backoff,
}

/// How one link came to its end.
enum End {
    /// Everything is acknowledged and nothing more will come.
    Done,
    Lost(Loss),
}

/// What one link adds to the session.
struct Connection {
    link: Link,
    /// None until the broker accepted us.
    limits: Option<Limits>,
    /// When the broker last gave a sign of life.
    heard: Instant,
    /// The broker asked for a pause.
    pause_until: Option<Instant>,
}

impl Driver {
    pub(super) fn new(
        options: LinkOptions,
        queue: mpsc::Receiver<Queued>,
        status: watch::Sender<Status>,
        answer_timeout: Duration,
        backoff: Backoff,
    ) -> Self {
        Self {
            broker: options.address.to_string(),
            session: Session::new(options.window),
            options,
            queue,
            queue_open: true,
            status,
            answer_timeout,
            reconnect: backoff.clone(),
            retry: backoff,
        }
    }

    pub(super) async fn run(mut self) {
        while let End::Lost(loss) = self.connection().await {
            if let Some(culprit) = self.session.lost(loss.blames_message) {
                self.refused(&culprit, format!("the broker closed the connection over it: {}", loss.why));
            }
            self.status.send_modify(|status| {
                status.connected = false;
                status.last_loss = Some(loss.why.clone());
            });
            let wait = self.reconnect.wait();
            tracing::warn!(
                broker = self.broker, unacknowledged = self.session.len(), retry_in = ?wait,
                "no connection: {}", loss.why
            );
            tokio::time::sleep(wait).await;
        }
        self.status.send_modify(|status| status.connected = false);
    }

    /// One link, from its start to its end.
    async fn connection(&mut self) -> End {
        let mut connection =
            Connection { link: Link::open(&self.options), limits: None, heard: Instant::now(), pause_until: None };
        loop {
            self.hand_over(&mut connection);
            if !self.queue_open && self.session.is_empty() {
                // A publisher that sent nothing need not have reached the broker.
                if connection.limits.is_some() {
                    connection.link.close().await;
                }
                return End::Done;
            }
            let overdue = connection.heard + self.answer_timeout;
            let pause_until = connection.pause_until;
            tokio::select! {
                event = connection.link.event() => {
                    let handled = match event {
                        Ok(event) => self.handle(&mut connection, event),
                        Err(loss) => Err(loss),
                    };
                    if let Err(loss) = handled {
                        return End::Lost(loss);
                    }
                }
                // The session holds a window at most; what is more stays in the queue, which is bounded.
                queued = self.queue.recv(),
                    if self.queue_open && self.session.len() < usize::from(self.options.window) =>
                {
                    match queued {
                        Some(queued) => self.session.push(queued),
                        None => self.queue_open = false,
                    }
                }
                () = tokio::time::sleep_until(overdue), if self.session.unanswered() > 0 => {
                    let why = format!("no answer for {:?} with messages in flight", self.answer_timeout);
                    return End::Lost(Loss::new(why));
                }
                () = sleep_until(pause_until), if pause_until.is_some() => connection.pause_until = None,
            }
        }
    }

    /// Gives the link what the window allows.
    fn hand_over(&mut self, connection: &mut Connection) {
        let Some(limits) = connection.limits.filter(|_| connection.pause_until.is_none()) else {
            return;
        };
        if self.session.unanswered() == 0 {
            // Nothing was due while nothing was in flight.
            connection.heard = Instant::now();
        }
        while let Some(Queued { message, .. }) = self.session.next() {
            let fault = if message.size() > limits.max_packet {
                format!("{} bytes as a packet, the broker takes {}", message.size(), limits.max_packet)
            } else if message.retain() && !limits.retain {
                "the broker keeps no retained messages".to_owned()
            } else if connection.link.publish(message) {
                self.session.hand_over();
                continue;
            } else {
                // The link has failed; its next event tells why.
                return;
            };
            if let Some(queued) = self.session.set_aside() {
                self.refused(&queued, fault);
            }
        }
    }

    fn handle(&mut self, connection: &mut Connection, event: LinkEvent) -> Result<(), Loss> {
        // Only what the broker sent shows that it is there.
        if !matches!(event, LinkEvent::Sent(_)) {
            connection.heard = Instant::now();
        }
        match event {
            LinkEvent::Up(limits) if !limits.at_least_once => {
                return Err(Loss::new("the broker offers QoS 0 only, which loses messages"));
            }
            LinkEvent::Up(limits) => {
                tracing::info!(broker = self.broker, "connected");
                connection.limits = Some(limits);
                self.session.connected(limits.receive_max);
                self.status.send_modify(|status| {
                    status.connected = true;
                    status.connections += 1;
                });
            }
            LinkEvent::Sent(id) => {
                let taken = self.session.sent(id).then_some(());
                return taken.ok_or_else(|| Loss::new(format!("packet id {id} went out twice")));
            }
            LinkEvent::Acked(id, reason) => match self.session.acked(id, reason) {
                Verdict::Delivered(_, reason) => {
                    // A connection that delivers is a good one; one that is merely accepted may not be.
                    self.reconnect.reset();
                    self.retry.reset();
                    self.status.send_modify(|status| {
                        status.acked += 1;
                        status.unheard += u64::from(reason == AckReason::NoSubscribers);
                    });
                }
                Verdict::Again(reason) => {
                    let wait = self.retry.wait();
                    tracing::warn!(broker = self.broker, retry_in = ?wait, "not taken: {reason}");
                    connection.pause_until = Some(Instant::now() + wait);
                    self.status.send_modify(|status| status.last_loss = Some(reason.to_string()));
                }
                Verdict::Refused(queued, reason) => self.refused(&queued, reason.to_string()),
                Verdict::Unknown => {
                    tracing::warn!(broker = self.broker, id, "unknown acknowledgement")
                }
            },
            _ => {}
        }
        Ok(())
    }

    fn refused(&self, queued: &Queued, why: String) {
        let topic = queued.message.topic().to_owned();
        tracing::error!(broker = self.broker, topic, "message refused: {why}");
        self.status.send_modify(|status| {
            status.refused += 1;
            if status.refusals.len() < REFUSALS_KEPT {
                status.refusals.push(Refusal { topic, why });
            }
        });
    }
}

async fn sleep_until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
