//! The plate detector of kind `retina-plate`: boxes, scores and four corners over RetinaFace
//! priors.

use image::RgbImage;

use super::pixels::{Scaler, planes_bgr};
use super::runtime::{Net, RuntimeError};
use kakou_traffic::geometry::{Point, Quad, Rect};

/// Mean of B, G, R that the model was trained to have taken away.
const MEAN_BGR: [f32; 3] = [104.0, 117.0, 123.0];
const STRIDES: [usize; 3] = [8, 16, 32];
/// Side lengths in pixels of the two priors of each stride.
const PRIORS: [[f32; 2]; 3] = [[24.0, 48.0], [96.0, 192.0], [384.0, 768.0]];
const VARIANCES: [f32; 2] = [0.1, 0.2];
/// Boxes that overlap by more than this are one plate.
const NMS_IOU: f32 = 0.4;

/// A plate as the detector finds it, in the picture's pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    pub rect: Rect,
    pub quad: Quad,
    pub score: f32,
}

pub struct PlateDetector {
    net: Net,
    scaler: Scaler,
    input: Vec<f32>,
}

impl PlateDetector {
    pub fn new(net: Net) -> Result<Self, RuntimeError> {
        if !matches!(net.input_dims(), [_, 3, ..]) || net.outputs().len() != 3 {
            return Err(net.error(format!(
                "its input is {:?} with {} outputs; kind retina-plate wants 1 x 3 x height x width and three",
                net.input_dims(),
                net.outputs().len()
            )));
        }
        Ok(Self {
            net,
            scaler: Scaler::default(),
            input: Vec::new(),
        })
    }

    pub fn net(&self) -> &Net {
        &self.net
    }

    /// Plates in `region`, which is scaled by `scale` first (1 = as it is). What scores at least
    /// `min_score`, overlapping finds suppressed, best first.
    pub fn find(
        &mut self,
        picture: &RgbImage,
        region: Rect,
        scale: f32,
        min_score: f32,
    ) -> Result<Vec<Found>, RuntimeError> {
        let region = region.clipped(picture.width() as f32, picture.height() as f32);
        let side = |s: f32| (s * scale).round().max(32.0) as u32;
        let (w, h) = (side(region.width()), side(region.height()));
        self.run(picture, region, w, h, w, h, min_score)
    }

    /// Plates in `region`, put into the left top of an input that always has the size `width` x
    /// `height`, so that the runtime sees one shape only. `scale` is such that the region fits.
    pub fn find_in(
        &mut self,
        picture: &RgbImage,
        region: Rect,
        (width, height): (u32, u32),
        scale: f32,
        min_score: f32,
    ) -> Result<Vec<Found>, RuntimeError> {
        let region = region.clipped(picture.width() as f32, picture.height() as f32);
        let w = ((region.width() * scale).round() as u32).clamp(1, width);
        let h = ((region.height() * scale).round() as u32).clamp(1, height);
        self.run(picture, region, w, h, width, height, min_score)
    }

    #[allow(clippy::too_many_arguments)] // private: the picture's part and the two sizes it passes through
    fn run(
        &mut self,
        picture: &RgbImage,
        region: Rect,
        w: u32,
        h: u32,
        pw: u32,
        ph: u32,
        min_score: f32,
    ) -> Result<Vec<Found>, RuntimeError> {
        let scaled = self
            .scaler
            .scale(picture, region, w, h)
            .map_err(|e| self.net.error(e))?;
        let Some(scaled) = scaled else {
            return Ok(Vec::new());
        };
        let len = 3 * (pw * ph) as usize;
        if (w, h) != (pw, ph) {
            // The padding is the mean colour: zero after the mean is taken away.
            self.input.clear();
        }
        self.input.resize(len, 0.0);
        planes_bgr(
            scaled.rgb,
            w as usize,
            pw as usize,
            &mut self.input,
            MEAN_BGR,
            1.0,
        );
        let (sx, sy) = (region.width() / w as f32, region.height() / h as f32);
        let back = |p: Point| Point::new(region.x0 + p.x * sx, region.y0 + p.y * sy);
        let found = self
            .net
            .run(&[1, 3, i64::from(ph), i64::from(pw)], &self.input, |out| {
                // Told apart by their last dimension: 4 box values, 2 scores, 8 corner values.
                let of = |n: i64| out.iter().find(|(s, _)| s.last() == Some(&n)).map(|o| o.1);
                decode(
                    of(4)?,
                    of(2)?,
                    of(8)?,
                    pw as usize,
                    ph as usize,
                    min_score,
                    back,
                )
            })?;
        let found = found.ok_or_else(|| {
            self.net
                .error("its outputs are not loc, conf and landms over RetinaFace priors")
        })?;
        Ok(suppress(found))
    }
}

