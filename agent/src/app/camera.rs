//! One camera's part: its source, the pipeline and the watchlist, into the recorder.
//!
//! A run that fails or panics is begun again by the supervisor. What was open in it ends as
//! passages where that is still possible; until the camera works again its state is
//! `pipeline_failed`.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, FixedOffset};
use kakou_contract::{
    AuditEvent, CameraState, Health, HitMessage, HitState, Message, PassageMessage, PerSecond,
    live_id,
};
use kakou_sight::camera::{CameraChange, CameraEvent, Condition};
use kakou_sight::share::Share;
use kakou_sight::vision::ModelPool;
use kakou_time::SharedClock;
use kakou_traffic::hits::Word;
use kakou_traffic::watchlist::Conditions;

use super::backlog::Group;
use super::camera_view::CameraView;
use super::desk::SignalDesk;
use super::drafts::{Footage, drafts, provisional};
use super::hits::{HitDesk, group};
use super::models::Models;
use super::privacy::Privacy;
use super::recorder::Intake;
use super::supervise::{Part, Pulse, Stop};
use super::tally::{Tally, plate_width};
use super::watchlist::Watchlist;
use crate::config::{CameraConfig, CameraSource, Config};
use crate::pipeline::{Event, Pipeline, Record, Sighting};

/// A wait looks this often whether it is to end.
const PIECE: Duration = Duration::from_millis(50);

/// What a camera's thread works with.
pub struct CameraWorker {
    pub config: Config,
    pub camera: CameraConfig,
    pub source: CameraSource,
    pub clock: SharedClock,
    pub intake: Intake,
    pub watchlist: Watchlist,
    pub hits: HitDesk,
    pub signals: SignalDesk,
    pub privacy: Privacy,
    pub view: Arc<CameraView>,
    pub tally: Tally,
    pub shared_models: Models,
    pub share: Share,
}

impl Part for CameraWorker {
    fn run_once(&mut self, pulse: &Pulse, stop: &Stop) -> anyhow::Result<()> {
        let Some(models) = self.wait_for_models(pulse, stop) else {
            return Ok(());
        };
        let run = Run {
            worker: self,
            models,
            pulse,
            stop,
        };
        run.until_stopped()
    }

    fn failed(&mut self, cause: &str) {
        let now = self.clock.wall();
        // A run that panicked has not ended what it followed.
        self.tell_alone(self.hits.tell(|hits| hits.abandoned(self.view.id(), now)));
        let (state, detail) = (CameraState::PipelineFailed, Some(cause.to_owned()));
        if let Some(was) = self.view.enter(state, now, detail.clone()) {
            self.record_change(state, was, now, detail);
        }
    }
}

impl CameraWorker {
    /// The pool, as soon as it is open; `None`: told to stop.
    fn wait_for_models(&self, pulse: &Pulse, stop: &Stop) -> Option<Arc<ModelPool>> {
        loop {
            if let Some(pool) = self.shared_models.pool() {
                return Some(pool);
            }
            if stop.is_told() {
                return None;
            }
            pulse.waits_for("waiting for the models");
            std::thread::sleep(PIECE);
        }
    }

    /// Messages of hits that come with no passage.
    fn tell_alone(&self, hits: Vec<HitMessage>) {
        self.tally.told(&hits, self.clock.wall());
        for hit in hits {
            let id = hit.id;
            match group(hit) {
                Ok(group) => self.intake.keep(group),
                Err(e) => tracing::error!(camera = self.camera.id, hit = %id, "not told: {e}"),
            }
        }
    }

    fn record_change(
        &self,
        state: CameraState,
        was: CameraState,
        since: DateTime<FixedOffset>,
        detail: Option<String>,
    ) {
        let camera = self.camera.id.as_str();
        let text = detail.as_deref().unwrap_or_default();
        match state.health() {
            // An operator is needed where it does not mend itself.
            Health::Failed => tracing::error!(camera, %was, %state, "{text}"),
            Health::Degraded => tracing::warn!(camera, %was, %state, "{text}"),
            Health::Ok => tracing::info!(camera, %was, %state, "camera"),
        }
        self.intake.audit(AuditEvent::Camera {
            camera: self.view.id().clone(),
            state,
            was,
            since,
            detail,
        });
    }
}

