//! Alarms: what somebody has to look at.
//!
//! There is at most one open alarm of a kind for a subject; what raises it again counts it up.

use serde_json::Value;
use tokio_postgres::GenericClient;

use crate::store::StoreError;

/// The words of the column `alarms.kind`, beside those of `quarantine.reason`.
pub const CHAIN_BROKEN: &str = "chain_broken";
pub const NUMBER_REUSED: &str = "number_reused";
pub const PICTURE_ALTERED: &str = "picture_altered";
pub const LOST: &str = "lost";
pub const SILENT: &str = "silent";
pub const OFFLINE: &str = "offline";
pub const CLOCK: &str = "clock";
pub const CAMERA: &str = "camera";
/// The upper view library, or a receiver of its notifications, will not get something.
pub const UPPER_REFUSED: &str = "upper_refused";

#[derive(Debug, Clone)]
pub struct Alarm {
    pub kind: &'static str,
    pub agent: Option<i32>,
    /// What of the agent; empty: the agent itself.
    pub subject: String,
    /// For people.
    pub detail: String,
    pub evidence: Option<Value>,
    pub count: i64,
}

impl Alarm {
    pub fn new(kind: &'static str, agent: Option<i32>, detail: impl Into<String>) -> Self {
        Self {
            kind,
            agent,
            subject: String::new(),
            detail: detail.into(),
            evidence: None,
            count: 1,
        }
    }

    pub fn about(mut self, subject: impl Into<String>) -> Self {
        self.subject = subject.into();
        self
    }

    pub fn with(mut self, evidence: Value) -> Self {
        self.evidence = Some(evidence);
        self
    }
}

/// Raises them, in one order for every process, so that two do not wait for each other.
pub async fn raise(client: &impl GenericClient, mut alarms: Vec<Alarm>) -> Result<(), StoreError> {
    alarms.sort_by(|a, b| (a.kind, a.agent, &a.subject).cmp(&(b.kind, b.agent, &b.subject)));
    let upsert = "INSERT INTO alarms (kind, agent, subject, detail, evidence, count) \
         VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (kind, agent, subject) WHERE ended_at IS NULL \
         DO UPDATE SET last_at = now(), count = alarms.count + excluded.count, \
             detail = excluded.detail, evidence = coalesce(excluded.evidence, alarms.evidence)";
    for alarm in alarms {
        let Alarm {
            kind,
            agent,
            subject,
            detail,
            evidence,
            count,
        } = alarm;
        let (subject, detail) = (
            crate::ingest::stored(&subject),
            crate::ingest::stored(&detail),
        );
        client
            .execute(
                upsert,
                &[&kind, &agent, &subject, &detail, &evidence, &count],
            )
            .await?;
    }
    Ok(())
}

/// Ends what is over by itself; how many were open.
pub async fn end(
    client: &impl GenericClient,
    kind: &str,
    agent: i32,
    subject: &str,
) -> Result<u64, StoreError> {
    let update = "UPDATE alarms SET ended_at = now() \
         WHERE kind = $1 AND agent = $2 AND subject = $3 AND ended_at IS NULL";
    Ok(client.execute(update, &[&kind, &agent, &subject]).await?)
}

/// Those of the same kind about anything but these.
pub async fn end_others(
    client: &impl GenericClient,
    kind: &str,
    agent: i32,
    subjects: &[&str],
) -> Result<u64, StoreError> {
    let update = "UPDATE alarms SET ended_at = now() \
         WHERE kind = $1 AND agent = $2 AND subject <> ALL($3) AND ended_at IS NULL";
    Ok(client.execute(update, &[&kind, &agent, &subjects]).await?)
}
