//! Made-up pictures of a road for the tests of gate and sight, and the real footage as luma.

use super::grid::{Grid, Luma};
use kakou_traffic::geometry::{Point, Polygon};

pub(super) const SIZE: (u32, u32) = (640, 360);
/// Pixels of a grid's cell at that size, about.
pub(super) const CELL: f32 = 640.0 / 96.0;

/// A small generator, so that every test has its own noise and the same every time.
pub(super) struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn bits(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// 0 to 1.
    pub fn part(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1_u64 << 24) as f32
    }

    /// Near enough to a normal distribution: the sum of four bytes.
    fn normal(&mut self) -> f32 {
        let b = self.bits().to_le_bytes();
        let sum: u32 = b[..4].iter().map(|&b| u32::from(b)).sum();
        (sum as f32 - 510.0) / 147.8
    }
}

/// A vehicle without structure: the hardest one for its contrast. In pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Car {
    pub x: f32,
    pub y: f32,
    pub w: f32,
    pub h: f32,
    /// Against the road under it.
    pub contrast: f32,
}

/// How a picture is taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shot {
    pub gain: f32,
    /// Standard deviation per pixel, in levels.
    pub noise: f32,
    pub shift: (i32, i32),
    /// 0 to 1: how far the picture is blurred, as towards the end of a group of pictures.
    pub blur: f32,
    /// Rain drops, a streak each.
    pub rain: usize,
    /// Two burnt-in digits in the middle of the road.
    pub clock: Option<u32>,
}

impl Default for Shot {
    fn default() -> Self {
        Self {
            gain: 1.0,
            noise: 2.0,
            shift: (0, 0),
            blur: 0.0,
            rain: 0,
            clock: None,
        }
    }
}

/// A road with kerbs, markings, poles and houses.
pub(super) struct Road {
    base: Vec<f32>,
    pub dice: Dice,
}

impl Road {
    pub fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let (w, h) = (SIZE.0 as usize, SIZE.1 as usize);
        let houses: Vec<(usize, f32)> = (0..16)
            .map(|_| (30 + (dice.part() * 60.0) as usize, dice.part()))
            .collect();
        let grain: Vec<f32> = (0..w * h).map(|_| dice.normal() * 4.0).collect();
        let mut base = vec![0.0; w * h];
        for (i, level) in base.iter_mut().enumerate() {
            let (x, y) = (i % w, i / w);
            let (top, shade) = houses[x * houses.len() / w];
            let kerb = 220.0 - y as f32 * 0.5;
            let out = (x as f32 - 320.0).abs();
            *level = if y < 110 {
                let window = (x / 9) % 3 == 0 && (y / 11) % 2 == 0;
                if y < 110 - top {
                    190.0
                } else {
                    60.0 + shade * 80.0 + if window { 50.0 } else { 0.0 }
                }
            } else if out > 300.0 - kerb.max(0.0) {
                70.0 + (x / 23 + y / 31) as f32 % 3.0 * 14.0
            } else if out < 3.0 && (y / 18) % 2 == 0 {
                180.0
            } else {
                105.0
            } + grain[i];
            if (x % 213) < 4 && y < 190 {
                *level = 45.0;
            }
        }
        Self { base, dice }
    }

    pub fn pixels(&mut self, shot: Shot, cars: &[Car]) -> Vec<u8> {
        let (w, h) = (SIZE.0 as i32, SIZE.1 as i32);
        let mut out = vec![0.0_f32; self.base.len()];
        for y in 0..h {
            let sy = (y + shot.shift.1).clamp(0, h - 1);
            for x in 0..w {
                let at = |x: i32| self.base[(sy * w + (x + shot.shift.0).clamp(0, w - 1)) as usize];
                let sharp = at(x);
                let level = if shot.blur > 0.0 {
                    sharp
                        + shot.blur
                            * ((at(x - 2) + at(x - 1) + sharp + at(x + 1) + at(x + 2)) / 5.0
                                - sharp)
                } else {
                    sharp
                };
                out[(y * w + x) as usize] = level;
            }
        }
        for c in cars {
            for y in (c.y.max(0.0) as i32)..((c.y + c.h).min(h as f32) as i32) {
                for x in (c.x.max(0.0) as i32)..((c.x + c.w).min(w as f32) as i32) {
                    out[(y * w + x) as usize] = 105.0 + c.contrast;
                }
            }
        }
        for _ in 0..shot.rain {
            let (x, y) = (
                (self.dice.part() * w as f32) as i32,
                (self.dice.part() * (h - 20) as f32) as i32,
            );
            (y..y + 18).for_each(|y| out[(y * w + x) as usize] += 30.0);
        }
        if let Some(second) = shot.clock {
            for (digit, n) in [(second / 10 % 10), second % 10].into_iter().enumerate() {
                for (y, x) in (0..14).flat_map(|y| (0..9).map(move |x| (y, x))) {
                    let on = (y / 3 * 3 + x / 3 + n as i32 * 5) % 7 < 3;
                    out[((200 + y) * w + 330 + 12 * digit as i32 + x) as usize] =
                        if on { 220.0 } else { 80.0 };
                }
            }
        }
        out.iter()
            .map(|&l| {
                (l * shot.gain + self.dice.normal() * shot.noise)
                    .round()
                    .clamp(0.0, 255.0) as u8
            })
            .collect()
    }

    pub fn grid(&mut self, shot: Shot, cars: &[Car]) -> Grid {
        Grid::of(&Luma::packed(SIZE.0, SIZE.1, &self.pixels(shot, cars)))
    }
}

pub(super) fn polygon(points: &[(f32, f32)]) -> Polygon {
    Polygon(points.iter().map(|&(x, y)| Point::new(x, y)).collect())
}

/// The two lanes of the made-up road.
pub(super) fn lanes() -> [Polygon; 2] {
    let lane = |x0: f32, x1: f32| polygon(&[(x0, 0.35), (x1, 0.35), (x1, 1.0), (x0, 1.0)]);
    [lane(0.15, 0.5), lane(0.5, 0.85)]
}

/// The lanes of the sample footage.
pub(super) fn sample_lanes() -> [Polygon; 2] {
    [
        polygon(&[
            (0.238, 0.0),
            (0.5, 0.0),
            (0.5, 1.0),
            (0.0, 1.0),
            (0.0, 0.674),
        ]),
        polygon(&[
            (0.5, 0.0),
            (0.762, 0.0),
            (1.0, 0.674),
            (1.0, 1.0),
            (0.5, 1.0),
        ]),
    ]
}

pub(super) fn samples(name: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../samples")
        .join(name)
}

/// The luma of the real footage's pictures, ten a second.
pub(super) fn footage(name: &str) -> Vec<image::GrayImage> {
    let folder = samples(name);
    let pictures: Vec<_> = (0..)
        .map(|i| folder.join(format!("{i:06}.jpg")))
        .take_while(|path| path.is_file())
        .map(|path| image::DynamicImage::ImageRgb8(super::decode(&path).unwrap()).into_luma8())
        .collect();
    assert!(!pictures.is_empty(), "no footage in {}", folder.display());
    pictures
}

pub(super) fn grid_of(picture: &image::GrayImage) -> Grid {
    Grid::of(&Luma::packed(
        picture.width(),
        picture.height(),
        picture.as_raw(),
    ))
}
