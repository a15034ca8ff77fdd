//! One status after the other into the tables, in the order in which the broker gives them.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use kakou_contract::{AgentState, ClockState, Health, Message as _, OfflineReason, StatusMessage};
use kakou_time::Stopwatch;
use serde::Deserialize;
use tokio_postgres::{Client, Transaction};

use crate::alarms::{self, Alarm};
use crate::store::StoreError;

/// `[life]` of the config.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LifeConfig {
    /// A connected agent of which nothing came for so long is silent. Two of its status intervals.
    pub silent_after_s: u32,
    /// A clock that is off by more is an alarm.
    pub clock_off_ms: u32,
}

impl Default for LifeConfig {
    fn default() -> Self {
        Self {
            silent_after_s: 130,
            clock_off_ms: 1_000,
        }
    }
}

/// What is known of an agent: alarms are written when it changes, not for every status.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Shown {
    state: Option<AgentState>,
    reason: Option<OfflineReason>,
    clock: Option<String>,
    cameras: Vec<(String, Health, Option<String>)>,
}

pub struct Life {
    config: LifeConfig,
    shown: HashMap<i32, Shown>,
    /// Since when agents can be heard. Of one that was quiet before, nobody knows.
    listening: Stopwatch,
}

impl Life {
    pub fn new(config: LifeConfig) -> Self {
        Self {
            config,
            shown: HashMap::new(),
            listening: Stopwatch::start(),
        }
    }

    /// The connection on which statuses come is new, or gone: silence counts from now on.
    pub fn listens_anew(&mut self) {
        self.listening = Stopwatch::start();
    }

    /// The last word of these agents, in this order.
    pub async fn apply(
        &mut self,
        client: &mut Client,
        statuses: &[(i32, StatusMessage)],
    ) -> Result<(), StoreError> {
        let transaction = client.transaction().await?;
        let mut raised = Vec::new();
        let mut seen = Vec::new();
        for (agent, status) in statuses {
            let shown = self.shown_of(status);
            keep(&transaction, *agent, status).await?;
            let before = self.shown.get(agent);
            if before != Some(&shown) {
                raised.extend(changed(&transaction, *agent, status, &shown).await?);
                seen.push((*agent, shown.clone()));
                self.shown.insert(*agent, shown);
            }
        }
        let kept = match alarms::raise(&transaction, raised).await {
            Ok(()) => transaction.commit().await.map_err(StoreError::from),
            Err(error) => Err(error),
        };
        if kept.is_err() {
            // Written anew with their next status.
            for (agent, _) in seen {
                self.shown.remove(&agent);
            }
        }
        kept
    }

    /// Agents that are connected and say nothing; those that speak again.
    pub async fn tick(&self, client: &mut Client) -> Result<(), StoreError> {
        let seconds = f64::from(self.config.silent_after_s);
        let transaction = client.transaction().await?;
        let select = "SELECT s.agent, a.site, a.agent, greatest(s.heard, s.received_at), \
                 greatest(s.heard, s.received_at) < now() - make_interval(secs => $1) AS silent, \
                 EXISTS (SELECT FROM alarms WHERE kind = 'silent' AND agent = s.agent AND subject = 'connected' AND ended_at IS NULL) \
             FROM agent_state s JOIN agents a ON a.id = s.agent WHERE s.state = 'online'";
        let mut raised = Vec::new();
        let listens = self.listening.elapsed().as_secs_f64() >= seconds;
        for row in transaction.query(select, &[&seconds]).await? {
            let agent: i32 = row.get(0);
            match (row.get::<_, bool>(4), row.get::<_, bool>(5)) {
                (true, false) if listens => {
                    let (site, name): (&str, &str) = (row.get(1), row.get(2));
                    let since: DateTime<Utc> = row.get(3);
                    let detail =
                        format!("{site}/{name} is connected, and nothing has come since {since}");
                    let alarm = Alarm::new(alarms::SILENT, Some(agent), detail);
                    raised.push(alarm.about("connected"));
                }
                (false, true) => {
                    alarms::end(&transaction, alarms::SILENT, agent, "connected").await?;
                }
                _ => {}
            }
        }
        // Whoever is known to be gone is not silent beside that.
        let end = "UPDATE alarms SET ended_at = now() FROM agent_state s \
             WHERE alarms.agent = s.agent AND alarms.kind = 'silent' AND alarms.subject = 'connected' \
             AND alarms.ended_at IS NULL AND s.state = 'offline'";
        transaction.execute(end, &[]).await?;
        alarms::raise(&transaction, raised).await?;
        Ok(transaction.commit().await?)
    }

    fn shown_of(&self, status: &StatusMessage) -> Shown {
        Shown {
            state: Some(status.state),
            reason: status.reason,
            clock: self.clock(status),
            cameras: status
                .cameras
                .iter()
                .map(|camera| {
                    let state = camera.state.map(|state| state.to_string());
                    (camera.camera.to_string(), camera.health, state)
                })
                .collect(),
        }
    }

    /// What is wrong with its clock.
    fn clock(&self, status: &StatusMessage) -> Option<String> {
        let clock = status.clock.as_ref()?;
        let most = u64::from(self.config.clock_off_ms);
        match (clock.state, clock.offset_ms) {
            (ClockState::Unsynchronised, _) => Some("not synchronised".to_owned()),
            (_, Some(offset)) if offset.unsigned_abs() > most => {
                Some(format!("off by {offset} ms"))
            }
            _ => None,
        }
    }
}

