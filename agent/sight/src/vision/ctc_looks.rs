//! Plates read with a model of kind `ctc-reader`: straightened to its height, unsure ones several
//! times at several widths, and two rows set side by side, since the model knows one row only. It
//! cannot tell a plate from a sign.

use std::time::Duration;

use image::RgbImage;
use kakou_contract::PlateColour;

use super::ctc::{self, Reader};
use super::fuse::fuse;
use super::pixels::{grow, straighten};
use super::reader::{Effort, PlateReader, Reading, SURE, whole};
use super::runtime::RuntimeError;
use super::{colour, tworow};
use kakou_traffic::geometry::Quad;
use kakou_traffic::plate::{PlateRead, check};

/// Width and margins (parts of the plate's width and height) at which plates are straightened: the
/// first for every read, all of them for an unsure one that may take its time.
const STRAIGHT: [(u32, f32, f32); 4] = [
    (112, 0.02, 0.05),
    (104, 0.0, 0.1),
    (120, 0.0, 0.0),
    (112, 0.04, 0.12),
];
/// Widths at which a picture that is itself a plate is read: likewise.
const CROPPED: [u32; 4] = [100, 104, 96, 112];
/// A colour at least this sure has a say in what the text can be.
const SURE_COLOUR: f32 = 0.8;

impl Reader {
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
        let first = self.steps(&first)?;
        let read = ctc::decode(&first, self.dictionary());
        // A colour that is not sure says nothing about the text.
        let colour = colour.filter(|c| c.1 >= SURE_COLOUR).map(|c| c.0);
        let plausible = |text: &str| check(text, colour).is_valid();
        if n == 1 || (read.min_conf() >= SURE && plausible(&read.text())) {
            return Ok(Some(read));
        }
        let mut looks = vec![first];
        for i in 1..n {
            if let Some(again) = look(i) {
                looks.push(self.steps(&again)?);
            }
        }
        Ok(fuse(&looks, self.dictionary(), plausible).or(Some(read)))
    }
}

impl PlateReader for Reader {
    fn read(
        &mut self,
        picture: &RgbImage,
        quad: &Quad,
        effort: Effort,
    ) -> Result<Option<Reading>, RuntimeError> {
        let colour = colour::of(picture, quad);
        let shapes = match effort {
            Effort::Once => &STRAIGHT[..1],
            Effort::Thorough | Effort::Utmost => &STRAIGHT[..],
        };
        let one = self.read_looks(shapes.len(), colour, |i| {
            let (width, mx, my) = shapes[i];
            grow(quad, mx, my, mx, my).and_then(|q| straighten(picture, &q, width, ctc::HEIGHT))
        })?;
        let Some(one) = one else {
            return Ok(None);
        };
        let (read, quad) = match tworow::read(self, picture, quad, &one)? {
            Some((two, grown)) => (two, grown),
            None => (one, *quad),
        };
        Ok(Some(Reading {
            read,
            quad,
            colour,
            plate: None,
            province: None,
        }))
    }

    fn read_crop(&mut self, picture: &RgbImage) -> Result<Option<Reading>, RuntimeError> {
        let quad = whole(picture);
        let read = self.read_looks(CROPPED.len(), None, |i| {
            straighten(picture, &quad, CROPPED[i], ctc::HEIGHT)
        })?;
        Ok(read.map(|read| Reading {
            read,
            quad,
            colour: colour::of(picture, &quad),
            plate: None,
            province: None,
        }))
    }

    fn spent(&self) -> (Duration, u64) {
        self.net().spent()
    }
}