/// One run of a camera, from the opening of its source to its end or failure.
pub(super) struct Run<'a> {
    worker: &'a CameraWorker,
    /// Those that this run began with; a reload that names others ends it.
    models: Arc<ModelPool>,
    pulse: &'a Pulse,
    stop: &'a Stop,
}

impl std::ops::Deref for Run<'_> {
    type Target = CameraWorker;

    fn deref(&self) -> &CameraWorker {
        self.worker
    }
}

impl Run<'_> {
    /// The models as they are shared now: a reload may have opened more sets of them.
    pub(super) fn pool(&self) -> Arc<ModelPool> {
        self.shared_models
            .pool()
            .unwrap_or_else(|| Arc::clone(&self.models))
    }

    fn until_stopped(&self) -> anyhow::Result<()> {
        let models = Arc::clone(&self.models);
        let mut pipeline = Pipeline::new(&self.config, &self.camera, models)?;
        let mut condition =
            Condition::new(self.camera.watching.condition.clone(), self.clock.mono());
        self.pulse.working();
        let watched = match &self.source {
            CameraSource::Recording { path, again } => {
                self.recording(path, *again, &mut pipeline, &mut condition)
            }
            CameraSource::Live(live) => self.live(live, &mut pipeline, &mut condition),
        };
        // What is still open has passed as far as anyone will know.
        self.tell_all(pipeline.finish());
        watched?;
        while !self.stopping() {
            self.sleep(Duration::from_millis(200), &mut |_| Ok(()))?;
        }
        Ok(())
    }

    pub(super) fn stopping(&self) -> bool {
        self.stop.is_told()
    }

    /// This thread lives.
    pub(super) fn beat(&self) {
        self.pulse.beat();
    }

    pub(super) fn now(&self) -> Duration {
        self.clock.mono()
    }

    /// Sleeps in small pieces, so that the end is not waited for; `between` is done all the while.
    pub(super) fn sleep(
        &self,
        time: Duration,
        between: &mut impl FnMut(Duration) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let until = self.now() + time;
        while !self.stopping() && self.now() < until {
            self.beat();
            between(self.now())?;
            std::thread::sleep(PIECE.min(until.saturating_sub(self.now())));
        }
        Ok(())
    }

    /// The wall clock's time of a moment on the monotonic clock, as the wall clock stands now.
    pub(super) fn wall(&self, mono: Duration) -> DateTime<FixedOffset> {
        let now = self.clock.now();
        let ago = chrono::TimeDelta::from_std(now.mono.saturating_sub(mono)).unwrap_or_default();
        now.wall.checked_sub_signed(ago).unwrap_or(now.wall)
    }

    /// Tells the condition what happened, and the platform if the camera's state changed by it.
    pub(super) fn happened(&self, condition: &mut Condition, event: CameraEvent) {
        let change = condition.on(self.now(), event);
        let fps = condition.fps(self.now());
        self.view.update(|s| s.fps = Some(PerSecond::new(fps)));
        match change {
            Some(change) => self.changed(&change),
            // A camera whose last run failed is shown so until this run has brought it into a state
            // of its own.
            None if self.view.state() == CameraState::PipelineFailed => {}
            None => self
                .view
                .update(|s| s.detail = condition.detail().map(str::to_owned)),
        }
    }

    fn changed(&self, change: &CameraChange) {
        let since = self.wall(change.since).min(self.clock.wall());
        let detail = change.detail.clone();
        // The condition is new with each run; what was shown before is what the view says.
        if let Some(was) = self.view.enter(change.state, since, detail.clone()) {
            self.record_change(change.state, was, since, detail);
        }
    }

    pub(super) fn tell_all(&self, events: Vec<Event>) {
        for event in events {
            match event {
                Event::Sure(sighting) => self.sure(*sighting),
                Event::Passed(record) => self.keep(*record),
                Event::Dropped { passages, why } => {
                    let now = self.clock.wall();
                    self.tell_alone(self.hits.tell(|hits| hits.dropped(&passages, why, now)));
                }
            }
        }
    }

    /// What the lists say of a vehicle.
    fn find(&self, passage: &PassageMessage) -> Option<HitMessage> {
        let lists = self.watchlist.current();
        let conditions = passage.clock.map(Conditions::from).unwrap_or_default();
        lists.hit(passage, &conditions, live_id(self.clock.wall()))
    }

    /// A vehicle in sight: if it is listed, whoever waits for it learns so now.
    fn sure(&self, mut sighting: Sighting) {
        sighting.message.clock = Some(self.clock.status());
        let passage = &sighting.message;
        let found = self.find(passage);
        let enough = found.as_ref().is_some_and(|hit| self.hits.is_enough(hit));
        let word = self.word(passage);
        let told = self
            .hits
            .tell(|hits| hits.sure(passage.id, word, found, enough));
        for mut hit in told {
            if hit.state != HitState::Provisional {
                self.tell_alone(vec![hit]);
                continue;
            }
            let id = hit.id;
            let drafts = sighting.illustrated(id).and_then(|(so_far, pictures)| {
                hit.evidence.clone_from(&so_far.evidence);
                Ok(provisional(&hit, &so_far, &pictures)?)
            });
            match drafts {
                Ok(envelopes) => {
                    self.tally
                        .told(std::slice::from_ref(&hit), self.clock.wall());
                    self.intake.keep(Group::new(envelopes, vec![hit]));
                }
                Err(e) => {
                    // The hit matters more than its pictures.
                    tracing::error!(camera = self.camera.id, hit = %id, "told without pictures: {e:#}");
                    self.tell_alone(vec![hit]);
                }
            }
        }
    }

    fn word<'a>(&self, passage: &'a PassageMessage) -> Word<'a> {
        Word {
            text: passage.plate.as_ref().map(|plate| plate.text.as_str()),
            now: self.now(),
            decided_at: passage.last_seen,
        }
    }

    /// Hands a passage over to be committed, with its hits, its signals and its pictures.
    fn keep(&self, mut record: Record) {
        record.message.clock = Some(self.clock.status());
        let passage = &record.message;
        self.tally.passed(passage, self.clock.wall());
        if let Some(plate) = &passage.plate {
            self.view.read_at(plate_width(plate));
        }
        // Without the plate: a log is kept by other rules than records are.
        tracing::info!(
            camera = self.camera.id,
            passage = %passage.id,
            lane = passage.lane.as_ref().map(|lane| lane.id.as_str()),
            read = passage.plate.is_some(),
            unread = passage.no_plate_reason.map(|reason| reason.as_str()),
            "passed"
        );
        let found = self.find(passage);
        let (ids, word) = ((passage.id, record.also.as_slice()), self.word(passage));
        let hits = self.hits.tell(|hits| hits.passed(ids, word, found));
        let is_hit = hits.iter().any(|hit| hit.state.has_passed());
        if !is_hit {
            let Some(kept) = self.privacy.of_non_hit(record) else {
                // A hit that is taken back by this passage is taken back all the same.
                return self.tell_alone(hits);
            };
            record = kept;
        }
        // Of a vehicle that is not to be known nothing may be told, or remembered, by another way.
        let signals = match is_hit || self.privacy.is_whole() {
            true => {
                let (passage, also) = (&record.message, record.also.as_slice());
                self.signals.passed(passage, also, self.clock.now())
            }
            false => Vec::new(),
        };
        match drafts(&record, &hits, &signals, Footage::Live) {
            Ok(envelopes) => {
                self.tally.told(&hits, self.clock.wall());
                self.intake.keep(Group::new(envelopes, hits));
            }
            Err(e) => {
                // One passage that cannot be written must not end the others.
                tracing::error!(camera = self.camera.id, passage = %record.message.id(), "not recorded: {e:#}");
            }
        }
    }
}
