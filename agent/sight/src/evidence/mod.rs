//! The pictures of a passage: the frame that was read best, the plate from that same frame, and a
//! thumbnail.

pub mod draw;
mod encode;

use bytes::Bytes;

use image::RgbImage;
use kakou_contract::EvidenceRole;

pub use encode::{EncodeError, jpeg};

use crate::camera::{Frame, PixelError, RgbBuffer};
use crate::vision::pixels::{Scaler, grow, straighten};
use kakou_traffic::geometry::{Quad, Rect};

/// MIME type of every evidence picture.
pub const CONTENT_TYPE: &str = "image/jpeg";
/// The plate's picture is straightened to this height, in pixels.
const PLATE_HEIGHT: u32 = 96;
/// Its surroundings are kept, so that a person sees what was cut: parts of the plate's width and
/// height.
const PLATE_MARGIN: (f32, f32) = (0.08, 0.25);

#[derive(Debug, Clone, PartialEq)]
pub struct EvidenceConfig {
    /// JPEG quality, 1 to 100.
    pub quality: u8,
    /// Width of the thumbnail in pixels.
    pub thumbnail_width: u32,
}

/// One encoded picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    pub role: EvidenceRole,
    pub width: u32,
    pub height: u32,
    pub bytes: Bytes,
    pub sha256: [u8; 32],
}

/// Why the pictures of a passage could not be made. It concerns this passage alone.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    #[error(transparent)]
    Pixels(#[from] PixelError),
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// Encodes the pictures of one passage, all from the one frame that was read.
pub fn pictures(
    frame: &Frame,
    quad: Option<&Quad>,
    vehicle: Option<&Rect>,
    config: &EvidenceConfig,
) -> Result<Vec<Picture>, EvidenceError> {
    let mut buffer = RgbBuffer::default();
    let frame = frame.rgb(&mut buffer)?;
    let mut all = vec![picture(EvidenceRole::Frame, frame, config.quality)?];
    if let Some(plate) = quad.and_then(|q| plate_picture(frame, q)) {
        all.push(picture(EvidenceRole::Plate, &plate, config.quality)?);
    }
    // The thumbnail shows the vehicle; where none was found, the whole frame.
    let whole = Rect::new(0.0, 0.0, frame.width() as f32, frame.height() as f32);
    let part = vehicle.map(|v| {
        v.grown(v.width() * 0.05, v.height() * 0.05)
            .clipped(whole.x1, whole.y1)
    });
    let part = part
        .filter(|p| p.width() >= 16.0 && p.height() >= 16.0)
        .unwrap_or(whole);
    let width = config.thumbnail_width.min(part.width() as u32).max(1);
    let height = ((part.height() / part.width() * width as f32).round() as u32).max(1);
    let mut scaler = Scaler::default();
    let small = scaler
        .scale(frame, part, width, height)
        .map_err(|e| EncodeError::new(frame, e))?;
    if let Some(small) = small
        && let Some(small) = RgbImage::from_raw(small.width, small.height, small.rgb.to_vec())
    {
        all.push(picture(EvidenceRole::Thumbnail, &small, config.quality)?);
    }
    Ok(all)
}

fn plate_picture(frame: &RgbImage, quad: &Quad) -> Option<RgbImage> {
    let (mx, my) = PLATE_MARGIN;
    let quad = grow(quad, mx, my, mx, my)?;
    let width = (quad.width() / quad.height().max(1.0) * PLATE_HEIGHT as f32).round() as u32;
    straighten(
        frame,
        &quad,
        width.clamp(PLATE_HEIGHT, PLATE_HEIGHT * 6),
        PLATE_HEIGHT,
    )
}

fn picture(role: EvidenceRole, image: &RgbImage, quality: u8) -> Result<Picture, EncodeError> {
    use sha2::{Digest, Sha256};
    let bytes = jpeg(image, quality)?;
    let sha256 = Sha256::digest(&bytes).into();
    Ok(Picture {
        role,
        width: image.width(),
        height: image.height(),
        bytes: bytes.into(),
        sha256,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::camera::Pixels;
    use kakou_time::Moment;
    use kakou_traffic::geometry::Point;

    #[test]
    fn three_pictures_from_one_frame() {
        let picture = RgbImage::from_fn(640, 360, |x, y| image::Rgb([x as u8, y as u8, 77]));
        let frame = Frame::new(
            0,
            "a",
            Moment {
                wall: Default::default(),
                mono: Default::default(),
            },
            Pixels::File {
                bytes: jpeg(&picture, 95).unwrap().into(),
                size: (640, 360),
            },
        );
        let quad = Quad(
            [
                (300.0, 200.0),
                (400.0, 205.0),
                (400.0, 237.0),
                (300.0, 232.0),
            ]
            .map(|(x, y)| Point::new(x, y)),
        );
        let config = EvidenceConfig {
            quality: 85,
            thumbnail_width: 160,
        };
        let vehicle = Rect::new(200.0, 100.0, 500.0, 300.0);
        let all = pictures(&frame, Some(&quad), Some(&vehicle), &config).unwrap();
        assert_eq!(
            all.iter().map(|p| p.role).collect::<Vec<_>>(),
            [
                EvidenceRole::Frame,
                EvidenceRole::Plate,
                EvidenceRole::Thumbnail
            ]
        );
        for p in &all {
            let back = image::load_from_memory(&p.bytes).unwrap();
            assert_eq!((back.width(), back.height()), (p.width, p.height));
        }
        assert_eq!(
            (all[0].width, all[1].height, all[2].width),
            (640, PLATE_HEIGHT, 160)
        );
        // Without a plate and a vehicle: the frame and its thumbnail.
        assert_eq!(pictures(&frame, None, None, &config).unwrap().len(), 2);
        // Two runs give the same bytes.
        assert_eq!(
            all,
            pictures(&frame, Some(&quad), Some(&vehicle), &config).unwrap()
        );
    }
}
