//! What the database says of how it stands.

use chrono::{DateTime, Utc};
use tokio_postgres::{Client, Row};

use crate::store::{Store, StoreError};

/// How it stood a moment ago. The same for every process of the centre.
#[derive(Debug, Default)]
pub struct Standing {
    /// By their last word: `online`, `offline`, `unknown` where none came.
    pub agents: Vec<(String, i64)>,
    /// Open ones, by kind.
    pub alarms: Vec<(String, i64)>,
    pub missing: i64,
    pub oldest_gap: Option<DateTime<Utc>>,
    /// Seals that the leader has not looked at yet.
    pub ledger: i64,
    /// Messages that are kept apart, by reason.
    pub apart: Vec<(String, i64)>,
    /// Recipient, channel, hits that wait, the oldest of them.
    pub deliveries: Vec<(String, String, i64, Option<DateTime<Utc>>)>,
    /// Hits that were given up in the last 24 hours.
    pub given_up: i64,
    /// Recipient and channel.
    pub off: Vec<(String, String)>,
    /// Wanted or sent and not answered, by state.
    pub commands: Vec<(String, i64)>,
    /// Passages whose time is far from now.
    pub misdated: i64,
    /// Passages for the upper library that wait, and those that it refused.
    pub upper: [i64; 2],
    pub upper_registered: bool,
}

impl Standing {
    pub async fn read(store: &Store) -> Result<Self, StoreError> {
        let client = store.client().await?;
        let client: &Client = &client;
        let counted = |row: &Row| (row.get(0), row.get(1));
        let ask = async |sql: &str| -> Result<Vec<(String, i64)>, StoreError> {
            let rows = client.query(sql, &[]).await?;
            Ok(rows.iter().map(counted).collect())
        };
        let one = "SELECT (SELECT coalesce(sum(last - first + 1), 0)::int8 FROM gaps), \
                 (SELECT min(since) FROM gaps), \
                 (SELECT count(*) FROM ledger), \
                 (SELECT count(*) FROM deliveries WHERE failed_at > now() - interval '1 day'), \
                 (SELECT count(*) FROM passages_default), \
                 (SELECT count(*) FROM upper_queue WHERE refused_at IS NULL), \
                 (SELECT count(*) FROM upper_queue WHERE refused_at IS NOT NULL), \
                 (SELECT coalesce(bool_or(registered), false) FROM upper_state)";
        let one = client.query_one(one, &[]).await?;
        let waiting = "SELECT recipient, channel, count(*), min(created_at) FROM deliveries \
             WHERE done_at IS NULL AND failed_at IS NULL GROUP BY 1, 2 ORDER BY 1, 2";
        let waiting = client.query(waiting, &[]).await?;
        let off = "SELECT recipient, channel FROM deliveries_off ORDER BY 1, 2";
        let off = client.query(off, &[]).await?;
        Ok(Self {
            agents: ask(
                "SELECT coalesce(s.state, 'unknown'), count(*) FROM agents a \
                 LEFT JOIN agent_state s ON s.agent = a.id GROUP BY 1 ORDER BY 1",
            )
            .await?,
            alarms: ask(
                "SELECT kind, count(*) FROM alarms WHERE ended_at IS NULL GROUP BY 1 ORDER BY 1",
            )
            .await?,
            missing: one.get(0),
            oldest_gap: one.get(1),
            ledger: one.get(2),
            apart: ask(
                "SELECT reason, count(*) FROM quarantine WHERE released_at IS NULL GROUP BY 1 ORDER BY 1",
            )
            .await?,
            deliveries: waiting
                .iter()
                .map(|row| (row.get(0), row.get(1), row.get(2), row.get(3)))
                .collect(),
            given_up: one.get(3),
            off: off.iter().map(|row| (row.get(0), row.get(1))).collect(),
            commands: ask(
                "SELECT state, count(*) FROM commands WHERE state IN ('wanted', 'sent') GROUP BY 1 ORDER BY 1",
            )
            .await?,
            misdated: one.get(4),
            upper: [one.get(5), one.get(6)],
            upper_registered: one.get(7),
        })
    }
}
