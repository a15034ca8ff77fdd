//! One partition for each day and table.
//!
//! A day is that of the message's own time in UTC. Days far from now get no partition of their own:
//! the clock of that box is wrong, and its records lie in the default partition, so that a box that
//! believes to live in 1970 makes no tables.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Days as CalendarDays, NaiveDate, Utc};
use tokio_postgres::GenericClient;

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
        times: impl Iterator<Item = DateTime<Utc>>,
    ) -> Result<(), StoreError> {
        let today = now.date_naive();
        let wanted: HashSet<NaiveDate> = times
            .map(|time| time.date_naive())
            .filter(|day| (-BACK..=AHEAD).contains(&(*day - today).num_days()))
            .collect();
        let missing: Vec<NaiveDate> = {
            let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            wanted.difference(&known).copied().collect()
        };
        for day in missing {
            make(client, day).await?;
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
    let mut sql =
        String::from("BEGIN; SELECT pg_advisory_xact_lock(hashtext('kakou partitions'));");
    for table in TABLES {
        sql.push_str(&format!(
            "CREATE TABLE IF NOT EXISTS {table}_{name} PARTITION OF {table} \
             FOR VALUES FROM ('{day} 00:00:00+00') TO ('{next} 00:00:00+00');"
        ));
    }
    sql.push_str("COMMIT;");
    if let Err(error) = client.batch_execute(&sql).await {
        // The failed transaction is still open.
        let _ = client.batch_execute("ROLLBACK").await;
        return Err(error.into());
    }
    Ok(())
}
