//! A live camera: connected to, watched, looked at where something moves, and connected to again when it fails.

use std::sync::Arc;
use std::time::Duration;

use kakou_contract::PerSecond;

use super::camera::Run;
use super::camera_view::Newest;
use crate::pipeline::Pipeline;
use kakou_sight::camera::{
    Condition, Event, FailKind, Fault, FaultKind, Frame, Gate, Grid, Live, LiveConfig, LiveEvent,
    LiveFrame, Moment, Rate, Sight,
};
use kakou_uplink::Backoff;

/// Between tries: a camera that is back is seen again within five seconds, connecting and a key frame included.
const RETRY_FIRST: Duration = Duration::from_millis(300);
const RETRY_MOST: Duration = Duration::from_millis(1500);
/// Cameras lock out who tries wrong passwords.
const RETRY_LOGIN: Duration = Duration::from_secs(30);
/// A stream may take so long to its first frame, which waits for a key frame: twice as long each time that was not enough, so
/// that a connection that came to nothing is given up soon, and a camera with rare key frames gets its time.
const FIRST_FRAME: Duration = Duration::from_secs(4);
const FIRST_FRAME_MOST: Duration = Duration::from_secs(32);
/// Frames come late by network and decoder: only what is this old is surely not coming any more.
const SETTLED: Duration = Duration::from_secs(1);
/// The rates of the status are taken over this time.
const LATELY: Duration = Duration::from_secs(10);
/// How often time is told to go on where no frame tells it.
const IDLE: Duration = Duration::from_millis(200);

/// How watching a connection came to its end.
enum Over {
    Stopped,
    OffDuty,
    Failed(FailKind, String),
}

/// What is kept of a camera from connection to connection.
struct Scene<'a> {
    pipeline: &'a mut Pipeline,
    condition: &'a mut Condition,
    gate: Gate,
    sight: Sight,
    looked: Rate,
    /// When a frame came last, or time was told to go on.
    last: Duration,
    /// Of earlier connections and runs.
    dropped: u64,
    broken: u64,
    still: u64,
    number: u64,
}

