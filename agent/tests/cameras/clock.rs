//! Reads the clock that `server.py` draws into the pictures of its `clock` camera.

use chrono::{DateTime, Utc};
use image::RgbImage;

/// When the picture was drawn; `None` if the drawing cannot be read without doubt.
///
/// Four rows of 16 squares, white is 1: 48 bits of milliseconds since 1970, 16 bits of their CRC.
pub(crate) fn drawn(picture: &RgbImage) -> Option<DateTime<Utc>> {
    let side = picture.width() / 16;
    if side == 0 || picture.height() < 4 * side {
        return None;
    }
    let bits = (0..64).fold(0_u64, |bits, i| {
        let pixel = picture.get_pixel(i % 16 * side + side / 2, i / 16 * side + side / 2);
        bits << 1 | u64::from(pixel[1] > 127)
    });
    let (milliseconds, sum) = (bits >> 16, (bits & 0xffff) as u16);
    if crc(&milliseconds.to_be_bytes()[2..]) != sum {
        return None;
    }
    DateTime::from_timestamp_millis(i64::try_from(milliseconds).ok()?)
}

/// CRC-16 of CCITT, from 0: `binascii.crc_hqx`.
fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| {
            crc << 1 ^ if crc & 0x8000 == 0 { 0 } else { 0x1021 }
        })
    })
}
