//! Cutting, scaling and straightening of pictures into what the models take.
//!
//! Pixel convention: the centre of the pixel in column `i` lies at `x = i + 0.5`.

use fast_image_resize as fr;
use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use image::RgbImage;

use kakou_traffic::geometry::{Point, Quad, Rect};

/// Scales regions of pictures; keeps its buffers from frame to frame.
pub struct Scaler {
    resizer: fr::Resizer,
    bytes: Vec<u8>,
}

impl Default for Scaler {
    fn default() -> Self {
        Self {
            resizer: fr::Resizer::new(),
            bytes: Vec::new(),
        }
    }
}

/// A scaled picture that lives in its [`Scaler`]'s buffer: interleaved RGB.
pub struct Scaled<'a> {
    pub width: u32,
    pub height: u32,
    pub rgb: &'a [u8],
}

impl Scaler {
    /// The part `region` of `picture` (clipped to it) scaled to `width` x `height`, anti-aliased
    /// bilinear. `None` if nothing of the region lies inside the picture.
    pub fn scale(
        &mut self,
        picture: &RgbImage,
        region: Rect,
        width: u32,
        height: u32,
    ) -> Result<Option<Scaled<'_>>, String> {
        let (w, h) = (f64::from(picture.width()), f64::from(picture.height()));
        let edge = |v: f32, most: f64| f64::from(v).clamp(0.0, most);
        let (x0, y0) = (edge(region.x0, w), edge(region.y0, h));
        // A crop whose sum rounds to a hair beyond the picture would be refused.
        let (cw, ch) = (
            (edge(region.x1, w) - x0).min(w - x0),
            (edge(region.y1, h) - y0).min(h - y0),
        );
        if cw < 1.0 || ch < 1.0 || width == 0 || height == 0 {
            return Ok(None);
        }
        let len = width as usize * height as usize * 3;
        self.bytes.resize(len, 0);
        // By its type: the way that asks for the type as it runs has the compiler make a scaler for each
        // of thirteen, which was more than half of this crate's code.
        let (columns, rows) = picture.dimensions();
        let src = TypedImageRef::<U8x3>::from_buffer(columns, rows, picture.as_raw())
            .map_err(|e| e.to_string())?;
        let mut dst = TypedImage::<U8x3>::from_buffer(width, height, &mut self.bytes)
            .map_err(|e| e.to_string())?;
        let options = fr::ResizeOptions::new()
            .resize_alg(fr::ResizeAlg::Convolution(fr::FilterType::Bilinear))
            .crop(x0, y0, cw, ch);
        self.resizer
            .resize_typed(&src, &mut dst, &options)
            .map_err(|e| format!("scaling {region:?} of {w} x {h} to {width} x {height}: {e}"))?;
        Ok(Some(Scaled {
            width,
            height,
            rgb: &self.bytes[..len],
        }))
    }
}

/// Writes interleaved RGB into three planes in the order B, G, R as `(p - mean) * scale`, at row
/// stride `stride`. `out` holds three planes of `stride * rows` values.
pub fn planes_bgr(
    rgb: &[u8],
    width: usize,
    stride: usize,
    out: &mut [f32],
    mean: [f32; 3],
    scale: f32,
) {
    let plane = out.len() / 3;
    let (b, rest) = out.split_at_mut(plane);
    let (g, r) = rest.split_at_mut(plane);
    for (y, row) in rgb.chunks_exact(width * 3).enumerate() {
        let o = y * stride;
        let (b, g, r) = (
            &mut b[o..o + width],
            &mut g[o..o + width],
            &mut r[o..o + width],
        );
        for (((px, b), g), r) in row.chunks_exact(3).zip(b).zip(g).zip(r) {
            *b = (f32::from(px[2]) - mean[0]) * scale;
            *g = (f32::from(px[1]) - mean[1]) * scale;
            *r = (f32::from(px[0]) - mean[2]) * scale;
        }
    }
}

/// The projective map that takes the unit square's corners (0,0) (1,0) (1,1) (0,1) to a quad's
/// corners.
#[derive(Debug, Clone, Copy)]
pub struct Homography {
    m: [f64; 8],
}

impl Homography {
    /// Heckbert, "Fundamentals of Texture Mapping and Image Warping" (1989), section 2.2.3.
    /// `None` for a degenerate quad.
    pub fn from_unit(q: &Quad) -> Option<Self> {
        let p = q.0.map(|p| (f64::from(p.x), f64::from(p.y)));
        let (dx1, dy1) = (p[1].0 - p[2].0, p[1].1 - p[2].1);
        let (dx2, dy2) = (p[3].0 - p[2].0, p[3].1 - p[2].1);
        let (sx, sy) = (
            p[0].0 - p[1].0 + p[2].0 - p[3].0,
            p[0].1 - p[1].1 + p[2].1 - p[3].1,
        );
        let det = dx1 * dy2 - dx2 * dy1;
        if det.abs() < 1e-9 {
            return None;
        }
        let g = (sx * dy2 - dx2 * sy) / det;
        let h = (dx1 * sy - sx * dy1) / det;
        Some(Self {
            m: [
                p[1].0 - p[0].0 + g * p[1].0,
                p[3].0 - p[0].0 + h * p[3].0,
                p[0].0,
                p[1].1 - p[0].1 + g * p[1].1,
                p[3].1 - p[0].1 + h * p[3].1,
                p[0].1,
                g,
                h,
            ],
        })
    }

    pub fn apply(&self, u: f32, v: f32) -> Point {
        let (u, v, m) = (f64::from(u), f64::from(v), &self.m);
        let w = m[6] * u + m[7] * v + 1.0;
        Point::new(
            ((m[0] * u + m[1] * v + m[2]) / w) as f32,
            ((m[3] * u + m[4] * v + m[5]) / w) as f32,
        )
    }
}

