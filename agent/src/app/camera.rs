//! One camera's thread: frames in real time, through the pipeline and the watchlist, into the outbox.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use kakou_contract::{CameraStatus, Health, Id, Message, live_id};

use super::drafts::drafts;
use super::watchfile::Current;
use crate::camera::{Assumed, Frame, FrameTime, Next, open};
use crate::config::{CameraConfig, CameraSource, Config};
use crate::outbox::Outbox;
use crate::pipeline::{Pipeline, Record};
use crate::uplink::{Backoff, DirectSender, Outgoing};

/// How a camera is, for the status; and its newest frame, for a snapshot.
pub struct CameraState {
    pub status: Mutex<CameraStatus>,
    pub newest: Mutex<Option<Frame>>,
    /// When the thread last showed that it lives.
    pub heartbeat: Mutex<Instant>,
}

impl CameraState {
    pub fn new(id: Id) -> Self {
        let status = CameraStatus {
            camera: id,
            health: Health::Degraded,
            detail: Some("starting".to_owned()),
            since: Some(chrono::Local::now().fixed_offset()),
            last_frame: None,
            frames: 0,
            frames_dropped: 0,
            frames_broken: 0,
            state: None,
            frames_still: None,
            fps: None,
            fps_looked: None,
            restarts: None,
        };
        Self { status: Mutex::new(status), newest: Mutex::new(None), heartbeat: Mutex::new(Instant::now()) }
    }

    fn beat(&self) {
        *self.heartbeat.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn set(&self, health: Health, detail: Option<String>) {
        let mut s = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        if s.health != health || s.detail != detail {
            s.since = Some(chrono::Local::now().fixed_offset());
            (s.health, s.detail) = (health, detail);
        }
    }
}

/// What a camera's thread works with.
pub struct CameraWorker {
    pub config: Config,
    pub camera: CameraConfig,
    pub source: CameraSource,
    pub outbox: Outbox,
    pub list: Current,
    pub direct: Option<DirectSender>,
    pub state: Arc<CameraState>,
    pub stop: Arc<AtomicBool>,
    /// Print a line for each committed message.
    pub print: bool,
}

impl CameraWorker {
    /// Until told to stop, or the source's end where it does not begin again.
    pub fn run(self) -> anyhow::Result<()> {
        let mut pipeline = Pipeline::open(&self.config, &self.camera)?;
        let began = Instant::now();
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(10));
        while !self.stopping() {
            match self.once(&mut pipeline, began) {
                Ok(()) if !self.source.again => {
                    self.state.set(Health::Ok, Some("the recording is over".to_owned()));
                    break;
                }
                Ok(()) => backoff.reset(),
                Err(e) if e.is::<crate::camera::SourceError>() => {
                    let wait = backoff.wait();
                    tracing::warn!(camera = self.camera.id, retry_in = ?wait, "{e:#}");
                    self.state.set(Health::Failed, Some(format!("{e:#}")));
                    self.sleep(wait);
                }
                Err(e) => return Err(e),
            }
        }
        // What is still open has passed as far as anyone will know.
        for record in pipeline.finish()? {
            self.keep(&record)?;
        }
        while !self.stopping() {
            self.sleep(Duration::from_millis(200));
        }
        Ok(())
    }

    fn stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Sleeps in small pieces, so that the end is not waited for.
    fn sleep(&self, time: Duration) {
        let until = Instant::now() + time;
        while !self.stopping() && Instant::now() < until {
            self.state.beat();
            std::thread::sleep(Duration::from_millis(50).min(until.saturating_duration_since(Instant::now())));
        }
    }

    /// The recording once, as if it happened now.
    fn once(&self, pipeline: &mut Pipeline, began: Instant) -> anyhow::Result<()> {
        let assumed = Assumed { start: chrono::Local::now().fixed_offset(), fps: 25.0 };
        let mut source = open(&self.source.path, assumed)?;
        let offset = began.elapsed();
        let mut first = None;
        while !self.stopping() {
            self.state.beat();
            match source.next()? {
                Next::End => break,
                Next::Broken { name, reason } => {
                    tracing::warn!(camera = self.camera.id, "skipped {name}: {reason}");
                    self.state.status.lock().unwrap_or_else(PoisonError::into_inner).frames_broken += 1;
                }
                Next::Frame(mut frame) => {
                    let due = offset + frame.time.mono.saturating_sub(*first.get_or_insert(frame.time.mono));
                    self.sleep(due.saturating_sub(began.elapsed()));
                    frame.time = FrameTime { capture: chrono::Local::now().fixed_offset(), mono: due };
                    self.frame(pipeline, frame)?;
                }
            }
        }
        Ok(())
    }

    fn frame(&self, pipeline: &mut Pipeline, frame: Frame) -> anyhow::Result<()> {
        for record in pipeline.frame(&frame)? {
            self.keep(&record)?;
        }
        self.state.set(Health::Ok, None);
        let mut s = self.state.status.lock().unwrap_or_else(PoisonError::into_inner);
        s.frames += 1;
        s.last_frame = Some(frame.time.capture);
        *self.state.newest.lock().unwrap_or_else(PoisonError::into_inner) = Some(frame);
        Ok(())
    }

    /// Commits a passage; a hit that cannot be committed is sent all the same.
    fn keep(&self, record: &Record) -> anyhow::Result<()> {
        let list = Arc::clone(&self.list.read().unwrap_or_else(PoisonError::into_inner));
        let hit = list.hit(&record.message, live_id(record.message.time));
        let drafts = drafts(record, hit.as_ref()).context("writing a passage")?;
        let named: Vec<_> = drafts.iter().map(|d| (d.lane, d.id.clone())).collect();
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
                if let (Some(hit), Some(direct)) = (&hit, &self.direct) {
                    let sent = Outgoing::of(hit).is_ok_and(|o| direct.send(o));
                    tracing::error!(camera, hit = %hit.id(), sent, "a hit went past the outbox");
                }
                Ok(())
            }
            Err(e) => Err(e.into()),
        }
    }
}
