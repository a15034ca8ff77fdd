//! The table `commands`: what is asked of an agent, and what came of it.
//!
//! States: `wanted` (the broker has not taken it yet), `sent`, `answered`, `expired` (no answer in
//! time; one that comes within a day still counts), `failed` (it cannot be published as it stands).

use std::time::Duration;

use chrono::{DateTime, FixedOffset, Utc};
use deadpool_postgres::ClientWrapper;
use kakou_contract::{Command, Id, Message as _, Request, ResultMessage};
use serde_json::{Map, Value};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{GenericClient, Row};
use uuid::Uuid;

use crate::store::StoreError;

/// What is notified when a command is wanted.
pub(super) const NOTIFIED: &str = "kakou_commands";
/// What stands around a command in its JSON, and is not kept in `body`.
const FRAME: [&str; 4] = ["request_id", "sent_at", "expires_at", "by"];
/// Taken at once.
const BATCH: i64 = 64;

#[derive(Debug, thiserror::Error)]
pub enum CommandsError {
    #[error("command {command} to agent {agent}: {why}")]
    Refused {
        agent: i32,
        command: &'static str,
        why: String,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<tokio_postgres::Error> for CommandsError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Asks an agent for something until `expires`. The row is there when the transaction of `client`
/// commits, and is published then. `by` is who asks, for the agent's audit; `reason` stays here.
pub async fn want(
    client: &impl GenericClient,
    agent: i32,
    command: &Command,
    by: &str,
    reason: Option<&str>,
    expires: DateTime<Utc>,
) -> Result<Uuid, CommandsError> {
    let name = command.name().as_str();
    let refused = |why: String| CommandsError::Refused {
        agent,
        command: name,
        why,
    };
    let request = Request {
        request_id: Uuid::now_v7(),
        sent_at: DateTime::<Utc>::UNIX_EPOCH.fixed_offset(),
        expires_at: Some(expires.fixed_offset()),
        by: Some(by.to_owned()),
        command: command.clone(),
    };
    request
        .check()
        .map_err(|fault| refused(fault.to_string()))?;
    let body = arguments(&request).map_err(|e| refused(e.to_string()))?;
    let made = client
        .query_typed_opt(
            "WITH made AS (
                 INSERT INTO commands (request_id, agent, command, body, by, reason, expires_at)
                 SELECT $1, $2, $3, $4, $5, $6, $7 WHERE $7 > now() RETURNING request_id)
             SELECT pg_notify('kakou_commands', '') FROM made",
            &[
                (&request.request_id, Type::UUID),
                (&agent, Type::INT4),
                (&name, Type::TEXT),
                (&body, Type::JSONB),
                (&by, Type::TEXT),
                (&reason, Type::TEXT),
                (&expires, Type::TIMESTAMPTZ),
            ],
        )
        .await;
    match made {
        Ok(Some(_)) => Ok(request.request_id),
        Ok(None) => Err(refused(format!(
            "it would expire at {expires}, which is over; give a later time"
        ))),
        Err(error) if error.code() == Some(&SqlState::FOREIGN_KEY_VIOLATION) => Err(refused(
            "there is no such agent; take an id of the table agents".to_owned(),
        )),
        Err(error) => Err(error.into()),
    }
}

/// The fields of the command alone.
fn arguments(request: &Request) -> Result<Value, serde_json::Error> {
    let mut map: Map<String, Value> = serde_json::from_slice(&request.to_json())?;
    FRAME.iter().for_each(|field| drop(map.remove(*field)));
    Ok(Value::Object(map))
}

/// A command that is to be published, under a lease.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) request_id: Uuid,
    pub(super) site: String,
    pub(super) agent: String,
    pub(super) command: String,
    pub(super) body: Value,
    pub(super) by: String,
    /// Of the first time that the broker took it.
    pub(super) sent_at: Option<DateTime<Utc>>,
    pub(super) expires_at: DateTime<Utc>,
    /// This time is the n-th.
    pub(super) attempts: i32,
}

