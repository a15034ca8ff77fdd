//! One agent's line of messages: what happens goes in, sealed messages come out, in the order in
//! which they are numbered.
//!
//! Nothing here knows a broker. What follows from sightings follows from the seed alone, in content
//! and in order; status, answers and records of commands come between as they happen.

use std::sync::Arc;

use chrono::{DateTime, FixedOffset};
use kakou_contract::{
    AgentState, AuditEvent, AuditMessage, CameraState, CameraStatus, Envelope, EvictionReason,
    Health, Keep, MessageError, OfflineReason, OutboxStatus, PerSecond, Priority, Ranges,
    SchemaVersion, Software, StatusMessage, UplinkStatus,
};

use crate::chain::{Chain, SealedMessage};
use crate::checkpoint::Checkpoint;
use crate::city::{Phase, Sighting};
use crate::options::Evil;
use crate::pictures::Picture;
use crate::random::Random;
use crate::scene::{Scene, Shared, id, scene};
use crate::telling::{Hit, misread, signal};

/// What happens at an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    Sighting(Sighting),
    /// Its state is told, at this time of the fleet.
    Status {
        at_ms: i64,
    },
}

/// What a message is to the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    True,
    /// True, and wrong on purpose.
    Torn,
    /// Not one of the agent's messages.
    Evil(Evil),
    /// Numbered and given up: it is never sent.
    Evicted,
}

#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    pub(crate) message: SealedMessage,
    pub(crate) what: What,
}

/// What waits, for the status.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Waiting {
    pub(crate) messages: u64,
    pub(crate) hits: u64,
    pub(crate) connections: u64,
}

#[derive(Debug)]
struct Evicting {
    priority: Priority,
    left: u64,
    bytes: u64,
    ranges: Ranges,
}

#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) shared: Arc<Shared>,
    pub(crate) checkpoint: Arc<Checkpoint>,
    chain: Chain,
    evicting: Option<Evicting>,
    evicted: u64,
    frames: u64,
    /// When that happened which is told just now, by this agent's clock.
    now: DateTime<FixedOffset>,
}

impl Line {
    pub(crate) fn new(shared: Arc<Shared>, checkpoint: Arc<Checkpoint>) -> Self {
        let now = shared.time.start;
        Self {
            chain: Chain::new(checkpoint.key.clone()),
            shared,
            checkpoint,
            evicting: None,
            evicted: 0,
            frames: 0,
            now,
        }
    }

    /// All that follows from what happened.
    pub(crate) fn tell(
        &mut self,
        event: Event,
        waiting: Waiting,
        out: &mut Vec<Outgoing>,
    ) -> Result<(), MessageError> {
        match event {
            Event::Status { at_ms } => {
                self.now = self.checkpoint.shown(self.shared.time.at(at_ms));
                let status = self.online(self.now, waiting);
                let envelope = Envelope::of(&status, Priority::Control, Keep::Control)?;
                self.commit(envelope, None, What::True, out)
            }
            Event::Sighting(seen) => self.sighting(&seen, out),
        }
    }

    fn sighting(&mut self, seen: &Sighting, out: &mut Vec<Outgoing>) -> Result<(), MessageError> {
        self.frames += 12;
        let shared = Arc::clone(&self.shared);
        let mut scene = scene(&shared, &self.checkpoint, seen);
        self.now = scene.passage.last_seen;
        let mut hit = None;
        if seen.phase != Phase::Passed {
            let of = Hit::of(&mut scene);
            if matches!(seen.phase, Phase::InSight | Phase::Whole) {
                // Draws of what is in sight do not move those of the passage.
                let mut sight = scene.clone();
                let pictures = sight.photograph(&shared, of.id);
                if let Some(message) = of.in_sight(&sight) {
                    let envelope = Envelope::live(&message, Priority::Hit, Keep::Hit)?;
                    self.commit(envelope, None, What::True, out)?;
                    self.pictures(&sight, of.id, Keep::Hit, pictures, out)?;
                }
            }
            if seen.phase == Phase::InSight {
                return Ok(());
            }
            hit = Some(of);
        }
        self.passed(scene, hit.as_ref(), out)
    }

