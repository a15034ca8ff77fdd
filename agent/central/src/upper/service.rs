//! One process of all is registered with the upper library, and sends and notifies.
//!
//! It is the one that holds an advisory lock of the database. A connection of its own has the lock,
//! so the lock is free as soon as that process or its way to the database is gone; another process
//! then registers. A process that loses the lock stops at once, without unregistering: the other one
//! has the same DeviceID. What the first held of the queue is its own until the lease is over.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Object;
use kakou_gat1400::{FieldError, Gate, Mapping, UpperLibrary, router};
use kakou_time::SharedClock;
use tokio::sync::watch;
use tokio_postgres::Client;
use uuid::Uuid;

use super::cameras::Cameras;
use super::config::{SubscriptionsPlan, UpperPlan};
use super::listen::listen;
use super::load::Loader;
use super::notices::Notifier;
use super::queue::{self, Queue};
use super::state;
use super::subscriptions::Subscriptions;
use crate::ingest::Objects;
use crate::store::{Store, StoreError};

/// "kakou registers" as a number nobody else uses.
const REGISTERING: i64 = 0x006b_616b_6f75_0002;
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often the connection with the lock is asked whether it is there, and how long for.
const HELD_EVERY: Duration = Duration::from_secs(1);
const HELD_WITHIN: Duration = Duration::from_secs(5);
/// What unregistering may take at the end.
const LAST_WORDS: Duration = Duration::from_secs(8);
const SWEEP_EVERY: Duration = Duration::from_secs(60);

#[derive(Debug, thiserror::Error)]
enum ServiceError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("[gat1400] {0}")]
    Field(#[from] FieldError),
}

/// The way to the upper library, of one process.
pub struct Upper {
    pub plan: UpperPlan,
    pub store: Store,
    pub objects: Objects,
    pub clock: SharedClock,
    /// Its name in the group.
    pub process: String,
}

impl Upper {
    /// Until `stop` says so.
    pub async fn run(self, stop: watch::Receiver<bool>) {
        let mut stopped = stop.clone();
        let stopped = async { drop(stopped.wait_for(|stop| *stop).await) };
        tokio::select! {
            () = self.register_in_turn(stop) => {}
            () = self.subscriptions() => {}
            () = async { stopped.await; tokio::time::sleep(2 * LAST_WORDS).await } => {}
        }
    }

    /// Every process takes subscriptions: they are one table.
    async fn subscriptions(&self) {
        let Some(plan) = &self.plan.subscriptions else {
            return std::future::pending().await;
        };
        let gate = Gate {
            store: Subscriptions {
                store: self.store.clone(),
                hosts: plan.hosts.clone(),
            },
            clock: Arc::clone(&self.clock),
            upper: plan.upper.clone(),
            user: plan.user.clone(),
            password: plan.password.clone(),
            hosts: plan.hosts.clone(),
            most: plan.most,
        };
        listen(plan.listen, router(gate)).await;
    }

    async fn register_in_turn(&self, mut stop: watch::Receiver<bool>) {
        let mut is_told = false;
        while !*stop.borrow() {
            match self.hold(&stop).await {
                Ok(()) => is_told = false,
                Err(error) if is_told => tracing::debug!(%error, "not registered"),
                Err(error) => {
                    tracing::warn!(%error, "this process does not register with the upper library; another one may, and it is tried again");
                    is_told = true;
                }
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
        }
    }

    /// Returns when another process holds the lock, or when `stop` says so.
    async fn hold(&self, stop: &watch::Receiver<bool>) -> Result<(), ServiceError> {
        // Not back into the pool: the lock would go with it.
        let client = Object::take(self.store.client().await?);
        let select = "SELECT pg_try_advisory_lock($1)";
        let row = client
            .query_one(select, &[&REGISTERING])
            .await
            .map_err(StoreError::from)?;
        if row.get(0) {
            self.serve(&client, stop.clone()).await?;
        }
        Ok(())
    }

    async fn serve(
        &self,
        lock: &Client,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), ServiceError> {
        let library = UpperLibrary::new(
            self.plan.library.clone(),
            Mapping::default(),
            Arc::clone(&self.clock),
        )?;
        let library = Arc::new(library);
        let cameras = Arc::new(Cameras {
            store: self.store.clone(),
            library: Arc::clone(&library),
            plate_class: self.plan.plate_class,
        });
        cameras.refresh().await?;
        let loader = Loader {
            objects: self.objects.clone(),
            patience: self.plan.pictures,
        };
        let queue = Queue {
            store: self.store.clone(),
            loader: loader.clone(),
            cameras: Arc::clone(&cameras),
            holder: Uuid::now_v7(),
            lease: self.plan.lease,
        };
        tracing::info!("registers with the upper library for all processes");
        let until = async { drop(stop.wait_for(|stop| *stop).await) };
        let beside = async {
            tokio::join!(
                cameras.keep(),
                state::report(&self.store, &library, &self.process),
                self.notify(
                    self.plan.subscriptions.as_ref(),
                    &library,
                    &cameras,
                    &loader
                ),
                self.sweep(),
            )
        };
        let result = tokio::select! {
            () = library.serve(&queue, until) => Ok(()),
            lost = held(lock) => lost,
            _ = beside => Ok(()),
        };
        // If the database is away, the lease ends by itself.
        let last = async {
            queue.release().await?;
            state::ended(&self.store, &self.process).await
        };
        if let Ok(()) = &result
            && let Ok(Err(error)) = tokio::time::timeout(LAST_WORDS, last).await
        {
            tracing::debug!(%error, "the lease of what was being sent ends by itself");
        }
        Ok(result?)
    }

    async fn notify(
        &self,
        plan: Option<&SubscriptionsPlan>,
        library: &Arc<UpperLibrary>,
        cameras: &Arc<Cameras>,
        loader: &Loader,
    ) {
        let Some(plan) = plan else {
            return;
        };
        let notifier = Notifier {
            store: self.store.clone(),
            plan: plan.clone(),
            library: Arc::clone(library),
            cameras: Arc::clone(cameras),
            loader: loader.clone(),
            clock: Arc::clone(&self.clock),
            lease: self.plan.lease,
        };
        notifier.run().await;
    }

    /// Never ends.
    async fn sweep(&self) {
        loop {
            let swept = async {
                let client = self.store.client().await?;
                queue::sweep(&**client).await
            };
            if let Err(error) = swept.await {
                tracing::debug!(%error, "what was refused long ago is deleted later");
            }
            tokio::time::sleep(SWEEP_EVERY).await;
        }
    }
}

/// Returns when the lock is lost.
async fn held(lock: &Client) -> Result<(), StoreError> {
    loop {
        tokio::time::sleep(HELD_EVERY).await;
        match tokio::time::timeout(HELD_WITHIN, lock.simple_query("SELECT 1")).await {
            Ok(answer) => drop(answer?),
            Err(_) => return Err(StoreError::Connection("it does not answer".to_owned())),
        }
    }
}
