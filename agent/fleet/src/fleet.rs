//! A fleet from its start to its end.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, FixedOffset};
use kakou_contract::{Id, MessageKind, VerifyingKey};
use kakou_time::{Clock as _, SystemClock};
use kakou_uplink::BrokerAddress;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use crate::agent::{Agent, Link, Order};
use crate::checkpoint::Checkpoint;
use crate::city::Traffic;
use crate::clock::{AgentClock, FleetTime};
use crate::commands::Commander;
use crate::director::{Director, Hand};
use crate::line::Line;
use crate::options::{FleetError, FleetOptions};
use crate::pictures::Bank;
use crate::scene::Shared;
use crate::store::{Books, MemoryStore};
use crate::tally::Tally;
use crate::truth::{Record, Summary, Truth};

/// Plates named in the summary, at most.
const NAMED: usize = 200;
/// So that a broker is not asked for thousands of connections at once.
const CONNECTIONS_A_SECOND: u32 = 400;
/// Time of a place in China.
const EAST: i32 = 8 * 3600;

/// Who an agent is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentName {
    pub site: Id,
    pub agent: Id,
    /// What its messages are signed with.
    pub key: VerifyingKey,
}

/// How it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub connected: usize,
    /// Agents that hear commands.
    pub listening: usize,
    pub passages: u64,
    pub acknowledged: u64,
    /// Messages made so far.
    pub made: u64,
    /// Sightings that are no messages yet.
    pub untold: u64,
}

/// Agents that are at work. Dropping it ends all of them at once, as a power cut does.
pub struct Fleet {
    shared: Arc<Shared>,
    books: Books,
    hands: Arc<Vec<Hand>>,
    names: Vec<AgentName>,
    links: Vec<watch::Receiver<Link>>,
    agents: JoinSet<()>,
    director: JoinHandle<()>,
    stop: watch::Sender<bool>,
    made: watch::Receiver<bool>,
    record: Option<Record>,
}

impl Fleet {
    /// Starts a fleet over these brokers, the nodes of one cluster, agent after agent at the next one;
    /// must be called within a tokio runtime. A node that is away is no error: its agents take to the
    /// one after it, and go back by and by.
    pub fn start(options: FleetOptions, brokers: Vec<BrokerAddress>) -> Result<Self, FleetError> {
        options.check()?;
        if brokers.is_empty() {
            return Err(FleetError::Option {
                option: "brokers",
                why: "name one at least".to_owned(),
            });
        }
        let (record, sink) = Record::open(&options.truth)?;
        let books = Books {
            tally: Arc::new(Tally::default()),
            sink,
            untold: Arc::new(AtomicI64::new(0)),
        };
        let shared = shared(options)?;
        let (mut hands, mut names, mut links) = (Vec::new(), Vec::new(), Vec::new());
        let mut agents = Vec::new();
        for (number, first) in (0..shared.options.agents).zip((0..brokers.len()).cycle()) {
            let checkpoint = Checkpoint::new(&shared.options, &shared.traffic, number)?;
            let checkpoint = Arc::new(checkpoint);
            let line = Line::new(Arc::clone(&shared), Arc::clone(&checkpoint));
            let store = MemoryStore::new(line, books.clone());
            let clock = Arc::new(AgentClock {
                time: shared.time,
                ahead: checkpoint.ahead,
                status: checkpoint.clock,
            });
            names.push(AgentName {
                site: checkpoint.site.clone(),
                agent: checkpoint.agent.clone(),
                key: checkpoint.key.verifying_key(),
            });
            let (orders, queue) = mpsc::channel(4);
            let (tell, told) = watch::channel(Link::default());
            links.push(told);
            hands.push(Hand {
                store: store.clone(),
                orders,
            });
            let commander = Commander {
                shared: Arc::clone(&shared),
                checkpoint,
                clock: clock.clone(),
                store: store.clone(),
                answered: VecDeque::new(),
            };
            let agent = Agent {
                shared: Arc::clone(&shared),
                store,
                brokers: [&brokers[first..], &brokers[..first]].concat(),
                clock,
                commander,
                tally: Arc::clone(&books.tally),
                link: tell,
            };
            agents.push((agent, queue));
        }
        let hands = Arc::new(hands);
        let director = Director::new(Arc::clone(&shared), books.clone(), Arc::clone(&hands));
        let mut set = JoinSet::new();
        for (number, (agent, queue)) in (0_u32..).zip(agents) {
            let begin = Duration::from_secs(1) * number / CONNECTIONS_A_SECOND;
            set.spawn(agent.live(begin, queue));
        }
        let (stop, stopped) = watch::channel(false);
        let (tell_made, made) = watch::channel(false);
        Ok(Self {
            director: tokio::spawn(director.direct(stopped, tell_made)),
            agents: set,
            shared,
            books,
            hands,
            names,
            links,
            stop,
            made,
            record: Some(record),
        })
    }

