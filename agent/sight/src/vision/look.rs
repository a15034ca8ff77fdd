//! Looking at a stream of frames: what is looked for in which frame, and where.

use std::time::Duration;

use image::RgbImage;

use super::pool::ModelSet;
use super::retina::{Found, suppress};
use super::runtime::RuntimeError;
use kakou_traffic::detections::Expected;
use kakou_traffic::detections::{Detections, PlateFind};
use kakou_traffic::geometry::{Polygon, Rect};

/// What vision looks for, where and how often, in a stream of frames.
#[derive(Debug, Clone, PartialEq)]
pub struct LookConfig {
    /// Vehicles scoring less are not seen.
    pub vehicle_score: f32,
    /// The longer side, in pixels, to which the looked-at part of a frame is scaled for the plate detector.
    pub plate_side: u32,
    /// Milliseconds of recording between two runs of the vehicle detector; 0: every frame.
    pub vehicle_every_ms: u32,
    /// Milliseconds between two searches for new plates in the whole looked-at part; 0: every frame. Plates that
    /// are already followed are looked at where they are expected in every frame.
    pub plate_every_ms: u32,
    /// A plate read alike and surely this many times is read only now and then after that.
    pub enough_reads: u32,
}

/// Where the camera's owner wants us to look, in pixels.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// The part of the frame in which plates are looked for: the lanes with their surroundings, or all of it.
    /// Vehicles are looked for in the whole frame, whose border cuts fewer of them into half boxes.
    pub region: Rect,
    /// Nothing that lies in one of these is a plate: burnt-in text, signs.
    pub masks: Vec<Polygon>,
}

/// What one camera looks for, and when it looked last. The models are lent to it for each look.
pub struct Vision {
    config: LookConfig,
    vehicles_at: Option<Duration>,
    plates_at: Option<Duration>,
}

/// Time inside bare model runs and the number of runs, per model.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Spent {
    pub vehicles: (Duration, u64),
    pub plates: (Duration, u64),
    pub reader: (Duration, u64),
}

impl Spent {
    pub fn total(&self) -> Duration {
        self.vehicles.0 + self.plates.0 + self.reader.0
    }

    pub(super) fn plus(&self, other: &Self) -> Self {
        let add = |a: (Duration, u64), b: (Duration, u64)| (a.0 + b.0, a.1 + b.1);
        Self {
            vehicles: add(self.vehicles, other.vehicles),
            plates: add(self.plates, other.plates),
            reader: add(self.reader, other.reader),
        }
    }
}

impl Vision {
    pub fn new(config: LookConfig) -> Self {
        Self {
            config,
            vehicles_at: None,
            plates_at: None,
        }
    }

    /// Finds what is in one frame. `now` is the frame's monotonic time.
    pub fn look(
        &mut self,
        models: &mut ModelSet,
        picture: &RgbImage,
        now: Duration,
        place: &Place,
        expected: &[Expected],
    ) -> Result<Detections, RuntimeError> {
        let mut seen = Detections::default();
        if due(&mut self.vehicles_at, now, self.config.vehicle_every_ms) {
            seen.vehicles_looked_for = true;
            seen.vehicles =
                models
                    .vehicles
                    .find(picture, whole(picture), self.config.vehicle_score)?;
        }
        let mut coarse = Vec::new();
        if due(&mut self.plates_at, now, self.config.plate_every_ms) {
            // Where only followed plates are looked at, a new one that is not seen means nothing.
            seen.plates_looked_for = true;
            coarse =
                models
                    .plates
                    .coarse(picture, place.region, &[self.config.plate_side as f32])?;
        }
        seen.plates = Self::close(models, picture, place, coarse, expected)?;
        Ok(seen)
    }

    /// The second look: at every coarse find, and where a followed plate is expected that the first look missed.
    fn close(
        models: &mut ModelSet,
        picture: &RgbImage,
        place: &Place,
        mut coarse: Vec<Found>,
        expected: &[Expected],
    ) -> Result<Vec<PlateFind>, RuntimeError> {
        for e in expected {
            let c = e.quad.center();
            if !coarse
                .iter()
                .any(|f| f.quad.center().distance(c) < 0.5 * e.quad.width())
            {
                // Its score is nil: it counts only if the second look finds it.
                coarse.push(Found {
                    rect: e.quad.bounds(),
                    quad: e.quad,
                    score: 0.0,
                });
            }
        }
        coarse.retain(|f| !place.masks.iter().any(|m| m.contains(f.quad.center())));
        let mut close = Vec::new();
        for f in &coarse {
            close.extend(models.plates.close(picture, f)?);
        }
        let mut finds = Vec::new();
        for f in suppress(close) {
            let c = f.quad.center();
            if place.masks.iter().any(|m| m.contains(c)) {
                continue;
            }
            let known = expected
                .iter()
                .find(|e| e.quad.center().distance(c) < 0.5 * e.quad.width());
            finds.push(match known {
                Some(e) if !e.read => models.plates.unread(&f),
                _ => models.plates.read_closely(picture, &f)?,
            });
        }
        Ok(finds)
    }
}

fn whole(picture: &RgbImage) -> Rect {
    Rect::new(0.0, 0.0, picture.width() as f32, picture.height() as f32)
}

/// Whether something that is done every `every_ms` is due; if so, it counts as done now.
fn due(last: &mut Option<Duration>, now: Duration, every_ms: u32) -> bool {
    let every = Duration::from_millis(u64::from(every_ms));
    // A time before the last one is that of another recording.
    let is_due = last.is_none_or(|l| now < l || now - l >= every);
    if is_due {
        *last = Some(now);
    }
    is_due
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_frame_or_at_intervals() {
        let ms = Duration::from_millis;
        let mut last = None;
        let seen: Vec<bool> = [0, 40, 80, 120, 160]
            .iter()
            .map(|t| due(&mut last, ms(*t), 80))
            .collect();
        assert_eq!(seen, [true, false, true, false, true]);
        assert!(due(&mut last, ms(160), 0));
        assert!(due(&mut last, ms(0), 80), "another recording begins");
    }
}
