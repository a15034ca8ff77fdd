//! A small traffic simulator for tests: vehicles on given ways, seen by detectors that err as real
//! ones do.

use std::time::Duration;

use kakou_contract::{PlateColour, VehicleClass};

use crate::detections::{Detections, PlateFind, VehicleFind};
use crate::geometry::{Point, Quad, Rect};
use crate::plate::{CharRead, PlateRead};

pub(crate) const SIZE: (u32, u32) = (1280, 720);

/// Splitmix: small, seeded, the same everywhere.
#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0 to 1.
    pub(crate) fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1_u64 << 24) as f32
    }

    pub(crate) fn chance(&mut self, p: f32) -> bool {
        self.unit() < p
    }

    /// Around 0, rarely beyond twice `spread`.
    fn noise(&mut self, spread: f32) -> f32 {
        (self.unit() + self.unit() + self.unit() - 1.5) * 2.0 * spread
    }

    pub(crate) fn pick(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

/// Where a vehicle is at a time: middle of its lower edge, and its width.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way {
    pub(crate) t: f32,
    pub(crate) x: f32,
    pub(crate) y: f32,
    pub(crate) w: f32,
}

#[derive(Debug, Clone)]
pub(crate) struct Vehicle {
    /// Empty: without a plate.
    pub(crate) text: String,
    pub(crate) way: Vec<Way>,
    /// Times in which something hides it from all detectors.
    pub(crate) hidden: Vec<(f32, f32)>,
    /// The vehicle detector never finds it.
    pub(crate) plate_only: bool,
    pub(crate) score: f32,
    pub(crate) class: VehicleClass,
}

impl Vehicle {
    pub(crate) fn new(text: &str, way: &[(f32, f32, f32, f32)]) -> Self {
        let way = way.iter().map(|&(t, x, y, w)| Way { t, x, y, w }).collect();
        Self {
            text: text.into(),
            way,
            hidden: Vec::new(),
            plate_only: false,
            score: 0.8,
            class: VehicleClass::Car,
        }
    }

    /// Comes down the picture at `x`, from `t` on, for `seconds`.
    pub(crate) fn approaching(text: &str, x: f32, t: f32, seconds: f32) -> Self {
        Self::new(
            text,
            &[
                (t, x, 60.0, 220.0),
                (t + 0.5 * seconds, x, 340.0, 330.0),
                (t + seconds, x, 980.0, 560.0),
            ],
        )
    }

    fn at(&self, t: f32) -> Option<Way> {
        if self.hidden.iter().any(|h| (h.0..h.1).contains(&t)) {
            return None;
        }
        let i = self
            .way
            .windows(2)
            .position(|p| (p[0].t..=p[1].t).contains(&t))?;
        let (a, b) = (self.way[i], self.way[i + 1]);
        let f = (t - a.t) / (b.t - a.t).max(1e-6);
        let mix = |x: f32, y: f32| x + f * (y - x);
        Some(Way {
            t,
            x: mix(a.x, b.x),
            y: mix(a.y, b.y),
            w: mix(a.w, b.w),
        })
    }
}

/// How the detectors err.
#[derive(Debug, Clone)]
pub(crate) struct Errors {
    pub(crate) vehicle_missed: f32,
    pub(crate) plate_missed: f32,
    /// Share of the vehicle's width that boxes jump by.
    pub(crate) box_noise: f32,
    pub(crate) doubled: f32,
    pub(crate) halved: f32,
    pub(crate) misread: f32,
}

impl Default for Errors {
    fn default() -> Self {
        Self {
            vehicle_missed: 0.25,
            plate_missed: 0.05,
            box_noise: 0.03,
            doubled: 0.1,
            halved: 0.04,
            misread: 0.08,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) vehicles: Vec<Vehicle>,
    pub(crate) errors: Errors,
    pub(crate) fps: f32,
    /// Frame times vary by this share of the interval.
    pub(crate) irregular: f32,
    pub(crate) seconds: f32,
    /// A text that stays where it is, with the frame rate of the plate detector.
    pub(crate) overlay: Option<(String, Point)>,
    /// Boxes that are always there: rectangle and score.
    pub(crate) ghosts: Vec<(Rect, f32)>,
    pub(crate) seed: u64,
    /// How long the agent had been running when the scene began. `None`: up to ten years, by the
    /// seed, so that no test depends on a fresh agent.
    pub(crate) epoch: Option<Duration>,
}

const TEN_YEARS_S: u64 = 10 * 365 * 86_400;

impl World {
    pub(crate) fn new(vehicles: Vec<Vehicle>, seconds: f32) -> Self {
        Self {
            vehicles,
            errors: Errors::default(),
            fps: 12.0,
            irregular: 0.3,
            seconds,
            overlay: None,
            ghosts: Vec::new(),
            seed: 1,
            epoch: None,
        }
    }

    /// The agent's monotonic time at which the scene begins.
    pub(crate) fn start(&self) -> Duration {
        self.epoch.unwrap_or_else(|| {
            let micros = Rng::new(self.seed ^ 0x7e9e).next() % (TEN_YEARS_S * 1_000_000);
            Duration::from_micros(micros)
        })
    }

    /// Seconds since the scene began.
    pub(crate) fn seconds_at(&self, now: Duration) -> f32 {
        now.saturating_sub(self.start()).as_secs_f32()
    }

    /// All frames: time and finds.
    pub(crate) fn frames(&self) -> Vec<(Duration, Detections)> {
        let mut rng = Rng::new(self.seed);
        let start = self.start();
        let mut frames = Vec::new();
        let mut t = 0.0;
        while t < self.seconds {
            frames.push((start + Duration::from_secs_f32(t), self.look(t, &mut rng)));
            t += (1.0 + self.irregular * (2.0 * rng.unit() - 1.0)) / self.fps;
        }
        frames
    }

