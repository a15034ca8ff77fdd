//! The task behind the uplink. It never ends by itself: [`Driver::run`] loops round one connection
//! after the other, over the list of brokers, logs why each ended, waits, and begins the next.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `connection` | one connection: waits for whatever happens next, and deals with it |
//! | `window` | out of the session into the link, and what each acknowledgement means |
//! | `feed` | from the outbox into the session |
//! | `recorder` | what the outbox is told: acknowledged, set aside, released |
//! | `losses` | what the end of a connection says about messages |
//! | `goodbye` | the ordered end: of the uplink, and of the time with a fallback broker |
//! | `caught` | a panic becomes an error |

mod caught;
mod connection;
mod feed;
mod goodbye;
mod losses;
mod recorder;
mod window;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kakou_contract::Cursor;
use kakou_time::SharedClock;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::answer_clock::AnswerClock;
use super::backoff::Backoff;
use super::config::UplinkConfig;
use super::in_flight::InFlight;
use super::link::{Habits, Loss, LossKind};
use super::message::Received;
use super::order::{Drain, Order};
use super::pace::{Cap, Pace};
use super::session::Session;
use super::status::{LinkState, Status};
use super::store::Store;
use super::suspicion::Suspicion;
use super::twin::{self, Twin};
use goodbye::Finishing;
use recorder::Recorder;

/// How often messages that the broker refused for lack of permission are tried again.
const PROBE_EVERY: Duration = Duration::from_secs(300);
/// A connection that delivered nothing is a good one if it lasted for so long.
const LASTED: Duration = Duration::from_secs(60);
/// Two boxes with one identity throw each other out. Where nothing can be heard of the other, the one
/// that was there stands back for so long, so that one of them gets something done.
const STAND_BACK: Duration = Duration::from_secs(60);
/// A hit that the broker did not take now is tried again after no more than this.
const HITS_AGAIN: Duration = Duration::from_secs(2);
/// What was said to the outbox has to be in the database before it is read anew, or messages are
/// sent twice. An outbox that takes longer than this is read all the same, later.
const SETTLED_WITHIN: Duration = Duration::from_secs(5);

/// How the task ended after it was told to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Complete,
    /// Something that was to be acknowledged first is not.
    Incomplete,
}

pub(super) struct Driver<S> {
    config: UplinkConfig,
    store: Arc<S>,
    clock: SharedClock,
    session: Session<InFlight>,
    cursor: Cursor,
    /// `None`: the store is gone and says nothing more.
    committed: Option<watch::Receiver<[u64; 4]>>,
    seen_hits: u64,
    /// Whether the outbox may have more than was read.
    more: bool,
    /// Whether a hit may be there that was not read.
    more_hits: bool,
    /// The store could not be read; not again before this.
    read_again_at: Option<Instant>,
    read_again: Backoff,
    recorder: Recorder<S>,
    orders: mpsc::Receiver<Order>,
    commands: mpsc::Sender<Received>,
    status: watch::Sender<Status>,
    finishing: Option<Finishing>,
    /// Messages from memory so far; their order.
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
    answers: AnswerClock,
    cap: Option<Cap>,
    refused_topics: BTreeSet<String>,
    /// What each broker closes connections over, by its index.
    suspicions: Vec<Suspicion>,
    /// A broker closed the connection over the subscription; not again before this.
    subscribe_after: Option<Instant>,
    /// What each broker was found not to take, by its index.
    habits: Vec<Habits>,
    /// How often lately another client took our place.
    taken_over: u32,
    /// Connections in a row that were made and lost soon after.
    short_lives: u32,
    /// The other client, where it is known: it started before us...
    elder: Option<Twin>,
    /// ... or after us.
    younger: Option<Twin>,
    /// When what was not permitted is tried again. Not on every connection: a broker may close it
    /// over each refusal.
    next_probe: Instant,
}

/// How one connection ended.
enum End {
    /// As it was told to.
    Done(Ended),
    Lost(Loss),
    /// A broker before this one in the list is back, and this one was left in good order.
    Return,
}

