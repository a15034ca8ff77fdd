//! A decoded frame as the decoder gives it: brightness and colour apart. Only frames that are
//! looked at become RGB.

use image::RgbImage;
use yuv::{YuvBiPlanarImage, YuvConversionMode, YuvPlanarImage, YuvRange, YuvStandardMatrix};

use super::{Luma, PixelError};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Y, then U, then V (ffmpeg: yuv420p, yuvj420p).
    I420,
    /// Y, then U and V by turns.
    Nv12,
}

/// How brightness and colour are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coding {
    pub full_range: bool,
    /// BT.709 instead of BT.601. ffmpeg takes what is not said as BT.601, and so do we.
    pub bt709: bool,
}

#[derive(Debug, Clone)]
pub struct Planes {
    pub width: u32,
    pub height: u32,
    pub layout: Layout,
    pub coding: Coding,
    /// [`Planes::size_of`] bytes.
    pub bytes: Vec<u8>,
}

impl Planes {
    /// Bytes of a frame; the colour planes have half the size, rounded up.
    pub fn size_of(width: u32, height: u32) -> usize {
        let (w, h) = (width as usize, height as usize);
        w * h + 2 * w.div_ceil(2) * h.div_ceil(2)
    }

    pub fn luma(&self) -> Luma<'_> {
        let (w, h) = (self.width as usize, self.height as usize);
        Luma {
            width: self.width,
            height: self.height,
            stride: w,
            bytes: &self.bytes[..w * h],
        }
    }

    /// Writes the frame as RGB into a picture of its size.
    pub(super) fn write_rgb(&self, rgb: &mut RgbImage) -> Result<(), PixelError> {
        let (w, h) = (self.width as usize, self.height as usize);
        let (cw, ch) = (w.div_ceil(2), h.div_ceil(2));
        if self.bytes.len() != Self::size_of(self.width, self.height) {
            return Err(PixelError(format!(
                "{} bytes are no frame of {w} x {h}",
                self.bytes.len()
            )));
        }
        let range = if self.coding.full_range {
            YuvRange::Full
        } else {
            YuvRange::Limited
        };
        let matrix = if self.coding.bt709 {
            YuvStandardMatrix::Bt709
        } else {
            YuvStandardMatrix::Bt601
        };
        let (y_plane, colour) = self.bytes.split_at(w * h);
        let stride = self.width * 3;
        match self.layout {
            Layout::I420 => {
                let (u_plane, v_plane) = colour.split_at(cw * ch);
                let image = YuvPlanarImage {
                    y_plane,
                    y_stride: self.width,
                    u_plane,
                    u_stride: cw as u32,
                    v_plane,
                    v_stride: cw as u32,
                    width: self.width,
                    height: self.height,
                };
                yuv::yuv420_to_rgb(&image, rgb, stride, range, matrix)
            }
            Layout::Nv12 => {
                let image = YuvBiPlanarImage {
                    y_plane,
                    y_stride: self.width,
                    uv_plane: colour,
                    uv_stride: 2 * cw as u32,
                    width: self.width,
                    height: self.height,
                };
                yuv::yuv_nv12_to_rgb(
                    &image,
                    rgb,
                    stride,
                    range,
                    matrix,
                    YuvConversionMode::Balanced,
                )
            }
        }
        .map_err(|e| PixelError(e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::Pixels;
    use super::*;

    fn flat(layout: Layout, coding: Coding, yuv: [u8; 3], (width, height): (u32, u32)) -> [u8; 3] {
        let (n, c) = (
            (width * height) as usize,
            (width.div_ceil(2) * height.div_ceil(2)) as usize,
        );
        let mut bytes = vec![yuv[0]; n];
        match layout {
            Layout::I420 => {
                bytes.extend(vec![yuv[1]; c]);
                bytes.extend(vec![yuv[2]; c]);
            }
            Layout::Nv12 => (0..c).for_each(|_| bytes.extend([yuv[1], yuv[2]])),
        }
        let planes = Planes {
            width,
            height,
            layout,
            coding,
            bytes,
        };
        let rgb = Pixels::from(planes).to_rgb().unwrap();
        assert!(rgb.pixels().all(|p| p == rgb.get_pixel(0, 0)));
        rgb.get_pixel(0, 0).0
    }

    /// ITU-R BT.601: pure red is Y 81, Cb 90, Cr 240 in the limited range; BT.709: 63, 102, 240.
    #[test]
    fn red_is_red_in_every_coding_and_size() {
        for layout in [Layout::I420, Layout::Nv12] {
            for size in [(64, 36), (63, 35)] {
                let limited = |bt709| Coding {
                    full_range: false,
                    bt709,
                };
                for (coding, yuv) in [
                    (limited(false), [81, 90, 240]),
                    (limited(true), [63, 102, 240]),
                    (
                        Coding {
                            full_range: true,
                            bt709: false,
                        },
                        [76, 85, 255],
                    ),
                ] {
                    let [r, g, b] = flat(layout, coding, yuv, size);
                    assert!(
                        r > 250 && g < 5 && b < 5,
                        "{layout:?} {coding:?}: {r} {g} {b}"
                    );
                }
            }
        }
    }
}
