//! From a picture to read plates: look at several scales, look again closely, straighten, read.
//!
//! The figures behind every constant stand in `docs/measurements.md`.

use image::RgbImage;
use kakou_contract::PlateColour;

use super::ctc::{self, Reader};
use super::fuse::fuse;
use super::pixels::{grow, straighten};
use super::retina::{Found, PlateDetector, suppress};
use super::runtime::RuntimeError;
use super::{colour, tworow};
use kakou_traffic::detections::PlateFind;
use kakou_traffic::geometry::{Point, Quad, Rect};
use kakou_traffic::plate::{PlateRead, check};

/// Coarse finds below this are not looked at again.
const COARSE_SCORE: f32 = 0.2;
/// A find is kept if the second, closer look scores at least this,
const CLOSE_SCORE: f32 = 0.5;
/// or, where that look finds nothing, if the first one scored at least this.
const ALONE_SCORE: f32 = 0.7;
/// Width in input pixels to which a plate is scaled for the second look,
const CLOSE_WIDTH: f32 = 160.0;
/// and for a third one that single pictures get, with better corners.
const CLOSER_WIDTH: f32 = 192.0;
/// Input of these looks; one size, so that the runtime keeps one plan.
const CLOSE_INPUT: (u32, u32) = (352, 256);
/// Width and margins (parts of the plate's width and height) at which plates are straightened: the
/// first for every read, all of them for an unsure one of a single picture.
const STRAIGHT: [(u32, f32, f32); 4] = [
    (112, 0.02, 0.05),
    (104, 0.0, 0.1),
    (120, 0.0, 0.0),
    (112, 0.04, 0.12),
];
/// Widths at which a picture that is itself a plate is read: likewise.
const CROPPED: [u32; 4] = [100, 104, 96, 112];
/// A read with a character below this is unsure.
const SURE: f32 = 0.95;
/// The second look must find a plate of about the same size, or it is another thing: least and most
/// ratio.
const SAME_SIZE: (f32, f32) = (0.55, 1.8);
/// Part of a plate's box that must lie inside the picture. What is cut by the border reads as a
/// shorter text.
const INSIDE: f32 = 0.93;
/// A colour at least this sure has a say in what the text can be.
const SURE_COLOUR: f32 = 0.8;
/// A plate narrower than this in the picture (pixels) is not read: what comes out is guessed.
const READABLE_WIDTH: f32 = 28.0;

/// Longer sides, in input pixels, at which a single picture is looked at.
const STILL_SIDES: [f32; 3] = [480.0, 960.0, 1920.0];
/// Pictures with a longer side are looked at once more, finer.
const LARGE_PICTURE: f32 = 2400.0;
const LARGE_SIDE: f32 = 3840.0;

/// The two plate models together.
pub struct PlateFinder {
    pub(super) detector: PlateDetector,
    pub(super) reader: Reader,
}

impl PlateFinder {
    pub fn new(detector: PlateDetector, reader: Reader) -> Self {
        Self { detector, reader }
    }

    /// All plates of a single picture, whatever their size.
    pub fn still(&mut self, picture: &RgbImage) -> Result<Vec<PlateFind>, RuntimeError> {
        let (w, h) = (picture.width() as f32, picture.height() as f32);
        let mut sides = STILL_SIDES.to_vec();
        if w.max(h) > LARGE_PICTURE {
            sides.push(LARGE_SIDE);
        }
        let mut close = Vec::new();
        for f in self.coarse(picture, Rect::new(0.0, 0.0, w, h), &sides)? {
            close.extend(self.close(picture, &f)?);
        }
        let mut finds = Vec::new();
        for f in suppress(close) {
            let f = self.closer(picture, &f)?;
            let find = self.read_with(picture, &f, true)?;
            if find.read.as_ref().is_some_and(acceptable) {
                finds.push(find);
            }
        }
        Ok(finds)
    }

    /// First look: `region` with its longer side scaled to each of `sides` input pixels, finds
    /// united.
    pub fn coarse(
        &mut self,
        picture: &RgbImage,
        region: Rect,
        sides: &[f32],
    ) -> Result<Vec<Found>, RuntimeError> {
        let mut done: Vec<f32> = Vec::new();
        let mut all = Vec::new();
        for side in sides {
            let scale = coarse_scale(region, *side);
            // A scale that it has just seen shows the model nothing new.
            if done.iter().any(|d| (scale / d).max(d / scale) < 1.15) {
                continue;
            }
            done.push(scale);
            all.extend(self.detector.find(picture, region, scale, COARSE_SCORE)?);
        }
        Ok(if done.len() > 1 { suppress(all) } else { all })
    }