impl Due {
    /// The request, the same each time once the broker took it.
    pub(super) fn request(&self, now: DateTime<FixedOffset>) -> Result<Request, String> {
        let mut map = match &self.body {
            Value::Object(map) => map.clone(),
            _ => return Err("the body is no JSON object".to_owned()),
        };
        let sent_at = self.sent_at.map_or(now, |sent| sent.fixed_offset());
        let expires_at = self.expires_at.fixed_offset();
        let text = |time: &DateTime<FixedOffset>| kakou_contract::time::to_text(time).into();
        map.insert("request_id".to_owned(), self.request_id.to_string().into());
        map.insert("sent_at".to_owned(), text(&sent_at));
        map.insert("expires_at".to_owned(), text(&expires_at));
        map.insert("by".to_owned(), self.by.clone().into());
        let name = Id::new("command", self.command.as_str()).map_err(|e| e.to_string())?;
        let json = Value::Object(map).to_string();
        Command::parse(&name, json.as_bytes()).map_err(|e| e.to_string())
    }
}

/// Takes what is to be published. Once the broker has a command, it is published again only to an
/// agent that is not known to be offline: the broker keeps it for one that is.
pub(super) async fn claim(client: &ClientWrapper, lease: Duration) -> Result<Vec<Due>, StoreError> {
    let statement = client
        .prepare_typed_cached(
            "WITH picked AS (
                 SELECT c.request_id FROM commands c
                 LEFT JOIN command_sends s ON s.request_id = c.request_id
                 LEFT JOIN agent_state st ON st.agent = c.agent
                 WHERE c.state IN ('wanted', 'sent') AND c.expires_at > now()
                   AND (s.next_at IS NULL OR s.next_at <= now())
                   AND (c.state = 'wanted' OR st.state IS DISTINCT FROM 'offline')
                   AND NOT EXISTS (SELECT FROM results r
                       WHERE r.request_id = c.request_id AND r.agent = c.agent)
                 ORDER BY c.made_at LIMIT $2 FOR UPDATE OF c SKIP LOCKED
             ), counted AS (
                 INSERT INTO command_sends AS s (request_id, attempts, next_at)
                 SELECT request_id, 1, now() + make_interval(secs => $1) FROM picked
                 ON CONFLICT (request_id) DO UPDATE
                 SET attempts = s.attempts + 1, next_at = excluded.next_at
                 WHERE s.next_at <= now()
                 RETURNING request_id, attempts
             )
             SELECT c.request_id, a.site, a.agent, c.command, c.body, c.by, c.sent_at,
                 c.expires_at, n.attempts
             FROM counted n JOIN commands c USING (request_id) JOIN agents a ON a.id = c.agent
             ORDER BY c.made_at",
            &[],
        )
        .await?;
    let rows = client
        .query(&statement, &[&lease.as_secs_f64(), &BATCH])
        .await?;
    let due = rows.iter().map(|row| Due {
        request_id: row.get(0),
        site: row.get(1),
        agent: row.get(2),
        command: row.get(3),
        body: row.get(4),
        by: row.get(5),
        sent_at: row.get(6),
        expires_at: row.get(7),
        attempts: row.get(8),
    });
    Ok(due.collect())
}

/// The broker took it.
pub(super) async fn sent(
    client: &impl GenericClient,
    due: &Due,
    sent_at: DateTime<FixedOffset>,
    pause: Duration,
) -> Result<(), StoreError> {
    client
        .execute(
            "WITH next AS (UPDATE command_sends SET next_at = now() + make_interval(secs => $3),
                 error = NULL WHERE request_id = $1)
             UPDATE commands SET state = 'sent', sent_at = coalesce(sent_at, $2)
             WHERE request_id = $1 AND state IN ('wanted', 'sent')",
            &[&due.request_id, &sent_at, &pause.as_secs_f64()],
        )
        .await?;
    Ok(())
}

/// It did not, and why.
pub(super) async fn not_sent(
    client: &impl GenericClient,
    due: &Due,
    why: &str,
    pause: Duration,
) -> Result<(), StoreError> {
    client
        .execute(
            "UPDATE command_sends SET next_at = now() + make_interval(secs => $3), error = $2
             WHERE request_id = $1",
            &[&due.request_id, &why, &pause.as_secs_f64()],
        )
        .await?;
    Ok(())
}

