//! What reads plates, whatever model it is: a quad of a picture in, a text with its confidences
//! out.
//!
//! A reader straightens the quad in its own way and says of its reads how sure it is. A look at a
//! moving plate is cheap, a thorough read takes several. What a reader takes for no plate is none.
//! An error concerns this plate in this frame.

use std::time::Duration;

use image::RgbImage;
use kakou_contract::PlateColour;

use super::runtime::RuntimeError;
use kakou_traffic::geometry::{Point, Quad};
use kakou_traffic::plate::{PlateRead, check, is_province};

/// A read with a character below this is unsure.
pub(super) const SURE: f32 = 0.95;
/// A reader that tells plates from other things is sure of one from here on,
const SURE_PLATE: f32 = 0.9;
/// and below this what it saw is none.
const ANY_PLATE: f32 = 0.5;
/// A plate of another country: at most this probability of a province in the first place,
const NO_PROVINCE: f32 = 0.05;
/// at least so many characters, each as sure as this.
const STRANGE_LENGTH: usize = 5;
const STRANGE_SURE: f32 = 0.85;
/// A province below this is a guess: there is one, but it is hidden.
const HIDDEN: f32 = 0.35;
/// Mean confidence from which a single picture's read is shown: one that can be a plate, and one
/// that cannot.
const SHOWN: f32 = 0.6;
const SHOWN_STRANGE: f32 = 0.85;

/// How much a read may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// One look.
    Once,
    /// Several looks where the first one is unsure.
    Thorough,
    /// And whatever else may help, since no nearer look will follow.
    Utmost,
}

/// What a reader made of one plate.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    pub read: PlateRead,
    /// What was read: the quad that was asked for, or a larger one where a second row lies above
    /// it.
    pub quad: Quad,
    /// The ground colour, and how sure it is.
    pub colour: Option<(PlateColour, f32)>,
    /// How sure it is that this is a plate. `None`: this reader cannot tell.
    pub plate: Option<f32>,
    /// How sure it is that the text begins with a province, whichever it is. `None`: this reader
    /// cannot tell.
    pub province: Option<f32>,
}

impl Reading {
    /// Whether another look would only cost time.
    pub(super) fn is_sure(&self) -> bool {
        self.read.min_conf() >= SURE
            && self.plate.is_none_or(|sure| sure >= SURE_PLATE)
            && (self.can_be_a_plate() || self.is_foreign())
    }

    /// Surely a plate, read surely, and surely without a province. A reader that cannot tell never
    /// says so.
    pub(super) fn is_foreign(&self) -> bool {
        self.province.is_some_and(|p| p <= NO_PROVINCE)
            && self.plate.is_some_and(|sure| sure >= SURE_PLATE)
            && self.read.chars.len() >= STRANGE_LENGTH
            && self.read.min_conf() >= STRANGE_SURE
    }

    /// Whether the reader saw no province where `ch` would be one.
    pub(super) fn denies_province(&self, ch: char) -> bool {
        is_province(ch) && self.province.is_some_and(|p| p < 0.5)
    }

    /// Whether there is a plate at all, as far as this reader can tell.
    pub(super) fn is_plate(&self) -> bool {
        self.plate.is_none_or(|sure| sure >= ANY_PLATE)
    }

    pub(super) fn can_be_a_plate(&self) -> bool {
        check(&self.read.text(), None).is_valid()
    }

    /// Whether a read of a single picture is worth showing. Signs and grilles are read as short or
    /// doubtful texts; a reader that tells them from plates itself may also show a short one that
    /// it is sure of.
    pub(super) fn is_worth_showing(&self) -> bool {
        let (mean, least) = (self.read.mean_conf(), self.read.min_conf());
        let first = self.read.chars.first();
        let hidden = first.is_some_and(|c| is_province(c.ch) && c.conf < HIDDEN);
        let strange = match self.plate {
            None => (6..=8).contains(&self.read.chars.len()),
            Some(sure) => {
                (4..=9).contains(&self.read.chars.len())
                    && sure >= SURE_PLATE
                    && least >= STRANGE_SURE
            }
        };
        self.is_plate()
            && !hidden
            && ((self.can_be_a_plate() && mean >= SHOWN) || (strange && mean >= SHOWN_STRANGE))
    }
}

/// One opened reader. `None` from a read: the quad has no area.
pub trait PlateReader: Send {
    /// Reads the plate that lies in `quad`.
    fn read(
        &mut self,
        picture: &RgbImage,
        quad: &Quad,
        effort: Effort,
    ) -> Result<Option<Reading>, RuntimeError>;

    /// Reads a picture that is a cropped plate and nothing else.
    fn read_crop(&mut self, picture: &RgbImage) -> Result<Option<Reading>, RuntimeError>;

    /// Wall time inside bare model runs so far, and their number.
    fn spent(&self) -> (Duration, u64);
}

/// The whole of a picture.
pub(super) fn whole(picture: &RgbImage) -> Quad {
    let (w, h) = (picture.width() as f32, picture.height() as f32);
    Quad([(0.0, 0.0), (w, 0.0), (w, h), (0.0, h)].map(|(x, y)| Point::new(x, y)))
}
