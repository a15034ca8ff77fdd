//! What the agent says of itself.

use kakou_time::Clock as _;
use std::sync::Arc;

use chrono::{DateTime, FixedOffset};
use kakou_contract::{
    AgentState, CameraState as CameraStateName, ClockState, DiskStatus, Health, Id, ModelUsed,
    OfflineReason, OutboxStatus, PublicKey, SchemaVersion, Software, StatusMessage, UplinkStatus,
    live_id,
};

use super::camera::CameraState;
use kakou_contract::Priority;
use kakou_outbox::{OutboxState, Stats};
use kakou_uplink::{LinkState, Status};

/// What every status says alike.
#[derive(Clone)]
pub struct Identity {
    pub site: Id,
    pub agent: Id,
    pub started_at: DateTime<FixedOffset>,
    pub models: Vec<ModelUsed>,
    pub public_key: PublicKey,
}

impl Identity {
    /// Going, or gone.
    pub fn offline(&self, reason: OfflineReason) -> StatusMessage {
        let mut s = self.bare(AgentState::Offline);
        s.reason = Some(reason);
        s.health = Health::Failed;
        s
    }

    pub fn online(
        &self,
        cameras: &[Arc<CameraState>],
        outbox: &Stats,
        uplink: &Status,
    ) -> StatusMessage {
        let cameras: Vec<_> = cameras.iter().map(|c| c.status()).collect();
        let storing = match &outbox.state {
            OutboxState::Ok => Health::Ok,
            OutboxState::Tight(_) | OutboxState::Damaged { .. } => Health::Degraded,
            OutboxState::Blocked { .. } | OutboxState::Full(_) | OutboxState::Broken(_) => {
                Health::Failed
            }
        };
        let refused = !uplink.refused_topics.is_empty();
        let linked = match &uplink.state {
            LinkState::Connected if !refused => Health::Ok,
            LinkState::Connected | LinkState::Connecting | LinkState::Unreachable(_) => {
                Health::Degraded
            }
            LinkState::Refused(_) | LinkState::Tls(_) | LinkState::Stopped(_) => Health::Failed,
        };
        let all = cameras.iter().map(|c| c.health).chain([storing, linked]);
        let blind = !cameras.is_empty() && cameras.iter().all(|c| c.health == Health::Failed);
        let health = if storing == Health::Failed || blind {
            Health::Failed
        } else if all.into_iter().any(|h| h != Health::Ok) {
            Health::Degraded
        } else {
            Health::Ok
        };
        StatusMessage {
            health,
            cameras,
            disk: Some(DiskStatus {
                health: if outbox.state == OutboxState::Ok {
                    Health::Ok
                } else {
                    Health::Degraded
                },
                free_bytes: outbox.space.disk_free,
                total_bytes: outbox.space.disk_total,
            }),
            outbox: Some(OutboxStatus {
                health: storing,
                waiting: outbox.counts.iter().map(|l| l.waiting).sum(),
                waiting_hits: outbox.counts[Priority::Hit.index()].waiting,
                oldest: outbox
                    .oldest_ms
                    .and_then(DateTime::from_timestamp_millis)
                    .map(|t| t.with_timezone(&chrono::Local).fixed_offset()),
                evicted: outbox.counts.iter().map(|l| l.evicted).sum(),
            }),
            uplink: Some(UplinkStatus {
                health: linked,
                connections: uplink.connections,
                connected_since: uplink.connected_since,
            }),
            ..self.bare(AgentState::Online)
        }
    }

    fn bare(&self, state: AgentState) -> StatusMessage {
        let now = chrono::Local::now().fixed_offset();
        StatusMessage {
            schema_version: SchemaVersion::CURRENT,
            id: live_id(now),
            sequence: None,
            site: self.site.clone(),
            agent: self.agent.clone(),
            time: now,
            state,
            reason: None,
            started_at: self.started_at,
            software: Software {
                name: "kakou".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            },
            health: Health::Ok,
            cameras: Vec::new(),
            clock: Some(kakou_time::SystemClock::new().status()),
            disk: None,
            outbox: None,
            uplink: None,
            models: self.models.clone(),
            public_key: Some(self.public_key.clone()),
        }
    }
}

/// Health of the whole, state of each camera, of the clock, health of outbox and uplink.
pub type Gist = (
    Health,
    Vec<(Id, Health, Option<CameraStateName>)>,
    Option<ClockState>,
    Option<Health>,
    Option<Health>,
);

/// What makes a status worth sending at once.
pub fn gist(s: &StatusMessage) -> Gist {
    (
        s.health,
        s.cameras
            .iter()
            .map(|c| (c.camera.clone(), c.health, c.state))
            .collect(),
        s.clock.map(|c| c.state),
        s.outbox.as_ref().map(|o| o.health),
        s.uplink.as_ref().map(|u| u.health),
    )
}
