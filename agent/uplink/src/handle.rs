//! What the rest of the agent holds of the uplink.

use std::sync::Arc;
use std::time::Duration;

use kakou_contract::Envelope;
use kakou_time::SharedClock;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::config::{COMMANDS_OPEN, UplinkConfig};
use super::driver::{Driver, Ended};
use super::error::Error;
use super::message::Received;
use super::order::{Drain, Order};
use super::status::Status;
use super::store::Store;

/// Messages from memory that wait for the connection.
const DIRECT: usize = 64;
/// Beyond the time that the task was given to end.
const GRACE: Duration = Duration::from_millis(500);

/// Sends what the outbox holds until told to stop. Dropping it ends the connection; the outbox
/// keeps what was not acknowledged.
#[derive(Debug)]
pub struct Uplink {
    brokers: String,
    direct: DirectSender,
    commands: Option<mpsc::Receiver<Received>>,
    task: Task,
}

/// Ends its task when dropped.
#[derive(Debug)]
struct Task(JoinHandle<Ended>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Uplink {
    /// Starts connecting in the background; must be called within a tokio runtime. An unreachable
    /// broker is no error. `clock` says how old a message is.
    pub fn start<S: Store>(config: UplinkConfig, store: S, clock: SharedClock) -> Self {
        let brokers = config
            .brokers
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", ");
        let (orders, orders_queue) = mpsc::channel(DIRECT);
        let (command, commands) = mpsc::channel(usize::from(COMMANDS_OPEN));
        let (tell, status) = watch::channel(Status::default());
        let driver = Driver::new(config, Arc::new(store), clock, orders_queue, command, tell);
        Self {
            brokers,
            direct: DirectSender { orders, status },
            commands: Some(commands),
            task: Task(tokio::spawn(driver.run())),
        }
    }

    pub fn status(&self) -> watch::Receiver<Status> {
        self.direct.status.clone()
    }

    /// What the platform sends; can be taken once. A command is acknowledged to the broker when it
    /// is put into this queue. While the queue is full the broker keeps the others.
    pub fn commands(&mut self) -> Option<mpsc::Receiver<Received>> {
        self.commands.take()
    }

    /// The task ends only when told to.
    pub fn is_alive(&self) -> bool {
        !self.task.0.is_finished()
    }

    /// Sends what the outbox could not take, if there is a connection; there is no second try.
    pub fn direct(&self, envelope: Envelope) -> bool {
        self.direct.send(envelope)
    }

    /// A handle for `direct` alone.
    pub fn direct_sender(&self) -> DirectSender {
        self.direct.clone()
    }

    /// Waits for the first connection, so that a wrong address is reported before the work begins.
    pub async fn connected(&self, within: Duration) -> Result<(), Error> {
        let mut status = self.status();
        match timeout(within, status.wait_for(|status| status.connections > 0)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(Error::Stopped {
                broker: self.brokers.clone(),
            }),
            Err(_) => Err(Error::Unreachable {
                broker: self.brokers.clone(),
                within,
                why: why(&self.direct.status.borrow()),
            }),
        }
    }

    /// Waits until what `drain` names is acknowledged, publishes `last` (the offline status) and
    /// disconnects. When `within` runs short, `last` and DISCONNECT go out all the same; what is
    /// not acknowledged stays in the outbox, and the result is an error.
    pub async fn finish(
        mut self,
        drain: Drain,
        last: Option<Envelope>,
        within: Duration,
    ) -> Result<Status, Error> {
        self.end(drain, last, within).await
    }

    /// The same for an uplink that another one takes the place of.
    pub async fn end(
        &mut self,
        drain: Drain,
        last: Option<Envelope>,
        within: Duration,
    ) -> Result<Status, Error> {
        let finish = Order::Finish {
            drain,
            last: last.map(Box::new),
            deadline: Instant::now() + within,
        };
        let work = async {
            // The task may have ended before; then there is nothing to ask of it.
            let _ = self.direct.orders.send(finish).await;
            (&mut self.task.0).await
        };
        let ended = timeout(within + GRACE, work).await;
        let (status, broker) = (self.direct.status.borrow().clone(), self.brokers.clone());
        match ended {
            Ok(Ok(Ended::Complete)) => Ok(status),
            Ok(Err(_)) => Err(Error::Stopped { broker }),
            Ok(Ok(Ended::Incomplete)) | Err(_) => Err(Error::Unfinished {
                broker,
                waited: within,
                why: why(&status),
            }),
        }
    }
}

/// Sends past the outbox.
#[derive(Debug, Clone)]
pub struct DirectSender {
    orders: mpsc::Sender<Order>,
    status: watch::Receiver<Status>,
}

impl DirectSender {
    /// False when there is no connection, or too much waits for it; there is no second try.
    pub fn send(&self, envelope: Envelope) -> bool {
        self.status.borrow().connected
            && self
                .orders
                .try_send(Order::Direct(Box::new(envelope)))
                .is_ok()
    }
}

fn why(status: &Status) -> String {
    match (&status.store_fault, &status.last_loss) {
        (Some(why), _) => why.clone(),
        _ if status.connected => "the broker is connected but does not acknowledge".to_owned(),
        (None, Some(why)) => why.clone(),
        (None, None) => "still connecting".to_owned(),
    }
}
