//! The ffmpeg child process, which decodes videos and streams: a decoder that crashes takes nobody
//! with it.
//!
//! It writes bare planes to its stdout, and to its stderr, by the filter `showinfo`, each frame's
//! time, size and coding. [`log`] reads that log, in lines of bounded length, and [`frames`] puts
//! both together.

mod confine;
mod frames;
mod lines;
mod log;
mod version;

use std::collections::VecDeque;
use std::path::PathBuf;

pub(super) use confine::{Access, ask_to_end, bare_environment, confine, end, in_time, limit};
pub(super) use frames::{Announced, Announcements, ReadError};
pub(super) use lines::lines;
#[cfg(test)]
pub(super) use log::Info;
pub use log::StreamInfo;
pub(super) use log::{LogLine, line};
pub(super) use version::{Passthrough, of as version_of};

/// What `-vf` ends with: planes that [`Announced::read`] knows, taken as they are where the decoder
/// gives such.
pub(super) const FORMAT: &str = "format=yuv420p|yuvj420p|nv12";
/// Square pixels, where the stream says that its own are not: a plate must not be half as wide as it
/// is. An aspect that no camera has is not believed.
pub(super) const SQUARE: &str = "scale=w='if(between(sar,1.05,2.5),2*trunc(iw*sar/2),iw)'\
                                 :h='if(between(sar,0.4,0.95),2*trunc(ih/sar/2),ih)',setsar=1";
pub(super) const SHOW_INFO: &str = "showinfo=checksum=0";

/// `KAKOU_FFMPEG` names another ffmpeg; ffprobe is taken from the same folder.
pub(super) fn program(name: &str) -> PathBuf {
    match std::env::var_os("KAKOU_FFMPEG")
        .filter(|v| !v.is_empty())
        .map(PathBuf::from)
    {
        Some(ffmpeg) if name == "ffmpeg" => ffmpeg,
        Some(ffmpeg) => ffmpeg.with_file_name(name),
        None => PathBuf::from(name),
    }
}

/// The last complaints of ffmpeg, which a fault repeats.
#[derive(Debug, Default)]
pub(super) struct Complaints(VecDeque<String>);

impl Complaints {
    const MOST: usize = 3;

    /// A line of ffmpeg's may be of any length, and holds what the file or camera says of itself.
    const LONGEST: usize = 300;

    pub(super) fn add(&mut self, said: String) {
        let said = kakou_contract::clip(&said, Self::LONGEST).into_owned();
        if self.0.back() == Some(&said) {
            return;
        }
        if self.0.len() == Self::MOST {
            self.0.pop_front();
        }
        self.0.push_back(said);
    }

    pub(super) fn text(self) -> String {
        self.0.into_iter().collect::<Vec<_>>().join("; ")
    }
}
