//! How it stands with the upper view library: written by the process that is registered, read by
//! whoever asks.

use std::time::Duration;

use chrono::{DateTime, Utc};
use kakou_gat1400::{UpperLibrary, UpperState};
use tokio_postgres::GenericClient;

use crate::store::{Store, StoreError};

/// The last word of a process that is there is not older than this.
const TELL_EVERY: Duration = Duration::from_secs(5);
const GONE_AFTER_S: f64 = 30.0;
/// Reasons and subscriptions that are shown.
const SHOWN: i64 = 100;

/// Writes it down at each change, and now and then. Never ends.
pub(super) async fn report(store: &Store, library: &UpperLibrary, process: &str) {
    let mut changes = library.state();
    loop {
        let now = changes.borrow_and_update().clone();
        if let Err(error) = write(store, process, &now).await {
            tracing::debug!(%error, "how it stands with the upper library is not written down");
        }
        let _ = tokio::time::timeout(TELL_EVERY, changes.changed()).await;
        // Each batch is a change: not all of them are worth a write.
        tokio::time::sleep(TELL_EVERY / 10).await;
    }
}

async fn write(store: &Store, process: &str, now: &UpperState) -> Result<(), StoreError> {
    let update = "UPDATE upper_state SET process = $1, registered = $2, seen_at = now(),
             failure = $3, offset_ms = $4,
             since = CASE WHEN registered = $2 AND process = $1 THEN since ELSE now() END";
    let failure = now.failure.as_deref().map(super::told);
    let client = store.client().await?;
    client
        .execute(
            update,
            &[&process, &now.registered, &failure, &now.offset_ms],
        )
        .await?;
    Ok(())
}

/// This process ends, and is not registered any more.
pub(super) async fn ended(store: &Store, process: &str) -> Result<(), StoreError> {
    let update = "UPDATE upper_state SET registered = false, since = now(), seen_at = now(),
             failure = 'the process was stopped'
         WHERE process = $1";
    store.client().await?.execute(update, &[&process]).await?;
    Ok(())
}

type Time = DateTime<Utc>;

#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    pub process: Option<String>,
    pub registered: bool,
    /// Nobody said anything for a while.
    pub is_silent: bool,
    pub since: Option<Time>,
    pub seen_at: Option<Time>,
    pub failure: Option<String>,
    pub offset_ms: Option<i64>,
    pub sent: i64,
    pub waiting: i64,
    pub oldest: Option<Time>,
    /// The reason of one of those that were not taken at their last try.
    pub error: Option<String>,
    pub refused: Vec<Refused>,
    pub subscriptions: Vec<Subscribed>,
}

/// Passages that were refused for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub why: String,
    pub count: i64,
    pub last: Time,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscribed {
    pub id: String,
    pub title: String,
    pub address: String,
    pub ends: Time,
    pub is_on: bool,
    pub waiting: i64,
    pub sent: i64,
    pub given_up: i64,
    pub error: Option<String>,
}

