//! The task behind the uplink: one link after the other, over the list of brokers. `sending` reads the outbox and feeds
//! the session.

mod sending;

use std::collections::{BTreeSet, HashMap};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use kakou_contract::{Held, Priority};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::backoff::Backoff;
use super::link::{Limits, Link, LinkEvent, LinkOptions, Loss, Prepared};
use super::message::{Outgoing, Received};
use super::pace::{Cap, Pace};
use super::session::Session;
use super::store::{Store, StoreError};
use super::uplink::{Drain, LinkState, Status, UplinkConfig};
use kakou_contract::{Committed, Cursor};

/// Read ahead of the window.
const AHEAD_BYTES: usize = 4 << 20;
/// How often messages that the broker refused for lack of permission are tried again.
const PROBE_EVERY: Duration = Duration::from_secs(300);
const PROBE_MESSAGES: usize = 16;
/// A connection that delivered nothing is a good one if it lasted for so long.
const LASTED: Duration = Duration::from_secs(60);
/// A hit that the broker did not take now is tried again after no more than this.
const HITS_AGAIN: Duration = Duration::from_secs(2);
/// The slowest link that is waited for, in bytes a second.
const SLOWEST: f64 = 8192.0;
/// The lane of what comes from memory: before all others.
const DIRECT: usize = 0;

/// What the owner tells the task.
pub(super) enum Order {
    Direct(Box<Outgoing>),
    Finish {
        drain: Drain,
        last: Option<Box<Outgoing>>,
    },
}

/// Until a broker before this one takes connections again.
type Look = Pin<Box<dyn Future<Output = ()> + Send>>;
type Fetch = Pin<Box<dyn Future<Output = Result<Vec<Committed>, StoreError>> + Send>>;

/// A message in the window.
#[derive(Debug)]
struct Sending {
    /// `None`: from memory, the outbox knows nothing of it.
    sequence: Option<u64>,
    hit: bool,
    captured_ms: Option<i64>,
    outgoing: Outgoing,
}

pub(super) struct Driver<S> {
    config: UplinkConfig,
    store: Arc<S>,
    session: Session<Sending>,
    cursor: Cursor,
    committed: watch::Receiver<[u64; 4]>,
    seen_hits: u64,
    /// Whether the outbox may have more than was read.
    more: bool,
    /// Whether a hit may be there that was not read.
    more_hits: bool,
    orders: mpsc::Receiver<Order>,
    commands: mpsc::Sender<Received>,
    status: watch::Sender<Status>,
    finishing: Option<(Drain, Option<Box<Outgoing>>)>,
    directs: u64,
    /// Which of the brokers is tried next.
    next_broker: usize,
    reconnect: Backoff,
    retry: Backoff,
    /// Of hits that a broker takes later: it stays short.
    retry_hits: Backoff,
    /// Until a broker before the one in use is looked for.
    look_back: Backoff,
    pace: Pace,
    /// When each packet id that is not answered went out.
    sent_at: HashMap<u16, Instant>,
    cap: Option<Cap>,
    refused_topics: BTreeSet<String>,
    /// When what was not permitted is tried again. Not on every connection: a broker may close it over each refusal.
    next_probe: Instant,
}

enum End {
    Done,
    Lost(Loss),
    /// A broker before this one in the list is back, and nothing is on its way.
    Return,
    /// The outbox cannot be read any more.
    Store(StoreError),
}

/// What one link adds to the session.
struct Connection {
    link: Link,
    broker: String,
    /// None until the broker accepted us.
    limits: Option<Limits>,
    heard: Instant,
    /// Nothing but hits is handed over until then: the cap, or the broker's wish.
    rest_until: Option<Instant>,
    /// Nor hits: the broker did not take one.
    hits_rest_until: Option<Instant>,
    /// Looks whether a broker before this one is back.
    looking: Option<Look>,
}

impl<S: Store> Driver<S> {
    pub(super) fn new(
        config: UplinkConfig,
        store: Arc<S>,
        orders: mpsc::Receiver<Order>,
        commands: mpsc::Sender<Received>,
        status: watch::Sender<Status>,
    ) -> Self {
        let backoff = Backoff::new(config.backoff_first, config.backoff_most);
        Self {
            session: Session::new(config.window, config.window_bytes),
            cursor: Cursor::default(),
            committed: store.committed(),
            seen_hits: 0,
            more: true,
            more_hits: false,
            orders,
            commands,
            status,
            finishing: None,
            directs: 0,
            next_broker: 0,
            reconnect: backoff.clone(),
            retry_hits: Backoff::new(config.backoff_first, config.backoff_most.min(HITS_AGAIN)),
            look_back: Backoff::new(config.return_after, config.return_after * 12),
            retry: backoff,
            pace: Pace::new(config.window_bytes),
            sent_at: HashMap::new(),
            cap: config.bandwidth.map(Cap::new),
            refused_topics: BTreeSet::new(),
            next_probe: Instant::now(),
            store,
            config,
        }
    }

