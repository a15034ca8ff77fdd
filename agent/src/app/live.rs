//! A live camera: connected to, watched, looked at where something moves, and connected to again
//! when it fails.

use std::sync::Arc;
use std::time::Duration;

use kakou_contract::{ClockState, PerSecond};

use super::camera::Run;
use super::camera_view::Seen;
use crate::pipeline::{Concern, Pipeline};
use kakou_sight::camera::{
    CameraEvent, Condition, FailKind, Fault, FaultKind, Frame, Gate, Grid, Live, LiveConfig,
    LiveEvent, LiveFrame, Moment, Pace, Pixels, Rate, Schedule, Sight,
};
use kakou_time::Clock;
use kakou_uplink::Backoff;

/// Between tries: a camera that is back is seen again within five seconds, connecting and a key
/// frame included.
const RETRY_FIRST: Duration = Duration::from_millis(300);
const RETRY_MOST: Duration = Duration::from_millis(1500);
/// Cameras lock out who tries wrong passwords.
const RETRY_LOGIN: Duration = Duration::from_secs(30);
/// A camera without a free session gets one when another viewer leaves, or when it forgets a
/// session that was lost. Asking again at once keeps it busy.
const RETRY_BUSY: Duration = Duration::from_secs(15);
/// A camera that sends packets and no picture is waited for: cameras with a smart codec send a key
/// frame a minute, some every four.
const KEY_FRAME_MOST: Duration = Duration::from_secs(300);
/// Packets that are this old say nothing any more.
const FLOWING: Duration = Duration::from_secs(3);
/// Bytes that are talk and no pictures: a camera that only describes itself sends no more.
const PROTOCOL: u64 = 2_000;
const NO_KEY_FRAME: &str = "packets come, but no key frame yet; switch smart codec (H.264+, H.265+) \
                            off in the camera, and let a key frame come every second or two";
