//! The way to the platform as a part of the agent: it owns the uplink, starts it anew if it ends,
//! and takes another broker into use when the config names one.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use kakou_contract::time::to_text;
use kakou_contract::{AgentState, Envelope, Filter, Message, OfflineReason, StatusMessage, Topic};
use kakou_guard::presentable;
use kakou_outbox::Outbox;
use kakou_time::SharedClock;
use kakou_uplink::{DirectSender, Drain, Received, Status, Twin, TwinWatch, Uplink, UplinkConfig};
use tokio::sync::{mpsc, oneshot, watch};

use super::listener::Listener;
use super::status::Identity;
use super::supervise::{Pulse, TaskPart};
use crate::config::BrokerConfig;
use crate::store::OutboxStore;

/// What the old broker may take to acknowledge what it was sent.
const CHANGE_WITHIN: Duration = Duration::from_secs(5);

/// The uplink in use, for whoever asks how it is or sends past the outbox. A clone is another hand
/// on the same one.
#[derive(Clone, Default)]
pub struct Link(Arc<RwLock<Option<Ends>>>);

/// The ends of an uplink that others hold.
type Ends = (DirectSender, watch::Receiver<Status>);

impl Link {
    pub fn status(&self) -> Status {
        let inner = self.0.read().unwrap_or_else(PoisonError::into_inner);
        inner
            .as_ref()
            .map(|(_, status)| status.borrow().clone())
            .unwrap_or_default()
    }

    /// Sends what the outbox could not take. False: there is no connection, or it has too much to
    /// do.
    pub fn send_past(&self, message: Envelope) -> bool {
        let inner = self.0.read().unwrap_or_else(PoisonError::into_inner);
        inner
            .as_ref()
            .is_some_and(|(direct, _)| direct.send(message))
    }

    fn set(&self, uplink: &Uplink) {
        let inner = (uplink.direct_sender(), uplink.status());
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(inner);
    }
}

/// What the part is told.
pub enum Order {
    /// Another broker, or other settings for it.
    Change(Box<UplinkConfig>),
    /// The end: `last` is published, and what is on its way acknowledged, within the time.
    Finish {
        last: Option<Envelope>,
        within: Duration,
        done: oneshot::Sender<()>,
    },
}

pub struct LinkPart {
    pub config: UplinkConfig,
    pub outbox: Outbox,
    pub clock: SharedClock,
    pub link: Link,
    pub listener: Listener,
    /// Where chunks of lists go. One that finds no room is asked for again.
    pub lists: mpsc::Sender<Received>,
    pub orders: mpsc::Receiver<Order>,
}

/// How the uplink is to be run for this broker.
pub fn uplink_config(
    broker: &BrokerConfig,
    identity: &Identity,
    clock: &SharedClock,
    hears_lists: bool,
) -> UplinkConfig {
    let (will, clock) = (identity.clone(), SharedClock::clone(clock));
    let (site, agent) = (&identity.site, &identity.agent);
    UplinkConfig {
        will: Some(Arc::new(move || {
            will.offline_envelope(OfflineReason::ConnectionLost, &*clock)
        })),
        commands: Some(Filter::commands(site.clone(), agent.clone()).to_string()),
        twin: Some(twin_watch(identity)),
        lists: hears_lists.then(|| Filter::lists(site.clone(), agent.clone()).to_string()),
        ..broker.uplink(format!("kakou-{site}-{agent}"))
    }
}

/// Another box under our identity says so in a status with another start.
fn twin_watch(identity: &Identity) -> TwinWatch {
    let own = identity.started_at.timestamp_millis();
    let topic = Topic::Status {
        site: identity.site.clone(),
        agent: identity.agent.clone(),
    };
    TwinWatch {
        topic: topic.to_string(),
        look: Arc::new(move |payload| {
            let other = StatusMessage::from_json(payload).ok()?;
            let start = other.started_at.timestamp_millis();
            (start != own).then(|| Twin {
                who: format!(
                    "running since {}, version {}, key {}",
                    to_text(&other.started_at),
                    presentable(&other.software.version),
                    other
                        .public_key
                        .map_or("none".to_owned(), |key| presentable(&key.base64)),
                ),
                is_older: start < own,
                is_gone: other.state == AgentState::Offline,
            })
        }),
    }
}

impl LinkPart {
    fn hear(&self, received: Received) {
        match received.topic.parse() {
            Ok(Topic::List { list, .. }) => {
                if self.lists.try_send(received).is_err() {
                    tracing::debug!(%list, "a chunk of a list found no room");
                }
            }
            _ => self.listener.hear(received),
        }
    }

    fn start(
        &self,
    ) -> (
        Uplink,
        Option<mpsc::Receiver<Received>>,
        watch::Receiver<Status>,
    ) {
        let mut uplink = Uplink::start(
            self.config.clone(),
            OutboxStore(self.outbox.clone()),
            SharedClock::clone(&self.clock),
        );
        self.link.set(&uplink);
        let (commands, status) = (uplink.commands(), uplink.status());
        (uplink, commands, status)
    }
}

impl TaskPart for LinkPart {
    async fn run_once(&mut self, pulse: &Pulse) -> anyhow::Result<()> {
        let (mut uplink, mut commands, mut status) = self.start();
        pulse.working();
        loop {
            tokio::select! {
                order = self.orders.recv() => match order {
                    Some(Order::Change(config)) => {
                        // One client id has one connection: the old one ends first. What it has not
                        // sent waits in the outbox. Its last word replaces the "online" that the
                        // old broker keeps.
                        let last = self.config.will.as_ref().and_then(|will| will());
                        if let Err(e) = uplink.end(Drain::InFlight, last, CHANGE_WITHIN).await {
                            tracing::warn!("{e}; what was not acknowledged goes to the new broker");
                        }
                        self.config = *config;
                        (uplink, commands, status) = self.start();
                    }
                    Some(Order::Finish { last, within, done }) => {
                        if let Err(e) = uplink.finish(Drain::InFlight, last, within).await {
                            tracing::warn!("{e}; what was not acknowledged stays in the outbox");
                        }
                        // Who asked may have given up waiting.
                        let _ = done.send(());
                        return Ok(());
                    }
                    None => return Ok(()),
                },
                Some(received) = next(&mut commands) => self.hear(received),
                state = ended(&mut status) => anyhow::bail!("its task ended: {state}"),
            }
        }
    }
}

async fn next(commands: &mut Option<mpsc::Receiver<Received>>) -> Option<Received> {
    match commands {
        Some(commands) => commands.recv().await,
        None => std::future::pending().await,
    }
}

/// Ready when the uplink's task has gone; its last state.
async fn ended(status: &mut watch::Receiver<Status>) -> String {
    while status.changed().await.is_ok() {}
    status.borrow().state.to_string()
}