    pub fn agents(&self) -> &[AgentName] {
        &self.names
    }

    /// The time that all times of messages are counted from.
    pub fn start_time(&self) -> DateTime<FixedOffset> {
        self.shared.time.start
    }

    pub fn progress(&self) -> Progress {
        let tally = &self.books.tally;
        Progress {
            connected: self.links.iter().filter(|l| l.borrow().connected).count(),
            listening: self.links.iter().filter(|l| l.borrow().listening).count(),
            passages: tally.kind(MessageKind::Passage).get(),
            acknowledged: tally.acknowledged.get(),
            made: tally.made.get(),
            untold: u64::try_from(self.books.untold.load(Ordering::Relaxed)).unwrap_or(0),
        }
    }

    /// Waits until `count` passages have happened; without a count, for ever.
    pub async fn made(&self) {
        let mut made = self.made.clone();
        // The director ends only after it was told to.
        let _ = made.wait_for(|made| *made).await;
    }

    /// Nothing happens any more; what waits is sent, for as long as the options give it; each agent
    /// says goodbye. What was and what was not acknowledged is recorded.
    pub async fn stop_and_drain(mut self) -> Result<Truth, FleetError> {
        self.stop.send_replace(true);
        (&mut self.director).await.map_err(|_| FleetError::Ended {
            what: "what makes vehicles pass",
        })?;
        let deadline = Instant::now() + self.shared.options.drain;
        for hand in self.hands.iter() {
            // An agent that has ended is found below.
            let _ = hand.orders.send(Order::Finish(deadline)).await;
        }
        let mut failed = false;
        while let Some(ended) = self.agents.join_next().await {
            failed |= ended.is_err();
        }
        let (mut waiting, mut held) = (0, 0);
        for hand in self.hands.iter() {
            let (left, refused) = hand.store.close();
            waiting += left;
            held += refused;
        }
        let summary = self.summary(waiting, held);
        let record = self.record.take();
        drop(self);
        if failed {
            return Err(FleetError::Ended { what: "an agent" });
        }
        match record {
            Some(record) => {
                // It may wait for the disk.
                let closed = tokio::task::spawn_blocking(move || record.close(summary));
                closed.await.map_err(|_| FleetError::Ended {
                    what: "the record of what was sent",
                })?
            }
            None => Ok(Truth {
                summary,
                rows: Vec::new(),
            }),
        }
    }

    fn summary(&self, unacknowledged: u64, held: u64) -> Summary {
        let (tally, options) = (&self.books.tally, &self.shared.options);
        let of = |kind| tally.kind(kind).get();
        let seconds = self.shared.time.elapsed().as_secs_f64().max(1e-9);
        let untold: usize = self.hands.iter().map(|hand| hand.store.untold()).sum();
        let (passages, acknowledged) = (of(MessageKind::Passage), tally.acknowledged.get());
        let vehicles = options.live_vehicles();
        Summary {
            agents: options.agents,
            seconds,
            passages,
            hits: of(MessageKind::Hit),
            signals: of(MessageKind::Signal),
            pictures: of(MessageKind::Evidence),
            statuses: of(MessageKind::Status),
            audits: of(MessageKind::Audit),
            results: of(MessageKind::Result),
            acknowledged,
            unacknowledged,
            held,
            evicted: tally.evicted.get(),
            repeats: tally.repeats.get(),
            evil: tally.evil.get(),
            outages: tally.outages.get(),
            commands: tally.commands.get(),
            untold: untold as u64,
            passages_per_second: passages as f64 / seconds,
            messages_per_second: acknowledged as f64 / seconds,
            acknowledged_median_ms: tally.within(0.5),
            acknowledged_p99_ms: tally.within(0.99),
            pairs: self.shared.traffic.pairs(vehicles).take(NAMED).collect(),
            clones: self.shared.traffic.clones(vehicles).take(NAMED).collect(),
        }
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.director.abort();
    }
}

pub(crate) fn shared(options: FleetOptions) -> Result<Arc<Shared>, FleetError> {
    let now = SystemClock::new().wall();
    let here = FixedOffset::east_opt(EAST).map_or(now, |east| now.with_timezone(&east));
    let time = match options.start {
        Some(start) if options.rate == 0.0 => FleetTime::standing(start),
        Some(start) => FleetTime::running(start),
        None => FleetTime::running(here),
    };
    let traffic = Traffic {
        seed: options.seed,
        agents: options.agents,
        listed: options.hits,
    };
    Ok(Arc::new(Shared {
        bank: Bank::new(options.seed, options.picture_size)?,
        models: Shared::models(),
        traffic,
        time,
        options,
    }))
}