/// A stream may take so long to its first frame, which waits for a key frame: twice as long each
/// time that was not enough, so that a connection that came to nothing is given up soon, and a
/// camera with rare key frames gets its time.
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
struct Watched<'a> {
    pipeline: &'a mut Pipeline,
    condition: &'a mut Condition,
    gate: Gate,
    sight: Sight,
    looked: Rate,
    pace: Pace,
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
        let mut watched = Watched {
            pipeline,
            condition,
            gate: Gate::new(&lanes, &self.camera.masks, w.gate.clone()),
            sight: Sight::new(&self.camera.masks, w.sight.clone()),
            looked: Rate::new(LATELY, self.now()),
            pace: Pace::default(),
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
            if !is_on_duty(&w.schedule, &*self.clock) {
                self.off_duty(&mut watched)?;
                continue;
            }
            self.happened(watched.condition, CameraEvent::Connecting);
            self.view.update(|s| s.restarts = Some(connections));
            connections += 1;
            let rate = w.rate.unwrap_or_else(|| self.share.rate());
            let live = Live::start(
                &LiveConfig {
                    rate: Some(rate),
                    ..config.clone()
                },
                Arc::clone(&self.clock),
            )?;
            let over = self.watch(&live, rate, &mut watched, patience)?;
            let received = live.received();
            watched.dropped += live.dropped();
            watched.broken += live.broken();
            drop(live);
            let Over::Failed(kind, text) = over else {
                continue;
            };
            self.happened(
                watched.condition,
                CameraEvent::Failed {
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
            let wait = match kind {
                FailKind::Unauthorised => RETRY_LOGIN,
                FailKind::Busy => RETRY_BUSY,
                _ => backoff.wait(),
            };
            tracing::debug!(camera = self.camera.id, retry_in = ?wait, frames = received, "{text}");
            self.sleep(wait, &mut |_| self.without_frames(&mut watched))?;
        }
        Ok(())
    }

    /// Not looked at: what was open is over.
    fn off_duty(&self, watched: &mut Watched<'_>) -> anyhow::Result<()> {
        self.happened(watched.condition, CameraEvent::OffDuty);
        let events = watched.pipeline.finish();
        self.tell_all(events);
        self.sleep(Duration::from_secs(1), &mut |_| Ok(()))
    }

    /// One connection, until it fails or is to end.
    fn watch(
        &self,
        live: &Live,
        rate: f32,
        watched: &mut Watched<'_>,
        patience: Duration,
    ) -> anyhow::Result<Over> {
        let w = &self.camera.watching;
        let (began, mut last, mut told, mut broken) = (self.now(), None, false, 0);
        let (mut taken, mut received) = (0, 0);
        let (mut bytes, mut flowed) = (0, None);
        loop {
            self.beat();
            if self.stopping() {
                return Ok(Over::Stopped);
            }
            if !is_on_duty(&w.schedule, &*self.clock) {
                return Ok(Over::OffDuty);
            }
            if live.broken() > broken {
                broken = live.broken();
                self.happened(watched.condition, CameraEvent::Damaged);
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
                        self.happened(watched.condition, CameraEvent::Connected { rate });
                    }
                    let busy = watched.pipeline.is_busy();
                    self.take(live, frame, watched)?;
                    // The rate is the camera's, however few of its frames are looked at.
                    taken += 1;
                    let frames = live.received().saturating_sub(received + taken);
                    let now = self.now();
                    watched.pace.frame(now, busy, frames);
                    let too_slow = watched.pace.too_slow(now);
                    self.happened(watched.condition, CameraEvent::Pace { too_slow });
                    if frames > 0 {
                        received = live.received() - taken;
                        self.happened(watched.condition, CameraEvent::Displaced { frames });
                    }
                }
                LiveEvent::Nothing => {
                    self.without_frames(watched)?;
                    let now = self.now();
                    if live.bytes().is_some_and(|came| came > bytes + PROTOCOL) {
                        (bytes, flowed) = (live.bytes().unwrap_or(bytes), Some(now));
                    }
                    let silent = now.saturating_sub(last.unwrap_or(began));
                    let flows = flowed.is_some_and(|at| now.saturating_sub(at) < FLOWING);
                    if flows && last.is_none() && silent < KEY_FRAME_MOST {
                        if silent > w.condition.no_frames_after {
                            let text = NO_KEY_FRAME.to_owned();
                            self.happened(watched.condition, CameraEvent::Waiting { text });
                        }
                        continue;
                    }
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
                        FaultKind::Busy => FailKind::Busy,
                        FaultKind::Silent => FailKind::Silent,
                    };
                    return Ok(Over::Failed(kind, text));
                }
            }
        }
    }

    /// One frame: what it says of the camera, and, where something moves or is followed, what is in
    /// it.
    fn take(&self, live: &Live, frame: LiveFrame, watched: &mut Watched<'_>) -> anyhow::Result<()> {
        let grid = Grid::of(&frame.planes.luma());
        let view = watched.sight.update(&grid, frame.captured);
        let size = (frame.planes.width, frame.planes.height);
        self.happened(watched.condition, CameraEvent::Frame { size, view });
        let look = !self.camera.watching.gate_enabled
            || watched
                .gate
                .look(&grid, frame.captured, watched.pipeline.is_busy())
                .is_look();
        let frame = if watched.pipeline.is_past(frame.captured) {
            // The network held it up while time was told to go on.
            watched.dropped += 1;
            frame
        } else if look {
            self.look(live, frame, watched)?
        } else {
            watched.still += 1;
            // Passages that wait for their vehicle to come back go out by time.
            if !watched.pipeline.is_busy() && watched.pipeline.is_pending() {
                let events = watched.pipeline.idle(self.time(frame.captured), false);
                self.tell_all(events);
            }
            frame
        };
        watched.last = watched.last.max(frame.captured);
        let now = self.now();
        let captured = self.wall(frame.captured);
        self.view.update(|s| {
            s.last_frame = Some(captured);
            s.frames = watched.number;
            s.frames_still = Some(watched.still);
            s.frames_dropped = watched.dropped + live.dropped();
            s.frames_broken = watched.broken + live.broken();
            s.fps_looked = Some(PerSecond::new(watched.looked.fps(now)));
        });
        if let Some(Pixels::Planes(old)) = self.view.show(Pixels::Planes(frame.planes)) {
            live.give_back(old);
        }
        Ok(())
    }

    /// Looks at a frame, or at the one that came while others computed. Returns which.
    fn look(
        &self,
        live: &Live,
        mut arrived: LiveFrame,
        watched: &mut Watched<'_>,
    ) -> anyhow::Result<LiveFrame> {
        let mut frame = self.frame_of(&arrived, watched.number);
        let mut events = watched.pipeline.begin(&frame);
        let Some(mut task) = watched.pipeline.task(&frame) else {
            // Something moves, but it was looked for a moment ago.
            self.tell_all(events);
            return Ok(arrived);
        };
        let pool = self.pool();
        let mut models = pool.take();
        // While waiting for the models a newer one may have come.
        if let Some(newer) = live.newer() {
            let newer_frame = self.frame_of(&newer, watched.number);
            watched.dropped += 1;
            if newer_frame.size() == frame.size() {
                task = watched.pipeline.renew(task, &newer_frame);
                drop(frame);
                live.give_back(std::mem::replace(&mut arrived, newer).planes);
                frame = newer_frame;
            }
        }
        let look = watched.pipeline.look(&mut models, &frame, task);
        // What follows needs no models; others may compute meanwhile.
        drop(models);
        match look {
            Ok(look) => {
                events.extend(watched.pipeline.follow(&frame, look));
                let delay = self.now().saturating_sub(frame.time.mono);
                self.view.looked_after(delay);
                self.tally.looked_after(delay);
                self.view.saw(self.now(), || {
                    let seen = Seen {
                        pixels: frame.pixels.clone(),
                        captured: self.wall(arrived.captured),
                        detections: watched.pipeline.seen(),
                        tracks: watched.pipeline.tracks(),
                    };
                    (seen, watched.gate.moved())
                });
                watched.number += 1;
                watched.looked.frame(self.now());
            }
            Err(e) if e.concern() == Concern::Frame => {
                tracing::warn!("skipped a frame: {e}");
                watched.broken += 1;
                self.happened(watched.condition, CameraEvent::Damaged);
            }
            Err(e) => {
                self.tell_all(events);
                return Err(e.into());
            }
        }
        self.tell_all(events);
        Ok(arrived)
    }

    fn frame_of(&self, arrived: &LiveFrame, number: u64) -> Frame {
        Frame::new(
            number,
            format!("{}#{number}", self.camera.id),
            self.time(arrived.captured),
            Pixels::Planes(Arc::clone(&arrived.planes)),
        )
    }

    /// Time goes on though no frame comes.
    fn without_frames(&self, watched: &mut Watched<'_>) -> anyhow::Result<()> {
        self.happened(watched.condition, CameraEvent::Tick);
        let now = self.now();
        self.view
            .update(|s| s.fps_looked = Some(PerSecond::new(watched.looked.fps(now))));
        let settled = now.saturating_sub(SETTLED + self.latency());
        if settled > watched.last + IDLE && watched.pipeline.is_pending() {
            watched.last = settled;
            let events = watched.pipeline.idle(self.time(settled), true);
            self.tell_all(events);
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

/// By a clock that may be wrong no camera is off duty: too much is recorded rather than nothing.
fn is_on_duty(schedule: &Schedule, clock: &dyn Clock) -> bool {
    clock.status().state == ClockState::Unsynchronised || schedule.is_on(clock.wall().naive_local())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use chrono::DateTime;
    use kakou_contract::ClockStatus;
    use kakou_time::SimulatedClock;

    use super::*;

    #[test]
    fn a_clock_that_may_be_wrong_sends_no_camera_home() {
        let saturday = DateTime::parse_from_rfc3339("2026-03-14T23:30:00+08:00").unwrap();
        let clock = SimulatedClock::new(saturday, Duration::ZERO);
        let schedule = Schedule(vec!["mon-fri 06:00-22:00".parse().unwrap()]);
        for (state, on) in [
            (ClockState::Synchronised, false),
            (ClockState::Unknown, false),
            (ClockState::Unsynchronised, true),
        ] {
            clock.set_status(ClockStatus {
                state,
                offset_ms: None,
            });
            assert_eq!(is_on_duty(&schedule, &clock), on, "{state}");
        }
    }
}
