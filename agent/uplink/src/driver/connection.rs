//! One connection, from its start to its end: waits for whatever happens next, and deals with it.

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;

use kakou_contract::Priority;
use tokio::time::Instant;

use super::feed::{Fetch, poll_fetch};
use super::goodbye::{Goodbye, Look, poll_look};
use super::{Driver, End, PROBE_EVERY, Up, sleep_until};
use crate::config::COMMANDS_OPEN;
use crate::link::{
    Acknowledged, Link, LinkEvent, LinkOptions, Loss, LossKind, PacketLimits, Receipt,
};
use crate::message::Received;
use crate::status::LinkState;
use crate::store::{Store, StoreError};

/// What is not granted for the moment is asked for again after this: a leader is elected in less.
const SUBSCRIBE_AGAIN: Duration = Duration::from_secs(5);

/// What one link adds to the session.
pub(super) struct Connection {
    pub(super) link: Link,
    pub(super) broker: String,
    /// Which of the brokers it is.
    pub(super) index: usize,
    /// None until the broker accepted us.
    pub(super) limits: Option<PacketLimits>,
    /// The subscription to commands was sent and not answered; until when an answer is waited for.
    pub(super) subscribing: Option<Instant>,
    /// The broker did not grant it for the moment; it is asked again then.
    subscribe_again: Option<Instant>,
    /// How many of the filters asked for are of commands and lists.
    commands_asked: usize,
    /// Commands that wait for room in the agent's queue. The broker keeps what is not acknowledged.
    pub(super) commands: VecDeque<(Received, Option<Receipt>)>,
    /// Nothing but hits is handed over until then: the cap, or the broker's wish.
    pub(super) rest_until: Option<Instant>,
    /// Nor hits: the broker did not take one.
    pub(super) hits_rest_until: Option<Instant>,
    /// Looks whether a broker before this one is back.
    pub(super) looking: Option<Look>,
    /// This connection is about to be ended in good order.
    pub(super) goodbye: Option<Goodbye>,
}

impl<S: Store> Driver<S> {
    /// One connection to this broker. `up` is what the caller has to know of it at its end.
    pub(super) async fn connection(&mut self, index: usize, up: &mut Up) -> End {
        let options = match self.link_options(index).await {
            Ok(options) => options,
            Err(loss) => return End::Lost(loss),
        };
        if !matches!(
            self.status.borrow().state,
            LinkState::Refused(_) | LinkState::Tls(_) | LinkState::Unreachable(_)
        ) {
            self.status.send_modify(|s| s.state = LinkState::Connecting);
        }
        let mut c = Connection {
            link: Link::open(&options),
            broker: self.broker_name(index),
            index,
            limits: None,
            subscribing: None,
            subscribe_again: None,
            commands_asked: 0,
            commands: VecDeque::new(),
            rest_until: None,
            hits_rest_until: None,
            looking: self.look_back(index),
            goodbye: None,
        };
        let end = self.attend(&mut c).await;
        *up = Up {
            up: c.limits.is_some(),
            subscribing: c.subscribing.is_some(),
        };
        end
    }

    /// Certificates, passwords and the authorities of the machine are files: they are read on a
    /// thread that may wait for the disk.
    async fn link_options(&mut self, index: usize) -> Result<LinkOptions, Loss> {
        let Some(address) = self.config.brokers.get(index).cloned() else {
            return Err(Loss::new("no broker is configured"));
        };
        let config = self.config.clone();
        let habits = self.habits.get(index).copied().unwrap_or_default();
        let reading = tokio::task::spawn_blocking(move || config.link(address, habits));
        match tokio::time::timeout(self.config.connect_timeout, reading).await {
            Ok(Ok(options)) => options.map_err(Loss::tls),
            Ok(Err(e)) => Err(Loss::new(format!("reading certificates and password: {e}"))),
            Err(_) => Err(Loss::new(
                "certificates and password could not be read in time",
            )),
        }
    }

