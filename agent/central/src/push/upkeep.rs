//! What an operator asks of the deliveries: how they stand, switch a recipient on again, forget what
//! is over.

use chrono::{DateTime, Utc};
use tokio_postgres::GenericClient;

use super::queue::Channel;
use crate::store::StoreError;

/// How one recipient's channel stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelState {
    pub recipient: String,
    pub channel: String,
    pub waiting: i64,
    pub oldest: Option<DateTime<Utc>>,
    /// Delivered and given up within the last day.
    pub done: i64,
    pub failed: i64,
    /// Why it is off, where it is.
    pub off: Option<String>,
    /// Of the newest delivery that was not done at its last try.
    pub error: Option<String>,
}

/// Each channel that has deliveries of the last day, or that waits or is off.
pub async fn state(client: &impl GenericClient) -> Result<Vec<ChannelState>, StoreError> {
    let rows = client
        .query(
            "SELECT recipient, channel,
                 count(*) FILTER (WHERE waits), min(created_at) FILTER (WHERE waits),
                 count(*) FILTER (WHERE done_at > now() - interval '1 day'),
                 count(*) FILTER (WHERE failed_at > now() - interval '1 day'),
                 max(o.reason), (array_agg(error ORDER BY created_at DESC)
                     FILTER (WHERE error IS NOT NULL))[1]
             FROM (SELECT *, done_at IS NULL AND failed_at IS NULL AS waits FROM deliveries) d
             FULL JOIN deliveries_off o USING (recipient, channel)
             WHERE waits OR o.reason IS NOT NULL OR done_at > now() - interval '1 day'
                OR failed_at > now() - interval '1 day'
             GROUP BY recipient, channel ORDER BY recipient, channel",
            &[],
        )
        .await?;
    let state = rows.iter().map(|row| ChannelState {
        recipient: row.get(0),
        channel: row.get(1),
        waiting: row.get(2),
        oldest: row.get(3),
        done: row.get(4),
        failed: row.get(5),
        off: row.get(6),
        error: row.get(7),
    });
    Ok(state.collect())
}

/// Switches off a channel that said "never again".
pub(super) async fn switch_off(
    client: &impl GenericClient,
    (recipient, channel, address): (&str, Channel, &str),
    reason: &str,
) -> Result<(), StoreError> {
    client
        .execute(
            "INSERT INTO deliveries_off (recipient, channel, address, reason)
             VALUES ($1, $2, $3, $4) ON CONFLICT (recipient, channel)
             DO UPDATE SET address = excluded.address, reason = excluded.reason, since = now()",
            &[&recipient, &channel.as_str(), &address, &reason],
        )
        .await?;
    Ok(())
}

/// Switches it on again: what waits is told at once. `false`: it was not off.
pub async fn switch_on(
    client: &impl GenericClient,
    recipient: &str,
    channel: Channel,
) -> Result<bool, StoreError> {
    let row = client
        .query_one(
            "WITH gone AS (DELETE FROM deliveries_off WHERE recipient = $1 AND channel = $2
                 RETURNING 1), counted AS (SELECT count(*) AS n FROM gone)
             SELECT n, pg_notify('kakou_push', '') FROM counted",
            &[&recipient, &channel.as_str()],
        )
        .await?;
    Ok(row.get::<_, i64>(0) > 0)
}

/// Deletes what is over and older than this; what waits stays.
pub async fn forget(client: &impl GenericClient, before: DateTime<Utc>) -> Result<u64, StoreError> {
    let gone = client
        .execute(
            "DELETE FROM deliveries WHERE created_at < $1
             AND (done_at IS NOT NULL OR failed_at IS NOT NULL)",
            &[&before],
        )
        .await?;
    Ok(gone)
}
