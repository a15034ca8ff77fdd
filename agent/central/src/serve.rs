//! The whole subscriber: lanes, leader, and what hangs on them, until told to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use kakou_time::{SharedClock, SystemClock};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_postgres::Transaction;
use uuid::Uuid;

use crate::api::{self, App, CHANNEL, Listen, Pictures};
use crate::config::CentralConfig;
use crate::ingest::{Agents, Counts, Intake, LOOK_AGAIN, Lane, LaneKind, Objects, OnNew, run};
use crate::leader::Leader;
use crate::metrics::{self, Sources};
use crate::push::{CommandPace, Commander, NewHit, PushPace, Pusher, Recipients, enqueue};
use crate::store::{Days, Store, StoreError};
use crate::upper::{Filter, Upper};

/// What is written when the order to stop comes is given so long.
const LAST_WRITES: Duration = Duration::from_secs(20);

const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Another program may have the address of the interface, and lose it; a certificate may be mended.
const OPEN_AGAIN: Duration = Duration::from_secs(10);

/// What a new message means beyond its row. Of a hit, whoever listens is told, and whoever has a
/// right to it; a passage goes to the upper view library.
#[derive(Debug, Clone)]
pub struct Told {
    recipients: Arc<Recipients>,
    upper: Option<Arc<Filter>>,
}