    /// The largest part of a picture that [`Self::on_vehicle`] shows the model as finely as
    /// [`Self::coarse`] does, by a search of `region` at this side.
    pub(super) fn largest_zone(region: Rect, side: f32) -> (f32, f32) {
        let scale = coarse_scale(region, side);
        (CLOSE_INPUT.0 as f32 / scale, CLOSE_INPUT.1 as f32 / scale)
    }

    /// First look at a part of the picture, no larger than [`Self::largest_zone`], as finely as a
    /// search of `region` at this side. Finer would find more, but far plates that are not to be
    /// read yet, each at the cost of several reads.
    pub(super) fn on_vehicle(
        &mut self,
        picture: &RgbImage,
        zone: Rect,
        region: Rect,
        side: f32,
    ) -> Result<Vec<Found>, RuntimeError> {
        let scale = coarse_scale(region, side);
        let (width, height) = Self::largest_zone(region, side);
        // The model sees the surroundings rather than an edge where the picture ends: along such
        // edges it finds things.
        let around = |centre: f32, size: f32, most: f32| {
            let from = (centre - size / 2.0).min(most - size).max(0.0);
            (from, (from + size).min(most))
        };
        let centre = zone.center();
        let (x0, x1) = around(centre.x, width, picture.width() as f32);
        let (y0, y1) = around(centre.y, height, picture.height() as f32);
        let part = Rect::new(x0, y0, x1, y1);
        self.detector
            .find_in(picture, part, CLOSE_INPUT, scale, COARSE_SCORE)
    }

    /// Second look around one find, with the plate scaled to the width the detector likes best.
    pub fn close(
        &mut self,
        picture: &RgbImage,
        coarse: &Found,
    ) -> Result<Option<Found>, RuntimeError> {
        self.again(picture, coarse, CLOSE_WIDTH)
    }

    /// Third look, for the corners' sake: what it does not find stays as it was.
    fn closer(&mut self, picture: &RgbImage, found: &Found) -> Result<Found, RuntimeError> {
        Ok(self.again(picture, found, CLOSER_WIDTH)?.unwrap_or(*found))
    }

    fn again(
        &mut self,
        picture: &RgbImage,
        coarse: &Found,
        width: f32,
    ) -> Result<Option<Found>, RuntimeError> {
        let (c, w) = (coarse.quad.center(), coarse.quad.width().max(4.0));
        let scale = width / w;
        let (hw, hh) = (
            CLOSE_INPUT.0 as f32 / scale / 2.0,
            CLOSE_INPUT.1 as f32 / scale / 2.0,
        );
        let region = Rect::new(c.x - hw, c.y - hh, c.x + hw, c.y + hh);
        let found = self
            .detector
            .find_in(picture, region, CLOSE_INPUT, scale, COARSE_SCORE)?;
        let whole = |f: &Found| {
            f.quad.bounds().covered_by(&Rect::new(
                0.0,
                0.0,
                picture.width() as f32,
                picture.height() as f32,
            )) >= INSIDE
        };
        let near = |f: &&Found| {
            let ratio = f.quad.width() / w;
            f.quad.center().distance(c) < 0.5 * w
                && (SAME_SIZE.0..=SAME_SIZE.1).contains(&ratio)
                && whole(f)
        };
        match found
            .iter()
            .filter(near)
            .max_by(|a, b| a.score.total_cmp(&b.score))
        {
            Some(f) if f.score >= CLOSE_SCORE => Ok(Some(*f)),
            _ if coarse.score >= ALONE_SCORE && whole(coarse) => Ok(Some(*coarse)),
            _ => Ok(None),
        }
    }

    /// Reads one find of a stream; if that is unsure, again with a third look for the corners and
    /// several straightenings.
    pub fn read_closely(
        &mut self,
        picture: &RgbImage,
        found: &Found,
    ) -> Result<PlateFind, RuntimeError> {
        let once = self.read_with(picture, found, false)?;
        let sure = |r: &PlateRead| r.min_conf() >= SURE && check(&r.text(), None).is_valid();
        if once.read.as_ref().is_none_or(sure) {
            return Ok(once);
        }
        let closer = self.closer(picture, found)?;
        self.read_with(picture, &closer, true)
    }