    /// Until the connection ends.
    async fn attend(&mut self, c: &mut Connection) -> End {
        let mut fetching: Option<Fetch> = None;
        let commands = self.commands.clone();
        loop {
            if let Some(wait) = self.hand_over(c) {
                c.rest_until = Some(c.rest_until.map_or(wait, |p| p.max(wait)));
            }
            if fetching.is_none() && c.limits.is_some() && c.goodbye.is_none() {
                fetching = self.fetch();
            }
            if let Some(end) = self.part(c, fetching.is_some()).await {
                return end;
            }
            if c.goodbye.is_some() {
                // The last message came in just now.
                self.hand_over(c);
            }
            let overdue = self.answers.overdue(self.session.largest_unanswered());
            let (rest_until, hits_rest_until) = (c.rest_until, c.hits_rest_until);
            let wake_at = self.wake_at(c);
            let (read_again_at, subscribing) = (self.read_again_at, c.subscribing);
            let subscribe_again = c.subscribe_again;
            let has_commands = !c.commands.is_empty();
            tokio::select! {
                event = c.link.event() => {
                    let handled = match event {
                        Ok(event) => self.handle(c, event),
                        Err(loss) => Err(End::Lost(loss)),
                    };
                    if let Err(end) = handled {
                        return end;
                    }
                }
                read = poll_fetch(&mut fetching), if fetching.is_some() => {
                    fetching = None;
                    self.read(c, read);
                }
                told = self.recorder.progress() => self.told(told),
                counts = committed(&mut self.committed) => self.commits(counts),
                room = commands.reserve(), if has_commands => {
                    // Where nobody listens any more it is not acknowledged: the broker keeps it.
                    if let (Ok(room), Some((command, receipt))) = (room, c.commands.pop_front()) {
                        room.send(command);
                        self.receipt(c, receipt);
                    }
                }
                order = self.orders.recv(), if self.finishing.is_none() => {
                    self.order(order, c.limits.is_some());
                }
                () = sleep_until(overdue), if overdue.is_some() => {
                    let waited = self.answers.waited(Instant::now());
                    let why = format!("no acknowledgement for {waited:?} with messages in flight");
                    return End::Lost(Loss::new(why));
                }
                () = sleep_until(rest_until), if rest_until.is_some() => c.rest_until = None,
                () = sleep_until(hits_rest_until), if hits_rest_until.is_some() => c.hits_rest_until = None,
                () = sleep_until(read_again_at), if read_again_at.is_some() => self.read_again_at = None,
                () = sleep_until(wake_at), if wake_at.is_some() => {}
                () = sleep_until(subscribing), if subscribing.is_some() => {
                    tracing::warn!(broker = c.broker, "the subscription to commands is not answered");
                    c.subscribing = None;
                }
                () = sleep_until(subscribe_again), if subscribe_again.is_some() => {
                    c.subscribe_again = None;
                    self.subscribe(c);
                }
                () = poll_look(&mut c.looking), if c.looking.is_some() && c.limits.is_some() => c.looking = None,
                () = tokio::time::sleep_until(self.next_probe), if c.limits.is_some() => {
                    self.next_probe = Instant::now() + PROBE_EVERY;
                    self.probe(c);
                }
            }
        }
    }

    fn handle(&mut self, c: &mut Connection, event: LinkEvent) -> Result<(), End> {
        match event {
            LinkEvent::Up(limits) if !limits.at_least_once => {
                return Err(End::Lost(Loss::new(
                    "the broker offers QoS 0 only, which loses messages",
                )));
            }
            LinkEvent::Up(limits) => self.up(c, limits),
            LinkEvent::Sent(id) => {
                if !self.session.sent(id) {
                    let why = format!("packet id {id} went out twice");
                    return Err(End::Lost(Loss::new(why)));
                }
                let open = self.session.open_bytes();
                self.answers.sent(Instant::now(), id, open);
            }
            LinkEvent::Acked(id, reason) => self.acked(c, id, reason),
            LinkEvent::Message(received, receipt) if self.is_of_twin(&received.topic) => {
                self.receipt(c, receipt);
                return self.heard_of_twin(&received.payload);
            }
            LinkEvent::Message(received, receipt) => {
                if receipt.is_none() && c.commands.len() >= usize::from(COMMANDS_OPEN) {
                    // Without an acknowledgement there is nothing to hold the sender back with.
                    tracing::warn!(
                        topic = received.topic,
                        "a command sent with QoS 0 is dropped: too many wait"
                    );
                } else {
                    c.commands.push_back((received, receipt));
                }
            }
            LinkEvent::Subscribed(mut answers) => {
                c.subscribing = None;
                // Whether a twin may be heard of is no matter of commands.
                answers.truncate(c.commands_asked);
                if let Some(suspicion) = self.suspicions.get_mut(c.index) {
                    suspicion.subscribed();
                }
                self.status
                    .send_modify(|s| s.listening = answers.iter().all(Result::is_ok));
                for refusal in answers.into_iter().filter_map(Result::err) {
                    let why = refusal.why;
                    if refusal.may_pass_later {
                        c.subscribe_again = Some(Instant::now() + SUBSCRIBE_AGAIN);
                        tracing::warn!(
                            broker = c.broker,
                            "commands are not heard yet, the subscription is sent again: {why}"
                        );
                        continue;
                    }
                    tracing::error!(
                        broker = c.broker,
                        "the broker does not let this agent hear commands: {why}"
                    );
                }
            }
            LinkEvent::Disconnecting | LinkEvent::SentOther | LinkEvent::Other => {}
        }
        Ok(())
    }

