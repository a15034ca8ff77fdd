//! The table `upper_queue`: passages that the upper library is to get.
//!
//! A row is made in the transaction of its passage. Whoever takes one holds it under a lease, so that
//! two processes never send the same one, and what a killed process held is taken over when the
//! lease is over. A passage goes when the pictures that it promised are there, or have kept it
//! waiting for long enough.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use kakou_gat1400::{Item, Outgoing, Refusal};
use tokio_postgres::types::Type;
use tokio_postgres::{GenericClient, Transaction};
use uuid::Uuid;

use super::cameras::Cameras;
use super::load::{LoadError, Loader, Waiting};
use super::told;
use crate::alarms::{self, Alarm};
use crate::store::{Store, StoreError};

/// Of those that are looked at, some still wait for pictures.
const LOOK_TIMES: usize = 3;
/// The most bytes of pictures that are in memory at once.
const BYTES_MAX: i64 = 64 << 20;

/// Which passages the upper library is to get.
#[derive(Debug, Clone)]
pub struct Filter {
    pub(super) sites: Option<Vec<String>>,
    /// DeviceIDs, and beginnings of DeviceIDs.
    pub(super) devices: Option<Vec<String>>,
    /// Our own DeviceID: who subscribes to it is told of all.
    pub(super) library: String,
}

impl Filter {
    /// Puts new passages into the queue, and notes which subscriptions they match. Call it in the
    /// transaction that made their rows, after them.
    pub async fn enqueue(
        &self,
        transaction: &Transaction<'_>,
        passages: &[(Uuid, DateTime<Utc>)],
    ) -> Result<(), StoreError> {
        let (ids, times): (Vec<Uuid>, Vec<DateTime<Utc>>) = passages.iter().copied().unzip();
        let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) else {
            return Ok(());
        };
        // The bounds keep the look to few partitions.
        let insert = "WITH new AS (
                 SELECT p.id, p.time, c.device, c.tollgate
                 FROM unnest($1, $2) AS n (id, time)
                 JOIN passages p USING (id, time) JOIN agents a ON a.id = p.agent
                 LEFT JOIN site_cameras c
                     ON (c.site, c.agent, c.camera) = (a.site, a.agent, p.camera)
                 WHERE p.time BETWEEN $3 AND $4 AND ($5 IS NULL OR a.site = ANY($5))
                   AND ($6 IS NULL OR c.device IS NULL
                     OR EXISTS (SELECT FROM unnest($6) AS d (code) WHERE starts_with(c.device, d.code)))
             ), told AS (
                 INSERT INTO upper_notices (subscription, id, time)
                 SELECT s.id, n.id, n.time FROM new n JOIN upper_subscriptions s
                     ON NOT s.cancelled AND now() BETWEEN s.begins AND s.ends
                 WHERE n.device IS NOT NULL AND EXISTS (
                     SELECT FROM unnest(s.resources) AS r (code)
                     WHERE r.code = $7 OR r.code = n.tollgate OR starts_with(n.device, r.code))
                 ON CONFLICT DO NOTHING
             )
             INSERT INTO upper_queue (id, time) SELECT id, time FROM new ON CONFLICT DO NOTHING";
        transaction
            .query_typed(
                insert,
                &[
                    (&ids, Type::UUID_ARRAY),
                    (&times, Type::TIMESTAMPTZ_ARRAY),
                    (first, Type::TIMESTAMPTZ),
                    (last, Type::TIMESTAMPTZ),
                    (&self.sites, Type::TEXT_ARRAY),
                    (&self.devices, Type::TEXT_ARRAY),
                    (&self.library, Type::TEXT),
                ],
            )
            .await?;
        Ok(())
    }
}

/// The queue as the gateway sees it.
pub(super) struct Queue {
    pub(super) store: Store,
    pub(super) loader: Loader,
    pub(super) cameras: Arc<Cameras>,
    /// This start of this process.
    pub(super) holder: Uuid,
    pub(super) lease: Duration,
}