/// It cannot be published as it stands.
pub(super) async fn failed(
    client: &impl GenericClient,
    due: &Due,
    why: &str,
) -> Result<(), StoreError> {
    client
        .execute(
            "UPDATE commands SET state = 'failed', detail = $2
             WHERE request_id = $1 AND state IN ('wanted', 'sent')",
            &[&due.request_id, &why],
        )
        .await?;
    Ok(())
}

/// Joins answers that were stored. `also_expired`: those too that come too late. Returns how many.
pub(super) async fn answers(
    client: &ClientWrapper,
    also_expired: bool,
) -> Result<usize, StoreError> {
    // Looked for first: most of the time nothing is open, and results has a partition a day.
    let open = client
        .query(
            "SELECT request_id FROM commands WHERE state IN ('wanted', 'sent')
             OR ($1 AND state = 'expired' AND expires_at > now() - interval '1 day')",
            &[&also_expired],
        )
        .await?;
    if open.is_empty() {
        return Ok(0);
    }
    let open: Vec<Uuid> = open.iter().map(|row| row.get(0)).collect();
    // The first answer counts; one that says "repeated" only where the first never came.
    let rows = client
        .query(
            "SELECT DISTINCT ON (r.request_id) r.request_id, r.received_at, r.code, r.body
             FROM results r JOIN commands c ON c.request_id = r.request_id AND c.agent = r.agent
             WHERE r.request_id = ANY($1)
             ORDER BY r.request_id, r.code = 'repeated', r.received_at",
            &[&open],
        )
        .await?;
    for row in &rows {
        answer(&**client, row).await?;
    }
    Ok(rows.len())
}

async fn answer(client: &impl GenericClient, row: &Row) -> Result<(), StoreError> {
    let request_id: Uuid = row.get(0);
    let received_at: DateTime<Utc> = row.get(1);
    let code: &str = row.get(2);
    let body: &[u8] = row.get(3);
    // The subscriber has checked it; what it cannot read has no detail.
    let detail = ResultMessage::from_json(body).ok().and_then(|it| it.detail);
    client
        .execute(
            "UPDATE commands SET state = 'answered', answered_at = $2, code = $3, detail = $4
             WHERE request_id = $1 AND state IN ('wanted', 'sent', 'expired')",
            &[&request_id, &received_at, &code, &detail],
        )
        .await?;
    Ok(())
}

/// Marks what got no answer in time, with what is known. Returns how many.
pub(super) async fn expire(client: &ClientWrapper) -> Result<u64, StoreError> {
    let expired = client
        .execute(
            "UPDATE commands c SET state = 'expired', detail = concat_ws('; ',
                 CASE WHEN c.state = 'sent'
                     THEN format('published %s times and not answered', k.attempts)
                     ELSE coalesce('not published: ' || k.error, 'not published') END,
                 CASE WHEN k.agent_state = 'offline'
                     THEN 'the agent is offline since ' || to_char(
                         k.since AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC'
                         || coalesce(', ' || replace(k.reason, '_', ' '), '')
                     WHEN k.agent_state = 'online' THEN 'the agent is online, last heard '
                         || coalesce(to_char(k.heard AT TIME ZONE 'UTC',
                             'YYYY-MM-DD HH24:MI:SS') || ' UTC', 'never')
                     ELSE 'the agent never sent a status' END)
             FROM (SELECT c.request_id, coalesce(s.attempts, 0) AS attempts, s.error,
                     st.state AS agent_state, coalesce(st.since, st.time) AS since, st.reason,
                     st.heard
                 FROM commands c LEFT JOIN command_sends s ON s.request_id = c.request_id
                 LEFT JOIN agent_state st ON st.agent = c.agent
                 WHERE c.state IN ('wanted', 'sent') AND c.expires_at <= now()) k
             WHERE c.request_id = k.request_id AND c.state IN ('wanted', 'sent')",
            &[],
        )
        .await?;
    Ok(expired)
}
