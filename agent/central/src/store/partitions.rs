//! One partition for each day and table.
//!
//! A day is that of the message's own time in UTC. Days far from now get no partition of their own:
//! the clock of that box is wrong, and its records lie in the default partition, so that a box that
//! believes to live in 1970 makes no tables.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Days as CalendarDays, NaiveDate, Utc};
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

/// The days that are known to have partitions.
#[derive(Debug, Clone, Default)]
pub struct Days(Arc<Mutex<HashSet<NaiveDate>>>);

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
            let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            wanted.difference(&known).copied().collect()
        };
        for day in missing {
            match make(client, day).await {
                Ok(()) => {}
                // Rows of that day are in the default partition already, from when it was far away.
                Err(StoreError::Query(e)) if e.code() == Some(&SqlState::CHECK_VIOLATION) => {
                    tracing::warn!(%day, "its rows stay in the default partitions");
                }
                Err(error) => return Err(error),
            }
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(day);
        }
        Ok(())
    }
}

/// Safe beside another process that makes the same one.
async fn make(client: &impl GenericClient, day: NaiveDate) -> Result<(), StoreError> {
    let Some(next) = day.checked_add_days(CalendarDays::new(1)) else {
        return Ok(());
    };
    let name = day.format("%Y%m%d");
    // Each table by itself: a transaction that locked one and waited for another would wait for a
    // writer that has the second and wants the first.
    for table in TABLES {
        let sql = format!(
            "BEGIN; SELECT pg_advisory_xact_lock(hashtext('kakou partitions')); \
             CREATE TABLE IF NOT EXISTS {table}_{name} PARTITION OF {table} \
             FOR VALUES FROM ('{day} 00:00:00+00') TO ('{next} 00:00:00+00'); COMMIT;"
        );
        if let Err(error) = client.batch_execute(&sql).await {
            // The failed transaction is still open.
            let _ = client.batch_execute("ROLLBACK").await;
            return Err(error.into());
        }
    }
    Ok(())
}
