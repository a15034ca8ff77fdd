//! The central side where nothing may be lost: a subscriber that says itself when a message is
//! acknowledged.
//!
//! The broker sends at most `unacknowledged` messages that are not, so what waits here is bounded,
//! and a reader that is slow slows the broker down. A message whose connection ended before it was
//! acknowledged comes again; the receipt of the first time is then worth nothing, since its packet
//! id may mean another message by now. So each connection has its own receipts, and those of an
//! older one are passed over.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::address::BrokerAddress;
use super::backoff::Backoff;
use super::link::{Acknowledged, Habits, Link, LinkEvent, LinkOptions, Loss, NotGranted};
use super::message::Received;
use super::subscriber::{any_granted, prove, refused};
use super::tls::TlsFiles;

/// Goodbye takes no longer.
const GOODBYE: Duration = Duration::from_secs(2);

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
pub struct Acknowledger(mpsc::UnboundedSender<Said>);

#[derive(Debug)]
enum Said {
    Taken(Receipt),
    Close,
}

impl Acknowledger {
    /// Never waits. A receipt of a connection that has ended is passed over.
    pub fn acknowledge(&self, receipt: Receipt) {
        // Without a connection task there is nobody left to tell, and the message comes again.
        let _ = self.0.send(Said::Taken(receipt));
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Receiver {
    /// Starts connecting in the background; must be called within a tokio runtime. Of several
    /// brokers, as the nodes of one cluster, each failure goes on to the next.
    pub fn connect(brokers: Vec<BrokerAddress>, config: ReceiverConfig) -> Self {
        // The broker bounds what is not acknowledged, and so what waits in both queues.
        let (tell, events) = mpsc::channel(usize::from(config.unacknowledged).max(1));
        let (acknowledge, receipts) = mpsc::unbounded_channel();
        let options = LinkOptions {
            // Each connection says which.
            address: BrokerAddress::new("", 0),
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
            brokers,
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

    /// What is there already.
    pub fn try_recv(&mut self) -> Option<ReceiverEvent> {
        self.events.try_recv().ok()
    }

    /// Ends the connection when every acknowledgement that was given before is on its way.
    pub async fn close(mut self) {
        self.events.close();
        let _ = self.acknowledge.0.send(Said::Close);
        let _ = tokio::time::timeout(GOODBYE, &mut self.task).await;
    }

    pub fn acknowledger(&self) -> Acknowledger {
        self.acknowledge.clone()
    }
}

/// What every connection shares.
struct Line {
    brokers: Vec<BrokerAddress>,
    filters: Vec<String>,
    tell: mpsc::Sender<ReceiverEvent>,
    receipts: mpsc::UnboundedReceiver<Said>,
}

async fn run(mut options: LinkOptions, tls: TlsFiles, mut backoff: Backoff, mut line: Line) {
    for connection in 0.. {
        // Wraps after more connections than a machine makes.
        let turn = usize::try_from(connection).unwrap_or(0);
        match line.brokers.get(turn % line.brokers.len().max(1)) {
            Some(address) => options.address = address.clone(),
            None => return,
        }
        let loss = match prove(&mut options, &tls).await {
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

/// Acknowledgements that are given and not yet handed to the link: Mosquitto sends more messages at
/// once than it was told to, so there may be more of them than the link has room for.
struct Owed {
    connection: u64,
    packets: VecDeque<super::link::Receipt>,
}

impl Owed {
    /// A receipt of an older connection may name another message by now.
    fn add(&mut self, receipt: Receipt) {
        if receipt.connection == self.connection {
            self.packets.push_back(receipt.packet);
        }
    }

    /// As many as there is room for. Where the link has failed, its events say why.
    fn pay(&mut self, link: &Link) {
        while let Some(packet) = self.packets.front() {
            match link.acknowledge(*packet) {
                Acknowledged::Queued => drop(self.packets.pop_front()),
                Acknowledged::Later => return,
                Acknowledged::Failed => self.packets.clear(),
            }
        }
    }

    /// All of them, and goodbye.
    async fn close(mut self, link: &mut Link) {
        let pay_all = async {
            while !self.packets.is_empty() {
                self.pay(link);
                if !self.packets.is_empty() && link.event().await.is_err() {
                    return;
                }
            }
        };
        // A broker that does not take them in time sends those messages again.
        let _ = tokio::time::timeout(GOODBYE, pay_all).await;
        link.close(GOODBYE).await;
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
        let mut owed = Owed {
            connection,
            packets: VecDeque::new(),
        };
        loop {
            owed.pay(link);
            let event = tokio::select! {
                said = self.receipts.recv() => match said {
                    Some(Said::Taken(receipt)) => {
                        owed.add(receipt);
                        continue;
                    }
                    Some(Said::Close) | None => {
                        owed.close(link).await;
                        return Ok(());
                    }
                },
                event = link.event() => event?,
            };
            let event = match event {
                LinkEvent::Up(limits) => {
                    // It may grant them all the same, as filters that nothing matches.
                    if !limits.shared && self.filters.iter().any(|f| f.starts_with("$share/")) {
                        return Err(Loss::new(
                            "the broker has no shared subscriptions; turn them on there",
                        ));
                    }
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
                    said = self.receipts.recv() => match said {
                        Some(Said::Taken(receipt)) => owed.add(receipt),
                        Some(Said::Close) | None => {
                            owed.close(link).await;
                            return Ok(());
                        }
                    },
                }
            };
            match permit {
                Ok(permit) => permit.send(event),
                // Nobody reads any more; what is still acknowledged goes out with the goodbye.
                Err(_) => {
                    while let Some(Said::Taken(receipt)) = self.receipts.recv().await {
                        owed.add(receipt);
                    }
                    owed.close(link).await;
                    return Ok(());
                }
            }
        }
    }

    /// Tells of refused filters. `true`: nobody listens any more.
    async fn answered(&mut self, answers: Vec<Result<(), NotGranted>>) -> Result<bool, Loss> {
        let refused = refused(&self.filters, answers)?;
        let count = refused.len();
        for (filter, why) in refused {
            if self.is_deaf(ReceiverEvent::Refused { filter, why }).await {
                return Ok(true);
            }
        }
        any_granted(&self.filters, count)?;
        Ok(false)
    }

    async fn is_deaf(&self, event: ReceiverEvent) -> bool {
        self.tell.send(event).await.is_err()
    }
}
