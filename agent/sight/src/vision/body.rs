//! The colour of a vehicle's body, from its box in the picture. No model: none could be trained on
//! data whose licence allows it.
//!
//! What is looked at is a grid over the box. Where enough of the body's part of it has a hue of its
//! own, that hue is the colour; where not, the body is white, grey or black by how bright it is
//! beside the brightest of the box: a lamp, a rim, the letters of the plate, or the body itself.
//! CIE L*a*b* (D65) is used, in which equal steps look equal: L* from 0 to 100, hue and chroma from
//! a* and b*.

use image::RgbImage;
use kakou_contract::VehicleColour;
use kakou_traffic::detections::VehicleFind;
use kakou_traffic::geometry::Rect;

use VehicleColour::{Black, Blue, Brown, Green, Grey, Pink, Purple, Red, White, Yellow};

/// Cells of the grid, across and down.
const GRID: usize = 32;
/// Pixels looked at in a cell, across and down.
const SAMPLES: usize = 3;
/// A box narrower or lower than this (pixels) shows no body.
const SMALLEST: f32 = 48.0;
/// Rows and columns of the grid in which a hue is looked for, and rows in which brightness is:
/// bonnet, grille and bumper, or boot lid and bumper. Above is glass, below are road and tyres.
const HUE_ROWS: std::ops::Range<usize> = 9..28;
const BRIGHT_ROWS: std::ops::Range<usize> = 12..28;
const COLUMNS: std::ops::Range<usize> = 4..28;
/// A cell has a hue from this chroma on, and from this part of its L*: in the dark less will do.
const CHROMA: f32 = 12.0;
const CHROMA_OF_L: f32 = 0.5;
/// Share of the cells that have to be within [`HUE_WIDTH`] degrees of one hue. Plates, rear lamps
/// and the sky in the paint are less.
const HUE_SHARE: f32 = 0.25;
const HUE_WIDTH: f32 = 50.0;
const BIN: f32 = 10.0;
const BINS: usize = 36;
/// From this mean chroma on, orange and gold are yellow, else brown.
const YELLOW_CHROMA: f32 = 40.0;
/// From this mean L* on, and below this mean chroma, red is pink.
const PINK_L: f32 = 65.0;
const PINK_CHROMA: f32 = 40.0;
/// The median L* of a body over the brightest L*: black up to the one, white from the other on.
const BLACK: f32 = 0.42;
const WHITE: f32 = 0.57;
/// What is brightest in the box is at least this bright by day.
const BRIGHTEST: f32 = 50.0;
/// In a box that is darker than this in its brightest place, nothing can be told.
const DARK: f32 = 25.0;
/// No cell of a picture taken by infra-red light has more chroma.
const NO_CHROMA: f32 = 4.0;
/// A vehicle covered by another one by more than this share is not looked at.
const COVERED: f32 = 0.3;

#[derive(Debug, Clone, Copy)]
struct Lab {
    l: f32,
    a: f32,
    b: f32,
}

impl Lab {
    fn chroma(&self) -> f32 {
        self.a.hypot(self.b)
    }

    /// Degrees, 0 to 360.
    fn hue(&self) -> f32 {
        self.b.atan2(self.a).to_degrees().rem_euclid(360.0)
    }
}

/// Linear light of each value of sRGB (IEC 61966-2-1).
fn linear() -> &'static [f32; 256] {
    static TABLE: std::sync::OnceLock<[f32; 256]> = std::sync::OnceLock::new();
    TABLE.get_or_init(|| {
        std::array::from_fn(|v| {
            let v = v as f32 / 255.0;
            if v <= 0.04045 {
                v / 12.92
            } else {
                ((v + 0.055) / 1.055).powf(2.4)
            }
        })
    })
}

