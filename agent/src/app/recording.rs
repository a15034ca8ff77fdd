//! A recording as a camera: as if it happened now.

use std::path::Path;
use std::time::Duration;

use super::camera::Run;
use super::camera_view::Seen;
use crate::pipeline::{Concern, Pipeline};
use kakou_sight::camera::{
    Assumed, CameraEvent, Condition, FailKind, Moment, Next, SourceError, View, open,
};
use kakou_uplink::Backoff;

impl Run<'_> {
    /// Until told to stop, or the recording's end where it does not begin `again`.
    pub(super) fn recording(
        &self,
        path: &Path,
        again: bool,
        pipeline: &mut Pipeline,
        condition: &mut Condition,
    ) -> anyhow::Result<()> {
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(10));
        while !self.stopping() {
            match self.once(path, pipeline, condition) {
                Ok(()) if !again => {
                    self.happened(condition, CameraEvent::Ended);
                    break;
                }
                Ok(()) => backoff.reset(),
                Err(e) if e.is::<SourceError>() => {
                    let wait = backoff.wait();
                    tracing::warn!(camera = self.camera.id, retry_in = ?wait, "{e:#}");
                    let text = format!("{e:#}");
                    self.happened(
                        condition,
                        CameraEvent::Failed {
                            kind: FailKind::Unreachable,
                            text,
                        },
                    );
                    self.sleep(wait, &mut |_| {
                        self.happened(condition, CameraEvent::Tick);
                        Ok(())
                    })?;
                }
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    fn once(
        &self,
        path: &Path,
        pipeline: &mut Pipeline,
        condition: &mut Condition,
    ) -> anyhow::Result<()> {
        let assumed = Assumed {
            start: self.clock.wall(),
            fps: 25.0,
        };
        let mut source = open(path, assumed)?;
        let offset = self.now();
        let mut first = None;
        while !self.stopping() {
            self.beat();
            match source.next()? {
                Next::End => break,
                Next::Broken { name, reason } => {
                    tracing::warn!(camera = self.camera.id, "skipped {name}: {reason}");
                    self.happened(condition, CameraEvent::Damaged);
                    self.view.update(|s| s.frames_broken += 1);
                }
                Next::Frame(mut frame) => {
                    let due = offset
                        + frame
                            .time
                            .mono
                            .saturating_sub(*first.get_or_insert(frame.time.mono));
                    self.sleep(due.saturating_sub(self.now()), &mut |_| Ok(()))?;
                    frame.time = Moment {
                        wall: self.wall(due),
                        mono: due,
                    };
                    let size = frame.size();
                    // A recording is not judged as a camera: it may well stand still or be dark.
                    self.happened(
                        condition,
                        CameraEvent::Frame {
                            size,
                            view: View::Clear,
                        },
                    );
                    match pipeline.frame(&frame) {
                        Ok(events) => {
                            self.tell_all(events);
                            self.view.saw(self.now(), || {
                                let seen = Seen {
                                    pixels: frame.pixels.clone(),
                                    captured: frame.time.wall,
                                    detections: pipeline.seen(),
                                    tracks: pipeline.tracks(),
                                };
                                (seen, None)
                            });
                        }
                        Err(e) if e.concern() == Concern::Frame => {
                            tracing::warn!("skipped a frame: {e}");
                            self.happened(condition, CameraEvent::Damaged);
                            self.view.update(|s| s.frames_broken += 1);
                        }
                        Err(e) => return Err(e.into()),
                    }
                    self.view.update(|s| {
                        s.frames += 1;
                        s.last_frame = Some(frame.time.wall);
                    });
                    self.view.show(frame.pixels);
                }
            }
        }
        Ok(())
    }
}
