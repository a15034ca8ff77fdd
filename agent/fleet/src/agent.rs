//! One agent on its connection: it connects, is away now and then, answers what it is asked, and
//! ends in good order.

use std::sync::Arc;
use std::time::Duration;

use kakou_contract::{Envelope, Filter, Keep, OfflineReason, Priority};
use kakou_time::Clock as _;
use kakou_uplink::{BrokerAddress, Drain, Received, Status, Uplink, UplinkConfig};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::clock::AgentClock;
use crate::commands::Commander;
use crate::line::What;
use crate::scene::Shared;
use crate::store::MemoryStore;
use crate::tally::Tally;

/// How long the status is waited for when the broker is left.
const LAST: Duration = Duration::from_secs(2);

const LOOK: Duration = Duration::from_millis(250);

/// How an agent's connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Link {
    pub(crate) connected: bool,
    /// It hears commands.
    pub(crate) listening: bool,
}

pub(crate) enum Order {
    /// The connection is lost without a word, and comes back after this time.
    Away(Duration),
    /// What waits is sent until then, and the agent ends.
    Finish(Instant),
}

pub(crate) struct Agent {
    pub(crate) shared: Arc<Shared>,
    pub(crate) store: MemoryStore,
    /// Its own node first; where that is away, the next one.
    pub(crate) brokers: Vec<BrokerAddress>,
    pub(crate) clock: Arc<AgentClock>,
    pub(crate) commander: Commander,
    pub(crate) tally: Arc<Tally>,
    pub(crate) link: watch::Sender<Link>,
}

/// What comes from an uplink; nothing while there is none.
#[derive(Default)]
struct Heard {
    commands: Option<mpsc::Receiver<Received>>,
    status: Option<watch::Receiver<Status>>,
}

impl Agent {
    pub(crate) async fn live(mut self, begin: Duration, mut orders: mpsc::Receiver<Order>) {
        tokio::time::sleep(begin).await;
        let (uplink, mut heard) = self.connect();
        let mut uplink = Some(uplink);
        // Of this uplink, and of those before it.
        let (mut back, mut seen, mut before) = (None, 0_u64, 0_u64);
        let deadline = loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::Away(time)) => {
                        // As when the network goes: the broker publishes the will.
                        (uplink, heard) = (None, Heard::default());
                        before += std::mem::take(&mut seen);
                        self.link.send_replace(Link::default());
                        self.tally.outages.one();
                        back = Some(Instant::now() + time);
                    }
                    Some(Order::Finish(deadline)) => break deadline,
                    None => break Instant::now() + LAST,
                },
                () = until(back), if back.is_some() => {
                    back = None;
                    let (again, from) = self.connect();
                    (uplink, heard) = (Some(again), from);
                }
                command = command(&mut heard.commands) => {
                    if self.commander.obey(&command) {
                        self.tally.commands.one();
                    }
                }
                status = changed(&mut heard.status) => {
                    self.link.send_replace(Link {
                        connected: status.connected,
                        listening: status.connected && status.listening,
                    });
                    if status.connections > seen {
                        seen = status.connections;
                        self.is_back(before + seen);
                    }
                }
            }
        };
        let uplink = uplink.unwrap_or_else(|| self.connect().0);
        self.store.end_evicting();
        self.finish(uplink, deadline).await;
    }

    fn connect(&self) -> (Uplink, Heard) {
        let mut uplink = Uplink::start(self.config(), self.store.clone(), self.clock.clone());
        let heard = Heard {
            commands: uplink.commands(),
            status: Some(uplink.status()),
        };
        (uplink, heard)
    }

    fn config(&self) -> UplinkConfig {
        let options = &self.shared.options;
        let checkpoint = &self.commander.checkpoint;
        let (site, agent) = (checkpoint.site.clone(), checkpoint.agent.clone());
        let (store, clock) = (self.store.clone(), Arc::clone(&self.clock));
        let will = move || offline(&store, &clock, OfflineReason::ConnectionLost);
        let id = format!("kakou-{site}-{agent}");
        UplinkConfig {
            tls: options.tls.clone(),
            login: options.login.clone(),
            window: options.window(),
            window_bytes: 1 << 20,
            connect_timeout: Duration::from_secs(30),
            answer_timeout: Duration::from_secs(60),
            backoff_most: Duration::from_secs(5),
            will: Some(Arc::new(will)),
            commands: Some(Filter::commands(site, agent).to_string()),
            ..UplinkConfig::new(self.brokers.clone(), id)
        }
    }

    /// After the first connection, whose birth is in line already, each one is told of.
    fn is_back(&self, connections: u64) {
        self.store.connected(connections);
        if connections == 1 {
            return;
        }
        let now = self.clock.wall();
        let told = self.store.commit(|line, waiting, out| {
            let status = line.online(now, waiting);
            let envelope = Envelope::of(&status, Priority::Control, Keep::Control)?;
            line.commit(envelope, None, What::True, out)
        });
        if let Err(e) = told {
            tracing::error!("a made-up status cannot be written: {e}");
        }
    }

    async fn finish(&self, uplink: Uplink, deadline: Instant) {
        let last = offline(&self.store, &self.clock, OfflineReason::Shutdown);
        let within = deadline.saturating_duration_since(Instant::now()).max(LAST);
        // What is not acknowledged is recorded as such by whoever closes the store.
        if let Err(e) = uplink.finish(Drain::Everything, last, within).await {
            tracing::warn!("{e}");
        }
        self.link.send_replace(Link::default());
    }
}

fn offline(store: &MemoryStore, clock: &AgentClock, reason: OfflineReason) -> Option<Envelope> {
    let now = clock.wall();
    store.look(|line| line.offline(reason, now)).ok()
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

async fn command(commands: &mut Option<mpsc::Receiver<Received>>) -> Received {
    if let Some(queue) = commands
        && let Some(command) = queue.recv().await
    {
        return command;
    }
    std::future::pending().await
}

async fn changed(status: &mut Option<watch::Receiver<Status>>) -> Status {
    let Some(status) = status else {
        return std::future::pending().await;
    };
    // It changes with each acknowledgement; a look now and then is enough.
    tokio::time::sleep(LOOK).await;
    match status.changed().await {
        Ok(()) => status.borrow_and_update().clone(),
        Err(_) => std::future::pending().await,
    }
}