    /// `thoroughly`: an unsure read is made again from several straightenings.
    fn read_with(
        &mut self,
        picture: &RgbImage,
        found: &Found,
        thoroughly: bool,
    ) -> Result<PlateFind, RuntimeError> {
        let colour = colour::of(picture, &found.quad);
        let mut quad = found.quad;
        let mut read = None;
        if found.quad.width() >= READABLE_WIDTH {
            let shapes = if thoroughly {
                &STRAIGHT[..]
            } else {
                &STRAIGHT[..1]
            };
            let one = self.read_looks(shapes.len(), colour, |i| {
                let (width, mx, my) = shapes[i];
                grow(&found.quad, mx, my, mx, my)
                    .and_then(|q| straighten(picture, &q, width, ctc::HEIGHT))
            })?;
            let two = match &one {
                Some(one) => tworow::read(self, picture, &found.quad, one)?,
                None => None,
            };
            read = one;
            if let Some((r, q)) = two {
                (read, quad) = (Some(r), q);
            }
        }
        Ok(PlateFind {
            quad,
            score: found.score,
            read,
            colour,
            legibility: legibility(found),
        })
    }

    /// Reads the first of `n` looks, and the others too if that one is unsure or can be no plate.
    fn read_looks(
        &mut self,
        n: usize,
        colour: Option<(PlateColour, f32)>,
        look: impl Fn(usize) -> Option<RgbImage>,
    ) -> Result<Option<PlateRead>, RuntimeError> {
        let Some(first) = look(0) else {
            return Ok(None);
        };
        let first = self.reader.steps(&first)?;
        let read = ctc::decode(&first, self.reader.dictionary());
        // A colour that is not sure says nothing about the text.
        let colour = colour.filter(|c| c.1 >= SURE_COLOUR).map(|c| c.0);
        let plausible = |text: &str| check(text, colour).is_valid();
        if n == 1 || (read.min_conf() >= SURE && plausible(&read.text())) {
            return Ok(Some(read));
        }
        let mut looks = vec![first];
        for i in 1..n {
            if let Some(again) = look(i) {
                looks.push(self.reader.steps(&again)?);
            }
        }
        Ok(fuse(&looks, self.reader.dictionary(), plausible).or(Some(read)))
    }

    /// A find that is followed but not read in this frame.
    pub fn unread(&self, found: &Found) -> PlateFind {
        PlateFind {
            quad: found.quad,
            score: found.score,
            read: None,
            colour: None,
            legibility: legibility(found),
        }
    }

    /// Reads a picture that is a cropped plate and nothing else.
    pub fn read_crop(&mut self, picture: &RgbImage) -> Result<PlateFind, RuntimeError> {
        let (w, h) = (picture.width() as f32, picture.height() as f32);
        let quad = Quad([
            Point::new(0.0, 0.0),
            Point::new(w, 0.0),
            Point::new(w, h),
            Point::new(0.0, h),
        ]);
        let colour = colour::of(picture, &quad);
        let read = self.read_looks(CROPPED.len(), None, |i| {
            straighten(picture, &quad, CROPPED[i], ctc::HEIGHT)
        })?;
        Ok(PlateFind {
            quad,
            score: 1.0,
            read,
            colour,
            legibility: 1.0,
        })
    }
}

/// By how much a region is scaled so that its longer side has so many pixels. Scaling up more than
/// twice shows the model nothing new.
fn coarse_scale(region: Rect, side: f32) -> f32 {
    (side / region.width().max(region.height()).max(1.0)).min(2.0)
}

/// How far a read of this find deserves trust: small plates and doubtful finds less.
fn legibility(found: &Found) -> f32 {
    let width = ((found.quad.width() - READABLE_WIDTH) / 80.0).clamp(0.05, 1.0);
    let (dx, dy) = (
        found.quad.0[1].x - found.quad.0[0].x,
        found.quad.0[1].y - found.quad.0[0].y,
    );
    // A plate turned by 45 degrees and more is hardly ever a plate.
    let tilt = (1.0 - dy.abs().atan2(dx.max(0.0)) / std::f32::consts::FRAC_PI_2).clamp(0.0, 1.0);
    (width * tilt * found.score).clamp(0.0, 1.0)
}

/// Whether a read of a single picture is worth showing. Signs and grilles are read as short or
/// doubtful texts.
fn acceptable(read: &PlateRead) -> bool {
    let n = read.chars.len();
    (check(&read.text(), None).is_valid() && read.mean_conf() >= 0.6)
        || ((6..=8).contains(&n) && read.mean_conf() >= 0.85)
}
