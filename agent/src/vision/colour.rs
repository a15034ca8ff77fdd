//! The ground colour of a plate, from its straightened picture.

use image::RgbImage;
use kakou_contract::PlateColour;

use super::pixels::straighten;
use crate::geometry::Quad;

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

/// The colour and how sure it is (0 to 1): the share of coloured pixels that agree.
pub(super) fn of(picture: &RgbImage, quad: &Quad) -> Option<(PlateColour, f32)> {
    let flat = straighten(picture, quad, WIDTH, HEIGHT)?;
    let (mut blue, mut green, mut yellow, mut grey) = (0u32, 0u32, 0u32, 0u32);
    let mut yellow_left = 0u32;
    let mut values = Vec::new();
    // The rim is often the vehicle's body or the plate's frame.
    for (x, _, p) in
        flat.enumerate_pixels().filter(|(x, y, _)| (2..WIDTH - 2).contains(x) && (2..HEIGHT - 2).contains(y))
    {
        let (h, s, v) = hsv(p.0);
        values.push(v);
        if s < 0.22 || v < 0.12 {
            grey += 1;
        } else if (185.0..270.0).contains(&h) {
            blue += 1;
        } else if (75.0..185.0).contains(&h) {
            green += 1;
        } else if (15.0..75.0).contains(&h) {
            yellow += 1;
            yellow_left += u32::from(x < WIDTH / 3);
        } else {
            grey += 1;
        }
    }
    let coloured = blue + green + yellow;
    let total = coloured + grey;
    let share = |n: u32| n as f32 / total.max(1) as f32;
    if share(coloured) < 0.25 {
        values.sort_by(f32::total_cmp);
        // Most of a plate is its ground: bright behind black letters, or dark behind white ones.
        let (median, top) = (values.get(values.len() / 2)?, values.get(values.len() * 95 / 100)?);
        let colour = if *median > 0.55 * top { PlateColour::White } else { PlateColour::Black };
        return Some((colour, (1.0 - share(coloured) * 2.0).clamp(0.1, 0.9)));
    }
    let (colour, n) = [(PlateColour::Blue, blue), (PlateColour::Green, green), (PlateColour::Yellow, yellow)]
        .into_iter()
        .max_by_key(|c| c.1)?;
    let colour = if green > 0 && yellow_left * 2 > yellow && yellow * 3 > green && green * 3 > yellow * 2 {
        PlateColour::YellowGreen
    } else {
        colour
    };
    Some((colour, n as f32 / coloured as f32))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::geometry::Point;

    fn plate(ground: [u8; 3], ink: [u8; 3]) -> Option<(PlateColour, f32)> {
        let p =
            RgbImage::from_fn(94, 24, |x, y| image::Rgb(if x % 12 < 4 && (5..19).contains(&y) { ink } else { ground }));
        let q = [(0.0, 0.0), (94.0, 0.0), (94.0, 24.0), (0.0, 24.0)].map(|(x, y)| Point::new(x, y));
        of(&p, &Quad(q))
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
        ] {
            assert_eq!(plate(ground, ink).unwrap().0, want, "{ground:?}");
        }
    }
}