    fn look(&self, t: f32, rng: &mut Rng) -> Detections {
        let mut det = Detections {
            vehicles_looked_for: true,
            plates_looked_for: true,
            ..Detections::default()
        };
        for v in &self.vehicles {
            if let Some(w) = v.at(t) {
                self.see_vehicle(v, w, rng, &mut det);
                self.see_plate(v, w, rng, &mut det);
            }
        }
        for (rect, score) in &self.ghosts {
            if rng.chance(0.7) {
                let r = rect.shifted(rng.noise(4.0), rng.noise(4.0));
                det.vehicles.push(VehicleFind {
                    rect: r,
                    class: VehicleClass::Car,
                    score: score + rng.noise(0.05),
                    colour: None,
                });
            }
        }
        if let Some((text, at)) = &self.overlay {
            let quad = plate_quad(at.x, at.y, 120.0, rng);
            det.plates.push(PlateFind {
                quad,
                score: 0.7,
                read: Some(read(text, 0.95, 0.05, rng)),
                colour: None,
                legibility: 1.0,
            });
        }
        // Detectors report by score, not by vehicle.
        det.vehicles.sort_by(|a, b| b.score.total_cmp(&a.score));
        det.plates.sort_by(|a, b| b.score.total_cmp(&a.score));
        det
    }

    fn see_vehicle(&self, v: &Vehicle, w: Way, rng: &mut Rng, det: &mut Detections) {
        let e = &self.errors;
        let (pw, ph) = (SIZE.0 as f32, SIZE.1 as f32);
        let full = Rect::new(w.x - w.w / 2.0, w.y - 0.85 * w.w, w.x + w.w / 2.0, w.y);
        let seen = full.clipped(pw, ph);
        if v.plate_only || seen.area() < 0.25 * full.area() || rng.chance(e.vehicle_missed) {
            return;
        }
        let n = e.box_noise * w.w;
        let mut jump = |r: &Rect| {
            let mut k = || rng.noise(n);
            Rect::new(r.x0 + k(), r.y0 + k(), r.x1 + k(), r.y1 + k()).clipped(pw, ph)
        };
        let (first, second) = (jump(&seen), jump(&seen));
        let four = [VehicleClass::Car, VehicleClass::Truck, VehicleClass::Bus];
        let wheels = four.contains(&v.class);
        let class = if wheels && rng.chance(0.3) {
            four[rng.pick(3)]
        } else {
            v.class
        };
        let score = (v.score + rng.noise(0.1)).clamp(0.31, 0.99);
        let half = rng.chance(e.halved);
        let rect = if half {
            Rect {
                x1: first.x0 + 0.55 * first.width(),
                ..first
            }
        } else {
            first
        };
        det.vehicles.push(VehicleFind {
            rect,
            class,
            score,
            colour: None,
        });
        if rng.chance(e.doubled) {
            det.vehicles.push(VehicleFind {
                rect: second,
                class: VehicleClass::Truck,
                score: 0.8 * score,
                colour: None,
            });
        }
    }

    fn see_plate(&self, v: &Vehicle, w: Way, rng: &mut Rng, det: &mut Detections) {
        let width = 0.22 * w.w;
        let (x, y) = (w.x, w.y - 0.15 * w.w);
        let (pw, ph) = (SIZE.0 as f32, SIZE.1 as f32);
        let inside = x - width / 2.0 > 0.0
            && x + width / 2.0 < pw
            && y - 0.2 * width > 0.0
            && y + 0.2 * width < ph;
        if v.text.is_empty() || width < 25.0 || !inside || rng.chance(self.errors.plate_missed) {
            return;
        }
        let sharp = (width / 100.0).min(1.0);
        let colour = if v.text.chars().count() == 8 {
            PlateColour::Green
        } else {
            PlateColour::Blue
        };
        det.plates.push(PlateFind {
            quad: plate_quad(x, y, width, rng),
            score: 0.6 + 0.3 * sharp,
            read: (width >= 40.0)
                .then(|| read(&v.text, 0.85 + 0.14 * sharp, self.errors.misread, rng)),
            colour: Some((colour, 0.8)),
            legibility: sharp,
        });
    }
}

fn plate_quad(x: f32, y: f32, width: f32, rng: &mut Rng) -> Quad {
    let (w, h) = (width / 2.0, width * 0.16);
    let mut p = |dx: f32, dy: f32| Point::new(x + dx + rng.noise(0.8), y + dy + rng.noise(0.8));
    Quad([p(-w, -h), p(w, -h), p(w, h), p(-w, h)])
}

/// Reads a text with slips: a confused character, a lost one.
pub(crate) fn read(text: &str, conf: f32, misread: f32, rng: &mut Rng) -> PlateRead {
    let mut chars: Vec<CharRead> = text
        .chars()
        .map(|ch| CharRead {
            ch,
            conf: (conf + rng.noise(0.02)).clamp(0.0, 1.0),
            runner_up: None,
        })
        .collect();
    if rng.chance(misread) {
        let i = rng.pick(chars.len());
        let other = ['8', 'B', '0', 'D', '5', '7'][rng.pick(6)];
        chars[i] = CharRead {
            ch: other,
            conf: 0.55,
            runner_up: Some((chars[i].ch, 0.4)),
        };
    } else if rng.chance(misread / 2.0) {
        chars.remove(rng.pick(chars.len()));
    }
    PlateRead { chars, rows: 1 }
}
