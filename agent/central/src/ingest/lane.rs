//! One way from the broker into the database: its own connection to each, so that no lane waits for
//! another.
//!
//! A batch is what came while the one before it was written: one message when little happens, up to
//! the bound when much does. The next batch is decoded while this one is written.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kakou_contract::{Filter, Id};
use kakou_uplink::{
    Acknowledger, BrokerAddress, Receipt, Received, Receiver, ReceiverConfig, ReceiverEvent,
};
use tokio::sync::{mpsc, watch};

use super::take::Intake;
use super::write::{Batch, OnNew};

/// A batch takes no more than this.
const BATCH_MESSAGES: usize = 1_000;
const BATCH_BYTES: usize = 8 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LaneKind {
    Hits,
    /// Passages, signals, states, audits, answers.
    Records,
    Pictures,
}

impl LaneKind {
    pub const ALL: [Self; 3] = [Self::Hits, Self::Records, Self::Pictures];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hits => "hits",
            Self::Records => "records",
            Self::Pictures => "pictures",
        }
    }

    /// What it subscribes to, as a member of `group`.
    pub fn filters(self, group: &Id) -> Vec<String> {
        let shared = |filter: Filter| filter.shared(group);
        match self {
            Self::Hits => vec![shared(Filter::hits())],
            Self::Records => vec![
                shared(Filter::passages()),
                shared(Filter::signals()),
                shared(Filter::status()),
                shared(Filter::audit()),
                // Answers may go below an agent's own topic.
                format!("{}/#", shared(Filter::results())),
            ],
            Self::Pictures => vec![shared(Filter::evidence())],
        }
    }

    /// The most that the broker sends before it hears that something was taken: this bounds the
    /// memory.
    const fn unacknowledged(self) -> u16 {
        match self {
            Self::Hits => 500,
            Self::Records => 4_000,
            Self::Pictures => 400,
        }
    }
}

/// What a lane has done since the start.
#[derive(Debug, Default)]
pub struct Counts {
    pub fresh: AtomicU64,
    pub repeats: AtomicU64,
    pub apart: AtomicU64,
    pub connections: AtomicU64,
    /// The broker confirmed the subscriptions, and the connection has not ended since.
    pub is_subscribed: AtomicU64,
    /// Wall clock, ms since 1970; 0: nothing was committed yet.
    pub committed_ms: AtomicU64,
    /// Since when the messages in hand have been on their way into the database; 0: none are.
    pub writing_since_ms: AtomicU64,
}

pub struct Lane {
    pub kind: LaneKind,
    pub brokers: Vec<BrokerAddress>,
    pub receiver: ReceiverConfig,
    pub counts: Arc<Counts>,
}

impl Lane {
    /// `name` tells the processes of one group apart.
    pub fn new(
        kind: LaneKind,
        group: &Id,
        name: &Id,
        brokers: Vec<BrokerAddress>,
        mut receiver: ReceiverConfig,
    ) -> Self {
        receiver.client_id = format!("{group}-{name}-{}", kind.as_str());
        receiver.filters = kind.filters(group);
        receiver.unacknowledged = kind.unacknowledged();
        Self {
            kind,
            brokers,
            receiver,
            counts: Arc::default(),
        }
    }
}

