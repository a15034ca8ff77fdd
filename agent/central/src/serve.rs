//! The whole subscriber: lanes, leader, and what hangs on them, until told to stop.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use kakou_time::SystemClock;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_postgres::Transaction;

use crate::config::CentralConfig;
use crate::ingest::{
    Agents, Counts, Intake, LOOK_AGAIN, Lane, LaneKind, NewHit, Objects, OnHits, run,
};
use crate::leader::Leader;
use crate::store::{Days, Store, StoreError};

/// What is written when the order to stop comes is given so long.
const LAST_WRITES: Duration = Duration::from_secs(20);

const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Tells whoever listens that there is a new hit.
#[derive(Debug, Clone)]
pub struct Hits;

/// The channel on which each new message of a hit is told: its event id.
pub const HITS_CHANNEL: &str = "kakou_hits";

impl OnHits for Hits {
    async fn new_hits(
        &self,
        transaction: &Transaction<'_>,
        hits: &[NewHit],
    ) -> Result<(), StoreError> {
        let ids: Vec<&str> = hits.iter().map(|hit| hit.event_id.as_str()).collect();
        let notify = "SELECT pg_notify($1, id) FROM unnest($2::text[]) AS new (id)";
        transaction.execute(notify, &[&HITS_CHANNEL, &ids]).await?;
        Ok(())
    }
}

/// A running subscriber.
pub struct Central {
    pub store: Store,
    pub objects: Objects,
    pub counts: Vec<(LaneKind, Arc<Counts>)>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Central {
    /// Brings the schema up to date and begins to take messages in.
    pub async fn start(config: &CentralConfig) -> anyhow::Result<Self> {
        let url = config.database_url().map_err(anyhow::Error::msg)?;
        let store = Store::open(url.reveal(), config.database.connections)?;
        let steps = store.migrate().await?;
        if steps > 0 {
            tracing::info!(steps, "the database has the schema of this version now");
        }
        let objects = Objects::open(&config.objects)?;
        let brokers = config.brokers().map_err(anyhow::Error::msg)?;
        let intake = Intake {
            store: store.clone(),
            agents: Agents::default(),
            days: Days::default(),
            objects: objects.clone(),
            clock: Arc::new(SystemClock::new()),
            on_hits: Hits,
        };
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let mut counts = Vec::new();
        for kind in LaneKind::ALL {
            let lane = Lane::new(
                kind,
                &config.group,
                &config.name,
                brokers.clone(),
                config.receiver(),
            );
            counts.push((kind, Arc::clone(&lane.counts)));
            tasks.spawn(run(lane, intake.clone(), stopped.clone()));
        }
        tasks.spawn(look_again(intake.agents.clone(), stopped.clone()));
        let leader = Leader {
            store: store.clone(),
            intake,
            brokers,
            tls: config.tls(),
            life: config.life.clone(),
        };
        tasks.spawn(leader.run(stopped.clone()));
        Ok(Self {
            store,
            objects,
            counts,
            stop,
            tasks,
        })
    }

    /// Returns when the broker has confirmed every lane: from then on it keeps what comes, also while
    /// nobody is here.
    pub async fn subscribed(&self) {
        let open =
            |(_, counts): &(_, Arc<Counts>)| counts.is_subscribed.load(Ordering::Relaxed) == 0;
        while self.counts.iter().any(open) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Commits and acknowledges what was taken, and ends.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(LAST_WRITES, all).await.is_err() {
            tracing::warn!("the last writes took too long; the broker sends those messages again");
        }
    }
}

/// Keys that an operator sets are seen by and by.
async fn look_again(agents: Agents, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK_AGAIN) => agents.forget(),
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}
