//! Decoding one picture file. It comes from outside: its size is looked at before memory is taken
//! for it, what it says of its orientation is done, and what is only half there is refused.

use std::io::Cursor;
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageReader, Limits, RgbImage};
use kakou_guard::file::{read_bounded, read_inside};

/// The largest picture of a stream or video, in pixels: 4096 x 4096.
pub(super) const LARGEST_FRAME: u32 = 4096 * 4096;
/// The largest picture file, in pixels: the cameras of roads have 12 million. A pixel takes up to
/// eleven bytes (16 bits a colour with transparency, and the RGB of it), which must stay within 256 MiB
/// with the file.
const LARGEST_PICTURE: u64 = 20_000_000;
/// And in bytes. The decoder has a copy.
pub(super) const LARGEST_FILE: u64 = 32 << 20;
const LARGEST_SIDE: u32 = 16_384;

/// A JPEG's markers.
const SOI: [u8; 2] = [0xff, 0xd8];
const SOS: u8 = 0xda;
const EOI: u8 = 0xd9;

/// A JPEG or PNG file as RGB, or why it is none.
pub fn decode(path: &Path) -> Result<RgbImage, String> {
    decode_bytes(&read_bounded(path, LARGEST_FILE).map_err(|e| e.why)?)
}

/// The same of a file that is named in a file: it must lie in this folder.
pub fn decode_inside(folder: &Path, name: &Path) -> Result<RgbImage, String> {
    decode_bytes(&read_inside(folder, name, LARGEST_FILE).map_err(|e| e.why)?)
}

/// What stands in such a file.
pub(super) fn decode_bytes(bytes: &[u8]) -> Result<RgbImage, String> {
    decode_up_to(bytes, LARGEST_PICTURE)
}

/// The same with another bound than [`LARGEST_PICTURE`], in pixels.
pub(super) fn decode_up_to(bytes: &[u8], most: u64) -> Result<RgbImage, String> {
    if let Some(what) = other_format(bytes) {
        return Err(what);
    }
    let said = |e: image::ImageError| kakou_guard::presentable(&e.to_string());
    let ends = jpeg_end(bytes);
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|e| e.to_string())?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(LARGEST_SIDE);
    limits.max_image_height = Some(LARGEST_SIDE);
    limits.max_alloc = Some(4 * most);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(said)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > most {
        return Err(format!(
            "a picture of {width} x {height} is too large: {most} pixels are taken"
        ));
    }
    // Decoders disagree whether such inks are stored as they are or inverted.
    if jpeg_components(bytes) == Some(4) {
        return Err("its colours are CMYK, for printing; save it as RGB".to_owned());
    }
    let turned = decoder.orientation().map_err(said)?;
    let picture = DynamicImage::from_decoder(decoder).map_err(said)?;
    if ends == Some(false) && is_cut_short(&picture) {
        return Err("the JPEG is cut short: its end is missing".into());
    }
    Ok(upright(picture, turned))
}

/// RGB, and turned as it is to be looked at. Turning takes a second picture: of three bytes a pixel
/// this way round, where 16 bits a colour and transparency have eight.
fn upright(picture: DynamicImage, turned: Orientation) -> RgbImage {
    let mut picture = DynamicImage::ImageRgb8(picture.into_rgb8());
    picture.apply_orientation(turned);
    picture.into_rgb8()
}

/// How many colours or inks a JPEG has, as its frame header says (ITU-T T.81, B.2.2).
fn jpeg_components(bytes: &[u8]) -> Option<u8> {
    let segments = &mut Markers(bytes.strip_prefix(&SOI)?);
    // Three numbers among those of frame headers are tables and an extension.
    let is_frame = |marker| matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc);
    let (_, header) = segments.find(|(marker, _)| is_frame(*marker))?;
    header.get(7).copied()
}

