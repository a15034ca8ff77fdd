//! Frames out of ffmpeg's two pipes: the log announces a frame, then its pixels come.

use std::io::Read;

use super::super::picture::LARGEST_FRAME;
use super::super::planes::{Coding, Layout, Planes};
use super::log::{Info, LogLine};

/// Beyond this a size is a damaged log line.
const LARGEST_SIDE: u32 = 16_384;

/// A frame whose pixels come next.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::camera) struct Announced {
    pub(in crate::camera) info: Info,
    pub(in crate::camera) coding: Option<Coding>,
}

/// Puts a frame's log lines together: its size comes in one, its coding in the next, where it comes
/// at all.
#[derive(Debug, Default)]
pub(in crate::camera) struct Announcements {
    waiting: Option<Info>,
}

impl Announcements {
    /// Takes a line in. Returns the frame that is complete by it, or the line, if it is about no
    /// frame.
    pub(in crate::camera) fn take(&mut self, line: LogLine) -> Result<Option<Announced>, LogLine> {
        let announced = |info, coding| Announced { info, coding };
        match line {
            LogLine::Frame(info) => {
                let before = self.waiting.replace(info);
                Ok(before.map(|info| announced(info, None)))
            }
            LogLine::Colour(coding) => {
                let waiting = self.waiting.take();
                Ok(waiting.map(|info| announced(info, Some(coding))))
            }
            other => Err(other),
        }
    }

    /// The log is over.
    pub(in crate::camera) fn end(self) -> Option<Announced> {
        self.waiting.map(|info| Announced { info, coding: None })
    }
}

/// Why a frame that was announced cannot be had.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::camera) enum ReadError {
    #[error("ffmpeg gave pixels of another kind than asked for")]
    Layout,
    #[error(
        "a picture of {width} x {height} cannot be taken: more than {LARGEST_FRAME} pixels, more \
         than {LARGEST_SIDE} on a side, or none"
    )]
    Size { width: u32, height: u32 },
    /// The stream ended within the frame; ffmpeg's log says why.
    #[error("the picture is cut short")]
    Ended,
}

impl Announced {
    /// Reads the frame's pixels into `memory`, which is grown as needed.
    pub(in crate::camera) fn read(
        &self,
        pixels: &mut impl Read,
        mut memory: Vec<u8>,
    ) -> Result<Planes, ReadError> {
        let Info { width, height, .. } = self.info;
        let layout: Layout = self.info.layout.ok_or(ReadError::Layout)?;
        if width == 0
            || height == 0
            || width.max(height) > LARGEST_SIDE
            || width * height > LARGEST_FRAME
        {
            return Err(ReadError::Size { width, height });
        }
        memory.resize(Planes::size_of(width, height), 0);
        pixels
            .read_exact(&mut memory)
            .map_err(|_| ReadError::Ended)?;
        let coding = Coding {
            full_range: self.info.full_range || self.coding.is_some_and(|c| c.full_range),
            bt709: self.coding.is_some_and(|c| c.bt709),
        };
        Ok(Planes {
            width,
            height,
            layout,
            coding,
            bytes: memory,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(width: u32, height: u32) -> Info {
        Info {
            seconds: Some(0.5),
            width,
            height,
            layout: Some(Layout::I420),
            full_range: false,
            picture: Some('P'),
            key: false,
        }
    }

    #[test]
    fn a_frame_is_complete_with_its_coding_or_with_the_next_frame() {
        let coding = Coding {
            full_range: false,
            bt709: true,
        };
        let mut lines = Announcements::default();
        let frame = |w| LogLine::Frame(info(w, 2));
        assert_eq!(lines.take(frame(2)), Ok(None));
        let first = lines.take(LogLine::Colour(coding)).ok().flatten();
        assert_eq!(
            first.map(|a| (a.info.width, a.coding)),
            Some((2, Some(coding)))
        );
        assert_eq!(lines.take(frame(4)), Ok(None));
        let second = lines.take(frame(6)).ok().flatten();
        assert_eq!(second.map(|a| (a.info.width, a.coding)), Some((4, None)));
        assert_eq!(lines.take(LogLine::Other), Err(LogLine::Other));
        assert_eq!(lines.end().map(|a| a.info.width), Some(6));
    }

    #[test]
    fn a_size_no_camera_has_takes_no_memory() {
        for (width, height) in [
            (u32::MAX, u32::MAX),
            (99_999, 2),
            (0, 720),
            (16_000, 16_000),
        ] {
            let announced = Announced {
                info: info(width, height),
                coding: None,
            };
            let read = announced.read(&mut [0_u8; 8].as_slice(), Vec::new());
            assert_eq!(read.err(), Some(ReadError::Size { width, height }));
        }
    }
}
