//! One camera's way from a frame to what it tells: vision, track, passage, evidence, message.
//!
//! A frame goes in by two halves, so that the models are on loan no longer than they are needed:
//! [`Pipeline::look`] runs them, [`Pipeline::follow`] does everything else. [`Pipeline::frame`]
//! does both, where nobody else waits for the models.
//!
//! An error says whom it concerns ([`PipelineError::concern`]): a frame, after which the next one
//! can be looked at, or the models, which then have to be opened anew. A passage whose pictures
//! cannot be made is an ERROR in the log, and the others go on. Time never runs backwards: a frame
//! from before the time that was told last is left out.

mod event;
mod failing;
mod record;
mod stream;
mod timeline;

use std::sync::Arc;
use std::time::Duration;

use kakou_contract::{Id, IdError, ModelUsed};
use uuid::Uuid;

use crate::config::{CameraConfig, Config, PassageTimes};
use crate::message::Speaker;
use event::illustrated;
use failing::Failing;
use kakou_sight::camera::{Frame, Moment};
use kakou_sight::evidence::{EvidenceConfig, EvidenceError};
use kakou_sight::vision::{Due, LookConfig, LookError, ModelPool, ModelSet, OpenError, Spent};
use kakou_time::Stopwatch;
use kakou_traffic::detections::{Detections, Expected};
use kakou_traffic::passage::{Best, Dropped, News, Passage, VehicleId};
use kakou_traffic::track::TrackView;
use stream::Stream;

pub use event::{Event, Sighting};
pub use record::Record;

/// Whom an error concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concern {
    /// One frame: the next one can be looked at.
    Frame,
    /// The models, which have to be opened anew; or the config that names them.
    Models,
}

#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    #[error("camera {camera}, frame {frame}: {source}")]
    Look {
        camera: String,
        frame: String,
        source: LookError,
    },
    #[error(
        "camera {camera}: {looks} looks in a row failed, the last one, at frame {frame}: {source}"
    )]
    Models {
        camera: String,
        frame: String,
        looks: u32,
        source: LookError,
    },
    #[error("camera {camera}: {source}")]
    Id { camera: String, source: IdError },
    #[error("camera {camera}: {source}")]
    Open { camera: String, source: OpenError },
}

impl PipelineError {
    pub fn concern(&self) -> Concern {
        match self {
            Self::Look { .. } => Concern::Frame,
            Self::Models { .. } | Self::Id { .. } | Self::Open { .. } => Concern::Models,
        }
    }
}

/// What is to be looked for in a frame.
#[derive(Debug)]
pub struct Task {
    due: Due,
    expected: Vec<Expected>,
}

/// What one look found.
pub struct Look {
    seen: Detections,
}

/// Wall time spent in the stages that are not model runs.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Stages {
    pub vision: Duration,
    pub track: Duration,
    pub evidence: Duration,
}

pub struct Pipeline {
    camera: CameraConfig,
    times: PassageTimes,
    evidence: EvidenceConfig,
    look: LookConfig,
    speaker: Arc<Speaker>,
    models: Arc<ModelPool>,
    stream: Option<Stream>,
    stages: Stages,
    failing: Failing,
    frames: u64,
}

impl Pipeline {
    /// With models of its own: for what looks at one camera only.
    pub fn open(config: &Config, camera: &CameraConfig) -> Result<Self, PipelineError> {
        let models = ModelPool::open(&config.models, 1).map_err(|source| PipelineError::Open {
            camera: camera.id.clone(),
            source,
        })?;
        Self::new(config, camera, Arc::new(models))
    }

