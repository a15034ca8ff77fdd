//! What the rest of the agent holds of the uplink.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, FixedOffset};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::address::BrokerAddress;
use super::driver::{Driver, Order};
use super::error::Error;
use super::message::{Outgoing, Received};
use super::store::Store;
use super::tls::{Login, TlsFiles};

/// Commands that wait for the agent.
const COMMANDS: usize = 32;
/// Messages from memory that wait for the connection.
const DIRECT: usize = 64;
/// How many set-aside messages are kept word by word; the rest is counted.
const SET_ASIDE_KEPT: usize = 8;

#[derive(Clone)]
pub struct UplinkConfig {
    /// Tried in this order; the first one is gone back to.
    pub brokers: Vec<BrokerAddress>,
    pub tls: TlsFiles,
    pub login: Option<Login>,
    /// Must differ from every other client's: a broker throws out the older of two with the same id.
    pub client_id: String,
    /// Messages sent and not yet acknowledged. The broker's receive maximum lowers it.
    pub window: u16,
    /// Bytes of them; on a slow link as many as it delivers in a second.
    pub window_bytes: usize,
    /// The largest packet sent or taken. The broker's own maximum lowers it.
    pub max_packet: u32,
    /// Bytes a second, at most.
    pub bandwidth: Option<u64>,
    pub keep_alive: Duration,
    pub connect_timeout: Duration,
    /// With messages in flight and no sign of the broker for this long, and what the largest of them takes on a slow link,
    /// the connection counts as lost. A half-open connection would else hold them until TCP gives up, a quarter of an hour.
    pub answer_timeout: Duration,
    pub backoff_first: Duration,
    pub backoff_most: Duration,
    /// How long after taking to another broker it is looked whether one before it in the list is back; twelve times that
    /// at most, where it did not let us stay.
    pub return_after: Duration,
    /// What was captured longer ago than this is marked as late.
    pub late_after: Duration,
    /// Makes the last will; anew for each connection.
    pub will: Option<Arc<dyn Fn() -> Outgoing + Send + Sync>>,
    /// Where commands come.
    pub commands: Option<String>,
    /// How long the broker keeps commands for an agent that is away.
    pub session_expiry: Duration,
}

impl UplinkConfig {
    pub fn new(brokers: Vec<BrokerAddress>, client_id: impl Into<String>) -> Self {
        Self {
            brokers,
            tls: TlsFiles::default(),
            login: None,
            client_id: client_id.into(),
            window: 4096,
            window_bytes: 4 << 20,
            max_packet: 8 << 20,
            bandwidth: None,
            keep_alive: Duration::from_secs(30),
            // TCP, TLS and CONNACK are five round trips, and a mobile link may take a second for each.
            connect_timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(20),
            backoff_first: Duration::from_millis(200),
            backoff_most: Duration::from_secs(30),
            return_after: Duration::from_secs(300),
            late_after: Duration::from_secs(60),
            will: None,
            commands: None,
            session_expiry: Duration::from_secs(3600),
        }
    }
}

/// How the way to the platform is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum LinkState {
    #[default]
    Connecting,
    Connected,
    /// The broker does not let us in: user, password, client id or its rules.
    Refused(String),
    /// The broker is not who it must be, or does not take our certificate.
    Tls(String),
    Unreachable(String),
    /// The task has ended.
    Stopped(String),
}

impl fmt::Display for LinkState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connecting => f.write_str("connecting"),
            Self::Connected => f.write_str("connected"),
            Self::Refused(why) => write!(f, "refused: {why}"),
            Self::Tls(why) => write!(f, "TLS: {why}"),
            Self::Unreachable(why) => write!(f, "unreachable: {why}"),
            Self::Stopped(why) => write!(f, "stopped: {why}"),
        }
    }
}

/// A message that the broker will not take as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub topic: String,
    pub why: String,
}

/// How the uplink is, at any time.
#[derive(Debug, Clone, Default)]
pub struct Status {
    pub state: LinkState,
    pub connected: bool,
    /// Commands are heard.
    pub listening: bool,
    /// The broker in use, or last used.
    pub broker: Option<String>,
    /// How often a connection was made.
    pub connections: u64,
    pub connected_since: Option<DateTime<FixedOffset>>,
    pub acked: u64,
    pub acked_bytes: u64,
    /// Of these: acknowledged with "no matching subscribers".
    pub unheard: u64,
    /// Messages set aside since the start.
    pub refused: u64,
    /// The first few of them.
    pub refusals: Vec<Refusal>,
    /// Topics that the broker does not permit; `+` stands for a passage's id.
    pub refused_topics: Vec<String>,
    /// Why the last try or connection ended.
    pub last_loss: Option<String>,
}