/// A picture of a format that is not taken, by its first bytes, and what to do about it.
fn other_format(bytes: &[u8]) -> Option<String> {
    let riff = bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP");
    for (is_it, name) in [
        (riff, "WebP"),
        (bytes.starts_with(b"BM"), "BMP"),
        (bytes.starts_with(b"GIF8"), "GIF"),
        (
            bytes.starts_with(b"II*\0") || bytes.starts_with(b"MM\0*"),
            "TIFF",
        ),
    ] {
        if is_it {
            return Some(convert(name, "ffmpeg -i IN OUT.png"));
        }
    }
    // ISO base media files name their brand after the box's length: ISO/IEC 14496-12 and 23008-12.
    let brand = bytes.get(4..12).filter(|b| b.starts_with(b"ftyp"))?;
    let (name, tool) = match brand.get(4..8)? {
        b"avif" | b"avis" => ("AVIF", "ffmpeg -i IN.avif OUT.png"),
        b"heic" | b"heix" | b"hevc" | b"hevx" | b"heim" | b"heis" | b"mif1" | b"msf1" => (
            "HEIC, as phones save it",
            "heif-convert IN.heic OUT.jpg (Debian's libheif-examples)",
        ),
        _ => (
            "a video",
            "ffmpeg -i IN -frames:v 1 OUT.png, or kakou replay",
        ),
    };
    Some(convert(name, tool))
}

fn convert(name: &str, tool: &str) -> String {
    format!("it is {name}; JPEG and PNG are read: convert it by {tool}")
}

/// Whether the end marker of a JPEG is there: after its scans, not in what a camera appends, and
/// not in a preview within its head. `None`: no JPEG.
fn jpeg_end(bytes: &[u8]) -> Option<bool> {
    let mut in_scan = false;
    for (marker, _) in Markers(bytes.strip_prefix(&SOI)?) {
        match marker {
            EOI => return Some(in_scan),
            marker => in_scan |= marker == SOS,
        }
    }
    Some(false)
}

/// The markers of a JPEG behind its first, each with what follows it. In a scan, 0xff 0x00 is data and
/// 0xff 0xd0 to 0xd7 are restarts; between segments there may be fill bytes, and the tail of a comment
/// that lied about its length.
struct Markers<'a>(&'a [u8]);

impl<'a> Iterator for Markers<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let at = self.0.iter().position(|b| *b == 0xff)?;
            self.0 = self.0.get(at + 1..).unwrap_or_default();
            let (marker, after) = self.0.split_first()?;
            match *marker {
                0xff => continue,
                0 | 1 | 0xd0..=0xd7 => self.0 = after,
                EOI => {
                    self.0 = after;
                    return Some((EOI, after));
                }
                marker => {
                    let length = u16::from_be_bytes([*after.first()?, *after.get(1)?]);
                    self.0 = after.get(usize::from(length).max(2)..).unwrap_or_default();
                    return Some((marker, after));
                }
            }
        }
    }
}