    pub fn new(
        config: &Config,
        camera: &CameraConfig,
        models: Arc<ModelPool>,
    ) -> Result<Self, PipelineError> {
        let id = |what: &'static str, text: &str| {
            Id::new(what, text).map_err(|source| PipelineError::Id {
                camera: camera.id.clone(),
                source,
            })
        };
        let speaker = Arc::new(Speaker {
            site: id("site", &config.site)?,
            agent: id("agent", &config.agent)?,
            camera: id("camera", &camera.id)?,
            lane_names: camera
                .lanes
                .iter()
                .map(|lane| (lane.id.clone(), lane.name.clone()))
                .collect(),
            models: models
                .used()
                .iter()
                .cloned()
                .map(|(name, version)| ModelUsed { name, version })
                .collect(),
        });
        Ok(Self {
            camera: camera.clone(),
            times: config.passage.clone(),
            evidence: config.evidence.clone(),
            look: config.look.clone(),
            speaker,
            models,
            stream: None,
            stages: Stages::default(),
            failing: Failing::default(),
            frames: 0,
        })
    }

    pub fn spent(&self) -> Spent {
        self.models.spent()
    }

    pub fn stages(&self) -> Stages {
        self.stages
    }

    /// The models that this camera shares with others.
    pub fn models(&self) -> Arc<ModelPool> {
        Arc::clone(&self.models)
    }

    /// Takes in one frame; returns what it told.
    pub fn frame(&mut self, frame: &Frame) -> Result<Vec<Event>, PipelineError> {
        let mut events = self.begin(frame);
        if let Some(task) = self.task(frame) {
            let models = self.models();
            let look = self.look(&mut models.take(), frame, task)?;
            events.extend(self.follow(frame, look));
        }
        Ok(events)
    }

    /// Makes ready for a frame of this size: another size is another picture, so what was open
    /// ends, and the lanes are laid anew.
    pub fn begin(&mut self, frame: &Frame) -> Vec<Event> {
        let size = frame.size();
        if self.stream.as_ref().is_some_and(|s| s.size == size) {
            return Vec::new();
        }
        let events = self.finish();
        self.stream = Some(Stream::new(&self.camera, &self.times, &self.look, frame));
        events
    }

    /// Whether a frame of this time comes too late: time was told to go on beyond it.
    pub fn is_past(&self, mono: Duration) -> bool {
        self.stream
            .as_ref()
            .is_some_and(|s| !s.timeline.admits(mono))
    }

    /// What is to be looked for in a frame; `None`: nothing yet. What is, counts as done.
    pub fn task(&mut self, frame: &Frame) -> Option<Task> {
        let stream = self.stream.as_mut()?;
        let now = frame.time.mono;
        if !stream.timeline.admits(now) {
            return None;
        }
        let expected = stream.attention.expected(now);
        let due = stream.vision.due(now, &expected)?;
        Some(Task { due, expected })
    }

    /// The same task for a frame that came after the one that it was made for.
    pub fn renew(&self, task: Task, frame: &Frame) -> Task {
        match &self.stream {
            Some(stream) => Task {
                expected: stream.attention.expected(frame.time.mono),
                ..task
            },
            None => task,
        }
    }

    /// The first half of a frame: what needs the models, and nothing else.
    pub fn look(
        &mut self,
        models: &mut ModelSet,
        frame: &Frame,
        task: Task,
    ) -> Result<Look, PipelineError> {
        let Some(stream) = self.stream.as_mut() else {
            return Ok(Look {
                seen: Detections::default(),
            });
        };
        let watch = Stopwatch::start();
        let Task { due, expected } = task;
        let seen = stream
            .vision
            .look(models, frame, due, &stream.area, &expected);
        self.stages.vision += watch.elapsed();
        match seen {
            Ok(seen) => {
                self.failing.succeeded();
                Ok(Look { seen })
            }
            Err(source) => Err(self.failed(frame, source)),
        }
    }

    fn failed(&mut self, frame: &Frame, source: LookError) -> PipelineError {
        let (camera, frame) = (self.camera.id.clone(), frame.name.to_string());
        match self.failing.failed() {
            None => PipelineError::Look {
                camera,
                frame,
                source,
            },
            Some(looks) => PipelineError::Models {
                camera,
                frame,
                looks,
                source,
            },
        }
    }

    /// The second half: which vehicle it is, and what has passed by it.
    pub fn follow(&mut self, frame: &Frame, look: Look) -> Vec<Event> {
        let Look { seen } = look;
        let Some(stream) = &mut self.stream else {
            return Vec::new();
        };
        let watch = Stopwatch::start();
        let now = frame.time.mono;
        stream.timeline.frame(now);
        let updates = stream.tracker.update(now, stream.size, &seen);
        for plate in &seen.plates {
            tracing::trace!(frame = %frame.name, ?plate, "plate");
        }
        for vehicle in &seen.vehicles {
            tracing::trace!(frame = %frame.name, ?vehicle, "vehicle");
        }
        for track in &updates.tracks {
            tracing::trace!(frame = %frame.name, ?track, "track");
        }
        tracing::trace!(frame = %frame.name, ended = ?updates.ended, merged = ?updates.merged, "tracks");
        stream.vision.update(now, &seen, &updates);
        stream.attention.update(now, &seen, &updates);
        stream.open = updates.tracks.len();
        let kept = frame.compact();
        let news = stream.passages.update(&kept, frame.time, &seen, &updates);
        stream.last = Some(kept);
        stream.seen = seen;
        stream.tracks = updates.tracks;
        self.stages.track += watch.elapsed();
        self.frames += 1;
        self.events(news)
    }

    /// What was seen in the frame looked at last.
    pub fn seen(&self) -> Detections {
        self.stream
            .as_ref()
            .map(|s| s.seen.clone())
            .unwrap_or_default()
    }

    /// What is followed, as it was in the frame looked at last.
    pub fn tracks(&self) -> Vec<TrackView> {
        self.stream
            .as_ref()
            .map(|s| s.tracks.clone())
            .unwrap_or_default()
    }

    /// Whether tracks are open: something is there that must not be lost sight of.
    pub fn is_busy(&self) -> bool {
        self.stream.as_ref().is_some_and(|s| s.open > 0)
    }

    /// Whether anything is open or waits to go out as a passage.
    pub fn is_pending(&self) -> bool {
        self.stream
            .as_ref()
            .is_some_and(|s| s.open > 0 || s.passages.pending() > 0)
    }

    /// Time went on without a frame to look at: nothing moved, or the camera is `away`, and what is
    /// followed is out of sight. Returns what ended by that.
    pub fn idle(&mut self, time: Moment, away: bool) -> Vec<Event> {
        let Some(stream) = &mut self.stream else {
            return Vec::new();
        };
        let Some(last) = stream.last.clone() else {
            return Vec::new();
        };
        if !stream.timeline.idle(time.mono) {
            return Vec::new();
        }
        let nothing = Detections {
            vehicles_looked_for: away,
            plates_looked_for: away,
            ..Detections::default()
        };
        let updates = stream.tracker.update(time.mono, stream.size, &nothing);
        stream.vision.update(time.mono, &nothing, &updates);
        stream.attention.update(time.mono, &nothing, &updates);
        stream.open = updates.tracks.len();
        let news = stream.passages.update(&last, time, &nothing, &updates);
        self.events(news)
    }

    /// The recording is over: what is still open ends as passages.
    pub fn finish(&mut self) -> Vec<Event> {
        let Some(stream) = &mut self.stream else {
            return Vec::new();
        };
        let news = stream.passages.finish();
        for (reason, n) in stream.passages.rejected() {
            tracing::debug!(camera = %self.camera.id, ?reason, n, "tracks that were no passage");
        }
        let events = self.events(news);
        self.stream = None;
        events
    }

    fn events(&mut self, news: News<Frame>) -> Vec<Event> {
        let watch = Stopwatch::start();
        let News {
            dropped,
            passed,
            sure,
        } = news;
        let mut events = Vec::with_capacity(dropped.len() + passed.len() + sure.len());
        events.extend(dropped.into_iter().map(|d| self.dropped(&d)));
        events.extend(passed.into_iter().map(|p| self.passed(p)));
        events.extend(sure.into_iter().filter_map(|p| self.sure(p)));
        self.stages.evidence += watch.elapsed();
        events
    }

    fn dropped(&self, dropped: &Dropped) -> Event {
        let vehicles = std::iter::once(&dropped.vehicle).chain(&dropped.also);
        Event::Dropped {
            passages: vehicles.map(|v| self.passage_id(*v)).collect(),
            why: Some(dropped.why),
        }
    }

    fn passed(&self, passage: Passage<Frame>) -> Event {
        let number = passage.number;
        let (id, also) = self.ids(&passage);
        match self.record(id, passage) {
            Ok(record) => Event::Passed(Box::new(Record { also, ..record })),
            Err(e) => {
                tracing::error!(camera = %self.camera.id, number, "a passage is lost: {e}");
                Event::Dropped {
                    passages: std::iter::once(id).chain(also).collect(),
                    why: None,
                }
            }
        }
    }

    fn sure(&self, mut passage: Passage<Frame>) -> Option<Event> {
        let best = passage.best.take()?;
        let id = self.passage_id(passage.vehicle);
        let message = self
            .speaker
            .passage(id, &passage, &best, &[])
            .inspect_err(
                |e| tracing::error!(camera = %self.camera.id, "a plate in sight is not told: {e}"),
            )
            .ok()?;
        Some(Event::Sure(Box::new(Sighting {
            message,
            speaker: Arc::clone(&self.speaker),
            passage,
            best,
            evidence: self.evidence.clone(),
        })))
    }

    /// The passage's id, and those of others that turned out to be the same vehicle.
    fn ids(&self, passage: &Passage<Frame>) -> (Uuid, Vec<Uuid>) {
        let also = passage.also.iter().map(|v| self.passage_id(*v));
        (self.passage_id(passage.vehicle), also.collect())
    }

    fn passage_id(&self, vehicle: VehicleId) -> Uuid {
        let stream = self.stream.as_ref().map(|s| s.mark).unwrap_or_default();
        self.speaker.passage_id(&stream, vehicle)
    }

    fn record(&self, id: Uuid, mut passage: Passage<Frame>) -> Result<Record, RecordError> {
        // A passage without a picture cannot be shown to anybody; the rules of `passage` give each
        // one.
        let best: Best<Frame> = passage.best.take().ok_or(RecordError::NoFrame)?;
        let (message, pictures) =
            illustrated(&self.speaker, (id, id), &passage, &best, &self.evidence)?;
        let lanes = self.stream.as_ref().map(|s| Arc::clone(&s.lanes));
        Ok(Record {
            message,
            also: Vec::new(),
            pictures,
            best,
            lanes: lanes.unwrap_or_default(),
        })
    }
}

/// Why a passage could not become a record. It concerns this passage alone.
#[derive(Debug, thiserror::Error)]
enum RecordError {
    #[error("it has no frame")]
    NoFrame,
    #[error("frame {frame}: {source}")]
    Evidence {
        frame: String,
        source: EvidenceError,
    },
    #[error(transparent)]
    Id(#[from] IdError),
}
