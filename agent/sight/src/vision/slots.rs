//! The plate reader of kind `slot-reader`: a straightened plate of one or two rows in; out come its
//! text, slot by slot, its ground colour, its number of rows and whether it is a plate.
//! `models/cards/plate-reader-kakou.md` is its contract.
//!
//! Unsure reads are made again from other straightenings, and from the quad grown upwards, in case
//! the detector has boxed the lower of two rows only.

use std::time::Duration;

use image::RgbImage;

use super::pixels::{grow, planes_bgr, straighten};
use super::reader::{Effort, PlateReader, Reading, whole};
use super::runtime::{Net, RuntimeError};
use super::slot_table::{CLASSES, COLOURS, SLOTS, SlotTable};
use kakou_traffic::geometry::Quad;

/// The straightened plate, whatever its kind; its aspect is not kept.
const WIDTH: u32 = 192;
const HEIGHT: u32 = 64;
/// Margins (parts of the plate's width and height): the first for every read, all of them for an
/// unsure one.
const LOOKS: [(f32, f32); 4] = [(0.02, 0.05), (0.0, 0.1), (0.0, 0.0), (0.04, 0.12)];
/// The same for pictures that are themselves a plate.
const CROPS: [(f32, f32); 4] = [(0.0, 0.0), (0.03, 0.06), (-0.03, -0.06), (0.0, 0.1)];
/// Parts of its height by which an unsure read's quad is also tried grown upwards,
const GROWN: [f32; 2] = [0.35, 0.65];
/// if it is then no wider than this. One-row plates are 3.1 to 3.4 times as wide as high, two-row
/// plates about twice.
const TWO_ROW_ASPECT: f32 = 2.9;
/// Least confidence of every character of a read that goes before another one because it can be a
/// plate.
const BELIEVED: f32 = 0.5;

pub struct SlotReader {
    net: Net,
    /// Where text, colour, rows and plate stand among the model's outputs.
    heads: [usize; 4],
    input: Vec<f32>,
}

impl SlotReader {
    pub fn new(net: Net) -> Result<Self, RuntimeError> {
        let wanted = [3, i64::from(HEIGHT), i64::from(WIDTH)];
        let fits = |dims: &[i64]| dims.iter().zip(&wanted).all(|(d, w)| d == w || *d < 0);
        if !matches!(net.input_dims(), [_, rest @ ..] if rest.len() == 3 && fits(rest)) {
            return Err(net.error(format!(
                "its input is {:?}; kind slot-reader wants n x 3 x {HEIGHT} x {WIDTH}",
                net.input_dims()
            )));
        }
        let mut heads = [0; 4];
        for (head, name) in heads.iter_mut().zip(["text", "colour", "rows", "plate"]) {
            *head = net
                .outputs()
                .iter()
                .position(|o| o == name)
                .ok_or_else(|| net.error(format!("it has no output `{name}`")))?;
        }
        Ok(Self {
            net,
            heads,
            input: Vec::new(),
        })
    }

    /// Asks the model once. `None`: the grown quad has no area.
    fn look(
        &mut self,
        picture: &RgbImage,
        quad: Option<Quad>,
    ) -> Result<Option<SlotTable>, RuntimeError> {
        let Some(flat) = quad.and_then(|quad| straighten(picture, &quad, WIDTH, HEIGHT)) else {
            return Ok(None);
        };
        self.input.resize(3 * (WIDTH * HEIGHT) as usize, 0.0);
        let width = WIDTH as usize;
        planes_bgr(flat.as_raw(), width, width, &mut self.input, [0.0; 3], 1.0);
        let shape = [1, 3, i64::from(HEIGHT), i64::from(WIDTH)];
        let heads = self.heads;
        let table = self.net.run(&shape, &self.input, |out| {
            let [text, colour, rows, plate] =
                heads.map(|at| out.get(at).map_or(&[][..], |(_, values)| *values));
            SlotTable::new(text, colour, rows, plate)
        })?;
        match table {
            Some(table) => Ok(Some(table)),
            None => Err(self.net.error(format!(
                "its outputs are not {SLOTS} x {CLASSES} texts, {COLOURS} colours, 2 rows and 2 plates"
            ))),
        }
    }

    /// The reads of the quad grown upwards that show two rows.
    fn two_rows(&mut self, picture: &RgbImage, quad: &Quad) -> Result<Vec<Reading>, RuntimeError> {
        let (mx, my) = LOOKS[0];
        let mut found = Vec::new();
        for up in GROWN {
            let taller = grow(quad, 0.0, up, 0.0, 0.0);
            let Some(taller) = taller.filter(|q| q.width() <= TWO_ROW_ASPECT * q.height()) else {
                continue;
            };
            let table = self.look(picture, grow(quad, mx, up, mx, my))?;
            found.extend(table.filter(|t| t.rows() == 2).map(|t| t.reading(taller)));
        }
        Ok(found)
    }
}

/// Reads that can be a plate of here or surely are one from elsewhere first, then the surest.
fn rank(reading: &Reading) -> (bool, f32) {
    let least = reading.read.min_conf();
    let can_be = (reading.can_be_a_plate() && least >= BELIEVED) || reading.is_foreign();
    (can_be, least * reading.plate.unwrap_or(1.0))
}

fn better(a: &Reading, b: &Reading) -> std::cmp::Ordering {
    let ((a, a_sure), (b, b_sure)) = (rank(a), rank(b));
    a.cmp(&b).then(a_sure.total_cmp(&b_sure))
}

impl PlateReader for SlotReader {
    fn read(
        &mut self,
        picture: &RgbImage,
        quad: &Quad,
        effort: Effort,
    ) -> Result<Option<Reading>, RuntimeError> {
        let (mx, my) = LOOKS[0];
        let Some(first) = self.look(picture, grow(quad, mx, my, mx, my))? else {
            return Ok(None);
        };
        let once = first.reading(*quad);
        if effort == Effort::Once || once.is_sure() {
            return Ok(Some(once));
        }
        let mut looks = vec![first];
        for (mx, my) in &LOOKS[1..] {
            looks.extend(self.look(picture, grow(quad, *mx, *my, *mx, *my))?);
        }
        let mut readings = self.two_rows(picture, quad)?;
        // Among equals the last one is taken: the quad as it was found.
        readings.push(SlotTable::mean(&looks).reading(*quad));
        Ok(readings.into_iter().max_by(better))
    }

    fn read_crop(&mut self, picture: &RgbImage) -> Result<Option<Reading>, RuntimeError> {
        let quad = whole(picture);
        let mut looks = Vec::new();
        let mut reading = None;
        for (mx, my) in CROPS {
            looks.extend(self.look(picture, grow(&quad, mx, my, mx, my))?);
            if looks.is_empty() {
                return Ok(None);
            }
            let united = SlotTable::mean(&looks).reading(quad);
            let sure = united.is_sure();
            reading = Some(united);
            if sure {
                break;
            }
        }
        Ok(reading)
    }

    fn spent(&self) -> (Duration, u64) {
        self.net.spent()
    }
}
