//! JPEG encoding, by an encoder that uses the processor's vector instructions.

use image::RgbImage;

#[derive(Debug, thiserror::Error)]
#[error("a picture of {width} x {height} cannot be encoded as JPEG: {reason}")]
pub struct EncodeError {
    width: u32,
    height: u32,
    reason: String,
}

impl EncodeError {
    pub(super) fn new(image: &RgbImage, reason: String) -> Self {
        Self {
            width: image.width(),
            height: image.height(),
            reason,
        }
    }
}

/// `quality`: 1 to 100.
pub fn jpeg(image: &RgbImage, quality: u8) -> Result<Vec<u8>, EncodeError> {
    let err = |reason: String| EncodeError::new(image, reason);
    let side =
        |s: u32| u16::try_from(s).map_err(|_| err("JPEG has at most 65535 pixels a side".into()));
    let (width, height) = (side(image.width())?, side(image.height())?);
    let mut bytes = Vec::with_capacity(image.as_raw().len() / 8);
    let encoder = jpeg_encoder::Encoder::new(&mut bytes, quality);
    encoder
        .encode(image.as_raw(), width, height, jpeg_encoder::ColorType::Rgb)
        .map_err(|e| err(e.to_string()))?;
    Ok(bytes)
}
