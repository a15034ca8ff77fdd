//! The publisher: what the rest of the agent holds. A bounded queue in front of the driver's task.
//!
//! Policy of the queue: it blocks, it never drops. What is queued or unacknowledged together holds at
//! most `buffered_bytes`; `publish` waits for room and gives up with an error after `publish_timeout`.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::address::BrokerAddress;
use super::backoff::Backoff;
use super::driver::Driver;
use super::error::Error;
use super::link::{LinkOptions, Prepared};
use super::message::Outgoing;

/// The unit in which buffered bytes are counted; a semaphore counts to 2^29 at least.
const PERMIT_BYTES: usize = 1024;

#[derive(Debug, Clone)]
pub struct PublisherConfig {
    /// Must differ from every other client's: a broker throws out the older of two with the same id.
    pub client_id: String,
    /// Messages sent and not yet acknowledged. The broker's receive maximum lowers it.
    pub window: u16,
    /// The largest packet sent or taken. The broker's own maximum lowers it.
    pub max_packet: u32,
    /// Bytes of messages held until they are acknowledged; at least one message always fits.
    pub buffered_bytes: usize,
    /// Longest wait of `publish` for room.
    pub publish_timeout: Duration,
    pub keep_alive: Duration,
    pub connect_timeout: Duration,
    /// With messages in flight and no sign of the broker for this long the connection counts as lost. A
    /// half-open connection would else hold them until TCP gives up, a quarter of an hour.
    pub answer_timeout: Duration,
    pub backoff_first: Duration,
    pub backoff_most: Duration,
}

impl Default for PublisherConfig {
    fn default() -> Self {
        Self {
            client_id: format!("kakou-{}", uuid::Uuid::now_v7().simple()),
            window: 256,
            max_packet: 8 << 20,
            buffered_bytes: 32 << 20,
            publish_timeout: Duration::from_secs(30),
            keep_alive: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            answer_timeout: Duration::from_secs(20),
            backoff_first: Duration::from_millis(200),
            backoff_most: Duration::from_secs(30),
        }
    }
}

/// A message that the broker will not take as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub topic: String,
    pub why: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.topic, self.why)
    }
}

/// How the uplink is, at any time.
#[derive(Debug, Clone, Default)]
pub struct Status {
    pub connected: bool,
    /// How often a connection was made.
    pub connections: u64,
    pub acked: u64,
    /// Of these: acknowledged with "no matching subscribers".
    pub unheard: u64,
    pub refused: u64,
    /// The first few of them.
    pub refusals: Vec<Refusal>,
    /// Why the last try or connection ended.
    pub last_loss: Option<String>,
}

/// Every message had its own acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub acked: u64,
    pub unheard: u64,
    pub connections: u64,
}

/// Publishes with QoS 1 until every message is acknowledged. Dropping it without `finish` ends the
/// connection and forgets what is unacknowledged.
#[derive(Debug)]
pub struct Publisher {
    broker: String,
    inbox: mpsc::Sender<Queued>,
    room: Arc<Semaphore>,
    accepted: AtomicU64,
    status: watch::Receiver<Status>,
    max_packet: usize,
    buffered_bytes: usize,
    publish_timeout: Duration,
    task: Task,
}

#[derive(Debug)]
pub(super) struct Queued {
    pub(super) message: Prepared,
    /// Given back when the message is acknowledged, refused or forgotten.
    _room: OwnedSemaphorePermit,
}