    fn passed(
        &mut self,
        mut scene: Scene,
        hit: Option<&Hit>,
        out: &mut Vec<Outgoing>,
    ) -> Result<(), MessageError> {
        let shared = Arc::clone(&self.shared);
        let troubles = &shared.options.troubles;
        let mut random = scene.random.clone();
        if troubles.evictions > 0.0 && random.chance(troubles.evictions) {
            self.begin_to_evict(&mut random);
        }
        let owner = scene.passage.id;
        let pictures = scene.photograph(&shared, owner);
        let evil = self.evil(&mut random);
        if let Some(hit) = hit {
            if let Some(message) = hit.ended(&scene) {
                let envelope = Envelope::live(&message, Priority::Hit, Keep::Hit)?;
                self.commit(envelope, None, What::True, out)?;
            }
            if hit.is_none {
                scene.passage.plate = scene.passage.plate.as_ref().map(misread);
            }
        }
        let keep = match hit {
            Some(hit) if !hit.is_none => Keep::Hit,
            _ => Keep::Passage,
        };
        let share = shared.options.signals;
        let Scene {
            passage, carried, ..
        } = &mut scene;
        let signal = match hit {
            None => signal(passage, carried, share, &mut random),
            Some(_) => None,
        };
        let mut what = What::True;
        if evil == Some(Evil::BrokenChain) {
            self.chain.tear();
            what = What::Torn;
        }
        let before = self.chain.clone();
        let envelope = Envelope::live(&scene.passage, Priority::Passage, keep)?;
        self.commit(envelope, None, what, out)?;
        if let Some(signal) = signal {
            let envelope = Envelope::live(&signal, Priority::Passage, keep)?;
            self.commit(envelope, None, What::True, out)?;
        }
        if let Some(kind) = evil {
            self.speak_evil(kind, &scene, &before, pictures.first(), &mut random, out)?;
        }
        self.pictures(&scene, owner, keep, pictures, out)
    }

    fn pictures(
        &mut self,
        scene: &Scene,
        owner: uuid::Uuid,
        keep: Keep,
        pictures: Vec<Picture>,
        out: &mut Vec<Outgoing>,
    ) -> Result<(), MessageError> {
        for (evidence, picture) in scene.passage.evidence.iter().zip(pictures) {
            let envelope = Envelope::picture(owner, &scene.passage, evidence, keep, picture.bytes);
            self.commit(envelope, Some(picture.sha256), What::True, out)?;
        }
        Ok(())
    }

    /// A record of what the agent did.
    pub(crate) fn audit(
        &mut self,
        now: DateTime<FixedOffset>,
        event: AuditEvent,
        out: &mut Vec<Outgoing>,
    ) -> Result<(), MessageError> {
        let message = AuditMessage {
            schema_version: SchemaVersion::CURRENT,
            id: self.own_id(now),
            site: self.checkpoint.site.clone(),
            agent: self.checkpoint.agent.clone(),
            time: now,
            event,
            sequence: None,
        };
        let envelope = Envelope::of(&message, Priority::Control, Keep::Control)?;
        self.commit(envelope, None, What::True, out)
    }

    /// Gives a message the next number.
    pub(crate) fn commit(
        &mut self,
        envelope: Envelope,
        digest: Option<[u8; 32]>,
        mut what: What,
        out: &mut Vec<Outgoing>,
    ) -> Result<(), MessageError> {
        let message = self.chain.seal(envelope, digest);
        let mut given_up = None;
        if let Some(evicting) = &mut self.evicting
            && evicting.priority == message.envelope.priority
            && what == What::True
        {
            what = What::Evicted;
            evicting.left -= 1;
            evicting.bytes += message.envelope.payload.len() as u64;
            evicting.ranges.insert(message.sequence, message.sequence);
            self.evicted += 1;
            if evicting.left == 0 {
                given_up = self.evicting.take();
            }
        }
        out.push(Outgoing { message, what });
        match given_up {
            Some(evicting) => self.tell_of(evicting, out),
            None => Ok(()),
        }
    }

    /// Tells of what was given up so far; nothing is given up after that.
    pub(crate) fn end_evicting(&mut self, out: &mut Vec<Outgoing>) -> Result<(), MessageError> {
        match self.evicting.take().filter(|e| e.ranges.count() > 0) {
            Some(evicting) => self.tell_of(evicting, out),
            None => Ok(()),
        }
    }

