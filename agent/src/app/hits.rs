//! The hits of the whole box: what all cameras share of them, and what a start finds open.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, FixedOffset};
use kakou_contract::{AuditEvent, Envelope, HitMessage, Keep, Message, MessageError, Priority};
use kakou_outbox::Outbox;
use kakou_time::SharedClock;
use kakou_traffic::hits::{Hits, unresolved};
use serde_json::Value;

use super::answers::{Answer, Answers};
use super::backlog::Group;
use super::recorder::Intake;
use crate::config::HitConfig;

struct Inner {
    hits: Hits,
    answers: Answers,
    config: HitConfig,
}

/// A clone is another hand on the same one.
#[derive(Clone)]
pub struct HitDesk {
    inner: Arc<Mutex<Inner>>,
    /// Held by who saves answers, so that the newest are saved last.
    saving: Arc<Mutex<()>>,
}

impl HitDesk {
    /// `state`: the folder in which answers are counted.
    pub fn new(config: &HitConfig, state: &Path) -> Self {
        let inner = Inner {
            hits: Hits::new(config.story),
            answers: Answers::open(state),
            config: config.clone(),
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
            saving: Arc::default(),
        }
    }

    /// Takes what a reload changed into use.
    pub fn configure(&self, config: &HitConfig) {
        let mut inner = self.lock();
        inner.hits.set_story(config.story);
        inner.config = config.clone();
    }

    /// Whether a hit may be told while the vehicle is in sight.
    pub fn is_enough(&self, hit: &HitMessage) -> bool {
        let inner = self.lock();
        let sure = inner.config.sure_of(hit.level);
        hit.doubt.confidence.get() >= inner.answers.sure_of(hit, sure)
    }

    /// What the life of hits makes of something.
    pub fn tell(&self, what: impl FnOnce(&mut Hits) -> Vec<HitMessage>) -> Vec<HitMessage> {
        let mut inner = self.lock();
        let told = what(&mut inner.hits);
        told.iter().for_each(|hit| inner.answers.told(hit));
        told
    }

    /// An officer's answer. Returns what is to be recorded, and what who answered is told. Blocks;
    /// no camera waits for the disk meanwhile.
    pub fn answer(&self, answer: Answer, at: DateTime<FixedOffset>) -> (AuditEvent, Value) {
        let _saving = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        let mut inner = self.lock();
        let Inner {
            answers, config, ..
        } = &mut *inner;
        let told = answers.answer(answer, at, |level| config.sure_of(level));
        let counted = answers.counted();
        drop(inner);
        counted.save();
        told
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A message of a hit's life, alone.
pub fn group(hit: HitMessage) -> Result<Group, MessageError> {
    let envelope = Envelope::live(&hit, Priority::Hit, Keep::Hit)?;
    Ok(Group::new(vec![envelope], vec![hit]))
}

/// Ends what an agent that ended abruptly has left open. Blocks.
pub fn end_open(outbox: &Outbox, intake: &Intake, clock: &SharedClock) {
    let open = match outbox.open_hits() {
        Ok(open) => open,
        Err(e) => {
            tracing::error!("hits that the last run left open cannot be read: {e}");
            return;
        }
    };
    for payload in open {
        let ended = HitMessage::from_json(&payload)
            .map(|hit| unresolved(hit, clock.wall()))
            .and_then(group);
        match ended {
            Ok(group) => {
                tracing::warn!(hit = group.id(), "left open by the last run: unresolved");
                intake.keep(group);
            }
            Err(e) => tracing::error!("a hit that the last run left open cannot be ended: {e}"),
        }
    }
}
