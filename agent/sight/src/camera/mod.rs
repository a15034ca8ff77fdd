//! Where frames come from: a folder of pictures, a video file, or a live camera. Every frame
//! carries its capture time.

mod address;
mod cells;
mod condition;
mod ffmpeg;
mod folder;
mod frame;
mod gate;
mod grid;
mod landmarks;
mod live;
mod pace;
mod picture;
mod planes;
mod rate;
mod repeats;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod scene;
mod sight;
mod stamp;
mod video;

/// For `crate::doors`.
pub(crate) mod doors {
    use std::path::Path;

    pub(crate) fn line(text: &str) -> String {
        format!("{:?}", super::ffmpeg::line(text))
    }

    pub(crate) fn version(text: &str) -> Result<(), String> {
        super::ffmpeg::version_of(text).map(drop)
    }

    pub(crate) fn frames(text: &str, path: &Path) -> Result<usize, super::SourceError> {
        super::folder::listed(text, path, Vec::new()).map(|entries| entries.len())
    }

    pub(crate) fn picture(bytes: &[u8], most: u64) -> Result<(u32, u32), String> {
        super::picture::decode_up_to(bytes, most).map(|picture| picture.dimensions())
    }
}

use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, FixedOffset, TimeDelta};

pub use address::{AddressError, CameraAddress, Protocol};
pub use condition::{CameraChange, CameraEvent, Condition, ConditionConfig, FailKind};
pub use ffmpeg::StreamInfo;
pub use folder::FolderSource;
pub use frame::{Frame, PixelError, Pixels, RgbBuffer};
pub use gate::{Gate, GateConfig, Moved, Reason, Verdict};
pub use grid::{Grid, Luma};
pub use kakou_relay::{Fingerprint, Transport, Trust};
pub use kakou_time::Moment;
pub use kakou_traffic::schedule::{Schedule, Span, SpanError};
pub use live::{Decoder, Fault, FaultKind, Live, LiveConfig, LiveEvent, LiveFrame, PictureCoding};
pub use pace::{LOOKS_NEEDED, Pace};
pub use picture::{decode, decode_inside};
pub use planes::{Coding, Layout, Planes};
pub use rate::Rate;
pub use sight::{Sight, SightConfig, View};
pub use stamp::Stamper;
pub use video::VideoSource;

/// What a source gives next.
#[derive(Debug)]
pub enum Next {
    Frame(Frame),
    /// A picture that could not be read; it is skipped.
    Broken {
        name: String,
        reason: String,
    },
    End,
}

/// Frames in the order they were captured.
pub trait FrameSource: Send {
    fn next(&mut self) -> Result<Next, SourceError>;
    /// How many frames there are, if that is known.
    fn total(&self) -> Option<u64>;
}

#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("{path}: {reason}")]
    Open { path: PathBuf, reason: String },
    #[error("{path}: line {line}: {reason}")]
    Times {
        path: PathBuf,
        line: usize,
        reason: String,
    },
    #[error("{path}: {reason}")]
    Video { path: PathBuf, reason: String },
}

/// Times of a recording that carries none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Assumed {
    /// Capture time of the first frame.
    pub start: DateTime<FixedOffset>,
    /// Frames per second.
    pub fps: f64,
}

/// A folder of pictures, or a video file.
pub fn open(path: &Path, assumed: Assumed) -> Result<Box<dyn FrameSource>, SourceError> {
    if path.is_dir() {
        return Ok(Box::new(FolderSource::open(path, assumed)?));
    }
    if path.is_file() {
        return Ok(Box::new(VideoSource::open(path, assumed.start)?));
    }
    let reason =
        "there is no such folder or file; give a folder of JPEG or PNG frames, or a video file";
    Err(SourceError::Open {
        path: path.into(),
        reason: reason.into(),
    })
}

/// Longer than any recording: a time beyond it is a fault of the file. The dates stay such that
/// everybody can read them.
const LONGEST_RECORDING_S: f64 = 10.0 * 366.0 * 86_400.0;

/// The time `seconds` after `start`; `None` if no recording is that long.
fn moment_of(start: DateTime<FixedOffset>, seconds: f64) -> Option<DateTime<FixedOffset>> {
    let fits = seconds.abs() <= LONGEST_RECORDING_S;
    let after = fits.then(|| TimeDelta::microseconds((seconds * 1e6).round() as i64))?;
    start.checked_add_signed(after)
}

/// Makes a monotonic time out of capture times: it goes on by the wall clock's step, or, where that
/// steps back, by the last step that went forward.
#[derive(Debug, Default)]
struct Monotonic {
    last: Option<DateTime<FixedOffset>>,
    mono: Duration,
    step: Duration,
}

impl Monotonic {
    fn at(&mut self, capture: DateTime<FixedOffset>) -> Moment {
        if let Some(last) = self.last {
            match (capture - last).to_std() {
                Ok(step) => {
                    self.mono = self.mono.saturating_add(step);
                    self.step = step;
                }
                Err(_) => self.mono = self.mono.saturating_add(self.step),
            }
        }
        self.last = Some(capture);
        Moment {
            wall: capture,
            mono: self.mono,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_clock_set_back_does_not_turn_time_back() {
        let t = |s: &str| DateTime::parse_from_rfc3339(s).unwrap();
        let mut m = Monotonic::default();
        assert_eq!(
            m.at(t("2026-03-14T09:00:00.000+08:00")).mono,
            Duration::ZERO
        );
        assert_eq!(
            m.at(t("2026-03-14T09:00:00.100+08:00")).mono,
            Duration::from_millis(100)
        );
        let back = m.at(t("2026-03-14T08:00:00.000+08:00"));
        assert_eq!(
            (back.mono, back.wall),
            (Duration::from_millis(200), t("2026-03-14T08:00:00+08:00"))
        );
        assert_eq!(
            m.at(t("2026-03-14T00:00:00.040Z")).mono,
            Duration::from_millis(240)
        );
    }

    #[test]
    fn a_path_that_is_not_there_is_named() {
        let assumed = Assumed {
            start: DateTime::default(),
            fps: 25.0,
        };
        let e = open(Path::new("no/such"), assumed)
            .err()
            .unwrap()
            .to_string();
        assert!(e.contains("no/such") && e.contains("folder"), "{e}");
    }
}