/// Whether a picture without an end marker lacks more than that. The decoder fills what is missing
/// with the last colour it knew, so the last block is of one colour in each of its squares of 8.
fn is_cut_short(picture: &DynamicImage) -> bool {
    let (width, height) = (picture.width(), picture.height());
    let (left, top) = (width.saturating_sub(16), height.saturating_sub(8));
    // The corner alone: a copy of the whole picture may have 120 MiB.
    let corner = picture.crop_imm(left, top, width - left, height - top);
    let corner = corner.to_rgb8();
    let mut colours = corner.pixels();
    let Some(first) = colours.next() else {
        return true;
    };
    colours.all(|colour| colour == first)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_picture_of_another_format_is_named_with_what_to_do() {
        for (bytes, name) in [
            (&b"RIFF\x10\0\0\0WEBPVP8 "[..], "WebP"),
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
            (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1", "AVIF"),
            (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", "a video"),
            (b"BM\x36\0\0\0", "BMP"),
            (b"II*\0\x08\0\0\0", "TIFF"),
        ] {
            let told = decode_bytes(bytes).unwrap_err();
            assert!(
                told.contains(name) && told.contains("convert it by"),
                "{told}"
            );
        }
        assert!(decode_bytes(b"plain text").is_err());
    }

    /// 8 x 8 pixels of one ink, in CMYK.
    const CMYK: &[u8] = b"\xff\xd8\xff\xee\x00\x0eAdobe\x00d\x00\x00\x00\x00\x00\xff\xdb\x00C\x00(\x1c\x1e#\x1e\x19(#!#\
        -+(0<dA<77<{X]Id\x91\x80\x99\x96\x8f\x80\x8c\x8a\xa0\xb4\xe6\xc3\xa0\xaa\xda\xad\x8a\x8c\xc8\xff\xcb\xda\xee\
        \xf5\xff\xff\xff\x9b\xc1\xff\xff\xff\xfa\xff\xe6\xfd\xff\xf8\xff\xc0\x00\x14\x08\x00\x08\x00\x08\x04C\x11\
        \x00M\x11\x00Y\x11\x00K\x11\x00\xff\xc4\x00\x14\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\
        \x00\x00\x05\xff\xc4\x00\x14\x10\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xda\
        \x00\x0e\x04C\x00M\x00Y\x00K\x00\x00?\x00\\\xa92/\xff\xd9";

    #[test]
    fn a_picture_for_printing_is_refused_with_the_mend() {
        let told = decode_bytes(CMYK).unwrap_err();
        assert!(
            told.contains("CMYK") && told.contains("save it as RGB"),
            "{told}"
        );
    }

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
        // The end marker alone: nothing is missing.
        std::fs::write(&path, &bytes[..bytes.len() - 2]).unwrap();
        assert!(decode(&path).is_ok());
        // What a camera appends after the end does no harm.
        bytes.extend([0; 200]);
        bytes.extend([0xff, 0xda, 0, 8, 0xff, 0xd8, 0xff, 0xda]);
        std::fs::write(&path, &bytes).unwrap();
        assert!(decode(&path).is_ok());
        assert!(decode(&dir.path().join("none.jpg")).is_err());
    }

    /// A JPEG of 40 x 24 with this segment behind its first marker.
    fn with_segment(marker: u8, length: usize, body: &[u8]) -> Vec<u8> {
        let picture = RgbImage::from_fn(40, 24, |x, _| image::Rgb([x as u8 * 6, 9, 77]));
        let plain = crate::evidence::jpeg(&picture, 90).unwrap();
        let mut bytes = vec![0xff, 0xd8, 0xff, marker];
        bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
        bytes.extend_from_slice(body);
        bytes.extend_from_slice(&plain[2..]);
        bytes
    }

    #[test]
    fn a_picture_is_turned_as_its_exif_says() {
        let exif = |orientation: u8| {
            let mut body = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
            body.extend([orientation, 0, 0, 0, 0, 0, 0]);
            with_segment(0xe1, body.len() + 2, &body)
        };
        let plain = decode_bytes(&exif(1)).unwrap();
        assert_eq!(plain.dimensions(), (40, 24));
        assert_eq!(decode_bytes(&exif(6)).unwrap().dimensions(), (24, 40));
        let over = decode_bytes(&exif(3)).unwrap();
        assert_eq!(over.get_pixel(39, 23), plain.get_pixel(0, 0));
    }

    #[test]
    fn a_picture_of_16_bits_a_colour_is_turned_like_any_other() {
        let deep = image::ImageBuffer::from_fn(40, 24, |x, y| {
            image::Rgba([x as u16 * 1_600, y as u16 * 2_700, 700, 40_000])
        });
        let deep = DynamicImage::ImageRgba16(deep);
        for number in 1..=8 {
            let turned = Orientation::from_exif(number).unwrap();
            let mut known = deep.clone();
            known.apply_orientation(turned);
            assert_eq!(upright(deep.clone(), turned), known.to_rgb8(), "{number}");
        }
    }

    #[test]
    fn a_comment_that_lies_about_its_length_does_no_harm() {
        let comment = with_segment(0xfe, 30, &[b'x'; 28]);
        assert!(decode_bytes(&comment).is_ok());
        assert_eq!(jpeg_end(&with_segment(0xfe, 30, &[b'x'; 100])), Some(true));
    }

    #[test]
    fn a_size_is_refused_before_memory_is_taken() {
        // The head of a PNG with so many bits a colour.
        let told = |width: u32, height: u32, bits: u8, colours: u8| {
            let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
            png.extend(width.to_be_bytes());
            png.extend(height.to_be_bytes());
            png.extend([bits, colours, 0, 0, 0]);
            png.extend(crc32(&png[12..]).to_be_bytes());
            png.extend(b"\0\0\0\0IDAT\x35\xaf\x06\x1e");
            decode_bytes(&png).unwrap_err()
        };
        let huge = told(22_000, 22_000, 1, 0);
        assert!(
            huge.contains("too large") || huge.contains("limit") || huge.contains("Limits"),
            "{huge}"
        );
        // RGB with transparency is there twice while it is made RGB.
        let large = told(4_600, 4_400, 8, 6);
        assert!(large.contains("too large"), "{large}");
    }

    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0_u32, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
                (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
            })
        })
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_a_picture_or_an_error(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..80)) {
            let mut jpeg = vec![0xff, 0xd8];
            jpeg.extend(&bytes);
            let _ = jpeg_end(&jpeg);
            let _ = decode_bytes(&jpeg);
        }
    }
}