impl Status {
    pub(super) fn set_aside(&mut self, topic: &str, why: &str) {
        self.refused += 1;
        if self.refusals.len() < SET_ASIDE_KEPT {
            self.refusals.push(Refusal {
                topic: topic.to_owned(),
                why: why.to_owned(),
            });
        }
    }
}

/// What must have been acknowledged before the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drain {
    /// What is on its way.
    InFlight,
    /// All that waits in the outbox.
    Everything,
}

/// Sends what the outbox holds until told to stop. Dropping it ends the connection; the outbox keeps what was not
/// acknowledged.
#[derive(Debug)]
pub struct Uplink {
    brokers: String,
    orders: mpsc::Sender<Order>,
    status: watch::Receiver<Status>,
    commands: Option<mpsc::Receiver<Received>>,
    task: Task,
}

/// Ends its task when dropped.
#[derive(Debug)]
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Uplink {
    /// Starts connecting in the background; must be called within a tokio runtime. An unreachable broker is no error.
    pub fn start<S: Store>(config: UplinkConfig, store: S) -> Self {
        let brokers = config
            .brokers
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", ");
        let (orders, orders_queue) = mpsc::channel(DIRECT);
        let (command, commands) = mpsc::channel(COMMANDS);
        let (tell, status) = watch::channel(Status::default());
        let driver = Driver::new(config, Arc::new(store), orders_queue, command, tell);
        Self {
            brokers,
            orders,
            status,
            commands: Some(commands),
            task: Task(tokio::spawn(driver.run())),
        }
    }

    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// What the platform sends; can be taken once.
    pub fn commands(&mut self) -> Option<mpsc::Receiver<Received>> {
        self.commands.take()
    }

    pub fn is_alive(&self) -> bool {
        !self.task.0.is_finished()
    }

    /// Sends what the outbox could not take, if there is a connection; there is no second try.
    pub fn direct(&self, outgoing: Outgoing) -> bool {
        self.status.borrow().connected
            && self
                .orders
                .try_send(Order::Direct(Box::new(outgoing)))
                .is_ok()
    }

    /// A hand for `direct` alone.
    pub fn direct_sender(&self) -> DirectSender {
        DirectSender {
            orders: self.orders.clone(),
            status: self.status.clone(),
        }
    }

    /// Waits for the first connection, so that a wrong address is told before the work begins.
    pub async fn connected(&self, within: Duration) -> Result<(), Error> {
        let mut status = self.status.clone();
        match timeout(within, status.wait_for(|status| status.connections > 0)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(Error::Stopped {
                broker: self.brokers.clone(),
            }),
            Err(_) => Err(Error::Unreachable {
                broker: self.brokers.clone(),
                within,
                why: self.why(),
            }),
        }
    }

    /// Waits until what `drain` names is acknowledged, publishes `last` (the offline status) and disconnects. After
    /// `within` it ends without that; what is not acknowledged stays in the outbox.
    pub async fn finish(
        mut self,
        drain: Drain,
        last: Option<Outgoing>,
        within: Duration,
    ) -> Result<Status, Error> {
        self.end(drain, last, within).await
    }

    /// The same for an uplink that another one takes the place of.
    pub async fn end(
        &mut self,
        drain: Drain,
        last: Option<Outgoing>,
        within: Duration,
    ) -> Result<Status, Error> {
        let work = async {
            // The task may have ended by itself; then there is nothing to tell it.
            let _ = self
                .orders
                .send(Order::Finish {
                    drain,
                    last: last.map(Box::new),
                })
                .await;
            (&mut self.task.0).await
        };
        let ended = timeout(within, work).await;
        let (status, broker) = (self.status.borrow().clone(), self.brokers.clone());
        match ended {
            Ok(Ok(())) => Ok(status),
            Ok(Err(_)) => Err(Error::Stopped { broker }),
            Err(_) => Err(Error::Unfinished {
                broker,
                waited: within,
                why: why(&status),
            }),
        }
    }

    fn why(&self) -> String {
        why(&self.status.borrow())
    }
}

/// Sends past the outbox.
#[derive(Debug, Clone)]
pub struct DirectSender {
    orders: mpsc::Sender<Order>,
    status: watch::Receiver<Status>,
}

impl DirectSender {
    pub fn send(&self, outgoing: Outgoing) -> bool {
        self.status.borrow().connected
            && self
                .orders
                .try_send(Order::Direct(Box::new(outgoing)))
                .is_ok()
    }
}

fn why(status: &Status) -> String {
    match &status.last_loss {
        _ if status.connected => "the broker is connected but does not acknowledge".to_owned(),
        Some(why) => why.clone(),
        None => "still connecting".to_owned(),
    }
}
