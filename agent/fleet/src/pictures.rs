//! Pictures: a few JPEGs made once, and varied by a comment, so that each has a hash of its own
//! and costs no encoding.

use bytes::Bytes;
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, GrayImage, Luma};
use kakou_contract::{EvidenceRole, PictureSize};
use sha2::{Digest as _, Sha256};

use crate::options::FleetError;
use crate::random::Random;

/// Different pictures for each role.
const EACH: u64 = 6;
const FRAMES: [(u32, u32); 3] = [(1280, 720), (640, 360), (320, 180)];
const PLATE: (u32, u32) = (160, 52);
const THUMBNAIL: (u32, u32) = (160, 120);
/// The most bytes of a JPEG segment behind its length.
const SEGMENT: usize = 65_533;

#[derive(Debug, Clone)]
pub(crate) struct Picture {
    pub(crate) bytes: Bytes,
    pub(crate) sha256: [u8; 32],
    pub(crate) width: u32,
    pub(crate) height: u32,
}

#[derive(Debug)]
struct Base {
    jpeg: Vec<u8>,
    width: u32,
    height: u32,
}

#[derive(Debug)]
pub(crate) struct Bank {
    frames: Vec<Base>,
    plates: Vec<Base>,
    thumbnails: Vec<Base>,
    bytes: usize,
}

impl Bank {
    /// For pictures of about so many bytes.
    pub(crate) fn new(seed: u64, bytes: usize) -> Result<Self, FleetError> {
        let of = |size: (u32, u32)| -> Result<Vec<Base>, FleetError> {
            (0..EACH).map(|n| base(seed, n, size)).collect()
        };
        let mut frames = of(FRAMES[0])?;
        for size in &FRAMES[1..] {
            // The largest that still leaves room for a comment.
            if frames.iter().all(|base| base.jpeg.len() + 256 <= bytes) {
                break;
            }
            frames = of(*size)?;
        }
        Ok(Self {
            frames,
            plates: of(PLATE)?,
            thumbnails: of(THUMBNAIL)?,
            bytes,
        })
    }

    /// Of the evidence frame.
    pub(crate) fn frame(&self) -> PictureSize {
        let (width, height) = self.frames.first().map_or((1, 1), |f| (f.width, f.height));
        PictureSize { width, height }
    }

    /// A picture for this role that names what it belongs to.
    pub(crate) fn picture(&self, role: EvidenceRole, of: &str, random: &mut Random) -> Picture {
        let bases = match role {
            EvidenceRole::Frame => &self.frames,
            EvidenceRole::Plate => &self.plates,
            EvidenceRole::Thumbnail => &self.thumbnails,
        };
        let base = &bases[random.below(bases.len() as u64) as usize];
        let tenth = (self.bytes / 10) as i64;
        let wanted = self
            .bytes
            .saturating_add_signed(random.within(-tenth, tenth) as isize);
        let bytes = commented(&base.jpeg, of, wanted);
        Picture {
            sha256: Sha256::digest(&bytes).into(),
            bytes: bytes.into(),
            width: base.width,
            height: base.height,
        }
    }
}

/// The JPEG with this text in comments, as large as wanted or as it must be.
fn commented(jpeg: &[u8], text: &str, wanted: usize) -> Vec<u8> {
    let (start, rest) = jpeg.split_at(jpeg.len().min(2));
    let mut left = wanted.saturating_sub(jpeg.len()).max(text.len() + 4);
    let mut out = Vec::with_capacity(jpeg.len() + left + 8);
    out.extend_from_slice(start);
    let mut text = text.as_bytes();
    while left > 4 {
        let length = (left - 4).min(SEGMENT);
        out.extend_from_slice(&[0xff, 0xfe]);
        out.extend_from_slice(&((length + 2) as u16).to_be_bytes());
        let told = text.len().min(length);
        out.extend_from_slice(&text[..told]);
        out.resize(out.len() + length - told, b' ');
        text = &text[told..];
        left -= length + 4;
    }
    out.extend_from_slice(rest);
    out
}

/// A road, a vehicle and a plate in greys.
fn base(seed: u64, n: u64, (width, height): (u32, u32)) -> Result<Base, FleetError> {
    let mut random = Random::of(&[seed, 90, n, u64::from(width)]);
    let (sky, road) = (random.within(120, 200) as u8, random.within(60, 110) as u8);
    let car = random.within(20, 240) as u8;
    let left = random.within(20, 45) as u32;
    let picture = GrayImage::from_fn(width, height, |x, y| {
        let (x, y) = (x * 100 / width, y * 100 / height);
        let in_car = (left..left + 30).contains(&x) && (35..80).contains(&y);
        let in_plate = (left + 10..left + 20).contains(&x) && (68..74).contains(&y);
        Luma([match (in_plate, in_car, y) {
            (true, ..) => 230,
            (_, true, _) => car,
            (.., 0..30) => sky,
            _ => road,
        }])
    });
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, 60)
        .encode(&picture, width, height, ExtendedColorType::L8)
        .map_err(|e| FleetError::Picture(e.to_string()))?;
    Ok(Base {
        jpeg,
        width,
        height,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn pictures_decode_have_their_size_and_differ() {
        for bytes in [2_000, 6_000, 200_000] {
            let bank = Bank::new(1, bytes).unwrap();
            let mut random = Random::of(&[1]);
            let mut hashes = std::collections::BTreeSet::new();
            for n in 0..30 {
                for role in [
                    EvidenceRole::Frame,
                    EvidenceRole::Plate,
                    EvidenceRole::Thumbnail,
                ] {
                    let picture = bank.picture(role, &format!("{n}/{role}"), &mut random);
                    let decoded = image::load_from_memory(&picture.bytes).unwrap();
                    assert_eq!(
                        (decoded.width(), decoded.height()),
                        (picture.width, picture.height)
                    );
                    let about = bytes * 85 / 100..=bytes * 115 / 100;
                    assert!(
                        about.contains(&picture.bytes.len()),
                        "{}",
                        picture.bytes.len()
                    );
                    assert!(hashes.insert(picture.sha256));
                }
            }
        }
    }
}