    pub(super) async fn run(mut self) {
        loop {
            let index = self.next_broker;
            let (began, acked) = (Instant::now(), self.status.borrow().acked);
            let loss = match self.connection(index).await {
                End::Done => break,
                End::Store(e) => {
                    tracing::error!("{e}");
                    self.status
                        .send_modify(|s| s.state = LinkState::Stopped(e.to_string()));
                    return;
                }
                End::Return => {
                    self.down(&Loss::new("a broker before this one is back"))
                        .await;
                    self.next_broker = 0;
                    continue;
                }
                End::Lost(loss) => loss,
            };
            let was_up = self.status.borrow().connected;
            self.down(&loss).await;
            // One that is let in and loses the connection again, or never acknowledges, is as good as one that is away.
            let was_good =
                was_up && (self.status.borrow().acked > acked || began.elapsed() >= LASTED);
            if was_good && index == 0 {
                self.look_back.reset();
            }
            // After the loss of a good one the first broker is tried first; after a failed try the next one.
            self.next_broker = if was_good {
                0
            } else {
                (index + 1) % self.config.brokers.len().max(1)
            };
            let broker = self.broker_name(index);
            self.tell_state(loss.state(), &broker);
            if self
                .finishing
                .as_ref()
                .is_some_and(|(drain, _)| *drain == Drain::InFlight)
                && self.session.is_empty()
            {
                break;
            }
            // A round through all of them, then a pause; a connection that was lost at once is such a round too.
            if self.next_broker == 0 {
                let wait = self.reconnect.wait();
                tracing::info!(broker, retry_in = ?wait, "trying again");
                let until = Instant::now() + wait;
                while Instant::now() < until {
                    tokio::select! {
                        () = tokio::time::sleep_until(until) => {}
                        order = self.orders.recv(), if self.finishing.is_none() => self.order(order, false),
                    }
                    if self
                        .finishing
                        .as_ref()
                        .is_some_and(|(drain, _)| *drain == Drain::InFlight)
                    {
                        self.stopped();
                        return;
                    }
                }
            }
        }
        self.stopped();
    }

    async fn down(&mut self, loss: &Loss) {
        self.forget(loss).await;
        self.status.send_modify(|s| {
            s.connected = false;
            s.listening = false;
            s.connected_since = None;
            s.last_loss = Some(loss.why.clone());
        });
    }

    fn stopped(&self) {
        self.status.send_modify(|s| {
            s.connected = false;
            s.state = LinkState::Stopped("finished".to_owned());
        });
    }

    fn broker_name(&self, index: usize) -> String {
        self.config
            .brokers
            .get(index)
            .map(ToString::to_string)
            .unwrap_or_default()
    }

    /// ERROR once per change where an operator is needed, WARN where it will heal by itself.
    fn tell_state(&self, state: LinkState, broker: &str) {
        let changed = self.status.borrow().state != state;
        if changed {
            match &state {
                LinkState::Refused(why) | LinkState::Tls(why) => tracing::error!(broker, "{why}"),
                LinkState::Unreachable(why) => tracing::warn!(broker, "no connection: {why}"),
                _ => {}
            }
            self.status.send_modify(|s| s.state = state);
        }
    }

    /// The window is forgotten; what is not acknowledged is read again once what was said is in the database.
    async fn forget(&mut self, loss: &Loss) {
        if let Some((_, culprit)) = self.session.lost(loss.blames_message) {
            let why = format!("the broker closed the connection over it: {}", loss.why);
            self.hold(culprit, Held::Refused, why).await;
        }
        if let Err(e) = self.store.settle().await {
            tracing::warn!("{e}");
        }
        self.cursor = Cursor::default();
        self.more = true;
    }

