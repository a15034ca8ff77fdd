//! The table `upper_notices`: what the receivers of subscriptions are still to be told.
//!
//! A row is made in the transaction of its passage. What goes in one notification is fixed before it
//! is sent, so that a repeat is the same one: the same id, time and vehicles. One notification of a
//! subscription is on its way at a time, and a receiver that hangs holds up no other. What a receiver
//! refuses, has not taken in time, or has too much of waiting, is given up: counted with the
//! subscription, and an alarm.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::StreamExt as _;
use kakou_gat1400::{
    MapError, MotorVehicle, NOTIFICATION_VEHICLES_MAX, Subscription, UpperLibrary, Verdict,
    notification,
};
use kakou_time::SharedClock;
use tokio_postgres::GenericClient;
use uuid::Uuid;

use super::cameras::Cameras;
use super::config::SubscriptionsPlan;
use super::load::{LoadError, Loader, Waiting};
use super::told;
use crate::alarms::{self, Alarm};
use crate::store::{Store, StoreError};

const LOOK_EVERY: Duration = Duration::from_secs(1);
const SWEEP_EVERY: Duration = Duration::from_secs(10);
/// Receivers that are told at once.
const AT_ONCE: usize = 8;
/// Rows that are looked at for one notification: some still wait for pictures.
const LOOK: i64 = 60;
/// The most bytes of pictures in one notification.
const BYTES_MAX: i64 = 8 << 20;
/// After a failure the next try waits for a second, then for the double, up to this.
const AGAIN_MOST_S: f64 = 300.0;

pub(super) struct Notifier {
    pub(super) store: Store,
    pub(super) plan: SubscriptionsPlan,
    pub(super) library: Arc<UpperLibrary>,
    pub(super) cameras: Arc<Cameras>,
    pub(super) loader: Loader,
    pub(super) clock: SharedClock,
    pub(super) lease: Duration,
}

/// What goes in one notification.
struct Batch {
    id: Uuid,
    at: DateTime<Utc>,
    rows: Vec<Waiting>,
}

impl Notifier {
    /// Never ends.
    pub(super) async fn run(&self) {
        tokio::join!(self.tell_all(), self.sweep_all());
    }