async fn keep(
    transaction: &Transaction<'_>,
    agent: i32,
    status: &StatusMessage,
) -> Result<(), StoreError> {
    let upsert = "INSERT INTO agent_state (agent, status, time, received_at, state, reason, health, since, \
             version, started_at, clock_state, clock_offset, heard, body) \
         VALUES ($1, $2, $3, now(), $4, $5, $6, now(), $7, $8, $9, $10, now(), $11) \
         ON CONFLICT (agent) DO UPDATE SET status = excluded.status, time = excluded.time, \
             received_at = now(), state = excluded.state, reason = excluded.reason, health = excluded.health, \
             since = CASE WHEN (agent_state.state, agent_state.reason) IS DISTINCT FROM (excluded.state, excluded.reason) \
                 THEN now() ELSE agent_state.since END, \
             version = excluded.version, started_at = excluded.started_at, \
             clock_state = coalesce(excluded.clock_state, agent_state.clock_state), \
             clock_offset = coalesce(excluded.clock_offset, agent_state.clock_offset), \
             heard = CASE WHEN excluded.state = 'online' THEN now() ELSE agent_state.heard END, \
             body = excluded.body";
    let body = status.to_json().unwrap_or_default();
    let reason = status.reason.map(|reason| reason.as_str());
    let clock = status.clock.as_ref();
    let offset = clock.and_then(|clock| clock.offset_ms);
    let offset = offset.and_then(|offset| i32::try_from(offset).ok());
    transaction
        .execute(
            upsert,
            &[
                &agent,
                &status.id,
                &status.time.to_utc(),
                &status.state.as_str(),
                &reason,
                &status.health.as_str(),
                &crate::ingest::stored(&status.software.version),
                &status.started_at.to_utc(),
                &clock.map(|clock| clock.state.as_str()),
                &offset,
                &body,
            ],
        )
        .await?;
    // A last will knows of no cameras, nor does a goodbye.
    if status.state == AgentState::Offline && status.cameras.is_empty() {
        return Ok(());
    }
    let delete = "DELETE FROM camera_state WHERE agent = $1";
    transaction.execute(delete, &[&agent]).await?;
    let insert = "INSERT INTO camera_state (agent, camera, state, health, since, last_frame, detail) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
    for camera in &status.cameras {
        transaction
            .execute(
                insert,
                &[
                    &agent,
                    &camera.camera.to_string(),
                    &camera.state.map(|state| state.as_str()),
                    &camera.health.as_str(),
                    &camera.since.map(|time| time.to_utc()),
                    &camera.last_frame.map(|time| time.to_utc()),
                    &camera.detail.as_deref().map(crate::ingest::stored),
                ],
            )
            .await?;
    }
    Ok(())
}

/// Alarms that begin; those that are over are ended here.
async fn changed(
    transaction: &Transaction<'_>,
    agent: i32,
    status: &StatusMessage,
    shown: &Shown,
) -> Result<Vec<Alarm>, StoreError> {
    let mut raised = Vec::new();
    let name = format!("{}/{}", status.site, status.agent);
    let (silent, offline) = match (status.state, status.reason) {
        (AgentState::Online, _) => (false, false),
        (AgentState::Offline, Some(OfflineReason::ConnectionLost)) => (true, false),
        (AgentState::Offline, _) => (false, true),
    };
    if silent {
        let detail = format!("the broker has lost {name}");
        raised.push(Alarm::new(alarms::SILENT, Some(agent), detail));
    } else {
        alarms::end(transaction, alarms::SILENT, agent, "").await?;
    }
    if offline {
        let reason = status.reason.map_or("", |reason| reason.as_str());
        let detail = format!("{name} said goodbye: {reason}");
        raised.push(Alarm::new(alarms::OFFLINE, Some(agent), detail));
    } else {
        alarms::end(transaction, alarms::OFFLINE, agent, "").await?;
    }
    if status.state == AgentState::Offline {
        // What its cameras and clock do is not known.
        return Ok(raised);
    }
    match &shown.clock {
        Some(wrong) => {
            let detail = format!("the clock of {name} is {wrong}");
            raised.push(Alarm::new(alarms::CLOCK, Some(agent), detail));
        }
        None => drop(alarms::end(transaction, alarms::CLOCK, agent, "").await?),
    }
    for (camera, health, state) in &shown.cameras {
        match health {
            Health::Failed => {
                let state = state.as_deref().unwrap_or("failed");
                let detail = format!("camera {camera} of {name}: {state}");
                let alarm = Alarm::new(alarms::CAMERA, Some(agent), detail);
                raised.push(alarm.about(camera.as_str()));
            }
            _ => drop(alarms::end(transaction, alarms::CAMERA, agent, camera).await?),
        }
    }
    // Of cameras that were taken out, whoever knew of them before.
    let here: Vec<&str> = shown.cameras.iter().map(|(name, ..)| &**name).collect();
    alarms::end_others(transaction, alarms::CAMERA, agent, &here).await?;
    Ok(raised)
}