pub async fn read(client: &impl GenericClient) -> Result<Shown, StoreError> {
    let select =
        "SELECT s.process, s.registered, s.since, s.seen_at, s.failure, s.offset_ms, s.sent,
             coalesce(s.seen_at < now() - make_interval(secs => $1), true), q.*
         FROM upper_state s CROSS JOIN (
             SELECT count(*), min(made_at), max(error) FROM upper_queue WHERE refused_at IS NULL
         ) q (waiting, oldest, error)";
    let row = client.query_one(select, &[&GONE_AFTER_S]).await?;
    let select = "SELECT why, count(*), max(refused_at) FROM upper_queue
         WHERE refused_at IS NOT NULL GROUP BY why ORDER BY count(*) DESC, why LIMIT $1";
    let refused = client.query(select, &[&SHOWN]).await?;
    let select =
        "SELECT s.id, coalesce(s.object->>'Title', ''), coalesce(s.object->>'ReceiveAddr', ''),
             s.ends, NOT s.cancelled AND now() BETWEEN s.begins AND s.ends,
             (SELECT count(*) FROM upper_notices n WHERE n.subscription = s.id),
             s.sent, s.given_up, s.error
         FROM upper_subscriptions s ORDER BY s.id LIMIT $1";
    let subscriptions = client.query(select, &[&SHOWN]).await?;
    Ok(Shown {
        process: row.get(0),
        registered: row.get(1),
        since: row.get(2),
        seen_at: row.get(3),
        failure: row.get(4),
        offset_ms: row.get(5),
        sent: row.get(6),
        is_silent: row.get(7),
        waiting: row.get(8),
        oldest: row.get(9),
        error: row.get(10),
        refused: refused
            .iter()
            .map(|row| Refused {
                why: row.get(0),
                count: row.get(1),
                last: row.get(2),
            })
            .collect(),
        subscriptions: subscriptions
            .iter()
            .map(|row| Subscribed {
                id: row.get(0),
                title: row.get(1),
                address: row.get(2),
                ends: row.get(3),
                is_on: row.get(4),
                waiting: row.get(5),
                sent: row.get(6),
                given_up: row.get(7),
                error: row.get(8),
            })
            .collect(),
    })
}

impl Shown {
    /// Registered, and nothing was refused or given up.
    pub fn is_well(&self) -> bool {
        let gave_up = self.subscriptions.iter().any(|one| one.given_up > 0);
        self.registered && !self.is_silent && self.refused.is_empty() && !gave_up
    }

    pub fn lines(&self) -> Vec<String> {
        let at = |time: Option<Time>| {
            time.map_or("-".to_owned(), |time| {
                time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
            })
        };
        let because =
            |why: &Option<String>| why.as_ref().map_or(String::new(), |why| format!(": {why}"));
        let process = self.process.as_deref().unwrap_or("-");
        let mut lines = vec![match (&self.seen_at, self.is_silent, self.registered) {
            (None, ..) => {
                "not registered: no process with [gat1400] in its config ever ran".to_owned()
            }
            (seen, true, _) => format!(
                "not registered: {process} was heard last at {}, and no other process took over",
                at(*seen)
            ),
            (_, _, true) => {
                let offset = self.offset_ms.map_or(String::new(), |ms| {
                    format!(", the upper library's clock is {ms} ms ahead of ours")
                });
                let since = at(self.since);
                format!("registered since {since} by {process}{offset}")
            }
            (_, _, false) => format!(
                "not registered since {}, {process} tries{}",
                at(self.since),
                because(&self.failure)
            ),
        }];
        if self.registered && !self.is_silent && self.failure.is_some() {
            lines.push(format!("its last request failed{}", because(&self.failure)));
        }
        let oldest = match self.oldest {
            None => String::new(),
            some => format!(", the oldest since {}", at(some)),
        };
        let error = self.error.as_ref().map_or(String::new(), |error| {
            format!(", some were not taken at first: {error}")
        });
        lines.push(format!("waiting {}{oldest}{error}", self.waiting));
        lines.push(format!("sent {}", self.sent));
        let refused: i64 = self.refused.iter().map(|one| one.count).sum();
        lines.push(format!("refused {refused}"));
        for one in &self.refused {
            let last = at(Some(one.last));
            lines.push(format!(
                "  {} times, last at {last}: {}",
                one.count, one.why
            ));
        }
        for one in &self.subscriptions {
            let ends = at(Some(one.ends));
            let is_on = if one.is_on { "on" } else { "off" };
            lines.push(format!(
                "subscription {} {:?} to {:?}, {is_on}, ends {ends}: waiting {}, sent {}, given up {}{}",
                one.id,
                one.title,
                one.address,
                one.waiting,
                one.sent,
                one.given_up,
                because(&one.error)
            ));
        }
        lines
    }
}
