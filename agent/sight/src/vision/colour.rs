//! The ground colour of a plate, from its straightened picture.

use image::RgbImage;
use kakou_contract::PlateColour;

use super::pixels::straighten;
use kakou_traffic::geometry::Quad;

const WIDTH: u32 = 48;
const HEIGHT: u32 = 16;

/// Hue (degrees, 0 red, 120 green, 240 blue), saturation and value (0 to 1).
fn hsv(p: [u8; 3]) -> (f32, f32, f32) {
    let [r, g, b] = p.map(|v| f32::from(v) / 255.0);
    let (max, min) = (r.max(g).max(b), r.min(g).min(b));
    let d = max - min;
    if d <= 0.0 {
        return (0.0, 0.0, max);
    }
    let h = if max == r {
        60.0 * ((g - b) / d).rem_euclid(6.0)
    } else if max == g {
        60.0 * ((b - r) / d + 2.0)
    } else {
        60.0 * ((r - g) / d + 4.0)
    };
    (h, d / max, max)
}

/// Below this mean chroma a plate has no colour of its own: white or black. Bright pictures show
/// their colours, so there it is more; the pale blue of a white plate under the sky is none.
const COLOURLESS: f32 = 0.05;
const COLOURLESS_BRIGHT: f32 = 0.12;
/// Median brightness from which a picture is bright.
const BRIGHT: f32 = 0.4;
/// A hue this many degrees within its range, and this mean chroma, make a colour sure.
const SURE_HUE: f32 = 20.0;
const SURE_CHROMA: f32 = 0.2;
/// Hues (degrees) of yellow, green and blue plates, from the cheapest lamp's yellow to dusk's
/// violet.
const RANGES: [(f32, f32, PlateColour); 3] = [
    (10.0, 80.0, PlateColour::Yellow),
    (80.0, 182.0, PlateColour::Green),
    (182.0, 300.0, PlateColour::Blue),
];

/// Mean hue, weighted by chroma, and mean chroma over brightness. Letters are white or black and
/// hardly count; the ground speaks for itself even under a colour cast or where it is faded.
#[derive(Default)]
struct Tint {
    x: f32,
    y: f32,
    value: f32,
}

impl Tint {
    fn add(&mut self, (h, s, v): (f32, f32, f32)) {
        let (sin, cos) = h.to_radians().sin_cos();
        self.x += s * v * cos;
        self.y += s * v * sin;
        self.value += v;
    }

    fn hue(&self) -> f32 {
        self.y.atan2(self.x).to_degrees().rem_euclid(360.0)
    }

    fn chroma(&self) -> f32 {
        self.x.hypot(self.y) / self.value.max(f32::EPSILON)
    }
}

/// The colour and how sure it is, 0 to 1.
pub(super) fn of(picture: &RgbImage, quad: &Quad) -> Option<(PlateColour, f32)> {
    let flat = straighten(picture, quad, WIDTH, HEIGHT)?;
    let (mut all, mut left, mut right) = (Tint::default(), Tint::default(), Tint::default());
    let mut values = Vec::new();
    // The rim is often the vehicle's body or the plate's frame.
    for (x, _, p) in flat
        .enumerate_pixels()
        .filter(|(x, y, _)| (2..WIDTH - 2).contains(x) && (2..HEIGHT - 2).contains(y))
    {
        let pixel = hsv(p.0);
        values.push(pixel.2);
        all.add(pixel);
        if x < WIDTH / 4 {
            left.add(pixel);
        } else if x > WIDTH * 2 / 5 {
            right.add(pixel);
        }
    }
    let (hue, chroma) = (all.hue(), all.chroma());
    values.sort_by(f32::total_cmp);
    let bright = values.get(values.len() / 2).is_some_and(|v| *v > BRIGHT);
    let colourless = if bright {
        COLOURLESS_BRIGHT
    } else {
        COLOURLESS
    };
    let within = RANGES
        .iter()
        .find(|(from, to, _)| (*from..*to).contains(&hue));
    let Some((from, to, colour)) = within.filter(|_| chroma >= colourless) else {
        return Some((
            black_or_white(&values)?,
            (1.0 - chroma / colourless / 2.0).clamp(0.2, 0.9),
        ));
    };
    let margin = (hue - from).min(to - hue) / SURE_HUE;
    let sure = margin.clamp(0.2, 1.0) * (chroma / SURE_CHROMA).clamp(0.3, 1.0);
    let yellow_left = (25.0..70.0).contains(&left.hue()) && left.chroma() > SURE_CHROMA;
    let green_right = (95.0..182.0).contains(&right.hue()) && right.chroma() > COLOURLESS;
    if yellow_left && green_right {
        return Some((PlateColour::YellowGreen, sure));
    }
    Some((*colour, sure))
}

/// From sorted brightnesses. Most of a plate is its ground: bright behind black letters, or dark
/// behind white ones.
fn black_or_white(values: &[f32]) -> Option<PlateColour> {
    let at = |part: usize| values.get(values.len() * part / 100).copied();
    let (low, median, high) = (at(3)?, at(50)?, at(97)?);
    Some(if median > (low + high) / 2.0 {
        PlateColour::White
    } else {
        PlateColour::Black
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use kakou_traffic::geometry::Point;

    fn plate(ground: [u8; 3], ink: [u8; 3]) -> Option<(PlateColour, f32)> {
        let p = RgbImage::from_fn(94, 24, |x, y| {
            image::Rgb(if x % 12 < 4 && (5..19).contains(&y) {
                ink
            } else {
                ground
            })
        });
        let q = [(0.0, 0.0), (94.0, 0.0), (94.0, 24.0), (0.0, 24.0)].map(|(x, y)| Point::new(x, y));
        of(&p, &Quad(q))
    }

    #[test]
    fn a_large_new_energy_plate_is_yellow_then_green() {
        let p = RgbImage::from_fn(94, 24, |x, _| {
            image::Rgb(if x < 28 {
                [230, 190, 30]
            } else {
                [110, 200, 150]
            })
        });
        let q = [(0.0, 0.0), (94.0, 0.0), (94.0, 24.0), (0.0, 24.0)].map(|(x, y)| Point::new(x, y));
        assert_eq!(of(&p, &Quad(q)).unwrap().0, PlateColour::YellowGreen);
    }

    #[test]
    fn plain_grounds() {
        for (ground, ink, want) in [
            ([12, 62, 170], [240, 244, 250], PlateColour::Blue),
            ([236, 176, 20], [15, 15, 15], PlateColour::Yellow),
            ([110, 200, 150], [12, 14, 14], PlateColour::Green),
            ([225, 225, 220], [10, 10, 10], PlateColour::White),
            ([15, 15, 18], [240, 240, 240], PlateColour::Black),
            ([4, 20, 58], [80, 82, 84], PlateColour::Blue), // at dusk
            ([70, 75, 95], [150, 150, 150], PlateColour::Blue), // faded
            ([90, 70, 40], [30, 26, 20], PlateColour::Yellow), // by lamplight
        ] {
            assert_eq!(plate(ground, ink).unwrap().0, want, "{ground:?}");
        }
    }
}