/// Bilinear sample at `p`; outside the picture the nearest edge pixel counts.
fn sample(picture: &RgbImage, p: Point) -> [f32; 3] {
    let (w, h) = (picture.width() as i32, picture.height() as i32);
    let (x, y) = (p.x - 0.5, p.y - 0.5);
    let (x0, y0) = (x.floor(), y.floor());
    let (fx, fy) = (x - x0, y - y0);
    let (xa, xb) = (
        (x0 as i32).clamp(0, w - 1) as usize,
        (x0 as i32 + 1).clamp(0, w - 1) as usize,
    );
    let (ya, yb) = (
        (y0 as i32).clamp(0, h - 1) as usize,
        (y0 as i32 + 1).clamp(0, h - 1) as usize,
    );
    let raw = picture.as_raw();
    let w = w as usize;
    let at = |x: usize, y: usize, c: usize| f32::from(raw[(y * w + x) * 3 + c]);
    std::array::from_fn(|c| {
        let top = at(xa, ya, c) * (1.0 - fx) + at(xb, ya, c) * fx;
        let bottom = at(xa, yb, c) * (1.0 - fx) + at(xb, yb, c) * fx;
        top * (1.0 - fy) + bottom * fy
    })
}

/// The quad of `picture` straightened to `width` x `height`. Where the plate is larger in the
/// picture than in the result, each result pixel is the mean of several samples, as an area average
/// would give. `None` for a degenerate quad.
pub fn straighten(picture: &RgbImage, quad: &Quad, width: u32, height: u32) -> Option<RgbImage> {
    let map = Homography::from_unit(quad)?;
    let steps = |size: f32, out: u32| ((size / out as f32).round() as u32).clamp(1, 8);
    let (nx, ny) = (steps(quad.width(), width), steps(quad.height(), height));
    let mut out = RgbImage::new(width, height);
    let (du, dv) = (1.0 / (width * nx) as f32, 1.0 / (height * ny) as f32);
    let norm = 1.0 / (nx * ny) as f32;
    for (x, y, px) in out.enumerate_pixels_mut() {
        let mut sum = [0.0f32; 3];
        for j in 0..ny {
            for i in 0..nx {
                let (u, v) = (
                    ((x * nx + i) as f32 + 0.5) * du,
                    ((y * ny + j) as f32 + 0.5) * dv,
                );
                let s = sample(picture, map.apply(u, v));
                for c in 0..3 {
                    sum[c] += s[c];
                }
            }
        }
        px.0 = sum.map(|s| (s * norm).round().clamp(0.0, 255.0) as u8);
    }
    Some(out)
}

/// The quad's corners moved outwards along its own axes by parts of its width and height: left,
/// top, right, bottom.
pub fn grow(quad: &Quad, left: f32, top: f32, right: f32, bottom: f32) -> Option<Quad> {
    let map = Homography::from_unit(quad)?;
    Some(Quad([
        map.apply(-left, -top),
        map.apply(1.0 + right, -top),
        map.apply(1.0 + right, 1.0 + bottom),
        map.apply(-left, 1.0 + bottom),
    ]))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn homography_hits_the_corners() {
        let q = Quad([
            Point::new(10.0, 20.0),
            Point::new(110.0, 30.0),
            Point::new(100.0, 70.0),
            Point::new(5.0, 55.0),
        ]);
        let h = Homography::from_unit(&q).unwrap();
        for (p, (u, v)) in
            q.0.iter()
                .zip([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)])
        {
            assert!(h.apply(u, v).distance(*p) < 1e-3);
        }
    }

    #[test]
    fn straightening_an_upright_region_is_cutting_it() {
        let picture = RgbImage::from_fn(40, 30, |x, y| image::Rgb([x as u8 * 5, y as u8 * 7, 9]));
        let q = Quad([
            Point::new(4.0, 6.0),
            Point::new(24.0, 6.0),
            Point::new(24.0, 16.0),
            Point::new(4.0, 16.0),
        ]);
        let cut = straighten(&picture, &q, 20, 10).unwrap();
        assert_eq!(cut.get_pixel(0, 0), picture.get_pixel(4, 6));
        assert_eq!(cut.get_pixel(19, 9), picture.get_pixel(23, 15));
        assert!(straighten(&picture, &Quad::default(), 20, 10).is_none());
    }

    #[test]
    fn any_region_of_a_picture_can_be_scaled() {
        let picture = RgbImage::new(1280, 720);
        let mut scaler = Scaler::default();
        for i in 0..200 {
            // Edges that no binary fraction meets: their difference rounds up as often as down.
            let (a, b) = (i as f32 * 0.317, 1280.0 - i as f32 * 0.113);
            let part = Rect::new(a, a * 0.37, b, 720.0 - i as f32 * 0.0701);
            assert!(
                scaler.scale(&picture, part, 300, 300).unwrap().is_some(),
                "{part:?}"
            );
            let beyond = Rect::new(a, a, 1280.0001, 720.00006);
            assert!(scaler.scale(&picture, beyond, 64, 64).unwrap().is_some());
        }
        assert!(
            scaler
                .scale(&picture, Rect::new(1300.0, 0.0, 1400.0, 90.0), 64, 64)
                .unwrap()
                .is_none()
        );
    }

    #[test]
    fn planes_are_bgr_with_padding_kept() {
        let mut out = vec![7.0; 3 * 4];
        planes_bgr(&[1, 2, 3, 4, 5, 6], 1, 2, &mut out, [0.0; 3], 1.0);
        assert_eq!(
            out,
            vec![3.0, 7.0, 6.0, 7.0, 2.0, 7.0, 5.0, 7.0, 1.0, 7.0, 4.0, 7.0]
        );
    }
}
