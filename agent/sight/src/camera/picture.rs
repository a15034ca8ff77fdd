//! Decoding one picture file.

use std::path::Path;

use image::RgbImage;

/// A JPEG's markers: start of scan, end of image.
const SOS: [u8; 2] = [0xff, 0xda];
const EOI: [u8; 2] = [0xff, 0xd9];

/// A JPEG or PNG file as RGB, or why it is none.
pub fn decode(path: &Path) -> Result<RgbImage, String> {
    decode_bytes(&std::fs::read(path).map_err(|e| e.to_string())?)
}

/// What stands in such a file.
pub(super) fn decode_bytes(bytes: &[u8]) -> Result<RgbImage, String> {
    if is_torn_jpeg(bytes) {
        return Err("the JPEG is cut short: its end is missing".into());
    }
    image::load_from_memory(bytes)
        .map(|i| i.into_rgb8())
        .map_err(|e| e.to_string())
}

/// The decoder fills the missing part of a torn JPEG with grey and says nothing; half a vehicle is
/// worse than none. In a whole one an end marker follows the last scan (inside a scan no marker can
/// stand, and a preview's end marker stands before the picture's own scan).
fn is_torn_jpeg(bytes: &[u8]) -> bool {
    let last = |marker: [u8; 2]| bytes.windows(2).rposition(|w| w == marker);
    bytes.starts_with(&[0xff, 0xd8]) && last(EOI) < last(SOS)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_torn_jpeg_is_told_from_a_whole_one() {
        let picture = RgbImage::from_fn(64, 64, |x, y| image::Rgb([x as u8 * 4, y as u8 * 4, 0]));
        let mut bytes = crate::evidence::jpeg(&picture, 80).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.jpg");
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(decode(&path).unwrap().dimensions(), (64, 64));
        std::fs::write(&path, &bytes[..bytes.len() * 2 / 3]).unwrap();
        assert!(decode(&path).unwrap_err().contains("cut short"));
        // What a camera appends after the end does no harm.
        bytes.extend([0; 200]);
        std::fs::write(&path, &bytes).unwrap();
        assert!(decode(&path).is_ok());
        assert!(decode(&dir.path().join("none.jpg")).is_err());
    }
}
