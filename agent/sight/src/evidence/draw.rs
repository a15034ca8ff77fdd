//! Drawing what the agent saw into a copy of the frame, for people: boxes, plate corners, labels.

use std::sync::OnceLock;

use image::{GrayImage, Rgb, RgbImage};

use crate::vision::Detections;
use crate::vision::pixels::straighten;
use kakou_traffic::geometry::{Point, Polygon, Quad, Rect};

pub const GREEN: Rgb<u8> = Rgb([40, 220, 90]);
pub const AMBER: Rgb<u8> = Rgb([255, 190, 40]);
pub const WHITE: Rgb<u8> = Rgb([255, 255, 255]);
pub const RED: Rgb<u8> = Rgb([235, 60, 50]);
pub const GREY: Rgb<u8> = Rgb([150, 150, 150]);
const INK: Rgb<u8> = Rgb([15, 15, 15]);

/// The glyphs of `glyphs.png`, left to right; made by `agent/scene/glyphs.py`, which holds the same
/// text.
const GLYPHS: &str = " !#%()+,-./0123456789:?ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz·—京津冀晋蒙辽吉黑沪苏浙皖闽赣鲁豫鄂湘粤桂琼渝川贵云藏陕甘青宁新学警挂领使港澳临";
/// Height of a glyph; its width is the same, or half of it for Latin ones.
const CELL: u32 = 24;

fn sheet() -> &'static GrayImage {
    static SHEET: OnceLock<GrayImage> = OnceLock::new();
    SHEET.get_or_init(|| {
        // Shipped inside the program; a test checks that it decodes and has a cell for every glyph.
        image::load_from_memory(include_bytes!("glyphs.png"))
            .map(|i| i.into_luma8())
            .unwrap_or_default()
    })
}

fn glyph_width(ch: char) -> u32 {
    if ch.is_ascii() || ch == '·' {
        CELL / 2
    } else {
        CELL
    }
}

fn put(image: &mut RgbImage, x: i32, y: i32, colour: Rgb<u8>) {
    if x >= 0 && y >= 0 && (x as u32) < image.width() && (y as u32) < image.height() {
        image.put_pixel(x as u32, y as u32, colour);
    }
}

/// A line three pixels thick.
pub fn line(image: &mut RgbImage, a: Point, b: Point, colour: Rgb<u8>) {
    let n = (a.distance(b).ceil() as i32).clamp(1, 20_000);
    for i in 0..=n {
        let t = i as f32 / n as f32;
        let (x, y) = (
            (a.x + (b.x - a.x) * t) as i32,
            (a.y + (b.y - a.y) * t) as i32,
        );
        for dy in -1..=1 {
            for dx in -1..=1 {
                put(image, x + dx, y + dy, colour);
            }
        }
    }
}

fn closed(image: &mut RgbImage, points: &[Point], colour: Rgb<u8>) {
    for (i, a) in points.iter().enumerate() {
        line(image, *a, points[(i + 1) % points.len()], colour);
    }
}

pub fn rect(image: &mut RgbImage, r: &Rect, colour: Rgb<u8>) {
    let p = |x, y| Point::new(x, y);
    closed(
        image,
        &[p(r.x0, r.y0), p(r.x1, r.y0), p(r.x1, r.y1), p(r.x0, r.y1)],
        colour,
    );
}

pub fn quad(image: &mut RgbImage, q: &Quad, colour: Rgb<u8>) {
    closed(image, &q.0, colour);
}

pub fn polygon(image: &mut RgbImage, p: &Polygon, colour: Rgb<u8>) {
    closed(image, &p.0, colour);
}

/// Writes `text` on a bar of `colour` whose left bottom corner is at (x, y), kept inside the
/// picture. A character that has no glyph is drawn as a question mark.
pub fn label(image: &mut RgbImage, x: f32, y: f32, text: &str, colour: Rgb<u8>) {
    let width: u32 = text.chars().map(glyph_width).sum::<u32>() + 8;
    let height = CELL + 4;
    let left = (x as i32).min(image.width() as i32 - width as i32).max(0);
    let top = (y as i32 - height as i32)
        .min(image.height() as i32 - height as i32)
        .max(0);
    for dy in 0..height as i32 {
        for dx in 0..width as i32 {
            put(image, left + dx, top + dy, colour);
        }
    }
    let mut at = left + 4;
    for ch in text.chars() {
        let i = GLYPHS
            .chars()
            .position(|g| g == ch)
            .or_else(|| GLYPHS.chars().position(|g| g == '?'))
            .unwrap_or(0);
        let from = i as u32 * CELL;
        let w = glyph_width(ch);
        for gy in 0..CELL {
            for gx in 0..w {
                let shade = sheet()
                    .get_pixel_checked(from + gx, gy)
                    .map_or(0, |p| u32::from(p.0[0]));
                if shade > 0 {
                    let mix = |a: u8, b: u8| {
                        ((u32::from(a) * (255 - shade) + u32::from(b) * shade) / 255) as u8
                    };
                    let p = Rgb(std::array::from_fn(|c| mix(colour.0[c], INK.0[c])));
                    put(image, at + gx as i32, top + 2 + gy as i32, p);
                }
            }
        }
        at += w as i32;
    }
}

