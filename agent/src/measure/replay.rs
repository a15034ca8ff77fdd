//! Runs a recording through the pipeline: decoding on its own thread, everything else on the
//! caller's.

use std::path::Path;
use std::sync::mpsc::sync_channel;

use chrono::{DateTime, FixedOffset};

use crate::pipeline::{Event, Pipeline, PipelineError, Record};
use kakou_sight::camera::{Assumed, FrameSource, Next, SourceError, open};

#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    #[error("the decoding thread cannot be started: {0}")]
    Thread(std::io::Error),
}

/// What became of a recording.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Summary {
    pub frames: u64,
    /// Pictures that could not be read, with the reason.
    pub broken: Vec<String>,
    pub passages: u64,
    /// Capture time of the first frame.
    pub start: Option<DateTime<FixedOffset>>,
    /// The frames are not all of one size: single pictures, and no film.
    pub sizes_differ: bool,
}

/// Frames decoded ahead, each some megabytes. A recording waits; nothing is dropped.
const AHEAD: usize = 1;

/// What happens while a recording runs.
pub enum ReplayEvent<'a> {
    /// Frames done, of how many if that is known.
    Progress(u64, Option<u64>),
    Broken(&'a str),
    Record(Box<Record>),
}

/// Replays `path`. `on` is told what happens, in order; it may take its time.
pub fn replay<E: From<ReplayError>>(
    path: &Path,
    assumed: Assumed,
    pipeline: &mut Pipeline,
    mut on: impl FnMut(ReplayEvent<'_>) -> Result<(), E>,
) -> Result<Summary, E> {
    let source = open(path, assumed).map_err(ReplayError::from)?;
    let total = source.total();
    let mut summary = Summary::default();
    std::thread::scope(|scope| {
        // Bounded: the decoder waits for the models.
        let (send, frames) = sync_channel(AHEAD);
        std::thread::Builder::new()
            .name("decode".into())
            .spawn_scoped(scope, move || decode(source, &send))
            .map_err(ReplayError::Thread)?;
        let mut size = None;
        while let Ok(next) = frames.recv() {
            match next.map_err(ReplayError::from)? {
                Next::End => break,
                Next::Broken { name, reason } => {
                    let broken = format!("{name}: {reason}");
                    tracing::debug!("skipped {broken}");
                    on(ReplayEvent::Broken(&broken))?;
                    summary.broken.push(broken);
                }
                Next::Frame(frame) => {
                    summary.start.get_or_insert(frame.time.wall);
                    summary.frames += 1;
                    summary.sizes_differ |= *size.get_or_insert(frame.size()) != frame.size();
                    let events = pipeline.frame(&frame).map_err(ReplayError::from)?;
                    for record in events.into_iter().filter_map(Event::passed) {
                        summary.passages += 1;
                        on(ReplayEvent::Record(record))?;
                    }
                    on(ReplayEvent::Progress(summary.frames, total))?;
                }
            }
        }
        for record in pipeline.finish().into_iter().filter_map(Event::passed) {
            summary.passages += 1;
            on(ReplayEvent::Record(record))?;
        }
        Ok(summary)
    })
}

fn decode(
    mut source: Box<dyn FrameSource>,
    frames: &std::sync::mpsc::SyncSender<Result<Next, SourceError>>,
) {
    loop {
        let next = source.next();
        let last = matches!(next, Err(_) | Ok(Next::End));
        // A closed channel: the replay was ended by an error downstream.
        if frames.send(next).is_err() || last {
            return;
        }
    }
}