impl Queue {
    /// What is due and has its pictures, at most `most`; the rows are ours from then on.
    async fn take(&self, most: usize) -> Result<Vec<Waiting>, StoreError> {
        let mut object = self.store.client().await?;
        let client: &mut tokio_postgres::Client = &mut object;
        let select = "SELECT id, time, made_at, now() FROM upper_queue
             WHERE refused_at IS NULL AND next_at <= now()
               AND (holder = $1 OR held_until IS NULL OR held_until <= now())
             ORDER BY next_at LIMIT $2 FOR UPDATE SKIP LOCKED";
        let look = most.saturating_mul(LOOK_TIMES);
        let limit = i64::try_from(look).unwrap_or(i64::MAX);
        loop {
            let transaction = client.transaction().await?;
            let rows = transaction.query(select, &[&self.holder, &limit]).await?;
            let (mut ready, wait) = self.loader.look(&transaction, &rows).await?;
            let mut bytes = 0;
            let mut fits = |one: &Waiting| {
                bytes += one.bytes();
                bytes <= BYTES_MAX
            };
            // One at least, however large it is.
            let room = ready.iter().take(most).take_while(|one| fits(one)).count();
            ready.truncate(room.max(1));
            let (ids, times) = Waiting::keys(&ready);
            let hold = "UPDATE upper_queue q SET holder = $3, attempts = attempts + 1,
                     held_until = now() + make_interval(secs => $4)
                 FROM unnest($1::uuid[], $2::timestamptz[]) AS o (id, time)
                 WHERE (q.id, q.time) = (o.id, o.time)";
            let lease = self.lease.as_secs_f64();
            transaction
                .execute(hold, &[&ids, &times, &self.holder, &lease])
                .await?;
            let postpone =
                "UPDATE upper_queue q SET next_at = o.at, holder = NULL, held_until = NULL
                 FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[]) AS o (id, time, at)
                 WHERE (q.id, q.time) = (o.id, o.time)";
            let (ids, times) = Waiting::keys(&wait);
            let at: Vec<DateTime<Utc>> = wait.iter().map(|one| one.next_at).collect();
            transaction.execute(postpone, &[&ids, &times, &at]).await?;
            transaction.commit().await?;
            if !ready.is_empty() || rows.len() < look {
                return Ok(ready);
            }
        }
    }

    /// What we hold is anybody's again.
    pub(super) async fn release(&self) -> Result<(), StoreError> {
        let update = "UPDATE upper_queue SET holder = NULL, held_until = NULL WHERE holder = $1";
        let client = self.store.client().await?;
        client.execute(update, &[&self.holder]).await?;
        Ok(())
    }

    async fn refuse(&self, refusals: &HashMap<Uuid, String>) -> Result<(), StoreError> {
        let mut object = self.store.client().await?;
        let client: &mut tokio_postgres::Client = &mut object;
        let transaction = client.transaction().await?;
        let mut raised = Vec::new();
        for (id, why) in refusals {
            let update = "UPDATE upper_queue SET refused_at = now(), why = $2, error = NULL,
                     holder = NULL, held_until = NULL
                 WHERE id = $1 AND refused_at IS NULL RETURNING time";
            for row in transaction.query(update, &[id, &told(why)]).await? {
                let time: DateTime<Utc> = row.get(0);
                raised.push(alarm(&transaction, *id, time, why).await?);
            }
        }
        alarms::raise(&transaction, raised).await?;
        transaction.commit().await?;
        Ok(())
    }
}

/// One open alarm for each camera.
async fn alarm(
    client: &impl GenericClient,
    id: Uuid,
    time: DateTime<Utc>,
    why: &str,
) -> Result<Alarm, StoreError> {
    let select = "SELECT agent, camera FROM passages WHERE id = $1 AND time = $2";
    let row = client.query_opt(select, &[&id, &time]).await?;
    let agent = row.as_ref().map(|row| row.get::<_, i32>(0));
    let camera = row.map_or(String::new(), |row| row.get(1));
    let detail = told(&format!("passage {id}: {why}"));
    Ok(Alarm::new(alarms::UPPER_REFUSED, agent, detail).about(camera))
}

impl Outgoing for Queue {
    type Error = LoadError;

    async fn next(&self, most: usize) -> Result<Vec<Item>, LoadError> {
        let ready = self.take(most).await?;
        if ready.is_empty() {
            return Ok(Vec::new());
        }
        let (items, lost) = self.loader.load(&self.store, ready).await?;
        if !lost.is_empty() {
            self.refuse(&lost).await?;
        }
        self.cameras.know(&items).await?;
        Ok(items)
    }

    async fn done(&self, ids: &[Uuid]) -> Result<(), LoadError> {
        let delete = "WITH gone AS (
                 DELETE FROM upper_queue WHERE id = ANY($1) AND refused_at IS NULL RETURNING 1
             ) UPDATE upper_state SET sent = sent + (SELECT count(*) FROM gone)";
        let client = self.store.client().await?;
        client.execute(delete, &[&ids]).await?;
        Ok(())
    }

    async fn refused(&self, id: Uuid, why: &Refusal) -> Result<(), LoadError> {
        self.refuse(&HashMap::from([(id, why.to_string())])).await?;
        Ok(())
    }

    async fn again(&self, id: Uuid, why: &str) -> Result<(), LoadError> {
        // Behind what waits, and later from try to try.
        let update = "UPDATE upper_queue SET error = $2, holder = NULL, held_until = NULL,
                 next_at = now() + make_interval(secs => least(attempts, 60))
             WHERE id = $1 AND refused_at IS NULL";
        let client = self.store.client().await?;
        client.execute(update, &[&id, &told(why)]).await?;
        Ok(())
    }
}

/// What was refused goes once more, as after its cameras got their DeviceIDs; how many.
pub async fn again(client: &mut tokio_postgres::Client) -> Result<u64, StoreError> {
    let transaction = client.transaction().await?;
    let update = "UPDATE upper_queue SET refused_at = NULL, why = NULL, next_at = now()
         WHERE refused_at IS NOT NULL";
    let count = transaction.execute(update, &[]).await?;
    // Those of subscriptions are of no agent, and what they tell of is gone.
    let end = "UPDATE alarms SET ended_at = now() WHERE kind = $1 AND ended_at IS NULL
         AND agent IS NOT NULL";
    transaction.execute(end, &[&alarms::UPPER_REFUSED]).await?;
    transaction.commit().await?;
    Ok(count)
}

/// Days for which what was refused can be told and sent once more.
const REFUSED_DAYS: i32 = 30;

pub(super) async fn sweep(client: &impl GenericClient) -> Result<(), StoreError> {
    let delete = "DELETE FROM upper_queue WHERE refused_at < now() - make_interval(days => $1)";
    client.execute(delete, &[&REFUSED_DAYS]).await?;
    Ok(())
}
