//! The central side where nothing may be lost: a subscriber that says itself when a message is
//! acknowledged.
//!
//! The broker sends at most `unacknowledged` messages that are not, so what waits here is bounded,
//! and a reader that is slow slows the broker down. A message whose connection ended before it was
//! acknowledged comes again; the receipt of the first time is then worth nothing, since its packet
//! id may mean another message by now. So each connection has its own receipts, and those of an
//! older one are passed over.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::address::BrokerAddress;
use super::backoff::Backoff;
use super::link::{Habits, Link, LinkEvent, LinkOptions, Loss};
use super::message::Received;
use super::tls::TlsFiles;

#[derive(Debug, Clone)]
pub struct ReceiverConfig {
    /// Must stay the same from start to start, and differ from that of every other client: the
    /// broker keeps what arrives under it meanwhile.
    pub client_id: String,
    /// Topic filters; best without overlap, or a broker may send a message once for each.
    pub filters: Vec<String>,
    /// How long the broker keeps what arrives while this receiver is away.
    pub keep_session: Duration,
    /// The most messages that the broker sends before one of them is acknowledged.
    pub unacknowledged: u16,
    pub max_packet: u32,
    pub keep_alive: Duration,
    pub connect_timeout: Duration,
    pub backoff_first: Duration,
    pub backoff_most: Duration,
    /// For `mqtts://`: who may vouch for the broker, and who we are.
    pub tls: TlsFiles,
}

impl ReceiverConfig {
    pub fn new(
        client_id: impl Into<String>,
        filters: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        Self {
            client_id: client_id.into(),
            filters: filters.into_iter().map(Into::into).collect(),
            keep_session: Duration::from_secs(7 * 24 * 3600),
            unacknowledged: 1_000,
            max_packet: 16 << 20,
            keep_alive: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            backoff_first: Duration::from_millis(200),
            backoff_most: Duration::from_secs(15),
            tls: TlsFiles::default(),
        }
    }
}

/// Acknowledges one message: which, and of which connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    connection: u64,
    packet: super::link::Receipt,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReceiverEvent {
    /// The broker confirmed the subscriptions: from now on nothing is missed.
    Subscribed,
    /// The broker does not allow this filter.
    Refused { filter: String, why: String },
    /// A message, and what acknowledges it; `None`: the publisher asked for no acknowledgement.
    Message(Received, Option<Receipt>),
    /// The connection, or a try for one, ended; the next one comes by itself.
    Lost { why: String },
}

/// Dropping it ends the connection.
#[derive(Debug)]
pub struct Receiver {
    events: mpsc::Receiver<ReceiverEvent>,
    acknowledge: Acknowledger,
    task: JoinHandle<()>,
}

/// Says that messages were taken over; may be cloned and sent elsewhere.
#[derive(Debug, Clone)]
pub struct Acknowledger(mpsc::UnboundedSender<Receipt>);