fn decode(
    loc: &[f32],
    conf: &[f32],
    landms: &[f32],
    width: usize,
    height: usize,
    min_score: f32,
    back: impl Fn(Point) -> Point,
) -> Option<Vec<Found>> {
    let cells = |s: usize| width.div_ceil(s) * height.div_ceil(s);
    let n: usize = STRIDES.iter().map(|s| cells(*s) * 2).sum();
    if loc.len() != n * 4 || conf.len() != n * 2 || landms.len() != n * 8 {
        return None;
    }
    let mut found = Vec::new();
    let mut base = 0;
    for (stride, sizes) in STRIDES.iter().zip(PRIORS) {
        let columns = width.div_ceil(*stride);
        for cell in 0..cells(*stride) {
            for (k, size) in sizes.iter().enumerate() {
                let i = base + cell * 2 + k;
                let score = conf[i * 2 + 1];
                if score < min_score {
                    continue;
                }
                let cx = ((cell % columns) as f32 + 0.5) * *stride as f32;
                let cy = ((cell / columns) as f32 + 0.5) * *stride as f32;
                let at = |dx: f32, dy: f32| {
                    Point::new(cx + dx * VARIANCES[0] * size, cy + dy * VARIANCES[0] * size)
                };
                let l = &loc[i * 4..i * 4 + 4];
                let c = at(l[0], l[1]);
                let (w, h) = (
                    size * (l[2] * VARIANCES[1]).exp(),
                    size * (l[3] * VARIANCES[1]).exp(),
                );
                let (a, b) = (
                    back(Point::new(c.x - w / 2.0, c.y - h / 2.0)),
                    back(Point::new(c.x + w / 2.0, c.y + h / 2.0)),
                );
                let m = &landms[i * 8..i * 8 + 8];
                let quad = Quad::ordered(std::array::from_fn(|j| back(at(m[2 * j], m[2 * j + 1]))));
                found.push(Found {
                    rect: Rect::new(a.x, a.y, b.x, b.y),
                    quad,
                    score,
                });
            }
        }
        base += cells(*stride) * 2;
    }
    Some(found)
}

/// Keeps the best of each group of boxes that overlap, best first.
pub(super) fn suppress(mut found: Vec<Found>) -> Vec<Found> {
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut kept: Vec<Found> = Vec::new();
    for f in found {
        if !kept.iter().any(|k| k.rect.iou(&f.rect) > NMS_IOU) {
            kept.push(f);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_prior_without_offsets_is_its_own_box() {
        // 32 x 32: 16 + 4 + 1 cells of two priors.
        let n = 42;
        let mut conf = vec![0.0; n * 2];
        let i = 32 + 2 * 3 + 1; // stride 16, cell (1, 1), prior 192
        conf[i * 2 + 1] = 0.9;
        let mut landms = vec![0.0; n * 8];
        // right bottom, left bottom, left top, right top: any order must do
        landms[i * 8..i * 8 + 8].copy_from_slice(&[1.0, 0.5, -1.0, 0.5, -1.0, -0.5, 1.0, -0.5]);
        let f = decode(&vec![0.0; n * 4], &conf, &landms, 32, 32, 0.5, |p| p).unwrap();
        assert_eq!(f.len(), 1);
        assert_eq!(
            f[0].rect,
            Rect::new(24.0 - 96.0, 24.0 - 96.0, 24.0 + 96.0, 24.0 + 96.0)
        );
        assert!(
            (f[0].quad.0[0].x - (24.0 - 19.2)).abs() < 1e-3
                && (f[0].quad.0[0].y - (24.0 - 9.6)).abs() < 1e-3
        );
        assert!(
            (f[0].quad.0[2].x - (24.0 + 19.2)).abs() < 1e-3
                && (f[0].quad.0[2].y - (24.0 + 9.6)).abs() < 1e-3
        );
        assert!(decode(&[], &conf, &landms, 32, 32, 0.5, |p| p).is_none());
    }
}