    async fn tell_all(&self) {
        loop {
            match self.due().await {
                Ok(due) => {
                    futures_util::stream::iter(due)
                        .for_each_concurrent(AT_ONCE, |(one, last)| self.tell(one, last))
                        .await;
                }
                Err(error) => {
                    tracing::warn!(%error, "subscriptions cannot be read; it is tried again")
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn sweep_all(&self) {
        loop {
            if let Err(error) = self.sweep().await {
                tracing::warn!(%error, "notifications are not given up now; it is tried again");
            }
            tokio::time::sleep(SWEEP_EVERY).await;
        }
    }

    /// Subscriptions for which something waits, each with the time of its last notification.
    async fn due(&self) -> Result<Vec<(Subscription, Option<DateTime<Utc>>)>, LoadError> {
        let select = "SELECT object, last_at FROM upper_subscriptions s
             WHERE NOT cancelled AND EXISTS (SELECT FROM upper_notices n WHERE n.subscription = s.id
                 AND n.next_at <= now())";
        let client = self.store.client().await?;
        let rows = client.query(select, &[]).await?;
        let mut due = Vec::new();
        for row in &rows {
            let object = serde_json::from_value(row.get(0)).ok();
            let read = object.map(|object| Subscription::new(object, &self.plan.hosts));
            match read {
                Some(Ok(one)) => due.push((one, row.get(1))),
                // The hosts of the config changed since it was taken.
                Some(Err(error)) => tracing::debug!(%error, "a subscription is not served"),
                None => tracing::warn!("a subscription in the table cannot be read"),
            }
        }
        Ok(due)
    }

    async fn tell(&self, subscription: Subscription, last: Option<DateTime<Utc>>) {
        let id = subscription.object().subscribe_id.clone();
        let now = self.clock.wall();
        if !subscription.is_on(now) || !subscription.is_due(last.map(|t| t.fixed_offset()), now) {
            return;
        }
        // One after the other, as long as they are taken and none has to wait for the interval.
        let is_at_once = subscription.object().report_interval.unwrap_or(0) == 0;
        loop {
            match self.tell_once(&subscription, &id).await {
                Ok(true) if is_at_once => {}
                Ok(_) => return,
                Err(error) => {
                    tracing::warn!(subscription = id, %error, "a notification is tried again");
                    return;
                }
            }
        }
    }

    /// Whether one was taken.
    async fn tell_once(&self, subscription: &Subscription, id: &str) -> Result<bool, LoadError> {
        let Some(batch) = self.claim(id).await? else {
            return Ok(false);
        };
        let (items, lost) = self.loader.load(&self.store, batch.rows).await?;
        self.cameras.know(&items).await?;
        let mapping = self.library.mapping();
        let mut vehicles: Vec<MotorVehicle> = Vec::new();
        let mut wrong: HashMap<Uuid, String> = lost;
        for item in &items {
            match mapping.vehicle(&item.passage, &item.pictures, item.suspicious) {
                Ok(vehicle) => vehicles.push(vehicle),
                Err(why) => {
                    // Nobody subscribes to bicycles.
                    if why != MapError::NotMotor {
                        wrong.insert(item.passage.id, why.to_string());
                    }
                }
            }
        }
        if !wrong.is_empty() {
            self.leave_out(id, &wrong).await?;
        }
        let at = batch.at.fixed_offset();
        let sent = i64::try_from(vehicles.len()).unwrap_or(i64::MAX);
        if vehicles.is_empty() {
            self.told_or_given_up(id, batch.id, 0).await?;
            return Ok(true);
        }
        let made = notification(
            subscription,
            &self.plan.organisation,
            batch.id,
            &at,
            vehicles,
        );
        let verdict = match made {
            Ok(made) => self.library.notify(subscription, made).await,
            Err(why) => Ok(Verdict::Refused(why.to_string())),
        };
        match verdict {
            Ok(Verdict::Taken) => {
                self.told_or_given_up(id, batch.id, sent).await?;
                Ok(true)
            }
            Ok(Verdict::Refused(why)) => {
                self.given_up(id, sent, &why).await?;
                self.told_or_given_up(id, batch.id, 0).await?;
                Ok(true)
            }
            Ok(Verdict::Again(why)) => self.again(id, batch.id, &why).await,
            Err(error) => self.again(id, batch.id, &error.to_string()).await,
        }
    }

    /// The notification that was not taken yet, or a new one of what is due and has its pictures.
    async fn claim(&self, subscription: &str) -> Result<Option<Batch>, StoreError> {
        let mut object = self.store.client().await?;
        let client: &mut tokio_postgres::Client = &mut object;
        let transaction = client.transaction().await?;
        let select = "SELECT batch, batch_at, next_at <= now() FROM upper_notices
             WHERE subscription = $1 AND batch IS NOT NULL
             ORDER BY batch_at LIMIT 1 FOR UPDATE SKIP LOCKED";
        let begun = transaction.query_opt(select, &[&subscription]).await?;
        let rows = match &begun {
            // Its time has not come.
            Some(row) if !row.get::<_, bool>(2) => return Ok(None),
            Some(row) => {
                let select = "SELECT id, time, made_at, now() FROM upper_notices
                     WHERE subscription = $1 AND batch = $2 FOR UPDATE SKIP LOCKED";
                let batch: Uuid = row.get(0);
                transaction.query(select, &[&subscription, &batch]).await?
            }
            None => {
                let select = "SELECT id, time, made_at, now() FROM upper_notices
                     WHERE subscription = $1 AND batch IS NULL AND next_at <= now()
                     ORDER BY next_at LIMIT $2 FOR UPDATE SKIP LOCKED";
                transaction.query(select, &[&subscription, &LOOK]).await?
            }
        };
        let (mut ready, mut wait) = self.loader.look(&transaction, &rows).await?;
        if begun.is_some() {
            // What goes in it is fixed.
            ready.append(&mut wait);
        } else {
            let mut bytes = 0;
            let fits = |one: &Waiting| {
                bytes += one.bytes();
                (bytes <= BYTES_MAX).then_some(())
            };
            let most = ready.iter().take(NOTIFICATION_VEHICLES_MAX);
            let room = most.map_while(fits).count();
            ready.truncate(room.max(1));
        }
        let postpone = "UPDATE upper_notices n SET next_at = o.at
             FROM unnest($2::uuid[], $3::timestamptz[], $4::timestamptz[]) AS o (id, time, at)
             WHERE n.subscription = $1 AND (n.id, n.time) = (o.id, o.time)";
        let (ids, times) = Waiting::keys(&wait);
        let later: Vec<DateTime<Utc>> = wait.iter().map(|one| one.next_at).collect();
        transaction
            .execute(postpone, &[&subscription, &ids, &times, &later])
            .await?;
        let lease = "UPDATE upper_notices n SET batch = coalesce(batch, $4),
                 batch_at = coalesce(batch_at, now()), attempts = attempts + 1,
                 next_at = now() + make_interval(secs => $5)
             FROM unnest($2::uuid[], $3::timestamptz[]) AS o (id, time)
             WHERE n.subscription = $1 AND (n.id, n.time) = (o.id, o.time)
             RETURNING n.batch, n.batch_at";
        let (ids, times) = Waiting::keys(&ready);
        let (new, secs) = (Uuid::now_v7(), self.lease.as_secs_f64());
        let row = transaction
            .query(lease, &[&subscription, &ids, &times, &new, &secs])
            .await?;
        transaction.commit().await?;
        Ok(row.first().map(|row| Batch {
            id: row.get(0),
            at: row.get(1),
            rows: ready,
        }))
    }

    /// The notification is over; so many vehicles were told.
    async fn told_or_given_up(&self, id: &str, batch: Uuid, sent: i64) -> Result<(), StoreError> {
        let delete = "WITH gone AS (
                 DELETE FROM upper_notices WHERE subscription = $1 AND batch = $2
             ) UPDATE upper_subscriptions SET sent = sent + $3,
                 last_at = CASE WHEN $3 > 0 THEN now() ELSE last_at END,
                 error = CASE WHEN $3 > 0 THEN NULL ELSE error END
             WHERE id = $1";
        let client = self.store.client().await?;
        client.execute(delete, &[&id, &batch, &sent]).await?;
        Ok(())
    }

    async fn again(&self, id: &str, batch: Uuid, why: &str) -> Result<bool, LoadError> {
        let why = told(why);
        tracing::debug!(subscription = id, why, "a notification is sent again");
        let update = "WITH later AS (
                 UPDATE upper_notices SET next_at = now()
                     + make_interval(secs => least(power(2, least(attempts, 20) - 1), $4))
                 WHERE subscription = $1 AND batch = $2
             ) UPDATE upper_subscriptions SET error = $3 WHERE id = $1";
        let client = self.store.client().await?;
        client
            .execute(update, &[&id, &batch, &why, &AGAIN_MOST_S])
            .await?;
        Ok(false)
    }

    /// Passages that make no vehicle are told to nobody.
    async fn leave_out(&self, id: &str, wrong: &HashMap<Uuid, String>) -> Result<(), StoreError> {
        let mut object = self.store.client().await?;
        let client: &mut tokio_postgres::Client = &mut object;
        let transaction = client.transaction().await?;
        let delete = "DELETE FROM upper_notices WHERE subscription = $1 AND id = $2";
        for (passage, why) in wrong {
            if transaction.execute(delete, &[&id, passage]).await? > 0 {
                let why = format!("passage {passage}: {why}");
                give_up(&transaction, id, 1, &why).await?;
            }
        }
        transaction.commit().await?;
        Ok(())
    }

    async fn given_up(&self, id: &str, count: i64, why: &str) -> Result<(), StoreError> {
        let client = self.store.client().await?;
        give_up(&**client, id, count, why).await
    }

    /// What is over, too old, or too much.
    async fn sweep(&self) -> Result<(), StoreError> {
        let mut object = self.store.client().await?;
        let client: &mut tokio_postgres::Client = &mut object;
        let transaction = client.transaction().await?;
        // The upper library wants no more of these.
        let delete = "DELETE FROM upper_notices n WHERE NOT EXISTS (
                 SELECT FROM upper_subscriptions s WHERE s.id = n.subscription
                   AND NOT s.cancelled AND now() <= s.ends)";
        transaction.execute(delete, &[]).await?;
        let delete = "WITH gone AS (
                 DELETE FROM upper_notices WHERE made_at < now() - make_interval(secs => $1)
                 RETURNING subscription
             ) SELECT g.subscription, count(*), max(s.error) FROM gone g
             LEFT JOIN upper_subscriptions s ON s.id = g.subscription GROUP BY 1";
        let seconds = self.plan.give_up.as_secs_f64();
        for row in transaction.query(delete, &[&seconds]).await? {
            let error: Option<&str> = row.get(2);
            let error = error.unwrap_or("none was tried");
            let why = format!("not told within {seconds} s; the last try: {error}");
            give_up(&transaction, row.get(0), row.get(1), &why).await?;
        }
        let delete = "WITH gone AS (
                 DELETE FROM upper_notices n USING upper_subscriptions s, LATERAL (
                     SELECT id, time FROM upper_notices o WHERE o.subscription = s.id
                     ORDER BY made_at DESC, id OFFSET $1
                 ) old WHERE (n.subscription, n.id, n.time) = (s.id, old.id, old.time)
                 RETURNING n.subscription
             ) SELECT subscription, count(*) FROM gone GROUP BY 1";
        for row in transaction.query(delete, &[&self.plan.waiting]).await? {
            let most = self.plan.waiting;
            let why = format!("more than {most} waited for its receiver; the oldest went");
            give_up(&transaction, row.get(0), row.get(1), &why).await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}

/// Counted, with the reason, and an alarm for each subscription.
async fn give_up(
    client: &impl GenericClient,
    subscription: &str,
    count: i64,
    why: &str,
) -> Result<(), StoreError> {
    let why = told(why);
    let update =
        "UPDATE upper_subscriptions SET given_up = given_up + $2, error = $3 WHERE id = $1";
    client
        .execute(update, &[&subscription, &count, &why])
        .await?;
    let detail = format!("{count} vehicles of subscription {subscription} are not told: {why}");
    let mut alarm = Alarm::new(alarms::UPPER_REFUSED, None, detail);
    alarm = alarm.about(format!("subscription {subscription}"));
    alarm.count = count;
    alarms::raise(client, vec![alarm]).await
}