impl Acknowledger {
    /// Never waits. A receipt of a connection that has ended is passed over.
    pub fn acknowledge(&self, receipt: Receipt) {
        // Without a connection task there is nobody left to tell, and the message comes again.
        let _ = self.0.send(receipt);
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Receiver {
    /// Starts connecting in the background; must be called within a tokio runtime.
    pub fn connect(address: BrokerAddress, config: ReceiverConfig) -> Self {
        // The broker bounds what is not acknowledged, and so what waits in both queues.
        let (tell, events) = mpsc::channel(usize::from(config.unacknowledged).max(1));
        let (acknowledge, receipts) = mpsc::unbounded_channel();
        let options = LinkOptions {
            address,
            client_id: config.client_id,
            keep_alive: config.keep_alive,
            connect_timeout: config.connect_timeout,
            max_packet: config.max_packet,
            window: 1,
            keep_session: Some(config.keep_session),
            // Read for each connection, below; without it an `mqtts://` address is not dialled.
            tls: None,
            will: None,
            habits: Habits::default(),
            unacknowledged: Some(config.unacknowledged.max(1)),
        };
        let line = Line {
            filters: config.filters,
            tell,
            receipts,
        };
        let backoff = Backoff::new(config.backoff_first, config.backoff_most);
        let task = tokio::spawn(run(options, config.tls, backoff, line));
        Self {
            events,
            acknowledge: Acknowledger(acknowledge),
            task,
        }
    }

    /// The next event; None only when the connection task has ended. May be cancelled.
    pub async fn recv(&mut self) -> Option<ReceiverEvent> {
        self.events.recv().await
    }

    pub fn acknowledger(&self) -> Acknowledger {
        self.acknowledge.clone()
    }
}

/// What every connection shares.
struct Line {
    filters: Vec<String>,
    tell: mpsc::Sender<ReceiverEvent>,
    receipts: mpsc::UnboundedReceiver<Receipt>,
}

async fn run(mut options: LinkOptions, tls: TlsFiles, mut backoff: Backoff, mut line: Line) {
    for connection in 0.. {
        let loss = match super::subscriber::prove(&mut options, &tls).await {
            Ok(()) => {
                let mut link = Link::open(&options);
                match line.serve(&mut link, connection, &mut backoff).await {
                    Ok(()) => return,
                    Err(loss) => loss,
                }
            }
            Err(loss) => loss,
        };
        if line.is_deaf(ReceiverEvent::Lost { why: loss.why }).await {
            return;
        }
        tokio::time::sleep(backoff.wait()).await;
    }
}

impl Line {
    /// One connection. Ok: nobody listens any more.
    async fn serve(
        &mut self,
        link: &mut Link,
        connection: u64,
        backoff: &mut Backoff,
    ) -> Result<(), Loss> {
        loop {
            let event = tokio::select! {
                receipt = self.receipts.recv() => {
                    let Some(receipt) = receipt else { return Ok(()) };
                    if receipt.connection == connection && !link.acknowledge(receipt.packet) {
                        return Err(Loss::new("an acknowledgement could not be sent"));
                    }
                    continue;
                }
                event = link.event() => event?,
            };
            let event = match event {
                LinkEvent::Up(_) => {
                    if !link.subscribe(&self.filters) {
                        return Err(Loss::new("the subscription could not be sent"));
                    }
                    continue;
                }
                LinkEvent::Subscribed(answers) => {
                    if self.answered(answers).await? {
                        return Ok(());
                    }
                    backoff.reset();
                    ReceiverEvent::Subscribed
                }
                LinkEvent::Message(message, packet) => {
                    let receipt = packet.map(|packet| Receipt { connection, packet });
                    ReceiverEvent::Message(message, receipt)
                }
                _ => continue,
            };
            // While the reader is behind, what it is done with is still acknowledged.
            let permit = loop {
                tokio::select! {
                    permit = self.tell.reserve() => break permit,
                    Some(receipt) = self.receipts.recv() => {
                        if receipt.connection == connection && !link.acknowledge(receipt.packet) {
                            return Err(Loss::new("an acknowledgement could not be sent"));
                        }
                    }
                }
            };
            match permit {
                Ok(permit) => permit.send(event),
                Err(_) => return Ok(()),
            }
        }
    }

    /// Tells of refused filters. `true`: nobody listens any more.
    async fn answered(&mut self, answers: Vec<Result<(), String>>) -> Result<bool, Loss> {
        let refused: Vec<_> = self
            .filters
            .iter()
            .zip(answers)
            .filter_map(|(filter, answer)| Some((filter.clone(), answer.err()?)))
            .collect();
        let all = refused.len() == self.filters.len();
        for (filter, why) in refused {
            if self.is_deaf(ReceiverEvent::Refused { filter, why }).await {
                return Ok(true);
            }
        }
        match all {
            true => Err(Loss::new("the broker refused every subscription")),
            false => Ok(false),
        }
    }

    async fn is_deaf(&self, event: ReceiverEvent) -> bool {
        self.tell.send(event).await.is_err()
    }
}