    fn tell_of(&mut self, evicting: Evicting, out: &mut Vec<Outgoing>) -> Result<(), MessageError> {
        let event = AuditEvent::Eviction {
            priority: evicting.priority,
            reason: EvictionReason::Bytes,
            messages: evicting.ranges.count(),
            bytes: evicting.bytes,
            ranges: evicting.ranges.pairs(),
        };
        self.audit(self.now, event, out)
    }

    fn begin_to_evict(&mut self, random: &mut Random) {
        let priority = if self.shared.options.pictures > 0 && random.chance(0.7) {
            Priority::Picture
        } else {
            Priority::Passage
        };
        let left = random.within(3, 30) as u64;
        self.evicting.get_or_insert(Evicting {
            priority,
            left,
            bytes: 0,
            ranges: Ranges::new(),
        });
    }

    fn evil(&self, random: &mut Random) -> Option<Evil> {
        let troubles = &self.shared.options.troubles;
        let kinds: Vec<Evil> = troubles.evil.iter().copied().collect();
        // What is given up is not wrong on top of it.
        let happens = self.evicting.is_none() && !kinds.is_empty();
        (happens && random.chance(troubles.evil_share)).then(|| random.pick(&kinds))
    }

    /// The birth of an agent, and its state later.
    pub(crate) fn online(&self, now: DateTime<FixedOffset>, waiting: Waiting) -> StatusMessage {
        let cameras = self.checkpoint.cameras.iter().map(|camera| CameraStatus {
            camera: camera.id.clone(),
            health: Health::Ok,
            state: Some(CameraState::Ok),
            detail: None,
            since: Some(self.started()),
            last_frame: Some(now),
            frames: self.frames,
            frames_dropped: 0,
            frames_broken: 0,
            frames_still: None,
            fps: Some(PerSecond::new(25.0)),
            fps_looked: Some(PerSecond::new(6.0)),
            restarts: Some(0),
        });
        let is_timed = self.checkpoint.clock.state != kakou_contract::ClockState::Unsynchronised;
        StatusMessage {
            cameras: cameras.collect(),
            health: if is_timed {
                Health::Ok
            } else {
                Health::Degraded
            },
            clock: Some(self.checkpoint.clock),
            outbox: Some(OutboxStatus {
                health: Health::Ok,
                waiting: waiting.messages,
                waiting_hits: waiting.hits,
                oldest: None,
                evicted: self.evicted,
            }),
            uplink: Some(UplinkStatus {
                health: Health::Ok,
                connections: waiting.connections,
                connected_since: None,
            }),
            models: self.shared.models.clone(),
            ..self.bare(AgentState::Online, now)
        }
    }

    /// Going, or gone. The last will has no number.
    pub(crate) fn offline(
        &self,
        reason: OfflineReason,
        now: DateTime<FixedOffset>,
    ) -> Result<Envelope, MessageError> {
        let status = StatusMessage {
            reason: Some(reason),
            health: Health::Failed,
            ..self.bare(AgentState::Offline, now)
        };
        Envelope::of(&status, Priority::Control, Keep::Control)
    }

    fn bare(&self, state: AgentState, now: DateTime<FixedOffset>) -> StatusMessage {
        StatusMessage {
            schema_version: SchemaVersion::CURRENT,
            id: self.own_id(now),
            site: self.checkpoint.site.clone(),
            agent: self.checkpoint.agent.clone(),
            time: now,
            state,
            reason: None,
            started_at: self.started(),
            software: Software {
                name: "kakou-fleet".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            },
            health: Health::Ok,
            cameras: Vec::new(),
            clock: None,
            disk: None,
            outbox: None,
            uplink: None,
            watchlist: None,
            parts: Vec::new(),
            models: Vec::new(),
            public_key: Some(self.checkpoint.public_key.clone()),
            sequence: None,
        }
    }

    fn started(&self) -> DateTime<FixedOffset> {
        let before = i64::try_from(self.shared.options.backlog.as_millis()).unwrap_or(0);
        self.checkpoint.shown(self.shared.time.at(-before))
    }

    /// An id that no other message of this agent has: each has a number of its own.
    pub(crate) fn own_id(&self, now: DateTime<FixedOffset>) -> uuid::Uuid {
        let parts = [
            self.shared.traffic.seed,
            41,
            u64::from(self.checkpoint.number),
            self.chain.sequence(),
        ];
        id(now, &mut Random::of(&parts))
    }
}

#[path = "evil.rs"]
mod evil;

#[cfg(test)]
#[path = "line_tests.rs"]
mod tests;