/// Until `stop` says so; what is being written then is still committed and acknowledged.
pub async fn run<H: OnNew + Clone + 'static>(
    lane: Lane,
    intake: Intake<H>,
    mut stop: watch::Receiver<bool>,
) {
    let name = lane.kind.as_str();
    let mut receiver = Receiver::connect(lane.brokers, lane.receiver);
    let acknowledger = receiver.acknowledger();
    let (hand_over, incoming) = mpsc::channel(1);
    let (pass_on, decoded) = mpsc::channel(1);
    let counts = Arc::clone(&lane.counts);
    let decoding = tokio::spawn(decode(intake.clone(), incoming, pass_on));
    let writing = tokio::spawn(write(intake, decoded, acknowledger, counts));
    loop {
        let event = tokio::select! {
            event = receiver.recv() => event,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let Some(event) = event else { break };
        let mut batch = Incoming::default();
        let mut next = Some(event);
        while let Some(event) = next {
            match event {
                ReceiverEvent::Message(message, receipt) => batch.push(message, receipt),
                ReceiverEvent::Subscribed => {
                    lane.counts.is_subscribed.store(1, Ordering::Relaxed);
                    lane.counts.connections.fetch_add(1, Ordering::Relaxed);
                    tracing::info!(lane = name, "subscribed");
                }
                ReceiverEvent::Refused { filter, why } => {
                    tracing::error!(
                        lane = name,
                        filter,
                        why,
                        "the broker refuses a subscription: its messages do not come; give this user the right to read it"
                    );
                }
                ReceiverEvent::Lost { why } => {
                    lane.counts.is_subscribed.store(0, Ordering::Relaxed);
                    tracing::warn!(
                        lane = name,
                        why,
                        "the connection to the broker is lost, the next one comes by itself"
                    );
                }
            }
            if batch.is_full() {
                break;
            }
            next = receiver.try_recv();
        }
        if batch.messages.is_empty() {
            continue;
        }
        let handed = tokio::select! {
            handed = hand_over.send(batch) => handed.is_ok(),
            _ = stop.wait_for(|stop| *stop) => false,
        };
        if !handed {
            break;
        }
    }
    drop(hand_over);
    for stage in [decoding, writing] {
        if let Err(error) = stage.await {
            tracing::error!(lane = name, %error, "a lane ended unexpectedly");
        }
    }
    receiver.close().await;
}

#[derive(Default)]
struct Incoming {
    messages: Vec<Received>,
    receipts: Vec<Receipt>,
    bytes: usize,
}

impl Incoming {
    fn push(&mut self, message: Received, receipt: Option<Receipt>) {
        self.bytes += message.payload.len();
        self.messages.push(message);
        self.receipts.extend(receipt);
    }

    fn is_full(&self) -> bool {
        self.messages.len() >= BATCH_MESSAGES || self.bytes >= BATCH_BYTES
    }
}

struct Decoded {
    batch: Batch,
    receipts: Vec<Receipt>,
}

async fn decode<H: OnNew + Clone + 'static>(
    intake: Intake<H>,
    mut incoming: mpsc::Receiver<Incoming>,
    pass_on: mpsc::Sender<Decoded>,
) {
    let mut writer = None;
    while let Some(Incoming {
        messages, receipts, ..
    }) = incoming.recv().await
    {
        let batch = intake.decode(&mut writer, messages, Vec::new()).await;
        if pass_on.send(Decoded { batch, receipts }).await.is_err() {
            return;
        }
    }
}

async fn write<H: OnNew + Clone + 'static>(
    intake: Intake<H>,
    mut decoded: mpsc::Receiver<Decoded>,
    acknowledger: Acknowledger,
    counts: Arc<Counts>,
) {
    let mut writer = None;
    let now_ms = || u64::try_from(intake.clock.wall_ms()).unwrap_or(0);
    while let Some(Decoded { batch, receipts }) = decoded.recv().await {
        counts.writing_since_ms.store(now_ms(), Ordering::Relaxed);
        let written = intake.write(&mut writer, batch).await;
        counts.writing_since_ms.store(0, Ordering::Relaxed);
        counts.committed_ms.store(now_ms(), Ordering::Relaxed);
        for receipt in receipts {
            acknowledger.acknowledge(receipt);
        }
        counts.fresh.fetch_add(written.fresh, Ordering::Relaxed);
        counts.repeats.fetch_add(written.repeats, Ordering::Relaxed);
        counts.apart.fetch_add(written.apart, Ordering::Relaxed);
    }
}