    fn is_of_twin(&self, topic: &str) -> bool {
        self.config.twin.as_ref().is_some_and(|t| t.topic == topic)
    }

    /// Somebody spoke on our own status topic.
    fn heard_of_twin(&mut self, payload: &[u8]) -> Result<(), End> {
        let watch = self.config.twin.as_ref();
        let Some(twin) = watch.and_then(|watch| (watch.look)(payload)) else {
            return Ok(());
        };
        // Where nothing of ours ever arrived, it may be what an earlier run of our own left there.
        if twin.is_gone && self.status.borrow().acked == 0 {
            return Ok(());
        }
        let id = &self.config.client_id;
        let who = &twin.who;
        if !twin.is_older {
            if self.younger.as_ref() != Some(&twin) {
                tracing::error!(
                    "another box is connected as {id}: {who}; it started later and is to stand back"
                );
                self.younger = Some(twin);
            }
            return Ok(());
        }
        let why = format!(
            "another box is connected as {id}: {who}; this one started later and stands back: give \
             each its own `agent`, and its own key"
        );
        self.elder = Some(twin);
        Err(End::Lost(Loss {
            kind: LossKind::TakenOver,
            ..Loss::new(why)
        }))
    }

    fn receipt(&self, c: &Connection, receipt: Option<Receipt>) {
        if let Some(receipt) = receipt
            && c.link.acknowledge(receipt) != Acknowledged::Queued
        {
            // The link has failed; the broker sends the command again, and its id shows the repeat.
            tracing::debug!(broker = c.broker, "a command could not be acknowledged");
        }
    }

    fn up(&mut self, c: &mut Connection, limits: PacketLimits) {
        tracing::info!(
            broker = c.broker,
            receive_max = limits.receive_max,
            "connected"
        );
        let max_packet = limits.max_packet.min(self.config.max_packet as usize);
        c.limits = Some(PacketLimits {
            max_packet,
            ..limits
        });
        self.session.connected(limits.receive_max);
        self.pace.start(Instant::now());
        self.session.set_byte_window(self.pace.window());
        self.subscribe(c);
        let connected_since = Some(self.clock.wall());
        self.status.send_modify(|s| {
            s.connected = true;
            s.state = LinkState::Connected;
            s.broker = Some(c.broker.clone());
            s.connections += 1;
            s.connected_since = connected_since;
        });
    }

    /// Unless the broker closed the connection over it lately.
    fn subscribe(&mut self, c: &mut Connection) {
        let Some(filter) = &self.config.commands else {
            return;
        };
        if self.subscribe_after.is_some_and(|at| at > Instant::now()) {
            return;
        }
        let answer_by = Instant::now() + self.config.answer_timeout;
        let filters: Vec<String> = std::iter::once(filter)
            .chain(&self.config.lists)
            .cloned()
            .collect();
        // Only where there is a twin: it is a right that a broker need not give.
        let twin = self.config.twin.as_ref().filter(|_| self.fears_a_twin());
        let sent = c
            .link
            .subscribe_with(&filters, twin.map(|twin| twin.topic.as_str()));
        c.commands_asked = filters.len();
        c.subscribing = sent.then_some(answer_by);
        if !sent {
            tracing::warn!(
                broker = c.broker,
                "the subscription to commands was not sent"
            );
        }
    }

    fn commits(&mut self, counts: Option<[u64; 4]>) {
        let Some(counts) = counts else {
            self.committed = None;
            return self.store_fault(&StoreError::Gone("it is closed".to_owned()));
        };
        let hits = counts[Priority::Hit.index()];
        self.more_hits |= hits != self.seen_hits;
        self.seen_hits = hits;
        self.more = true;
    }
}

/// The new counts; `None` once when the store is closed, and never again.
async fn committed(
    watched: &mut Option<tokio::sync::watch::Receiver<[u64; 4]>>,
) -> Option<[u64; 4]> {
    match watched {
        Some(watched) => {
            watched.changed().await.ok()?;
            Some(*watched.borrow_and_update())
        }
        None => std::future::pending().await,
    }
}

/// A future that is kept over many turns of the loop.
pub(super) type Kept<T> = Pin<Box<dyn Future<Output = T> + Send>>;
