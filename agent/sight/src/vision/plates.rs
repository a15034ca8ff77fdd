//! From a picture to read plates: look at several scales, look again closely, straighten, read.
//!
//! The figures behind every constant stand in `docs/measurements.md`.

use image::RgbImage;

use super::colour;
use super::reader::{Effort, PlateReader, Reading, whole};
use super::retina::{Found, PlateDetector, suppress};
use super::runtime::RuntimeError;
use kakou_traffic::detections::PlateFind;
use kakou_traffic::geometry::Rect;

/// A plate that is wider than this (pixels) is as good to read as it will be: unsure reads of
/// smaller ones are best mended by the next look.
const NEAR: f32 = 100.0;
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
/// The second look must find a plate of about the same size, or it is another thing: least and most
/// ratio.
const SAME_SIZE: (f32, f32) = (0.55, 1.8);
/// Part of a plate's box that must lie inside the picture. What is cut by the border reads as a
/// shorter text.
const INSIDE: f32 = 0.93;
/// A plate narrower than this in the picture (pixels) is not read: what comes out is guessed.
const READABLE_WIDTH: f32 = 28.0;

/// Longer sides, in input pixels, at which a single picture is looked at.
const STILL_SIDES: [f32; 3] = [480.0, 960.0, 1920.0];
/// Pictures with a longer side are looked at once more, finer.
const LARGE_PICTURE: f32 = 2400.0;
const LARGE_SIDE: f32 = 3840.0;

/// Detector and reader together.
pub struct PlateFinder {
    pub(super) detector: PlateDetector,
    pub(super) reader: Box<dyn PlateReader>,
}

impl PlateFinder {
    pub fn new(detector: PlateDetector, reader: Box<dyn PlateReader>) -> Self {
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
            let reading = self.reading(picture, &f, Effort::Utmost)?;
            if reading.as_ref().is_some_and(Reading::is_worth_showing) {
                finds.push(find_of(picture, &f, reading));
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
    /// several straightenings. `None`: the reader takes it for no plate.
    pub fn read_closely(
        &mut self,
        picture: &RgbImage,
        found: &Found,
    ) -> Result<Option<PlateFind>, RuntimeError> {
        let mut found = *found;
        let mut reading = self.reading(picture, &found, Effort::Once)?;
        if reading.as_ref().is_some_and(|r| !r.is_sure()) {
            found = self.closer(picture, &found)?;
            let near = found.quad.width() >= NEAR;
            let effort = if near {
                Effort::Utmost
            } else {
                Effort::Thorough
            };
            reading = self.reading(picture, &found, effort)?;
        }
        Ok(match reading {
            Some(reading) if !reading.is_plate() => None,
            reading => Some(find_of(picture, &found, reading)),
        })
    }

    /// What the reader says of a find; `None`: it is too small to be read.
    fn reading(
        &mut self,
        picture: &RgbImage,
        found: &Found,
        effort: Effort,
    ) -> Result<Option<Reading>, RuntimeError> {
        if found.quad.width() < READABLE_WIDTH {
            return Ok(None);
        }
        self.reader.read(picture, &found.quad, effort)
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
        let reading = self.reader.read_crop(picture)?;
        Ok(PlateFind {
            quad: whole(picture),
            score: 1.0,
            colour: reading.as_ref().and_then(|r| r.colour),
            read: reading.map(|r| r.read),
            legibility: 1.0,
        })
    }
}

/// A find with what was read on it.
fn find_of(picture: &RgbImage, found: &Found, reading: Option<Reading>) -> PlateFind {
    let (read, quad, colour) = match reading {
        Some(reading) => (Some(reading.read), reading.quad, reading.colour),
        None => (None, found.quad, colour::of(picture, &found.quad)),
    };
    PlateFind {
        quad,
        score: found.score,
        read,
        colour,
        legibility: legibility(found),
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
