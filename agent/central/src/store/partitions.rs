//! One partition for each day and table.
//!
//! A day is that of the message's own time in UTC. Days far from now get no partition of their own:
//! the clock of that box is wrong, and its records lie in the default partition, so that a box that
//! believes to live in 1970 makes no tables. When such a day comes, they are moved.
//!
//! To make one needs a lock that every reader of the table is in the way of, and while it is waited
//! for every writer waits behind it. So it is not waited for long: the rows go to the default
//! partition meanwhile, and it is tried again.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Days as CalendarDays, NaiveDate, Utc};
use kakou_time::Stopwatch;
use tokio_postgres::GenericClient;
use tokio_postgres::error::SqlState;

use super::StoreError;

/// The tables that have partitions.
pub const TABLES: [&str; 7] = [
    "passages", "hits", "signals", "statuses", "audits", "results", "pictures",
];
/// A backlog is at most as old as a box keeps messages: a year.
const BACK: i64 = 400;
const AHEAD: i64 = 2;
/// After a day whose partitions could not be made.
const AGAIN_AFTER: Duration = Duration::from_secs(60);
/// How long writers wait behind it at the most: for a table that is made, and for one whose rows are
/// moved, which happens once after a box had a wrong clock.
const LOCK_TO_MAKE: &str = "2s";
const LOCK_TO_MOVE: &str = "5s";

#[derive(Debug, Default)]
struct Known {
    /// Days that have partitions.
    there: HashSet<NaiveDate>,
    /// Days that were tried in vain, and since when.
    later: HashMap<NaiveDate, Stopwatch>,
}

/// The days that are known to have partitions.
#[derive(Debug, Clone, Default)]
pub struct Days(Arc<Mutex<Known>>);

impl Days {
    /// Makes the partitions that these times need. `now` is the centre's time.
    pub async fn make(
        &self,
        client: &impl GenericClient,
        now: DateTime<Utc>,
        times: impl IntoIterator<Item = DateTime<Utc>>,
    ) -> Result<(), StoreError> {
        let today = now.date_naive();
        let wanted: HashSet<NaiveDate> = times
            .into_iter()
            .map(|time| time.date_naive())
            .filter(|day| (-BACK..=AHEAD).contains(&(*day - today).num_days()))
            .collect();
        let missing: Vec<NaiveDate> = {
            let known = self.known();
            let waits = |day: &&NaiveDate| {
                known
                    .later
                    .get(*day)
                    .is_some_and(|since| since.elapsed() < AGAIN_AFTER)
            };
            let missing = wanted.difference(&known.there);
            missing.filter(|day| !waits(day)).copied().collect()
        };
        for day in missing {
            let made = make(client, day).await?;
            let mut known = self.known();
            if made {
                known.later.remove(&day);
                known.there.insert(day);
            } else {
                known.later.insert(day, Stopwatch::start());
            }
        }
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether all tables have the partition of this day now. Safe beside another process that makes the
/// same one.
async fn make(client: &impl GenericClient, day: NaiveDate) -> Result<bool, StoreError> {
    let Some(next) = day.checked_add_days(CalendarDays::new(1)) else {
        return Ok(true);
    };
    let name = day.format("%Y%m%d").to_string();
    let (from, to) = (format!("{day} 00:00:00+00"), format!("{next} 00:00:00+00"));
    // Nothing is locked where another process made them.
    let select = "SELECT t FROM unnest($1::text[]) t WHERE to_regclass(t || '_' || $2) IS NULL";
    let missing = client.query(select, &[&&TABLES[..], &name]).await?;
    let mut all = true;
    // Each table by itself: a transaction that locked one and waited for another would wait for a
    // writer that has the second and wants the first.
    for row in missing {
        let table: &str = row.get(0);
        let create = format!(
            "CREATE TABLE IF NOT EXISTS {table}_{name} PARTITION OF {table} \
             FOR VALUES FROM ('{from}') TO ('{to}')"
        );
        let made = match run(client, LOCK_TO_MAKE, &create).await {
            // Rows of that day lie in the default partition, from when it was far away.
            Err(StoreError::Query(e)) if e.code() == Some(&SqlState::CHECK_VIOLATION) => {
                run(client, LOCK_TO_MOVE, &moved(table, &name, &from, &to)).await
            }
            made => made,
        };
        match made {
            Ok(()) => {}
            Err(StoreError::Query(e)) if e.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
                tracing::warn!(
                    table, %day,
                    "somebody reads the table all the time, so it gets no partition for this day yet; its rows go to the default partition, and it is tried again"
                );
                all = false;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

/// Makes a partition out of rows of the default one. The locks come first, in the order in which
/// writers take them.
fn moved(table: &str, name: &str, from: &str, to: &str) -> String {
    format!(
        "LOCK TABLE ONLY {table} IN SHARE UPDATE EXCLUSIVE MODE; \
         LOCK TABLE {table}_default IN ACCESS EXCLUSIVE MODE; \
         CREATE TABLE {table}_{name} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS); \
         WITH moved AS (DELETE FROM {table}_default WHERE time >= '{from}' AND time < '{to}' RETURNING *) \
             INSERT INTO {table}_{name} SELECT * FROM moved; \
         ALTER TABLE {table} ATTACH PARTITION {table}_{name} FOR VALUES FROM ('{from}') TO ('{to}')"
    )
}

/// One transaction, one process at a time, that waits for a lock for so long.
async fn run(client: &impl GenericClient, lock: &str, sql: &str) -> Result<(), StoreError> {
    let whole = format!(
        "BEGIN; SET LOCAL lock_timeout = '{lock}'; \
         SELECT pg_advisory_xact_lock(hashtext('kakou partitions')); {sql}; COMMIT;"
    );
    let done = client.batch_execute(&whole).await;
    if done.is_err() {
        // The failed transaction is still open.
        let _ = client.batch_execute("ROLLBACK").await;
    }
    Ok(done?)
}