/// From linear red, green and blue (CIE 15, D65).
fn lab([r, g, b]: [f32; 3]) -> Lab {
    let f = |t: f32| {
        if t > 0.008_856 {
            t.cbrt()
        } else {
            7.787 * t + 16.0 / 116.0
        }
    };
    let x = f((0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505);
    let y = f(0.2126 * r + 0.7152 * g + 0.0722 * b);
    let z = f((0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089);
    Lab {
        l: 116.0 * y - 16.0,
        a: 500.0 * (x - y),
        b: 200.0 * (y - z),
    }
}

/// Looks at each vehicle that is large enough and not behind another one.
pub(super) fn paint(picture: &RgbImage, vehicles: &mut [VehicleFind]) {
    let all: Vec<Rect> = vehicles.iter().map(|v| v.rect).collect();
    for one in vehicles {
        let is_hidden = all.iter().any(|other| covers(other, &one.rect));
        if !is_hidden && !one.class.has_two_wheels() {
            one.colour = of(picture, one.rect);
        }
    }
}

/// What stands lower in the picture is nearer.
fn covers(other: &Rect, one: &Rect) -> bool {
    other.y1 > one.y1 && one.covered_by(other) > COVERED
}

/// The colour of the body in a box, and how sure it is, 0 to 1. `None`: the box is too small, too
/// dark, or without any colour.
pub fn of(picture: &RgbImage, rect: Rect) -> Option<(VehicleColour, f32)> {
    let rect = rect.clipped(picture.width() as f32, picture.height() as f32);
    if rect.width() < SMALLEST || rect.height() < SMALLEST {
        return None;
    }
    let grid = grid(picture, &rect);
    let mut all: Vec<f32> = grid.iter().flatten().map(|cell| cell.l).collect();
    let top = quantile(&mut all, 0.98)?;
    let mut chroma: Vec<f32> = grid.iter().flatten().map(Lab::chroma).collect();
    if top < DARK || quantile(&mut chroma, 0.98)? < NO_CHROMA {
        return None;
    }
    if let Some(found) = hue(&cells(&grid, HUE_ROWS)) {
        return Some(found);
    }
    let mut body: Vec<f32> = cells(&grid, BRIGHT_ROWS).iter().map(|c| c.l).collect();
    let bright = quantile(&mut body, 0.5)? / top.max(BRIGHTEST);
    Some(brightness(bright))
}

/// The mean of some pixels of each cell.
fn grid(picture: &RgbImage, rect: &Rect) -> [[Lab; GRID]; GRID] {
    let table = linear();
    let place = |from: f32, length: f32, cell: usize, sample: usize, most: u32| {
        let part = (cell * SAMPLES + sample) as f32 + 0.5;
        let at = from + length * part / (GRID * SAMPLES) as f32;
        (at.max(0.0) as u32).min(most.saturating_sub(1))
    };
    let (w, h) = picture.dimensions();
    std::array::from_fn(|row| {
        std::array::from_fn(|column| {
            let mut sum = [0.0; 3];
            for y in 0..SAMPLES {
                let y = place(rect.y0, rect.height(), row, y, h);
                for x in 0..SAMPLES {
                    let x = place(rect.x0, rect.width(), column, x, w);
                    for (sum, v) in sum.iter_mut().zip(picture.get_pixel(x, y).0) {
                        *sum += table[usize::from(v)];
                    }
                }
            }
            lab(sum.map(|v| v / (SAMPLES * SAMPLES) as f32))
        })
    })
}

fn cells(grid: &[[Lab; GRID]; GRID], rows: std::ops::Range<usize>) -> Vec<Lab> {
    let rows = grid.get(rows).unwrap_or_default();
    let columns = rows.iter().filter_map(|row| row.get(COLUMNS));
    columns.flatten().copied().collect()
}

/// Of unsorted values.
fn quantile(values: &mut [f32], part: f32) -> Option<f32> {
    let at = (values.len().checked_sub(1)? as f32 * part).round() as usize;
    Some(*values.select_nth_unstable_by(at, f32::total_cmp).1)
}

fn hue(cells: &[Lab]) -> Option<(VehicleColour, f32)> {
    let has_hue = |c: &&Lab| c.chroma() > CHROMA && c.chroma() > CHROMA_OF_L * c.l;
    let coloured: Vec<&Lab> = cells.iter().filter(has_hue).collect();
    let mut counts = [0_usize; BINS];
    for cell in &coloured {
        if let Some(n) = counts.get_mut((cell.hue() / BIN) as usize % BINS) {
            *n += 1;
        }
    }
    // Of five neighbouring bins the middle one.
    let around = |middle: usize| -> usize {
        let near = (0..5).map(|i| counts[(middle + BINS - 2 + i) % BINS]);
        near.sum()
    };
    let middle = (0..BINS).max_by_key(|bin| (around(*bin), BINS - bin))?;
    let share = around(middle) as f32 / cells.len().max(1) as f32;
    if share < HUE_SHARE {
        return None;
    }
    let middle = (middle as f32 + 0.5) * BIN;
    let apart = |h: f32| ((h - middle + 180.0).rem_euclid(360.0) - 180.0).abs();
    let (mut sum, mut n) = ([0.0; 3], 0.0_f32);
    for cell in coloured
        .iter()
        .filter(|cell| apart(cell.hue()) <= HUE_WIDTH / 2.0)
    {
        for (sum, v) in sum.iter_mut().zip([cell.l, cell.a, cell.b]) {
            *sum += v;
        }
        n += 1.0;
    }
    let [l, a, b] = sum.map(|v| v / n.max(1.0));
    let sure = (0.75 + 0.5 * (share - HUE_SHARE)).min(0.95);
    Some((name(&Lab { l, a, b }), sure))
}

/// Names of hues in L*a*b*.
fn name(mean: &Lab) -> VehicleColour {
    let hue = mean.hue();
    if !(50.0..330.0).contains(&hue) {
        if mean.l > PINK_L && mean.chroma() < PINK_CHROMA {
            Pink
        } else {
            Red
        }
    } else if hue < 105.0 {
        if mean.chroma() > YELLOW_CHROMA {
            Yellow
        } else {
            Brown
        }
    } else if hue < 190.0 {
        Green
    } else if hue < 305.0 {
        Blue
    } else {
        Purple
    }
}

/// White, grey or black. The further from the borders, the surer.
fn brightness(bright: f32) -> (VehicleColour, f32) {
    let sure = |beyond: f32| (0.5 + 2.0 * beyond).min(0.9);
    if bright < BLACK {
        (Black, sure(BLACK - bright))
    } else if bright > WHITE {
        (White, sure(bright - WHITE))
    } else {
        (Grey, 0.5)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use image::Rgb;
    use kakou_contract::VehicleClass;

    const SIDE: u32 = 200;

    fn whole() -> Rect {
        Rect::new(0.0, 0.0, SIDE as f32, SIDE as f32)
    }

    /// A car from the front: glass above, a dark grille, lamps, a blue plate, road below.
    fn car(paint: [u8; 3], light: f32) -> RgbImage {
        RgbImage::from_fn(SIDE, SIDE, |x, y| {
            let (x, y) = (x * 100 / SIDE, y * 100 / SIDE);
            let colour = match (x, y) {
                (20..80, 8..32) => [40, 48, 50],
                (30..70, 58..66) => [25, 25, 25],
                (6..22 | 78..94, 54..66) => [250, 250, 245],
                (38..62, 72..81) if x % 4 == 0 => [235, 240, 245],
                (38..62, 72..81) => [20, 60, 180],
                (_, 94..) => [90, 90, 88],
                _ => paint,
            };
            Rgb(colour.map(|v| (f32::from(v) * light) as u8))
        })
    }

    #[test]
    fn paints_have_their_names_by_day_and_at_dusk() {
        for (paint, want) in [
            ([240, 240, 238], White),
            ([20, 20, 22], Black),
            ([118, 120, 122], Grey),
            ([170, 20, 30], Red),
            ([90, 12, 20], Red),
            ([30, 60, 140], Blue),
            ([20, 110, 60], Green),
            ([240, 190, 20], Yellow),
            ([110, 75, 40], Brown),
            ([110, 50, 130], Purple),
        ] {
            for light in [1.0, 0.7] {
                let (colour, sure) = of(&car(paint, light), whole()).unwrap();
                assert_eq!(colour, want, "{paint:?} at {light}");
                assert!((0.5..=0.95).contains(&sure), "{sure}");
            }
        }
        // At dusk it is a red.
        assert_eq!(of(&car([245, 150, 175], 1.0), whole()).unwrap().0, Pink);
    }

    #[test]
    fn nothing_is_said_of_infra_red_dark_small_or_absent_bodies() {
        let mut grey = car([200, 30, 40], 1.0);
        for p in grey.pixels_mut() {
            *p = Rgb([p.0[0]; 3]);
        }
        assert_eq!(of(&grey, whole()), None);
        assert_eq!(of(&car([200, 30, 40], 0.1), whole()), None);
        let red = car([200, 30, 40], 1.0);
        assert_eq!(of(&red, Rect::new(10.0, 10.0, 50.0, 150.0)), None);
        assert_eq!(of(&red, Rect::new(500.0, 500.0, 700.0, 700.0)), None);
        assert_eq!(of(&RgbImage::new(0, 0), whole()), None);
    }

    #[test]
    fn who_is_hidden_or_has_two_wheels_is_not_looked_at() {
        let picture = car([200, 30, 40], 1.0);
        let vehicle = |rect, class| VehicleFind {
            rect,
            class,
            score: 0.9,
            colour: None,
        };
        let behind = Rect::new(0.0, 0.0, 180.0, 150.0);
        let front = Rect::new(20.0, 20.0, 200.0, 200.0);
        let mut seen = vec![
            vehicle(behind, VehicleClass::Car),
            vehicle(front, VehicleClass::Car),
        ];
        paint(&picture, &mut seen);
        assert_eq!(seen[0].colour, None);
        assert_eq!(seen[1].colour.unwrap().0, Red);
        let mut seen = vec![vehicle(whole(), VehicleClass::Motorcycle)];
        paint(&picture, &mut seen);
        assert_eq!(seen[0].colour, None);
    }
}
