//! What the agent says of itself.

use chrono::{DateTime, FixedOffset};
use kakou_contract::{
    AgentState, CameraState, CameraStatus, ClockState, DiskStatus, Envelope, Health, Id, Keep,
    ModelUsed, OfflineReason, OutboxStatus, PartState, PartStatus, Priority, PublicKey,
    SchemaVersion, Software, StatusMessage, UplinkStatus, WatchlistStatus, live_id,
};
use kakou_outbox::{OutboxState, Stats};
use kakou_time::Clock;
use kakou_uplink::{LinkState, Status};

/// What every status says alike.
#[derive(Clone)]
pub struct Identity {
    pub site: Id,
    pub agent: Id,
    pub started_at: DateTime<FixedOffset>,
    pub public_key: PublicKey,
}

/// What a status is made of.
pub struct StatusParts {
    pub cameras: Vec<CameraStatus>,
    pub outbox: Stats,
    pub link: Status,
    pub parts: Vec<PartStatus>,
    pub watchlist: Option<WatchlistStatus>,
    pub models: Vec<ModelUsed>,
}

impl Identity {
    /// Going, or gone.
    pub fn offline(&self, reason: OfflineReason, clock: &dyn Clock) -> StatusMessage {
        let mut s = self.bare(AgentState::Offline, clock);
        s.reason = Some(reason);
        s.health = Health::Failed;
        s
    }

    /// The last word, as it is published. A message that cannot be written would have failed the
    /// golden tests.
    pub fn offline_envelope(&self, reason: OfflineReason, clock: &dyn Clock) -> Option<Envelope> {
        let status = self.offline(reason, clock);
        Envelope::of(&status, Priority::Control, Keep::Control).ok()
    }

    pub fn online(&self, parts: StatusParts, clock: &dyn Clock) -> StatusMessage {
        let StatusParts {
            cameras,
            outbox,
            link,
            parts,
            watchlist,
            models,
        } = parts;
        let storing = storing(&outbox.state);
        let linked = linked(&link);
        let blind = !cameras.is_empty() && cameras.iter().all(|c| c.health == Health::Failed);
        let health = if storing == Health::Failed || blind {
            Health::Failed
        } else {
            let listed = watchlist.as_ref().map_or(Health::Ok, |w| w.health);
            let failing = parts.iter().any(|p| p.state == PartState::Failing);
            // Evidence with wrong times is worth little, and nobody sees it by the passages.
            let timed = match clock.status().state {
                ClockState::Unsynchronised => Health::Degraded,
                ClockState::Synchronised | ClockState::Unknown => Health::Ok,
            };
            let well = [storing, linked, listed, timed]
                .into_iter()
                .chain(cameras.iter().map(|c| c.health));
            match failing || well.into_iter().any(|h| h != Health::Ok) {
                true => Health::Degraded,
                false => Health::Ok,
            }
        };
        StatusMessage {
            health,
            cameras,
            disk: Some(DiskStatus {
                health: match outbox.state {
                    OutboxState::Ok => Health::Ok,
                    _ => Health::Degraded,
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
                    .map(|t| t.with_timezone(clock.wall().offset())),
                evicted: outbox.counts.iter().map(|l| l.evicted).sum(),
            }),
            uplink: Some(UplinkStatus {
                health: linked,
                connections: link.connections,
                connected_since: link.connected_since,
            }),
            watchlist,
            parts,
            models,
            ..self.bare(AgentState::Online, clock)
        }
    }

    fn bare(&self, state: AgentState, clock: &dyn Clock) -> StatusMessage {
        let now = clock.wall();
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
                version: crate::SHORT_VERSION.to_owned(),
            },
            health: Health::Ok,
            cameras: Vec::new(),
            clock: Some(clock.status()),
            disk: None,
            outbox: None,
            uplink: None,
            watchlist: None,
            parts: Vec::new(),
            models: Vec::new(),
            public_key: Some(self.public_key.clone()),
        }
    }
}

fn storing(state: &OutboxState) -> Health {
    match state {
        OutboxState::Ok => Health::Ok,
        OutboxState::Tight(_) | OutboxState::Damaged { .. } => Health::Degraded,
        OutboxState::Blocked { .. } | OutboxState::Full(_) | OutboxState::Broken(_) => {
            Health::Failed
        }
    }
}

/// What is wrong with the outbox, for people.
fn storing_fault(state: &OutboxState) -> Option<&str> {
    match state {
        OutboxState::Ok => None,
        OutboxState::Tight(why)
        | OutboxState::Damaged { why, .. }
        | OutboxState::Blocked { why, .. }
        | OutboxState::Full(why)
        | OutboxState::Broken(why) => Some(why),
    }
}

fn linked(link: &Status) -> Health {
    let refused = !link.refused_topics.is_empty();
    match &link.state {
        LinkState::Connected if !refused => Health::Ok,
        LinkState::Connected | LinkState::Connecting | LinkState::Unreachable(_) => {
            Health::Degraded
        }
        LinkState::Refused(_) | LinkState::Tls(_) | LinkState::Stopped(_) => Health::Failed,
    }
}

/// One line for `systemctl status`: what is wrong, the worst first, then the link and what waits.
pub fn headline(status: &StatusMessage, outbox: &OutboxState, link: &Status) -> String {
    let mut all = reasons(status, outbox, link);
    // The link is told whether or not it is well.
    all.retain(|reason| !reason.starts_with("broker: "));
    all.push(link.state.to_string());
    let waiting = status.outbox.as_ref().map_or(0, |o| o.waiting);
    all.push(format!("{waiting} waiting"));
    // The service manager takes one line.
    all.join("; ").replace('\n', " ")
}