    fn order(&mut self, order: Option<Order>, up: bool) {
        match order {
            Some(Order::Direct(outgoing)) => {
                // From memory, so only over a connection that is there.
                if up {
                    self.directs += 1;
                    let bytes = outgoing.payload.len();
                    let sending = Sending {
                        sequence: None,
                        hit: true,
                        captured_ms: None,
                        outgoing: *outgoing,
                    };
                    self.session.push((DIRECT, self.directs), bytes, sending);
                }
            }
            Some(Order::Finish { drain, last }) => self.finishing = Some((drain, last)),
            // The owner is gone without a word: as if it had asked to stop at once.
            None => self.finishing = self.finishing.take().or(Some((Drain::InFlight, None))),
        }
    }

    /// One link, from its start to its end.
    async fn connection(&mut self, index: usize) -> End {
        let Some(address) = self.config.brokers.get(index).cloned() else {
            return End::Lost(Loss::new("no broker is configured"));
        };
        let broker = address.to_string();
        let options = match self.config.link(address) {
            Ok(options) => options,
            Err(why) => return End::Lost(Loss::tls(why)),
        };
        if !matches!(
            self.status.borrow().state,
            LinkState::Refused(_) | LinkState::Tls(_) | LinkState::Unreachable(_)
        ) {
            self.status.send_modify(|s| s.state = LinkState::Connecting);
        }
        let now = Instant::now();
        let mut c = Connection {
            link: Link::open(&options),
            broker,
            limits: None,
            heard: now,
            rest_until: None,
            hits_rest_until: None,
            looking: self.look_back(index),
        };
        let mut fetching: Option<Fetch> = None;
        loop {
            if let Some(wait) = self.hand_over(&mut c).await {
                c.rest_until = Some(c.rest_until.map_or(wait, |p| p.max(wait)));
            }
            if fetching.is_none() && c.limits.is_some() {
                fetching = self.fetch();
            }
            // While a read is on its way it is not known whether there is more.
            if fetching.is_none()
                && let Some(end) = self.end_of(&mut c).await
            {
                return end;
            }
            if c.looking.is_none()
                && index > 0
                && self.session.unanswered() == 0
                && self.finishing.is_none()
            {
                tracing::info!(broker = c.broker, "a broker before this one is back");
                c.link.close().await;
                return End::Return;
            }
            // A large picture takes its time on a slow link.
            let slow = Duration::from_secs_f64(self.session.largest_unanswered() as f64 / SLOWEST);
            let overdue = c.heard + self.config.answer_timeout + slow;
            let (rest_until, hits_rest_until) = (c.rest_until, c.hits_rest_until);
            tokio::select! {
                event = c.link.event() => {
                    let handled = match event {
                        Ok(event) => self.handle(&mut c, event).await,
                        Err(loss) => Err(End::Lost(loss)),
                    };
                    if let Err(end) = handled {
                        return end;
                    }
                }
                read = poll_fetch(&mut fetching), if fetching.is_some() => {
                    fetching = None;
                    match read {
                        Ok(all) => self.take(all),
                        Err(e) => return End::Store(e),
                    }
                }
                changed = self.committed.changed() => {
                    if changed.is_err() {
                        return End::Store(StoreError("closed".to_owned()));
                    }
                    let hits = self.committed.borrow_and_update()[Priority::Hit.index()];
                    self.more_hits |= hits != self.seen_hits;
                    self.seen_hits = hits;
                    self.more = true;
                }
                order = self.orders.recv(), if self.finishing.is_none() => self.order(order, c.limits.is_some()),
                () = tokio::time::sleep_until(overdue), if self.session.unanswered() > 0 => {
                    let why = format!("no answer for {:?} with messages in flight", c.heard.elapsed());
                    return End::Lost(Loss::new(why));
                }
                () = sleep_until(rest_until), if rest_until.is_some() => c.rest_until = None,
                () = sleep_until(hits_rest_until), if hits_rest_until.is_some() => c.hits_rest_until = None,
                () = poll_look(&mut c.looking), if c.looking.is_some() && c.limits.is_some() => c.looking = None,
                () = tokio::time::sleep_until(self.next_probe), if c.limits.is_some() => {
                    self.next_probe = Instant::now() + PROBE_EVERY;
                    self.probe(PROBE_MESSAGES).await;
                }
            }
        }
    }