impl OnNew for Told {
    async fn hits(
        &self,
        transaction: &Transaction<'_>,
        hits: &[NewHit<'_>],
    ) -> Result<(), StoreError> {
        let ids: Vec<&str> = hits.iter().map(|hit| hit.event_id).collect();
        let notify = "SELECT pg_notify($1, id) FROM unnest($2::text[]) AS new (id)";
        transaction.execute(notify, &[&CHANNEL, &ids]).await?;
        enqueue(transaction, hits, &self.recipients).await?;
        Ok(())
    }

    async fn passages(
        &self,
        transaction: &Transaction<'_>,
        passages: &[(Uuid, DateTime<Utc>)],
    ) -> Result<(), StoreError> {
        match &self.upper {
            Some(filter) => filter.enqueue(transaction, passages).await,
            None => Ok(()),
        }
    }
}

/// Pictures for the HTTP interface.
struct Shown(Objects);

impl Pictures for Shown {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Option<Bytes>> {
        Box::pin(async move {
            match self.0.get(key).await {
                Ok(found) => found,
                Err(error) => {
                    tracing::warn!(key, %error, "a picture cannot be read");
                    None
                }
            }
        })
    }
}

/// A running subscriber.
pub struct Central {
    pub store: Store,
    pub objects: Objects,
    pub counts: Vec<(LaneKind, Arc<Counts>)>,
    stop: watch::Sender<bool>,
    /// Each with its name.
    tasks: JoinSet<&'static str>,
    pusher: Option<Pusher>,
    commander: Commander,
}

impl Central {
    /// Brings the schema up to date and begins to take messages in.
    pub async fn start(config: &CentralConfig) -> anyhow::Result<Self> {
        let store = config.store(None)?;
        let steps = store.migrate().await?;
        if steps > 0 {
            tracing::info!(steps, "the database has the schema of this version now");
        }
        let objects = Objects::open(&config.objects)?;
        let brokers = config.brokers().map_err(anyhow::Error::msg)?;
        let recipients = Arc::new(config.recipients()?);
        let upper = config.upper()?;
        let push_broker = config.push_broker().map_err(anyhow::Error::msg)?;
        let clock: SharedClock = Arc::new(SystemClock::new());
        let intake = Intake {
            store: store.clone(),
            agents: Agents::default(),
            days: Days::default(),
            objects: objects.clone(),
            clock: Arc::clone(&clock),
            on_new: Told {
                recipients: Arc::clone(&recipients),
                upper: upper.as_ref().map(|plan| Arc::new(plan.filter())),
            },
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
            let lane = run(lane, intake.clone(), stopped.clone());
            tasks.spawn(named(kind.as_str(), lane));
        }
        let again = look_again(intake.agents.clone(), stopped.clone());
        tasks.spawn(named("keys", again));
        let leads = Arc::new(AtomicBool::new(false));
        if let Some(place) = &config.metrics {
            let sources = Sources::new(
                [config.group.to_string(), config.name.to_string()],
                counts.clone(),
                Arc::clone(&leads),
                upper.is_some(),
                store.clone(),
                Arc::clone(&clock),
            );
            let serve = metrics::serve(place.listen, Arc::new(sources), until(stopped.clone()));
            tasks.spawn(named("metrics", serve));
        }
        let leader = Leader {
            store: store.clone(),
            intake,
            brokers,
            tls: config.tls(),
            life: config.life.clone(),
            gaps: config.gaps.clone(),
            leads,
        };
        tasks.spawn(named("leader", leader.run(stopped.clone())));
        if let Some(plan) = upper {
            let upper = Upper {
                plan,
                store: store.clone(),
                objects: objects.clone(),
                clock: Arc::clone(&clock),
                process: config.name.to_string(),
            };
            tasks.spawn(named("gat1400", upper.run(stopped.clone())));
        }
        let commander = Commander::start(
            store.clone(),
            &push_broker,
            Arc::clone(&clock),
            CommandPace::default(),
        );
        let pusher = match recipients.is_empty() {
            true => None,
            false => {
                let broker = recipients.needs_broker().then_some(&push_broker);
                let pace = PushPace::default();
                let (store, clock) = (store.clone(), Arc::clone(&clock));
                Some(Pusher::start(store, recipients, broker, clock, pace)?)
            }
        };
        if let Some(api) = &config.api {
            let place = api.place();
            let options = place.options(api.proxied);
            let pictures = Arc::new(Shown(objects.clone()));
            let app = Arc::new(App::new(store.clone(), pictures, clock, options));
            tasks.spawn(named("api", answer(place, app, stopped)));
        }
        Ok(Self {
            store,
            objects,
            counts,
            stop,
            tasks,
            pusher,
            commander,
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

    /// Returns when a part has ended by itself, which none should: its name. Without it the rest is not
    /// what this program is for, so the process is to begin anew.
    pub async fn ended(&mut self) -> String {
        let push = async {
            match &mut self.pusher {
                Some(pusher) => pusher.ended().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(ended) = self.tasks.join_next() => match ended {
                Ok(name) => name.to_owned(),
                Err(error) => error.to_string(),
            },
            () = push => "push".to_owned(),
            () = self.commander.ended() => "commands".to_owned(),
        }
    }

    /// Commits and acknowledges what was taken, and ends.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        if let Some(pusher) = self.pusher.take() {
            pusher.stop(LAST_WRITES / 2).await;
        }
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(LAST_WRITES, all).await.is_err() {
            tracing::warn!("the last writes took too long; the broker sends those messages again");
        }
    }
}

async fn named(name: &'static str, task: impl Future<Output = ()>) -> &'static str {
    task.await;
    name
}

async fn until(mut stopped: watch::Receiver<bool>) {
    // A sender that is gone means the same.
    drop(stopped.wait_for(|stop| *stop).await);
}

/// Answers the interface; where that cannot be, messages are taken in all the same.
async fn answer(place: Listen, app: Arc<App>, stopped: watch::Receiver<bool>) {
    let mut told = None;
    loop {
        let error = match api::serve(&place, Arc::clone(&app), until(stopped.clone())).await {
            Ok(()) => return,
            Err(error) => error.to_string(),
        };
        if told.as_ref() != Some(&error) {
            tracing::error!(error, "the interface is not answered; it is tried again");
            told = Some(error);
        }
        tokio::select! {
            () = tokio::time::sleep(OPEN_AGAIN) => {}
            () = until(stopped.clone()) => return,
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crate::ingest::ObjectsConfig;
    use crate::push::PushBroker;

    #[tokio::test]
    async fn a_part_that_ends_by_itself_is_named() {
        let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
        // Nobody is there; each part goes on trying.
        let store = Store::open("host=127.0.0.1 port=9 connect_timeout=1", 2).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let objects = ObjectsConfig {
            folder: Some(folder.path().to_owned()),
            ..ObjectsConfig::default()
        };
        let broker = PushBroker {
            brokers: vec!["mqtt://127.0.0.1:9".parse().unwrap()],
            tls: kakou_uplink::TlsFiles::default(),
            client_id: "central-a".to_owned(),
        };
        let clock: SharedClock = Arc::new(SystemClock::new());
        let pace = CommandPace::default();
        let mut central = Central {
            commander: Commander::start(store.clone(), &broker, clock, pace),
            store,
            objects: Objects::open(&objects).unwrap(),
            counts: Vec::new(),
            stop: watch::channel(false).0,
            tasks: JoinSet::new(),
            pusher: None,
        };
        let mut stopped = central.stop.subscribe();
        central.tasks.spawn(async move {
            drop(stopped.wait_for(|stop| *stop).await);
            "keys"
        });
        let waits = tokio::time::timeout(Duration::from_millis(300), central.ended());
        assert!(waits.await.is_err());
        central.tasks.spawn(named("hits", async {}));
        assert_eq!(central.ended().await, "hits");
        central
            .tasks
            .spawn(named("records", async { panic!("a bug") }));
        let told = central.ended().await;
        assert!(told.contains("panic"), "{told}");
    }
}