impl Run<'_> {
    pub(super) fn live(
        &self,
        config: &LiveConfig,
        pipeline: &mut Pipeline,
        condition: &mut Condition,
    ) -> anyhow::Result<()> {
        let w = &self.camera.watching;
        let lanes: Vec<_> = self
            .camera
            .lanes
            .iter()
            .map(|l| l.polygon.clone())
            .collect();
        // Counts go on where an earlier run left them.
        let before = self.view.status();
        let mut scene = Scene {
            pipeline,
            condition,
            gate: Gate::new(&lanes, &self.camera.masks, w.gate.clone()),
            sight: Sight::new(&self.camera.masks, w.sight.clone()),
            looked: Rate::new(LATELY, self.now()),
            last: self.now(),
            dropped: before.frames_dropped,
            broken: before.frames_broken,
            still: before.frames_still.unwrap_or(0),
            number: before.frames,
        };
        let mut backoff = Backoff::new(RETRY_FIRST, RETRY_MOST);
        let mut connections = before.restarts.map_or(0, |n| n + 1);
        let mut patience = FIRST_FRAME;
        while !self.stopping() {
            if !w.schedule.is_on(self.clock.wall().naive_local()) {
                self.off_duty(&mut scene)?;
                continue;
            }
            self.happened(scene.condition, Event::Connecting);
            self.view.update(|s| s.restarts = Some(connections));
            connections += 1;
            let rate = w.rate.unwrap_or_else(|| self.share.rate());
            let live = Live::start(
                &LiveConfig {
                    rate: Some(rate),
                    ..config.clone()
                },
                std::time::Instant::now() - self.now(),
            )?;
            let over = self.watch(&live, rate, &mut scene, patience)?;
            let received = live.received();
            scene.dropped += live.dropped();
            scene.broken += live.broken();
            drop(live);
            let Over::Failed(kind, text) = over else {
                continue;
            };
            self.happened(
                scene.condition,
                Event::Failed {
                    kind,
                    text: text.clone(),
                },
            );
            if received > 0 {
                backoff.reset();
                patience = FIRST_FRAME;
            } else if kind == FailKind::Silent {
                patience = (2 * patience).min(FIRST_FRAME_MOST);
            }
            let wait = if kind == FailKind::Unauthorised {
                RETRY_LOGIN
            } else {
                backoff.wait()
            };
            tracing::debug!(camera = self.camera.id, retry_in = ?wait, frames = received, "{text}");
            self.sleep(wait, &mut |_| self.without_frames(&mut scene))?;
        }
        Ok(())
    }

    /// Not looked at: what was open is over.
    fn off_duty(&self, scene: &mut Scene<'_>) -> anyhow::Result<()> {
        self.happened(scene.condition, Event::OffDuty);
        let records = scene.pipeline.finish()?;
        self.keep_all(records);
        self.sleep(Duration::from_secs(1), &mut |_| Ok(()))
    }

    /// One connection, until it fails or is to end.
    fn watch(
        &self,
        live: &Live,
        rate: f32,
        scene: &mut Scene<'_>,
        patience: Duration,
    ) -> anyhow::Result<Over> {
        let w = &self.camera.watching;
        let (began, mut last, mut told, mut broken) = (self.now(), None, false, 0);
        let (mut taken, mut received) = (0, 0);
        loop {
            self.beat();
            if self.stopping() {
                return Ok(Over::Stopped);
            }
            if !w.schedule.is_on(self.clock.wall().naive_local()) {
                return Ok(Over::OffDuty);
            }
            if live.broken() > broken {
                broken = live.broken();
                self.happened(scene.condition, Event::Damaged);
            }
            match live.next(Duration::from_millis(100)) {
                LiveEvent::Frame(frame) => {
                    last = Some(self.now());
                    if !told {
                        told = true;
                        let rate = live
                            .stream()
                            .and_then(|s| s.fps)
                            .map(|fps| rate.min(fps as f32));
                        self.happened(scene.condition, Event::Connected { rate });
                    }
                    self.take(live, frame, scene)?;
                    // The rate is the camera's, however few of its frames are looked at.
                    taken += 1;
                    let frames = live.received().saturating_sub(received + taken);
                    if frames > 0 {
                        received = live.received() - taken;
                        self.happened(scene.condition, Event::Displaced { frames });
                    }
                }
                LiveEvent::Nothing => {
                    self.without_frames(scene)?;
                    let silent = self.now().saturating_sub(last.unwrap_or(began));
                    if silent
                        > if last.is_some() {
                            w.condition.no_frames_after
                        } else {
                            patience
                        }
                    {
                        let text = format!("no frame for {:.0} s", silent.as_secs_f32());
                        return Ok(Over::Failed(FailKind::Silent, text));
                    }
                }
                LiveEvent::Ended(Fault { kind, text }) => {
                    let kind = match kind {
                        FaultKind::Unauthorised => FailKind::Unauthorised,
                        FaultKind::Unreachable => FailKind::Unreachable,
                        FaultKind::Broken => FailKind::BrokenStream,
                    };
                    return Ok(Over::Failed(kind, text));
                }
            }
        }
    }

    /// One frame: what it says of the camera, and, where something moves or is followed, what is in it.
    fn take(&self, live: &Live, frame: LiveFrame, scene: &mut Scene<'_>) -> anyhow::Result<()> {
        let grid = Grid::of(&frame.planes.luma());
        let view = scene.sight.update(&grid, frame.captured);
        let size = (frame.planes.width, frame.planes.height);
        self.happened(scene.condition, Event::Frame { size, view });
        scene.last = scene.last.max(frame.captured);
        let look = !self.camera.watching.gate_enabled
            || scene
                .gate
                .look(&grid, frame.captured, scene.pipeline.is_busy())
                .is_look();
        let frame = if look {
            self.look(live, frame, scene)?
        } else {
            scene.still += 1;
            // Passages that wait for their vehicle to come back go out by time.
            if !scene.pipeline.is_busy() && scene.pipeline.is_pending() {
                let records = scene.pipeline.idle(self.time(frame.captured), false)?;
                self.keep_all(records);
            }
            frame
        };
        let now = self.now();
        let captured = self.wall(frame.captured);
        self.view.update(|s| {
            s.last_frame = Some(captured);
            s.frames = scene.number;
            s.frames_still = Some(scene.still);
            s.frames_dropped = scene.dropped + live.dropped();
            s.frames_broken = scene.broken + live.broken();
            s.fps_looked = Some(PerSecond::new(scene.looked.fps(now)));
        });
        if let Newest::Planes(old) = self.view.show(Newest::Planes(frame.planes)) {
            live.give_back(old);
        }
        Ok(())
    }

    fn look(
        &self,
        live: &Live,
        frame: LiveFrame,
        scene: &mut Scene<'_>,
    ) -> anyhow::Result<LiveFrame> {
        let mut models = self.models.take();
        // While waiting for the turn a newer one may have come.
        let frame = match live.newer() {
            Some(newer) => {
                live.give_back(frame.planes);
                scene.dropped += 1;
                newer
            }
            None => frame,
        };
        scene.last = scene.last.max(frame.captured);
        let picture = match frame.planes.to_rgb() {
            Ok(picture) => picture,
            Err(why) => {
                tracing::warn!(camera = self.camera.id, "skipped a frame: {why}");
                scene.broken += 1;
                return Ok(frame);
            }
        };
        let time = self.time(frame.captured);
        let name = format!("{}#{}", self.camera.id, scene.number).into();
        let frame_now = Frame {
            number: scene.number,
            name,
            time,
            picture: Arc::new(picture),
        };
        let look = scene.pipeline.look(&mut models, &frame_now)?;
        drop(models);
        let records = scene.pipeline.follow(&frame_now, look)?;
        self.view.looked_after(self.now().saturating_sub(time.mono));
        scene.number += 1;
        scene.looked.frame(self.now());
        self.keep_all(records);
        Ok(frame)
    }

    /// Time goes on though no frame comes.
    fn without_frames(&self, scene: &mut Scene<'_>) -> anyhow::Result<()> {
        self.happened(scene.condition, Event::Tick);
        let now = self.now();
        self.view
            .update(|s| s.fps_looked = Some(PerSecond::new(scene.looked.fps(now))));
        let settled = now.saturating_sub(SETTLED + self.latency());
        if settled > scene.last + IDLE && scene.pipeline.is_pending() {
            scene.last = settled;
            let records = scene.pipeline.idle(self.time(settled), true)?;
            self.keep_all(records);
        }
        Ok(())
    }

    fn latency(&self) -> Duration {
        match &self.source {
            crate::config::CameraSource::Live(live) => live.latency,
            crate::config::CameraSource::Recording { .. } => Duration::ZERO,
        }
    }

    fn time(&self, captured: Duration) -> Moment {
        Moment {
            wall: self.wall(captured),
            mono: captured,
        }
    }
}
