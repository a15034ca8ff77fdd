//! Plates with two rows, read by the one-row reader: the rows are cut apart and set side by side.

use image::RgbImage;

use super::ctc::{self, Reader};
use super::pixels::{grow, straighten};
use super::runtime::RuntimeError;
use kakou_traffic::geometry::Quad;
use kakou_traffic::plate::{PlateRead, check};

/// The straightened two-row plate, before it is cut. GA 36: 440 x 220 mm.
const HEIGHT: u32 = 96;
const WIDTH: u32 = 192;
/// Widths of the upper row (two characters) and the lower row (five) at the reader's height.
const UPPER: u32 = 70;
const LOWER: u32 = 112;
/// Where the rows part, as part of the plate's height.
const CUTS: [f32; 2] = [0.36, 0.41];
/// The detector often boxes the lower row only: the quad is also tried grown upwards by these parts
/// of its height.
const GROWN: [f32; 3] = [0.0, 0.35, 0.65];
/// Each character of an accepted two-row read has at least this confidence.
const MIN_CONF: f32 = 0.5;

/// A two-row read of the plate in `quad`, if the one-row read is no plate text and a two-row one
/// is.
pub(super) fn read(
    reader: &mut Reader,
    picture: &RgbImage,
    quad: &Quad,
    one: &PlateRead,
) -> Result<Option<(PlateRead, Quad)>, RuntimeError> {
    if check(&one.text(), None).is_valid() {
        return Ok(None);
    }
    let mut best: Option<(PlateRead, Quad)> = None;
    for up in GROWN {
        let Some(grown) = grow(quad, 0.0, up, 0.0, 0.0) else {
            continue;
        };
        // One-row plates are 3.1 to 3.4 times as wide as high, two-row plates about twice.
        if grown.width() > 2.9 * grown.height() {
            continue;
        }
        let Some(flat) = straighten(picture, &grown, WIDTH, HEIGHT) else {
            continue;
        };
        for cut in CUTS {
            let mut read = reader.read_flat(&side_by_side(&flat, cut))?;
            read.rows = 2;
            let better = best
                .as_ref()
                .is_none_or(|(b, _)| read.mean_conf() > b.mean_conf());
            if check(&read.text(), None).is_valid() && read.min_conf() >= MIN_CONF && better {
                best = Some((read, grown));
            }
        }
    }
    Ok(best)
}

fn side_by_side(flat: &RgbImage, cut: f32) -> RgbImage {
    use image::imageops::{FilterType, crop_imm, resize};
    let at = (flat.height() as f32 * cut).round() as u32;
    let upper = crop_imm(flat, 0, 0, flat.width(), at).to_image();
    let lower = crop_imm(flat, 0, at, flat.width(), flat.height() - at).to_image();
    let upper = resize(&upper, UPPER, ctc::HEIGHT, FilterType::Triangle);
    let lower = resize(&lower, LOWER, ctc::HEIGHT, FilterType::Triangle);
    let mut out = RgbImage::new(UPPER + LOWER, ctc::HEIGHT);
    image::imageops::replace(&mut out, &upper, 0, 0);
    image::imageops::replace(&mut out, &lower, i64::from(UPPER), 0);
    out
}