/// What is drawn around one passage.
pub struct PassageDrawing<'a> {
    pub lanes: &'a [Polygon],
    pub vehicle: Option<&'a Rect>,
    pub plate: Option<&'a Quad>,
    pub text: &'a str,
    pub note: &'a str,
}

/// The frame with boxes, the lane, and the plate enlarged beside its text.
pub fn annotated(frame: &RgbImage, d: &PassageDrawing<'_>) -> RgbImage {
    let mut image = frame.clone();
    for lane in d.lanes {
        polygon(&mut image, lane, GREY);
    }
    if let Some(v) = d.vehicle {
        rect(&mut image, v, GREEN);
        label(&mut image, v.x0, v.y0.max(30.0), d.note, GREEN);
    }
    let Some(q) = d.plate else { return image };
    quad(&mut image, q, AMBER);
    let b = q.bounds();
    label(&mut image, b.x0, b.y0 - 4.0, d.text, AMBER);
    if let Some(plate) = straighten(frame, q, 192, 64) {
        let x = (b.x0 as i64).clamp(0, i64::from(image.width().saturating_sub(192)));
        // Below the plate, or above its label where there is no room: the plate itself stays in
        // sight.
        let below = b.y1 as i64 + 6;
        let above = (b.y0 as i64 - 4 - i64::from(CELL) - 4 - 6 - 64).max(0);
        let y = if below + 64 <= i64::from(image.height()) {
            below
        } else {
            above
        };
        image::imageops::replace(&mut image, &plate, x, y);
    }
    image
}

/// What an installer wants to see: the config and what the agent makes of the picture.
pub struct SceneDrawing<'a> {
    /// Name, polygon, trigger.
    pub lanes: &'a [(String, Polygon, Option<[Point; 2]>)],
    pub masks: &'a [Polygon],
    pub seen: &'a Detections,
}

/// The frame with lanes and their triggers, masks, and every vehicle and plate that was found.
pub fn scene(frame: &RgbImage, s: &SceneDrawing<'_>) -> RgbImage {
    let mut image = frame.clone();
    for mask in s.masks {
        polygon(&mut image, mask, RED);
        // Crossed out: what is in there counts for nothing.
        let b = mask.bounds();
        line(
            &mut image,
            Point::new(b.x0, b.y0),
            Point::new(b.x1, b.y1),
            RED,
        );
        line(
            &mut image,
            Point::new(b.x0, b.y1),
            Point::new(b.x1, b.y0),
            RED,
        );
    }
    for (name, lane, trigger) in s.lanes {
        polygon(&mut image, lane, GREY);
        if let Some([a, b]) = trigger {
            line(&mut image, *a, *b, WHITE);
        }
        let b = lane.bounds();
        label(
            &mut image,
            (b.x0 + b.x1) / 2.0 - 40.0,
            b.y1 - 6.0,
            &format!("lane {name}"),
            GREY,
        );
    }
    for v in &s.seen.vehicles {
        rect(&mut image, &v.rect, GREEN);
        label(
            &mut image,
            v.rect.x0,
            v.rect.y0.max(30.0),
            &format!("{} {:.0}%", v.class, v.score * 100.0),
            GREEN,
        );
    }
    for p in &s.seen.plates {
        quad(&mut image, &p.quad, AMBER);
        let b = p.quad.bounds();
        let text = p.read.as_ref().map_or_else(|| "?".to_owned(), |r| r.text());
        label(&mut image, b.x0, b.y0 - 4.0, &text, AMBER);
    }
    image
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_glyph_has_its_ink() {
        assert_eq!(
            sheet().dimensions(),
            (GLYPHS.chars().count() as u32 * CELL, CELL)
        );
        for (i, ch) in GLYPHS.chars().enumerate().skip(1) {
            let ink = (0..CELL)
                .any(|y| (0..CELL).any(|x| sheet().get_pixel(i as u32 * CELL + x, y).0[0] > 128));
            assert!(ink, "{ch} has no glyph");
        }
    }

    #[test]
    fn drawing_outside_the_picture_harms_nothing() {
        let frame = RgbImage::new(60, 40);
        let r = Rect::new(-50.0, -50.0, 500.0, 500.0);
        let q = Quad([
            Point::new(-9.0, 0.0),
            Point::new(99.0, 0.0),
            Point::new(99.0, 50.0),
            Point::new(-9.0, 50.0),
        ]);
        let d = PassageDrawing {
            lanes: &[],
            vehicle: Some(&r),
            plate: Some(&q),
            text: "鲁E6K829 ☃",
            note: "car",
        };
        assert_eq!(annotated(&frame, &d).dimensions(), (60, 40));
    }
}