/// What is open when a connection ends, and whether the subscription is.
#[derive(Debug, Default, Clone, Copy)]
struct Up {
    up: bool,
    subscribing: bool,
}

impl<S: Store> Driver<S> {
    pub(super) fn new(
        config: UplinkConfig,
        store: Arc<S>,
        clock: SharedClock,
        orders: mpsc::Receiver<Order>,
        commands: mpsc::Sender<Received>,
        status: watch::Sender<Status>,
    ) -> Self {
        let backoff = Backoff::new(config.backoff_first, config.backoff_most);
        let brokers = config.brokers.len();
        Self {
            session: Session::new(config.window, config.window_bytes),
            cursor: Cursor::default(),
            committed: Some(store.committed()),
            seen_hits: 0,
            more: true,
            more_hits: false,
            read_again_at: None,
            read_again: backoff.clone(),
            recorder: Recorder::new(Arc::clone(&store), backoff.clone()),
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
            answers: AnswerClock::new(config.answer_timeout),
            cap: config.bandwidth.map(Cap::new),
            refused_topics: BTreeSet::new(),
            suspicions: (0..brokers).map(|_| Suspicion::default()).collect(),
            subscribe_after: None,
            habits: vec![Habits::default(); brokers],
            taken_over: 0,
            short_lives: 0,
            elder: None,
            younger: None,
            next_probe: Instant::now(),
            store,
            clock,
            config,
        }
    }

    /// Until told to end.
    pub(super) async fn run(mut self) -> Ended {
        let ended = loop {
            let ended = match caught::caught(self.run_once()).await {
                Ok(ended) => ended,
                Err(panic) => self.begin_again(&panic).await,
            };
            if let Some(ended) = ended {
                break ended;
            }
        };
        self.recorder.flush(SETTLED_WITHIN).await;
        self.status.send_modify(|s| {
            s.connected = false;
            s.state = LinkState::Stopped("finished".to_owned());
        });
        ended
    }

    /// One connection and the pause after it. `Some`: it was told to end.
    async fn run_once(&mut self) -> Option<Ended> {
        let index = self.next_broker;
        let (began, acked) = (Instant::now(), self.status.borrow().acked);
        let mut up = Up::default();
        let end = self.connection(index, &mut up).await;
        let open = self.session.unanswered() > 0;
        let loss = match end {
            End::Done(ended) => return Some(ended),
            End::Return => {
                let loss = Loss::new("left for a broker before it, which is back");
                self.down(index, &loss, Up::default()).await;
                self.next_broker = 0;
                return None;
            }
            End::Lost(loss) => loss,
        };
        let was_up = self.status.borrow().connected;
        let loss = self.learn(index, loss, began.elapsed());
        self.down(index, &loss, up).await;
        // One that is let in and loses the connection again, or never acknowledges, is as good as
        // one that is away.
        let was_good = was_up
            && self.taken_over == 0
            && (self.status.borrow().acked > acked || began.elapsed() >= LASTED);
        if was_good && index == 0 {
            self.look_back.reset();
        }
        // After the loss of a good one the first broker is tried first; after a failed try the next
        // one.
        self.next_broker = if was_good {
            0
        } else {
            (index + 1) % self.config.brokers.len().max(1)
        };
        let broker = self.broker_name(index);
        self.show_state(&loss, &broker);
        if self.is_finishing(Drain::InFlight) {
            // What was on its way is lost with the connection.
            return Some(if open {
                Ended::Incomplete
            } else {
                Ended::Complete
            });
        }
        // A round through all of them, then a pause; a connection that was lost at once is such a
        // round too.
        if self.next_broker == 0 {
            return self.pause(&broker).await;
        }
        None
    }

