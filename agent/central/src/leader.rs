//! What one process does for all: it follows the chains, the life of agents, and the days.
//!
//! Whoever holds an advisory lock of the database leads. The lock belongs to the connection on which
//! all of this work is done, so a process that loses it cannot go on as if it led: its next
//! statement fails. Another one then takes over, and reads from the tables what it needs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{Days as CalendarDays, Utc};
use deadpool_postgres::Object;
use kakou_contract::StatusMessage;
use kakou_uplink::{BrokerAddress, Received, TlsFiles};
use tokio::sync::watch;

use crate::config::GapsConfig;
use crate::ingest::{Doubt, Intake, OnNew, Row, birth_key, decode, topic};
use crate::life::{Life, LifeConfig, Watch};
use crate::store::{Store, StoreError};
use crate::trust::{self, Auditor, release};

/// "kakou leads" as a number nobody else uses.
const LEADING: i64 = 0x006b_616b_6f75_0001;
/// How often the lock is asked for, and how often a leader looks round.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A sweep writes a row for each agent that spoke: not more often than that pays.
const SWEEP_EVERY: Duration = Duration::from_secs(2);
const TICK_EVERY: Duration = Duration::from_secs(5);
/// Statuses in one transaction.
const STATUSES: usize = 500;

pub struct Leader<H> {
    pub store: Store,
    pub intake: Intake<H>,
    pub brokers: Vec<BrokerAddress>,
    pub tls: TlsFiles,
    pub life: LifeConfig,
    pub gaps: GapsConfig,
    /// Whether this process leads now, for the metrics.
    pub leads: Arc<AtomicBool>,
}

impl<H: OnNew + Clone + 'static> Leader<H> {
    /// Until `stop` says so.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut told = false;
        loop {
            let leading = async {
                let client = self.store.client().await?;
                // Not back into the pool: the lock would go with it.
                let mut client = Object::take(client);
                let select = "SELECT pg_try_advisory_lock($1)";
                let row = client.query_one(select, &[&LEADING]).await?;
                if row.get(0) {
                    tracing::info!("leads: follows chains and the life of agents");
                    self.leads.store(true, Ordering::Relaxed);
                    self.lead(&mut client).await?;
                }
                Ok::<(), StoreError>(())
            };
            let led = tokio::select! {
                led = leading => led,
                _ = stop.wait_for(|stop| *stop) => return,
            };
            self.leads.store(false, Ordering::Relaxed);
            match led {
                Ok(()) => told = false,
                Err(error) if told => tracing::debug!(%error, "does not lead"),
                Err(error) => {
                    tracing::warn!(%error, "does not lead any more, another process may; it is tried again");
                    told = true;
                }
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    async fn lead(&self, client: &mut tokio_postgres::Client) -> Result<(), StoreError> {
        let mut auditor = Auditor::default();
        let mut life = Life::new(self.life.clone());
        let mut writer = None;
        let mut turn = 0;
        let mut watch = Watch::connect(&self.brokers, self.tls.clone(), turn);
        let mut sweep = tokio::time::interval(SWEEP_EVERY);
        sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut tick = tokio::time::interval(TICK_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let heard = async {
                match &mut watch {
                    Some(watch) => watch.next().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                message = heard => match message {
                    Some(message) => {
                        let mut messages = vec![message];
                        while messages.len() < STATUSES
                            && let Some(more) = watch.as_mut().and_then(Watch::try_next)
                        {
                            messages.push(more);
                        }
                        self.hear(client, &mut life, messages).await?;
                    }
                    None => {
                        turn += 1;
                        life.listens_anew();
                        tokio::time::sleep(LOOK_EVERY).await;
                        watch = Watch::connect(&self.brokers, self.tls.clone(), turn);
                    }
                },
                _ = sweep.tick() => {
                    while auditor.sweep(client).await?.is_full {}
                    release(client, &self.intake, &mut writer).await?;
                }
                _ = tick.tick() => {
                    life.tick(client).await?;
                    trust::ask(client, &self.gaps, &self.intake.clock, TICK_EVERY).await?;
                    self.make_days(client).await?;
                }
            }
        }
    }

    /// Statuses that are believed, into the life of their agents. Their rows come by the lanes.
    async fn hear(
        &self,
        client: &mut tokio_postgres::Client,
        life: &mut Life,
        messages: Vec<Received>,
    ) -> Result<(), StoreError> {
        let agents = &self.intake.agents;
        let named: Vec<_> = messages
            .into_iter()
            .filter_map(|message| Some((topic(&message.topic)?, message)))
            .collect();
        let names = named.iter().map(|((_, name), _)| name.clone()).collect();
        let mut known = agents.know(client, names).await?;
        let mut theirs = Vec::new();
        for ((topic, name), message) in named {
            let Some(known) = known.get_mut(&name) else {
                continue;
            };
            if known.key.is_none()
                && let Some(key) = birth_key(&message)
            {
                known.key = agents.pin(client, &name, known, &key).await?;
            }
            theirs.push((message, Some((topic, known.clone()))));
        }
        let mut statuses: Vec<(i32, StatusMessage)> = Vec::new();
        for one in decode(theirs) {
            match one {
                Ok(believed) => {
                    if let Row::Status(status) = believed.row {
                        statuses.push((believed.frame.agent, *status));
                    }
                }
                // It was kept apart, and is an alarm, when it came by its lane.
                Err(apart) if apart.doubt == Doubt::NoKey => {}
                Err(apart) => {
                    tracing::warn!(
                        topic = apart.message.topic,
                        why = apart.detail,
                        "a status is not believed"
                    );
                }
            }
        }
        life.apply(client, &statuses).await
    }

    /// Tomorrow's partitions are there before tomorrow: making one stops all writers for a moment.
    async fn make_days(&self, client: &tokio_postgres::Client) -> Result<(), StoreError> {
        let now = self.intake.clock.wall().with_timezone(&Utc);
        let tomorrow = now.checked_add_days(CalendarDays::new(1)).unwrap_or(now);
        self.intake
            .days
            .make(client, now, vec![now, tomorrow])
            .await
    }
}
