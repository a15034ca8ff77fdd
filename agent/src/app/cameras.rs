//! The cameras at work: each a thread of its own, started, watched and ended one by one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use kakou_contract::Id;

use super::Direct;
use super::camera::{CameraState, CameraWorker};
use super::watchfile::Current;
use crate::config::{CameraConfig, Config};
use kakou_outbox::Outbox;
use kakou_sight::share::Share;
use kakou_sight::vision::ModelPool;
use kakou_time::SharedClock;

/// What every camera's thread shares with the rest of the agent.
#[derive(Clone)]
pub struct Surroundings {
    pub outbox: Outbox,
    pub list: Current,
    pub direct: Direct,
    /// All cameras' time.
    pub clock: SharedClock,
    pub print: bool,
}

struct Running {
    config: CameraConfig,
    state: Arc<CameraState>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    fn name(&self) -> String {
        format!("camera-{}", self.config.id)
    }
}

/// What a new config changed.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Changed {
    pub started: Vec<String>,
    pub ended: Vec<String>,
}

pub struct Cameras {
    around: Surroundings,
    config: Config,
    models: Arc<ModelPool>,
    share: Share,
    running: Vec<Running>,
    /// For who asks how they are; the same cameras as `running`.
    states: Arc<Mutex<Vec<Arc<CameraState>>>>,
}

/// How the cameras are, for whoever asks.
#[derive(Clone)]
pub struct CameraStates(Arc<Mutex<Vec<Arc<CameraState>>>>);

impl CameraStates {
    pub fn all(&self) -> Vec<Arc<CameraState>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub fn find(&self, id: &Id) -> Option<Arc<CameraState>> {
        self.all().into_iter().find(|c| c.id() == *id)
    }
}

impl Cameras {
    pub fn start(
        config: &Config,
        around: Surroundings,
        models: Arc<ModelPool>,
    ) -> anyhow::Result<Self> {
        let mut all = Self {
            around,
            config: config.clone(),
            models,
            share: Share::new(sources(config)),
            running: Vec::new(),
            states: Arc::default(),
        };
        for camera in &config.cameras {
            all.begin(camera)?;
        }
        Ok(all)
    }

    pub fn states(&self) -> CameraStates {
        CameraStates(Arc::clone(&self.states))
    }

    fn begin(&mut self, camera: &CameraConfig) -> anyhow::Result<()> {
        let Some(source) = camera.source.clone() else {
            return Ok(());
        };
        let state = Arc::new(CameraState::new(Id::new("camera", camera.id.as_str())?));
        let stop = Arc::new(AtomicBool::new(false));
        let worker = CameraWorker {
            config: self.config.clone(),
            camera: camera.clone(),
            source,
            outbox: self.around.outbox.clone(),
            list: Arc::clone(&self.around.list),
            direct: Arc::clone(&self.around.direct),
            state: Arc::clone(&state),
            stop: Arc::clone(&stop),
            models: Arc::clone(&self.models),
            share: self.share.clone(),
            clock: Arc::clone(&self.around.clock),
            print: self.around.print,
        };
        let name = format!("camera-{}", camera.id);
        let thread = std::thread::Builder::new()
            .name(name)
            .spawn(move || worker.run())?;
        self.running.push(Running {
            config: camera.clone(),
            state,
            stop,
            thread,
        });
        self.publish();
        Ok(())
    }

    fn publish(&self) {
        let states = self.running.iter().map(|r| Arc::clone(&r.state)).collect();
        *self.states.lock().unwrap_or_else(PoisonError::into_inner) = states;
    }

    /// None of them may end by itself.
    pub fn check(&self) -> anyhow::Result<()> {
        match self.running.iter().find(|r| r.thread.is_finished()) {
            Some(r) => anyhow::bail!("{} ended unexpectedly", r.name()),
            None => Ok(()),
        }
    }

    /// A camera whose thread has not been heard of for so long.
    pub fn hanging(&self, limit: Duration) -> Option<Id> {
        self.running
            .iter()
            .find(|r| r.state.silent_for() > limit)
            .map(|r| r.state.id())
    }

    /// Takes a new config into use: cameras that it does not change go on undisturbed. What a camera had open ends as
    /// passages before it starts anew. If one cannot be ended or started, that is an error, and the rest goes on.
    pub fn reload(&mut self, config: &Config, within: Duration) -> anyhow::Result<Changed> {
        let all_anew = config.models != self.config.models
            || config.look != self.config.look
            || config.passage != self.config.passage
            || config.evidence != self.config.evidence
            || config.workers != self.config.workers;
        if config.models != self.config.models || model_sets(config) != model_sets(&self.config) {
            self.models = Arc::new(ModelPool::open(&config.models, model_sets(config))?);
        }
        let mut changed = Changed::default();
        let mut stays = Vec::new();
        let mut goes = Vec::new();
        for r in self.running.drain(..) {
            let same = !all_anew && config.cameras.contains(&r.config);
            if same { stays.push(r) } else { goes.push(r) }
        }
        self.running = stays;
        self.config = config.clone();
        self.share.among(sources(config));
        changed.ended = goes.iter().map(|r| r.config.id.clone()).collect();
        let mut result = end(goes, Instant::now() + within);
        for camera in &config.cameras {
            if camera.source.is_some() && !self.running.iter().any(|r| r.config.id == camera.id) {
                match self.begin(camera) {
                    Ok(()) => changed.started.push(camera.id.clone()),
                    Err(e) => {
                        result = result.and(Err(
                            e.context(format!("camera-{} cannot be started", camera.id))
                        ))
                    }
                }
            }
        }
        self.publish();
        result.map(|()| changed)
    }

    /// The ordered end: what is open ends as passages.
    pub fn end(self, deadline: Instant) -> anyhow::Result<()> {
        end(self.running, deadline)
    }
}

/// More sets of models than cameras would never be used.
pub(super) fn model_sets(config: &Config) -> usize {
    config.workers.min(sources(config)).max(1)
}

fn sources(config: &Config) -> usize {
    config.cameras.iter().filter(|c| c.source.is_some()).count()
}

fn end(running: Vec<Running>, deadline: Instant) -> anyhow::Result<()> {
    running
        .iter()
        .for_each(|r| r.stop.store(true, Ordering::Relaxed));
    let mut result = Ok(());
    for r in running {
        let name = r.name();
        while !r.thread.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        if !r.thread.is_finished() {
            tracing::error!("{name} did not end in time; what it had open is lost");
            continue;
        }
        let outcome = r
            .thread
            .join()
            .unwrap_or_else(|_| Err(anyhow::anyhow!("it panicked")));
        result = result.and(outcome.with_context(|| format!("{name} ended")));
    }
    result
}