    /// What a loss says of the broker's habits, and in whose words it is told.
    fn learn(&mut self, index: usize, loss: Loss, lasted: Duration) -> Loss {
        if lasted >= LASTED {
            (self.taken_over, self.short_lives) = (0, 0);
            self.younger = None;
        } else if self.status.borrow().connected {
            self.short_lives = self.short_lives.saturating_add(1);
        }
        let broker = self.broker_name(index);
        let habits = self.habits.get_mut(index);
        match (loss.kind, habits) {
            (LossKind::NoRetain, Some(habits)) if !habits.no_retain => {
                habits.no_retain = true;
                tracing::warn!(
                    broker,
                    "the broker keeps no retained messages: who subscribes later does not learn \
                     the agent's status until it changes"
                );
            }
            (LossKind::NoQos, Some(habits)) if !habits.no_qos => {
                habits.no_qos = true;
                tracing::warn!(broker, "the broker takes the last will with QoS 0 only");
            }
            (LossKind::TakenOver, _) if self.elder.is_some() => {
                self.taken_over += 1;
            }
            (LossKind::TakenOver, _) => {
                self.taken_over += 1;
                let id = &self.config.client_id;
                return Loss {
                    why: format!(
                        "another client is connected as {id}: two boxes with one identity (a \
                         copied card?); give each its own `agent`, and its own key"
                    ),
                    ..loss
                };
            }
            _ => {}
        }
        loss
    }

    /// After a panic: a bug, which must not take the uplink with it. The books may be wrong, so
    /// they are begun anew; the outbox has all that matters.
    async fn begin_again(&mut self, panic: &str) -> Option<Ended> {
        let broker = self.broker_name(self.next_broker);
        tracing::error!(
            broker,
            "a fault of this program ended the connection: {panic}"
        );
        self.session = Session::new(self.config.window, self.config.window_bytes);
        self.suspicions.fill_with(Suspicion::default);
        self.answers.start();
        self.recorder.abandon();
        self.read_anew();
        let why = format!("a fault of this program: {panic}");
        self.status.send_modify(|s| {
            s.connected = false;
            s.listening = false;
            s.connected_since = None;
            s.last_loss = Some(why.clone());
            s.state = LinkState::Unreachable(why);
        });
        self.pause(&broker).await
    }

    /// Whether to listen for a twin on the next connection. After losses of unknown cause not on
    /// every third: a broker may close a connection over a subscription that it does not allow.
    fn fears_a_twin(&self) -> bool {
        self.taken_over > 0 || !self.short_lives.is_multiple_of(3)
    }

    /// How often another client may take our place before we stand back, whoever it is. A twin that
    /// can be heard of is known after one or two rounds.
    fn tolerated(&self) -> u32 {
        if self.config.twin.is_some() { 4 } else { 1 }
    }

    /// Waits before the next round. Orders are heard all the while.
    async fn pause(&mut self, broker: &str) -> Option<Ended> {
        let mut wait = self.reconnect.wait();
        // Whether it is still there shows at the next try.
        if self.elder.take().is_some() {
            wait = wait.max(twin::STAND_BACK);
        } else if self.taken_over > self.tolerated() && self.younger.is_none() {
            wait = wait.max(STAND_BACK);
        }
        tracing::info!(broker, retry_in = ?wait, "trying again");
        let until = Instant::now() + wait;
        while Instant::now() < until {
            let deadline = self.finishing.as_ref().map(|f| f.deadline);
            tokio::select! {
                () = tokio::time::sleep_until(until) => {}
                order = self.orders.recv(), if self.finishing.is_none() => self.order(order, false),
                told = self.recorder.progress() => self.told(told),
                () = sleep_until(deadline), if deadline.is_some() => return Some(Ended::Incomplete),
            }
            if self.is_finishing(Drain::InFlight) {
                return Some(Ended::Complete);
            }
        }
        None
    }

    fn is_finishing(&self, drain: Drain) -> bool {
        self.finishing.as_ref().is_some_and(|f| f.drain == drain)
    }

    fn broker_name(&self, index: usize) -> String {
        self.config
            .brokers
            .get(index)
            .map(ToString::to_string)
            .unwrap_or_default()
    }
}

async fn sleep_until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
