//! One frame, and its pixels in the form in which they came: a camera's planes or a picture file.
//! Both are smaller than RGB, half and a tenth, so this is how frames wait in tracks and passages.
//! RGB is made for a look, in a buffer that is used again and again, and once more for the pictures
//! of a passage: from the same bytes by the same code, so what is sent is what was read.
//!
//! Pixels that cannot be turned into RGB are a [`PixelError`]: it concerns this frame and no other.

use std::sync::Arc;

use bytes::Bytes;
use image::RgbImage;
use kakou_time::Moment;

use super::picture;
use super::planes::Planes;

/// Why a frame's pixels cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("its pixels cannot be used: {0}")]
pub struct PixelError(pub(crate) String);

/// Pixels as they came. Cloning shares them.
#[derive(Debug, Clone)]
pub enum Pixels {
    /// As the decoder of a stream or video gives them.
    Planes(Arc<Planes>),
    /// A JPEG or PNG file, whole.
    File { bytes: Bytes, size: (u32, u32) },
}

impl Pixels {
    /// Width and height.
    pub fn size(&self) -> (u32, u32) {
        match self {
            Self::Planes(planes) => (planes.width, planes.height),
            Self::File { size, .. } => *size,
        }
    }

    pub fn to_rgb(&self) -> Result<RgbImage, PixelError> {
        let mut buffer = RgbBuffer::default();
        self.write_rgb(&mut buffer)?;
        Ok(buffer.0)
    }

    fn write_rgb(&self, buffer: &mut RgbBuffer) -> Result<(), PixelError> {
        match self {
            Self::Planes(planes) => planes.write_rgb(buffer.of(planes.width, planes.height)),
            Self::File { bytes, .. } => {
                // First: the old picture and the new one are as large as each other.
                buffer.0 = RgbImage::default();
                buffer.0 = picture::decode_bytes(bytes).map_err(PixelError)?;
                Ok(())
            }
        }
    }
}

impl From<Planes> for Pixels {
    fn from(planes: Planes) -> Self {
        Self::Planes(Arc::new(planes))
    }
}

/// A picture above this size is worth more as free memory between two looks than the time that it
/// takes to get it again: 4K, not 1080p.
const LARGE: usize = 16 << 20;

/// Memory for one picture in RGB; grows to the largest it was used for.
#[derive(Debug, Default)]
pub struct RgbBuffer(RgbImage);

impl RgbBuffer {
    /// Keeps the memory of a picture of usual size for the next one, and lets that of a large one go.
    pub fn give_back_if_large(&mut self) {
        if self.0.as_raw().capacity() > LARGE {
            self.0 = RgbImage::default();
        }
    }

    fn of(&mut self, width: u32, height: u32) -> &mut RgbImage {
        if self.0.dimensions() != (width, height) {
            let mut memory = std::mem::take(&mut self.0).into_raw();
            memory.resize(width as usize * height as usize * 3, 0);
            // The length was just made to fit.
            self.0 = RgbImage::from_raw(width, height, memory).unwrap_or_default();
        }
        &mut self.0
    }
}

/// One frame of a camera. Cloning shares the pixels.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Number of the frame in its source, from 0; broken ones count.
    pub number: u64,
    /// The file it came from, or the video with the frame's number.
    pub name: Arc<str>,
    pub time: Moment,
    pub pixels: Pixels,
    /// The same as RGB, where the source had to decode it anyway.
    decoded: Option<Arc<RgbImage>>,
}

impl Frame {
    pub fn new(number: u64, name: impl Into<Arc<str>>, time: Moment, pixels: Pixels) -> Self {
        Self {
            number,
            name: name.into(),
            time,
            pixels,
            decoded: None,
        }
    }

    pub(super) fn decoded(self, picture: RgbImage) -> Self {
        Self {
            decoded: Some(Arc::new(picture)),
            ..self
        }
    }

    /// Without what can be had again from its pixels: how a frame waits.
    pub fn compact(&self) -> Self {
        Self {
            decoded: None,
            ..self.clone()
        }
    }

    /// Width and height.
    pub fn size(&self) -> (u32, u32) {
        self.pixels.size()
    }

    /// As RGB, in `buffer` where it is not there yet.
    pub fn rgb<'a>(&'a self, buffer: &'a mut RgbBuffer) -> Result<&'a RgbImage, PixelError> {
        if let Some(picture) = &self.decoded {
            return Ok(picture);
        }
        self.pixels.write_rgb(buffer)?;
        Ok(&buffer.0)
    }

    /// As an RGB picture of its own.
    pub fn to_rgb(&self) -> Result<RgbImage, PixelError> {
        match &self.decoded {
            Some(picture) => Ok(RgbImage::clone(picture)),
            None => self.pixels.to_rgb(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::planes::{Coding, Layout};
    use super::*;

    fn planes(width: u32, height: u32, luma: u8) -> Planes {
        let mut bytes = vec![128; Planes::size_of(width, height)];
        bytes[..(width * height) as usize].fill(luma);
        Planes {
            width,
            height,
            layout: Layout::I420,
            coding: Coding {
                full_range: true,
                bt709: false,
            },
            bytes,
        }
    }

    fn frame(pixels: Pixels) -> Frame {
        let time = Moment {
            wall: Default::default(),
            mono: Default::default(),
        };
        Frame::new(0, "a", time, pixels)
    }

    #[test]
    fn one_buffer_serves_cameras_of_any_size() {
        let mut buffer = RgbBuffer::default();
        for (width, height, luma) in [(64, 36, 10), (640, 360, 90), (63, 35, 200), (64, 36, 30)] {
            let f = frame(planes(width, height, luma).into());
            let own = f.to_rgb().unwrap();
            let shown = f.rgb(&mut buffer).unwrap();
            assert_eq!(shown.dimensions(), (width, height));
            assert!(shown.pixels().all(|p| p.0 == [luma; 3]), "{width} {luma}");
            assert_eq!(*shown, own, "what is looked at is what is sent");
        }
    }

    #[test]
    fn a_file_gives_the_same_picture_again() {
        let picture = RgbImage::from_fn(40, 24, |x, y| image::Rgb([x as u8 * 6, y as u8 * 9, 77]));
        let bytes: Bytes = crate::evidence::jpeg(&picture, 90).unwrap().into();
        let decoded = picture::decode_bytes(&bytes).unwrap();
        let f = frame(Pixels::File {
            bytes,
            size: (40, 24),
        })
        .decoded(decoded.clone());
        let mut buffer = RgbBuffer::default();
        assert_eq!(*f.rgb(&mut buffer).unwrap(), decoded);
        assert_eq!(f.compact().to_rgb().unwrap(), decoded);
    }

    #[test]
    fn pixels_that_are_cut_short_are_this_frames_error() {
        let mut cut = planes(8, 8, 0);
        cut.bytes.truncate(90);
        let e = frame(cut.into()).to_rgb().unwrap_err().to_string();
        assert!(e.contains("90 bytes"), "{e}");
    }
}