    /// Waits until a broker before this one takes a TCP connection; `None` where there is none before it. Asked more
    /// rarely each time: one that takes TCP and then refuses us must not draw us away again and again.
    fn look_back(&mut self, index: usize) -> Option<Look> {
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

    /// Whether there is nothing left to do on this link.
    async fn end_of(&mut self, c: &mut Connection) -> Option<End> {
        let (drain, _) = self.finishing.as_ref()?;
        let done = match drain {
            // Before the broker accepted us it is not known whether the outbox is empty.
            // What was just committed counts.
            Drain::Everything => {
                c.limits.is_some()
                    && !self.more
                    && self.session.is_empty()
                    && !self.committed.has_changed().unwrap_or(false)
            }
            Drain::InFlight => self.session.unanswered() == 0,
        };
        if !done {
            return None;
        }
        if let Some((_, Some(last))) = self.finishing.take()
            && c.limits.is_some()
        {
            let prepared = Prepared::new(*last);
            if c.link.publish(&prepared) {
                let answered = async {
                    while let Ok(event) = c.link.event().await {
                        if matches!(event, LinkEvent::Acked(..)) {
                            break;
                        }
                    }
                };
                // Best effort: the last will says nearly the same.
                let _ = tokio::time::timeout(Duration::from_secs(2), answered).await;
            }
        }
        if c.limits.is_some() {
            c.link.close().await;
        }
        Some(End::Done)
    }

    async fn handle(&mut self, c: &mut Connection, event: LinkEvent) -> Result<(), End> {
        // Only what the broker sent shows that it is there.
        if !matches!(
            event,
            LinkEvent::Sent(_) | LinkEvent::SentOther | LinkEvent::Disconnecting
        ) {
            c.heard = Instant::now();
        }
        match event {
            LinkEvent::Up(limits) if !limits.at_least_once => {
                return Err(End::Lost(Loss::new(
                    "the broker offers QoS 0 only, which loses messages",
                )));
            }
            LinkEvent::Up(limits) => self.up(c, limits).await,
            LinkEvent::Sent(id) => {
                if !self.session.sent(id) {
                    return Err(End::Lost(Loss::new(format!(
                        "packet id {id} went out twice"
                    ))));
                }
                self.sent_at.insert(id, Instant::now());
            }
            LinkEvent::Acked(id, reason) => self.acked(c, id, reason).await?,
            LinkEvent::Message(received) => {
                // A platform that asks faster than the agent answers asks again.
                if let Err(e) = self.commands.try_send(received) {
                    tracing::warn!("a command was not taken: {e}");
                }
            }
            LinkEvent::Subscribed(answers) => {
                self.status
                    .send_modify(|s| s.listening = answers.iter().all(Result::is_ok));
                for why in answers.into_iter().filter_map(Result::err) {
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

    async fn up(&mut self, c: &mut Connection, limits: Limits) {
        tracing::info!(
            broker = c.broker,
            receive_max = limits.receive_max,
            "connected"
        );
        c.limits = Some(limits);
        self.session.connected(limits.receive_max);
        self.sent_at.clear();
        self.pace.start(Instant::now());
        self.session.set_byte_window(self.pace.window());
        if let Some(filter) = &self.config.commands
            && !c.link.subscribe(std::slice::from_ref(filter))
        {
            tracing::warn!(
                broker = c.broker,
                "the subscription to commands was not sent"
            );
        }
        self.status.send_modify(|s| {
            s.connected = true;
            s.state = LinkState::Connected;
            s.broker = Some(c.broker.clone());
            s.connections += 1;
            s.connected_since = Some(chrono::Local::now().fixed_offset());
        });
    }
}

async fn poll_fetch(fetching: &mut Option<Fetch>) -> Result<Vec<Committed>, StoreError> {
    match fetching {
        Some(fetch) => fetch.as_mut().await,
        None => std::future::pending().await,
    }
}

async fn poll_look(looking: &mut Option<Look>) {
    match looking {
        Some(look) => look.as_mut().await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

impl UplinkConfig {
    /// What a link to this broker needs; secrets are read anew each time, so that a renewed one is used.
    fn link(&self, address: super::address::BrokerAddress) -> Result<LinkOptions, String> {
        let tls = match (&address.tls, &self.tls) {
            (false, _) => None,
            (true, tls) => Some(tls.client_config().map_err(|e| e.to_string())?),
        };
        let mut address = address;
        if address.user.is_none()
            && let Some(login) = &self.login
        {
            address.user = Some(login.user().map_err(|e| e.to_string())?);
        }
        Ok(LinkOptions {
            address,
            client_id: self.client_id.clone(),
            keep_alive: self.keep_alive,
            connect_timeout: self.connect_timeout,
            max_packet: self.max_packet,
            window: self.window,
            keep_session: self.commands.as_ref().map(|_| self.session_expiry),
            tls,
            will: self.will.as_ref().map(|make| make()),
        })
    }
}
