//! One camera's thread: its source, the pipeline and the watchlist, into the outbox.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use image::RgbImage;
use kakou_contract::{
    AuditEvent, CameraState as StateName, CameraStatus, Health, Id, Message, PerSecond, live_id,
};

use super::Direct;
use super::drafts::{Footage, drafts};
use super::watchfile::Current;
use crate::config::{CameraConfig, CameraSource, Config};
use crate::pipeline::{Pipeline, Record};
use kakou_contract::{Envelope, Keep, Priority};
use kakou_outbox::Outbox;
use kakou_sight::camera::{CameraChange, CameraEvent, Condition, Pixels};
use kakou_sight::share::Share;
use kakou_sight::vision::ModelPool;
use kakou_time::SharedClock;

/// How a camera is, for the status; and its newest picture.
pub struct CameraState {
    status: Mutex<CameraStatus>,
    /// The newest picture, for a snapshot.
    newest: Mutex<Option<Pixels>>,
    /// When the thread last showed that it lives.
    heartbeat: Mutex<Instant>,
    /// Of the frames looked at last: seconds from capture to the end of the look, in a ring.
    delays: Mutex<VecDeque<f32>>,
}

/// Looks whose delay is remembered.
const DELAYS: usize = 1000;

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl CameraState {
    pub fn new(id: Id) -> Self {
        let status = CameraStatus {
            camera: id,
            health: Health::Degraded,
            state: Some(StateName::Starting),
            detail: None,
            since: Some(chrono::Local::now().fixed_offset()),
            last_frame: None,
            frames: 0,
            frames_dropped: 0,
            frames_broken: 0,
            frames_still: None,
            fps: None,
            fps_looked: None,
            restarts: None,
        };
        Self {
            status: Mutex::new(status),
            newest: Mutex::default(),
            heartbeat: Mutex::new(Instant::now()),
            delays: Mutex::default(),
        }
    }

    pub fn status(&self) -> CameraStatus {
        locked(&self.status).clone()
    }

    pub fn id(&self) -> Id {
        locked(&self.status).camera.clone()
    }

    pub fn silent_for(&self) -> Duration {
        locked(&self.heartbeat).elapsed()
    }

    /// The newest picture. `Err`: why there is none.
    pub fn picture(&self) -> Result<RgbImage, String> {
        // Made outside of the lock: the camera's thread must not wait for it.
        let newest = locked(&self.newest).clone();
        let pixels = newest.ok_or_else(|| "no picture has come yet".to_owned())?;
        pixels.to_rgb().map_err(|e| e.to_string())
    }

    /// From capture to the end of a look, in seconds: the middle one and the 99th of a hundred, of the looks remembered.
    pub fn delay(&self) -> Option<(f32, f32)> {
        let mut all: Vec<f32> = locked(&self.delays).iter().copied().collect();
        all.sort_by(f32::total_cmp);
        let at = |part: usize| all.get(all.len().saturating_sub(1) * part / 100).copied();
        at(50).zip(at(99))
    }

    pub(super) fn looked_after(&self, delay: Duration) {
        let mut delays = locked(&self.delays);
        if delays.len() == DELAYS {
            delays.pop_front();
        }
        delays.push_back(delay.as_secs_f32());
    }

    pub(super) fn beat(&self) {
        *locked(&self.heartbeat) = Instant::now();
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut CameraStatus)) {
        change(&mut locked(&self.status));
    }

    /// Puts the newest picture in place; gives back the one before.
    pub(super) fn show(&self, newest: Pixels) -> Option<Pixels> {
        locked(&self.newest).replace(newest)
    }
}

/// What a camera's thread works with.
pub struct CameraWorker {
    pub config: Config,
    pub camera: CameraConfig,
    pub source: CameraSource,
    pub outbox: Outbox,
    pub list: Current,
    pub direct: Direct,
    pub state: Arc<CameraState>,
    pub stop: Arc<AtomicBool>,
    pub models: Arc<ModelPool>,
    pub share: Share,
    /// All cameras' time.
    pub clock: SharedClock,
    /// Print a line for each committed message.
    pub print: bool,
}

impl CameraWorker {
    /// Until told to stop.
    pub fn run(self) -> anyhow::Result<()> {
        let mut pipeline = Pipeline::new(&self.config, &self.camera, Arc::clone(&self.models))?;
        let mut condition =
            Condition::new(self.camera.watching.condition.clone(), self.clock.mono());
        match &self.source {
            CameraSource::Recording { path, again } => {
                self.recording(path, *again, &mut pipeline, &mut condition)?
            }
            CameraSource::Live(live) => self.live(live, &mut pipeline, &mut condition)?,
        }
        // What is still open has passed as far as anyone will know.
        for record in pipeline.finish() {
            self.keep(record)?;
        }
        while !self.stopping() {
            self.sleep(Duration::from_millis(200), &mut |_| Ok(()))?;
        }
        Ok(())
    }