/// Each thing that is not as it should be, the worst first.
pub fn reasons(status: &StatusMessage, outbox: &OutboxState, link: &Status) -> Vec<String> {
    let mut all = Vec::new();
    if let Some(why) = storing_fault(outbox) {
        all.push(format!("outbox: {why}"));
    }
    let told = |c: &CameraStatus| {
        let state = c.state.map_or("failed", CameraState::as_str);
        format!("{}: {}", c.camera, c.detail.as_deref().unwrap_or(state))
    };
    let of_health = |health| {
        let cameras = status.cameras.iter().filter(move |c| c.health == health);
        cameras.map(told).collect::<Vec<_>>()
    };
    for (health, word) in [(Health::Failed, "failing"), (Health::Degraded, "degraded")] {
        let bad = of_health(health);
        if !bad.is_empty() {
            let (n, count) = (bad.len(), status.cameras.len());
            all.push(format!("{n} of {count} cameras {word}: {}", bad.join(", ")));
        }
    }
    // A camera's part is told above, by the camera.
    let parts = status.parts.iter().filter(|p| {
        p.state == PartState::Failing && !p.name.starts_with(super::cameras::PART_PREFIX)
    });
    for part in parts {
        let why = part.detail.as_deref().unwrap_or("failing");
        all.push(format!("{}: {why}", part.name));
    }
    let opening = |p: &PartStatus| {
        let detail = p.detail.clone()?;
        (p.state == PartState::Starting && p.name == "models").then_some(detail)
    };
    all.extend(status.parts.iter().filter_map(opening));
    if let Some(list) = status.watchlist.as_ref().filter(|w| w.health != Health::Ok) {
        let why = list.detail.as_deref().unwrap_or("not in use");
        let of_part = all.iter().any(|told| told.starts_with("watchlist: "));
        if !of_part {
            all.push(format!("watchlist: {why}"));
        }
    }
    if status
        .clock
        .is_some_and(|c| c.state == ClockState::Unsynchronised)
    {
        let mend = "no time source disciplines the clock, so times may be wrong and nothing expires; \
                    check the time service (timedatectl)";
        all.push(format!("clock: {mend}"));
    }
    if !link.refused_topics.is_empty() {
        let topics: Vec<&str> = link.refused_topics.iter().map(String::as_str).collect();
        all.push(format!("the broker refuses {}", topics.join(", ")));
    }
    if link.state != LinkState::Connected {
        all.push(format!("broker: {}", link.state));
    }
    all
}

/// Health of the whole, state of each camera and part, of the clock; health of outbox, uplink and
/// watchlist.
#[derive(Debug, Clone, PartialEq)]
pub struct Gist {
    health: Health,
    cameras: Vec<(Id, Health, Option<CameraState>)>,
    parts: Vec<(String, PartState)>,
    clock: Option<ClockState>,
    outbox: Option<Health>,
    uplink: Option<Health>,
    watchlist: Option<Health>,
}

/// What makes a status worth sending at once.
pub fn gist(s: &StatusMessage) -> Gist {
    Gist {
        health: s.health,
        cameras: s
            .cameras
            .iter()
            .map(|c| (c.camera.clone(), c.health, c.state))
            .collect(),
        parts: s.parts.iter().map(|p| (p.name.clone(), p.state)).collect(),
        clock: s.clock.map(|c| c.state),
        outbox: s.outbox.as_ref().map(|o| o.health),
        uplink: s.uplink.as_ref().map(|u| u.health),
        watchlist: s.watchlist.as_ref().map(|w| w.health),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use kakou_contract::Message;
    use kakou_time::SimulatedClock;

    use super::*;

    const ONLINE: &[u8] = include_bytes!("../../contract/golden/status-online.json");

    #[test]
    fn the_headline_says_what_is_wrong() {
        let status = StatusMessage::from_json(ONLINE).unwrap();
        let link = Status {
            state: LinkState::Connected,
            ..Status::default()
        };
        let line = headline(&status, &OutboxState::Ok, &link);
        assert_eq!(
            line,
            "1 of 2 cameras failing: cam-2: connection refused; watchlist: watchlist.csv: No such file or directory \
             (os error 2); the last list stays in use; connected; 3 waiting"
        );
        let full = OutboxState::Full("no room on the disk".to_owned());
        assert!(headline(&status, &full, &link).starts_with("outbox: no room on the disk; 1 of 2"));
    }

    #[test]
    fn a_part_or_a_list_that_fails_makes_the_whole_degraded() {
        let golden = StatusMessage::from_json(ONLINE).unwrap();
        let identity = Identity {
            site: golden.site.clone(),
            agent: golden.agent.clone(),
            started_at: golden.started_at,
            public_key: golden.public_key.clone().unwrap(),
        };
        let clock = SimulatedClock::new(golden.time, Duration::ZERO);
        let all_well = || StatusParts {
            cameras: golden.cameras[..1].to_vec(),
            outbox: Stats::default(),
            link: Status {
                state: LinkState::Connected,
                ..Status::default()
            },
            parts: golden.parts[..4].to_vec(),
            watchlist: None,
            models: Vec::new(),
        };
        let health = |parts| identity.online(parts, &clock).health;
        assert_eq!(health(all_well()), Health::Ok);
        let parts = golden.parts.clone();
        assert_eq!(
            health(StatusParts {
                parts,
                ..all_well()
            }),
            Health::Degraded
        );
        let watchlist = golden.watchlist.clone();
        assert_eq!(
            health(StatusParts {
                watchlist,
                ..all_well()
            }),
            Health::Degraded
        );
        let cameras = golden.cameras[1..].to_vec();
        assert_eq!(
            health(StatusParts {
                cameras,
                ..all_well()
            }),
            Health::Failed
        );
    }
}
