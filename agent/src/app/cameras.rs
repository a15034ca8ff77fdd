//! The cameras at work: each a supervised thread of its own, started and ended one by one.
//!
//! A change of the config is prepared first: threads are made, and wait. To commit it cannot fail
//! any more.

use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use kakou_contract::Id;
use kakou_sight::share::Share;
use kakou_time::SharedClock;

use super::camera::CameraWorker;
use super::camera_view::{CameraView, CameraViews};
use super::desk::SignalDesk;
use super::hits::HitDesk;
use super::models::Models;
use super::privacy::Privacy;
use super::recorder::Recorder;
use super::supervise::{Parts, Pulse, Stop, spawn_thread};
use super::tally::Tallies;
use super::watchlist::Watchlist;
use crate::config::{CameraConfig, CameraSource, Config};

/// Names of cameras' parts begin with this.
pub const PART_PREFIX: &str = "camera-";

/// What every camera shares with the rest of the agent.
#[derive(Clone)]
pub struct Surroundings {
    pub clock: SharedClock,
    pub recorder: Recorder,
    pub watchlist: Watchlist,
    pub hits: HitDesk,
    pub signals: SignalDesk,
    pub models: Models,
    pub parts: Parts,
    pub views: CameraViews,
    pub tallies: Tallies,
}

struct Running {
    config: CameraConfig,
    view: Arc<CameraView>,
    pulse: Arc<Pulse>,
    stop: Stop,
    thread: JoinHandle<()>,
    /// Lets the thread begin; dropped before that, it ends without having begun.
    go: mpsc::Sender<()>,
}

/// What a new config changed.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Changed {
    pub started: Vec<String>,
    pub ended: Vec<String>,
}

/// Cameras that are ready to begin, in place of all that are not to stay.
pub struct PreparedCameras {
    config: Config,
    /// Ids of those that go on undisturbed.
    staying: Vec<String>,
    ready: Vec<Running>,
}

pub struct Cameras {
    around: Surroundings,
    config: Config,
    share: Share,
    running: Vec<Running>,
}

impl Cameras {
    /// Without any yet: they come with the first [`Self::commit`].
    pub fn new(config: &Config, around: Surroundings) -> Self {
        Self {
            around,
            config: config.clone(),
            share: Share::new(0),
            running: Vec::new(),
        }
    }

    /// Makes ready what a config asks for. A camera that it does not change goes on undisturbed,
    /// unless all begin `anew`. Dropping what is prepared leaves everything as it is.
    pub fn prepare(&self, config: &Config, anew: bool) -> anyhow::Result<PreparedCameras> {
        let anew = anew
            || config.look != self.config.look
            || config.passage != self.config.passage
            || config.evidence != self.config.evidence
            || config.privacy != self.config.privacy;
        let stays = |c: &&CameraConfig| !anew && self.running.iter().any(|r| r.config == **c);
        let (staying, new): (Vec<_>, Vec<_>) = with_source(config).partition(stays);
        let ready = new
            .into_iter()
            .map(|camera| self.make(config, camera))
            .collect::<anyhow::Result<_>>()?;
        Ok(PreparedCameras {
            config: config.clone(),
            staying: staying.iter().map(|c| c.id.clone()).collect(),
            ready,
        })
    }

    fn make(&self, config: &Config, camera: &CameraConfig) -> anyhow::Result<Running> {
        let Surroundings {
            clock,
            recorder,
            watchlist,
            hits,
            signals,
            models,
            ..
        } = &self.around;
        let source: CameraSource = camera
            .source
            .clone()
            .with_context(|| format!("camera {} has no `url`", camera.id))?;
        let id = Id::new("camera", camera.id.as_str())?;
        let tally = self.around.tallies.of(&id);
        let view = Arc::new(CameraView::new(id, clock.wall()));
        let name = format!("{PART_PREFIX}{}", camera.id);
        let worker = CameraWorker {
            config: config.clone(),
            camera: camera.clone(),
            source,
            clock: Arc::clone(clock),
            intake: recorder.intake(name.as_str()),
            watchlist: watchlist.clone(),
            hits: hits.clone(),
            signals: signals.clone(),
            privacy: Privacy::load(&config.privacy)?,
            view: Arc::clone(&view),
            tally,
            shared_models: models.clone(),
            share: self.share.clone(),
        };
        let pulse = Arc::new(Pulse::of_thread(name, Arc::clone(clock)));
        let stop = Stop::default();
        let (go, gate) = mpsc::channel();
        let begin = move || gate.recv().is_ok();
        let thread = spawn_thread(worker, Arc::clone(&pulse), stop.clone(), begin)
            .with_context(|| format!("starting the thread of camera {}", camera.id))?;
        Ok(Running {
            config: camera.clone(),
            view,
            pulse,
            stop,
            thread,
            go,
        })
    }

    /// Takes what was prepared into use. What a camera that goes had open ends as passages.
    pub fn commit(&mut self, prepared: PreparedCameras, within: Duration) -> Changed {
        let PreparedCameras {
            config,
            staying,
            ready,
        } = prepared;
        let (stays, goes): (Vec<_>, Vec<_>) = self
            .running
            .drain(..)
            .partition(|r| staying.contains(&r.config.id));
        let mut changed = Changed {
            ended: goes.iter().map(|r| r.config.id.clone()).collect(),
            started: ready.iter().map(|r| r.config.id.clone()).collect(),
        };
        changed.ended.sort();
        self.running = stays;
        self.share.among(with_source(&config).count());
        self.around.hits.configure(&config.hits);
        self.around.signals.configure(&config.signals);
        for gone in &goes {
            self.around.parts.remove(&gone.pulse);
        }
        let until = self.around.clock.mono() + within;
        end(goes, until, &self.around.clock);
        for camera in ready {
            camera.pulse.beat();
            self.around.parts.add(&camera.pulse);
            // It waits for nothing else; a thread that has gone is one that was told to end.
            let _ = camera.go.send(());
            self.running.push(camera);
        }
        let order = |r: &Running| config.cameras.iter().position(|c| c.id == r.config.id);
        self.running.sort_by_key(order);
        let views = self.running.iter().map(|r| Arc::clone(&r.view));
        self.around.views.set(views.collect());
        self.config = config;
        changed
    }

    /// The ordered end: what is open ends as passages.
    pub fn end(&mut self, within: Duration) {
        let until = self.around.clock.mono() + within;
        end(self.running.drain(..).collect(), until, &self.around.clock);
    }
}

pub(super) fn with_source(config: &Config) -> impl Iterator<Item = &CameraConfig> {
    config.cameras.iter().filter(|c| c.source.is_some())
}

fn end(running: Vec<Running>, until: Duration, clock: &SharedClock) {
    running.iter().for_each(|r| r.stop.tell());
    for r in running {
        while !r.thread.is_finished() && clock.mono() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
        if !r.thread.is_finished() {
            tracing::error!(
                "{} did not end in time; what it had open is lost",
                r.pulse.name()
            );
        } else if r.thread.join().is_err() {
            // Panics of the camera's own work are caught before this.
            tracing::error!("the thread of {} panicked", r.pulse.name());
        }
    }
}