/// Ends its task when dropped.
#[derive(Debug)]
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Publisher {
    /// Starts connecting in the background; must be called within a tokio runtime. An unreachable broker
    /// is no error here: see `connected` and `finish`.
    pub fn connect(address: BrokerAddress, config: PublisherConfig) -> Self {
        let broker = address.to_string();
        let window = config.window.max(1);
        let (inbox, queue) = mpsc::channel(usize::from(window));
        let (tell, status) = watch::channel(Status::default());
        let buffered_bytes = config.buffered_bytes.max(PERMIT_BYTES);
        let options = LinkOptions {
            address,
            client_id: config.client_id,
            keep_alive: config.keep_alive,
            connect_timeout: config.connect_timeout,
            max_packet: config.max_packet,
            window,
            keep_session: None,
        };
        let backoff = Backoff::new(config.backoff_first, config.backoff_most);
        let driver = Driver::new(options, queue, tell, config.answer_timeout, backoff);
        Self {
            broker,
            inbox,
            room: Arc::new(Semaphore::new(buffered_bytes / PERMIT_BYTES)),
            accepted: AtomicU64::new(0),
            status,
            max_packet: config.max_packet as usize,
            buffered_bytes,
            publish_timeout: config.publish_timeout,
            task: Task(tokio::spawn(driver.run())),
        }
    }

    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Waits for the first connection, so that a wrong address is told before the work begins.
    pub async fn connected(&self, within: Duration) -> Result<(), Error> {
        let mut status = self.status.clone();
        match timeout(within, status.wait_for(|status| status.connections > 0)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(Error::Stopped { broker: self.broker.clone() }),
            Err(_) => Err(Error::Unreachable { broker: self.broker.clone(), within, why: self.why() }),
        }
    }

    /// Queues one message; waits while the buffer is full. `Ok` means queued, not delivered.
    pub async fn publish(&self, message: Outgoing) -> Result<(), Error> {
        let broker = || self.broker.clone();
        if let Some(why) = message.fault() {
            return Err(Error::Invalid { broker: broker(), topic: message.topic, why });
        }
        let message = Prepared::new(message);
        let (topic, size) = (message.topic().to_owned(), message.size());
        if size > self.max_packet {
            return Err(Error::TooLarge { broker: broker(), topic, size, limit: self.max_packet });
        }
        // One message larger than the whole buffer takes all of it.
        let permits = size.min(self.buffered_bytes) / PERMIT_BYTES;
        let permits = u32::try_from(permits.max(1)).unwrap_or(u32::MAX);
        let queue = async {
            let room = Arc::clone(&self.room).acquire_many_owned(permits).await.ok()?;
            self.inbox.send(Queued { message, _room: room }).await.ok()
        };
        match timeout(self.publish_timeout, queue).await {
            Ok(Some(())) => {
                self.accepted.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Ok(None) => Err(Error::Stopped { broker: broker() }),
            Err(_) => {
                let (waited, why) = (self.publish_timeout, self.why());
                Err(Error::NoRoom { broker: broker(), topic, waited, why })
            }
        }
    }

    /// Waits until every message has its own acknowledgement with a success reason, then disconnects.
    pub async fn finish(self, within: Duration) -> Result<Report, Error> {
        let Self { broker, inbox, accepted, status, mut task, .. } = self;
        drop(inbox);
        let ended = timeout(within, &mut task.0).await;
        let (status, accepted) = (status.borrow().clone(), accepted.into_inner());
        let missing = accepted.saturating_sub(status.acked + status.refused);
        match ended {
            Ok(Err(_)) => Err(Error::Stopped { broker }),
            Err(_) if missing > 0 => {
                let why = why(&status);
                Err(Error::Unacknowledged { broker, accepted, missing, waited: within, why })
            }
            _ => match status.refusals.into_iter().next() {
                Some(first) => Err(Error::Refused { broker, accepted, count: status.refused, first }),
                None => Ok(Report { acked: status.acked, unheard: status.unheard, connections: status.connections }),
            },
        }
    }

    fn why(&self) -> String {
        why(&self.status.borrow())
    }
}

fn why(status: &Status) -> String {
    match &status.last_loss {
        _ if status.connected => "the broker is connected but does not acknowledge".to_owned(),
        Some(why) => why.clone(),
        None => "still connecting".to_owned(),
    }
}
