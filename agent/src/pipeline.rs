//! One camera's way from a frame to finished passages: vision, track, passage, evidence, message.

use std::sync::Arc;
use std::time::Duration;

use kakou_contract::{EvidenceRole, Id, IdError, ModelUsed, PassageMessage, Topic};

use crate::config::{CameraConfig, Config, PassageTimes, scaled};
use crate::message::Speaker;
use kakou_sight::camera::{Frame, Moment};
use kakou_sight::evidence::draw::{Drawing, annotated};
use kakou_sight::evidence::{EncodeError, EvidenceConfig, Picture, pictures};
use kakou_sight::vision::{ModelPool, ModelSet, OpenError, Place, RuntimeError, Spent, Vision};
use kakou_time::Stopwatch;
use kakou_traffic::attention::Attention;
use kakou_traffic::detections::Detections;
use kakou_traffic::geometry::{Line, Point, Polygon, Rect};
use kakou_traffic::passage::{Best, Lane, Passage, PassageConfig, Passages};
use kakou_traffic::track::{TrackConfig, Tracker};

#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    #[error("camera {camera}, frame {frame}: {source}")]
    Vision {
        camera: String,
        frame: String,
        source: RuntimeError,
    },
    #[error("camera {camera}, frame {frame}: {source}")]
    Encode {
        camera: String,
        frame: String,
        source: EncodeError,
    },
    #[error(transparent)]
    Id(#[from] IdError),
    #[error(transparent)]
    Open(#[from] OpenError),
}

/// A passage with everything that is sent or kept of it.
#[derive(Debug, Clone)]
pub struct Record {
    pub message: PassageMessage,
    pub pictures: Vec<Picture>,
    best: Best<Frame>,
    lanes: Vec<Polygon>,
}

impl Record {
    /// The best frame with what the agent saw drawn into it.
    pub fn annotated(&self) -> image::RgbImage {
        let text = self.message.plate.as_ref().map_or("", |p| p.text.as_str());
        let class = self
            .message
            .vehicle
            .as_ref()
            .map(|v| v.class.to_string())
            .unwrap_or_default();
        let lane = self
            .message
            .lane
            .as_ref()
            .map(|l| format!(" lane {}", l.id))
            .unwrap_or_default();
        let note = format!("{class}{lane}");
        let quad = self.best.quad;
        let vehicle = self.best.vehicle;
        annotated(
            &self.best.frame.picture,
            &Drawing {
                lanes: &self.lanes,
                vehicle: vehicle.as_ref(),
                plate: quad.as_ref(),
                text,
                note: note.trim(),
            },
        )
    }
}

/// What could only be set up when the size of the frames was known.
struct Stream {
    size: (u32, u32),
    place: Place,
    lanes: Vec<Polygon>,
    tracker: Tracker,
    passages: Passages<Frame>,
    attention: Attention,
    /// Tracks that are open.
    open: usize,
    /// The frame looked at last, and what was seen in it.
    last: Option<Frame>,
    seen: Detections,
}

/// What one look found, and the passages that another size of picture ended before it.
pub struct Look {
    seen: Detections,
    records: Vec<Record>,
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
    enough_reads: u32,
    speaker: Speaker,
    vision: Vision,
    models: Arc<ModelPool>,
    stream: Option<Stream>,
    stages: Stages,
    frames: u64,
}

impl Pipeline {
    /// With models of its own: for what looks at one camera only.
    pub fn open(config: &Config, camera: &CameraConfig) -> Result<Self, PipelineError> {
        let models = ModelPool::open(&config.models, 1)?;
        Self::new(config, camera, Arc::new(models))
    }

    pub fn new(
        config: &Config,
        camera: &CameraConfig,
        models: Arc<ModelPool>,
    ) -> Result<Self, PipelineError> {
        let speaker = Speaker {
            site: Id::new("site", config.site.as_str())?,
            agent: Id::new("agent", config.agent.as_str())?,
            camera: Id::new("camera", camera.id.as_str())?,
            lane_names: camera
                .lanes
                .iter()
                .map(|l| (l.id.clone(), l.name.clone()))
                .collect(),
            models: models
                .used()
                .iter()
                .cloned()
                .map(|(name, version)| ModelUsed { name, version })
                .collect(),
        };
        Ok(Self {
            camera: camera.clone(),
            times: config.passage.clone(),
            evidence: config.evidence.clone(),
            enough_reads: config.look.enough_reads,
            speaker,
            vision: Vision::new(config.look.clone()),
            models,
            stream: None,
            stages: Stages::default(),
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

    /// Takes in one frame; returns the passages that ended with it.
    pub fn frame(&mut self, frame: &Frame) -> Result<Vec<Record>, PipelineError> {
        let models = self.models();
        let look = self.look(&mut models.take(), frame)?;
        self.follow(frame, look)
    }

    /// The first half of a frame: what needs the models, and nothing else.
    pub fn look(&mut self, models: &mut ModelSet, frame: &Frame) -> Result<Look, PipelineError> {
        let size = frame.picture.dimensions();
        let mut records = Vec::new();
        if self.stream.as_ref().is_none_or(|s| s.size != size) {
            // Another size is another picture: what was open ends, and the lanes are laid anew.
            records = self.finish()?;
        }
        let stream = self
            .stream
            .get_or_insert_with(|| Stream::new(&self.camera, &self.times, self.enough_reads, size));
        let now = frame.time.mono;
        let watch = Stopwatch::start();
        let expected = stream.attention.expected(now);
        let seen = self
            .vision
            .look(models, &frame.picture, now, &stream.place, &expected)
            .map_err(|source| PipelineError::Vision {
                camera: self.camera.id.clone(),
                frame: frame.name.to_string(),
                source,
            })?;
        self.stages.vision += watch.elapsed();
        Ok(Look { seen, records })
    }

    /// The second half: which vehicle it is, and what has passed by it.
    pub fn follow(&mut self, frame: &Frame, look: Look) -> Result<Vec<Record>, PipelineError> {
        let Look { seen, mut records } = look;
        let Some(s) = &mut self.stream else {
            return Ok(records);
        };
        let watch = Stopwatch::start();
        let now = frame.time.mono;
        for p in &seen.plates {
            tracing::trace!(frame = %frame.name, plate = ?p, "plate");
        }
        let updates = s.tracker.update(now, s.size, &seen);
        for v in &seen.vehicles {
            tracing::trace!(frame = %frame.name, rect = ?v.rect, class = %v.class, v.score, "vehicle");
        }
        for t in &updates.tracks {
            tracing::trace!(frame = %frame.name, track = t.id.0, vehicle = ?t.vehicle, plate = ?t.plate_find, "track");
        }
        tracing::trace!(frame = %frame.name, ended = ?updates.ended, merged = ?updates.merged, "tracks");
        s.attention.update(now, &seen, &updates);
        s.open = updates.tracks.len();
        s.last = Some(frame.clone());
        let ended = s.passages.update(frame, frame.time, &seen, &updates);
        s.seen = seen;
        self.stages.track += watch.elapsed();
        self.frames += 1;
        let lanes = s.lanes.clone();
        records.extend(self.records(ended, &lanes)?);
        Ok(records)
    }

    /// What was seen in the frame looked at last.
    pub fn seen(&self) -> Detections {
        self.stream
            .as_ref()
            .map(|s| s.seen.clone())
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

    /// Time went on without a frame to look at: nothing moved, or the camera is `away`, and what is followed is out of
    /// sight. Returns what ended by that.
    pub fn idle(&mut self, time: Moment, away: bool) -> Result<Vec<Record>, PipelineError> {
        let Some(s) = &mut self.stream else {
            return Ok(Vec::new());
        };
        let Some(last) = s.last.clone().filter(|l| l.time.mono < time.mono) else {
            return Ok(Vec::new());
        };
        let nothing = Detections {
            vehicles_looked_for: away,
            plates_looked_for: away,
            ..Detections::default()
        };
        let updates = s.tracker.update(time.mono, s.size, &nothing);
        s.attention.update(time.mono, &nothing, &updates);
        s.open = updates.tracks.len();
        let ended = s.passages.update(&last, time, &nothing, &updates);
        let lanes = s.lanes.clone();
        self.records(ended, &lanes)
    }

    /// The recording is over: what is still open ends as passages.
    pub fn finish(&mut self) -> Result<Vec<Record>, PipelineError> {
        let Some(mut s) = self.stream.take() else {
            return Ok(Vec::new());
        };
        let ended = s.passages.finish();
        for (reason, n) in s.passages.rejected() {
            tracing::debug!(camera = %self.camera.id, ?reason, n, "tracks that were no passage");
        }
        self.records(ended, &s.lanes)
    }

    fn records(
        &mut self,
        ended: Vec<Passage<Frame>>,
        lanes: &[Polygon],
    ) -> Result<Vec<Record>, PipelineError> {
        let watch = Stopwatch::start();
        let mut records = Vec::with_capacity(ended.len());
        for mut p in ended {
            // A passage without a picture cannot be shown to anybody; the rules of `passage` give each one.
            let Some(best) = p.best.take() else {
                tracing::error!(camera = %self.camera.id, number = p.number, "a passage without a frame was dropped");
                continue;
            };
            let picture = &best.frame.picture;
            let pictures = pictures(
                picture,
                best.quad.as_ref(),
                best.vehicle.as_ref(),
                &self.evidence,
            )
            .map_err(|source| PipelineError::Encode {
                camera: self.camera.id.clone(),
                frame: best.frame.name.to_string(),
                source,
            })?;
            let mut message = self.speaker.passage(&p, &best, &pictures)?;
            for e in &mut message.evidence {
                e.topic = Some(evidence_topic(&self.speaker, message.id, e.role).to_string());
            }
            records.push(Record {
                message,
                pictures,
                best,
                lanes: lanes.to_vec(),
            });
        }
        self.stages.evidence += watch.elapsed();
        Ok(records)
    }
}

fn evidence_topic(s: &Speaker, passage: uuid::Uuid, role: EvidenceRole) -> Topic {
    Topic::Evidence {
        site: s.site.clone(),
        agent: s.agent.clone(),
        passage,
        role,
    }
}

/// The lanes' surroundings are looked at too, in parts of the frame's size: a vehicle is taller than its lane.
const AROUND_LANES: f32 = 0.12;
/// If that is most of the frame anyway, all of it is looked at.
const MOST_OF_FRAME: f32 = 0.75;

impl Stream {
    fn new(
        camera: &CameraConfig,
        times: &PassageTimes,
        enough_reads: u32,
        size: (u32, u32),
    ) -> Self {
        let (w, h) = (size.0 as f32, size.1 as f32);
        let lanes: Vec<Polygon> = camera
            .lanes
            .iter()
            .map(|l| scaled(&l.polygon, size.0, size.1))
            .collect();
        let point = |p: Point| Point::new(p.x * w, p.y * h);
        let passage = PassageConfig {
            lanes: camera
                .lanes
                .iter()
                .zip(&lanes)
                .map(|(l, polygon)| Lane {
                    id: l.id.clone(),
                    polygon: polygon.clone(),
                    trigger: l.trigger.map(|t| Line {
                        a: point(t.a),
                        b: point(t.b),
                    }),
                    expected: l.direction,
                })
                .collect(),
            rejoin: Duration::from_secs_f32(times.rejoin_s),
            ..PassageConfig::default()
        };
        let track = TrackConfig {
            lost_after: Duration::from_secs_f32(times.lost_after_s),
            standing_lost_after: Duration::from_secs_f32(times.standing_lost_after_s),
            ..TrackConfig::default()
        };
        let place = Place {
            region: region(&lanes, w, h),
            masks: camera
                .masks
                .iter()
                .map(|m| scaled(m, size.0, size.1))
                .collect(),
        };
        Self {
            size,
            place,
            lanes,
            tracker: Tracker::new(track),
            passages: Passages::new(passage),
            attention: Attention::new(enough_reads),
            open: 0,
            last: None,
            seen: Detections::default(),
        }
    }
}

fn region(lanes: &[Polygon], w: f32, h: f32) -> Rect {
    let whole = Rect::new(0.0, 0.0, w, h);
    let Some(union) = lanes.iter().map(Polygon::bounds).reduce(|a, b| a.union(&b)) else {
        return whole;
    };
    let part = union
        .grown(w * AROUND_LANES, h * AROUND_LANES)
        .clipped(w, h);
    // Whole pixels: what is cut there needs no resampling of its own.
    let part = Rect::new(
        part.x0.floor(),
        part.y0.floor(),
        part.x1.ceil(),
        part.y1.ceil(),
    );
    if part.area() > MOST_OF_FRAME * whole.area() {
        whole
    } else {
        part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_region_is_the_lanes_with_their_surroundings() {
        let lane = |x0: f32, y0: f32, x1: f32| {
            Polygon(
                [(x0, y0), (x1, y0), (x1, 600.0), (x0, 600.0)]
                    .map(|(x, y)| Point::new(x, y))
                    .to_vec(),
            )
        };
        assert_eq!(
            region(&[], 1000.0, 1000.0),
            Rect::new(0.0, 0.0, 1000.0, 1000.0)
        );
        let one = region(&[lane(200.0, 300.0, 400.0)], 1000.0, 1000.0);
        assert_eq!(one, Rect::new(80.0, 180.0, 520.0, 720.0));
        let wide = region(
            &[lane(0.0, 100.0, 450.0), lane(450.0, 100.0, 990.0)],
            1000.0,
            700.0,
        );
        assert_eq!(wide, Rect::new(0.0, 0.0, 1000.0, 700.0));
    }
}