    pub(super) fn stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
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
        let until = Instant::now() + time;
        while !self.stopping() && Instant::now() < until {
            self.state.beat();
            between(self.now())?;
            std::thread::sleep(
                Duration::from_millis(50).min(until.saturating_duration_since(Instant::now())),
            );
        }
        Ok(())
    }

    /// The wall clock's time of a moment on the monotonic clock, as the wall clock stands now.
    pub(super) fn wall(&self, mono: Duration) -> chrono::DateTime<chrono::FixedOffset> {
        let (now, wall) = (self.now(), self.clock.wall());
        let ago = chrono::TimeDelta::from_std(now.saturating_sub(mono)).unwrap_or_default();
        wall.checked_sub_signed(ago).unwrap_or(wall)
    }

    /// Tells the condition what happened, and the platform if the camera's state changed by it.
    pub(super) fn happened(&self, condition: &mut Condition, event: CameraEvent) {
        let change = condition.on(self.now(), event);
        let (fps, restless) = (condition.fps(self.now()), change.is_some());
        self.state.update(|s| {
            s.fps = Some(PerSecond::new(fps));
            if restless {
                s.state = Some(condition.state());
                s.health = condition.health();
                s.since = Some(self.wall(condition.since()));
            }
            s.detail = condition.detail().map(str::to_owned);
        });
        if let Some(change) = change {
            self.report(&change, condition.health());
        }
    }

    fn report(&self, change: &CameraChange, health: Health) {
        let (camera, detail) = (
            &self.camera.id,
            change.detail.as_deref().unwrap_or_default(),
        );
        match health {
            // An operator is needed where it does not mend itself.
            Health::Failed => {
                tracing::error!(camera, was = %change.was, state = %change.state, "{detail}")
            }
            Health::Degraded => {
                tracing::warn!(camera, was = %change.was, state = %change.state, "{detail}")
            }
            Health::Ok => {
                tracing::info!(camera, was = %change.was, state = %change.state, "camera")
            }
        }
        let now = self.clock.wall();
        let audit = || -> anyhow::Result<Envelope> {
            let event = AuditEvent::Camera {
                camera: self.state.id(),
                state: change.state,
                was: change.was,
                since: self.wall(change.since).min(now),
                detail: change.detail.clone(),
            };
            let (site, agent) = (
                Id::new("site", &*self.config.site)?,
                Id::new("agent", &*self.config.agent)?,
            );
            Ok(Envelope::audit(&site, &agent, now, event)?)
        };
        let recorded = audit().and_then(|draft| Ok(self.outbox.append(vec![draft])?));
        if let Err(e) = recorded {
            tracing::error!(camera, state = %change.state, "the change of its state was not recorded: {e:#}");
        }
    }

    pub(super) fn keep_all(&self, records: Vec<Record>) -> anyhow::Result<()> {
        records.into_iter().try_for_each(|record| self.keep(record))
    }

    /// Commits a passage; a hit that cannot be committed is sent all the same.
    fn keep(&self, mut record: Record) -> anyhow::Result<()> {
        record.message.clock = Some(self.clock.status());
        let list = Arc::clone(&self.list.read().unwrap_or_else(PoisonError::into_inner));
        let hit = list.hit(&record.message, live_id(record.message.time));
        let drafts = match drafts(&record, hit.as_ref(), Footage::Live) {
            Ok(drafts) => drafts,
            Err(e) => {
                // One passage that cannot be written must not end the others.
                tracing::error!(camera = self.camera.id, passage = %record.message.id, "not recorded: {e:#}");
                return Ok(());
            }
        };
        let named: Vec<_> = drafts.iter().map(|d| (d.priority, d.id.clone())).collect();
        match self.outbox.append(drafts) {
            Ok(numbers) => {
                if self.print {
                    for (number, (lane, id)) in numbers.iter().zip(&named) {
                        crate::cli::print_line(&format!("committed {number} {lane} {id}"))?;
                    }
                }
                Ok(())
            }
            Err(e) if e.is_full() => {
                let (camera, id) = (&self.camera.id, record.message.id);
                tracing::error!(camera, passage = %id, "not recorded: {e}");
                if let Some(hit) = &hit {
                    let direct = self.direct.read().unwrap_or_else(PoisonError::into_inner);
                    let again = Envelope::of_event(hit, Priority::Hit, Keep::Hit);
                    let sent = again.is_ok_and(|hit| direct.send(hit));
                    tracing::error!(camera, hit = %hit.id(), sent, "a hit went past the outbox");
                }
                Ok(())
            }
            Err(e) => Err(e.into()),
        }
    }
}
