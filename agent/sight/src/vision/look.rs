//! One look at a frame: what is looked for in it, and where.
//!
//! [`Cadence`] says what is due. Vehicles are looked for in the whole frame; plates in the lanes'
//! surroundings, or in the boxes of vehicles whose plate is not known yet, and where followed
//! plates should be by now. How much one look may cost has a bound, so that a billboard full of
//! text does not starve the camera.
//!
//! A look that fails is a [`LookError`]: it concerns this frame, and the next one can be looked at.

use std::time::Duration;

use image::RgbImage;

use super::body;
use super::cadence::{Cadence, Due};
use super::plates::PlateFinder;
use super::pool::ModelSet;
use super::retina::{Found, suppress};
use super::runtime::RuntimeError;
use crate::camera::{Frame, PixelError};

use kakou_traffic::detections::{Detections, Expected};
use kakou_traffic::geometry::{Polygon, Rect};
use kakou_traffic::track::Updates;

/// What vision looks for, where and how often, in a stream of frames. How often it does is told by
/// the times of the frames and by what was seen in them, never by the machine's clock: a recording
/// gives the same passages every time.
#[derive(Debug, Clone, PartialEq)]
pub struct LookConfig {
    /// Vehicles scoring less are not seen.
    pub vehicle_score: f32,
    /// The longer side, in pixels, to which the looked-at part of a frame is scaled for the plate
    /// detector.
    pub plate_side: u32,
    /// At most this many milliseconds pass between two looks for vehicles while all vehicles in
    /// sight are well known; while there is none, or one is new or shows no plate, they are looked
    /// for more often. 0: in every frame.
    pub vehicle_every_ms: u32,
    /// At most this many milliseconds pass between two searches for plates in all of the looked-at
    /// part. In between they are looked for on vehicles whose plate is not known, and where
    /// followed plates are expected. 0: in every frame.
    pub plate_every_ms: u32,
    /// A plate read alike and surely this many times is read only now and then after that. 0: it is
    /// read in every frame.
    pub enough_reads: u32,
}

/// Where the camera's owner wants us to look, in pixels.
#[derive(Debug, Clone, PartialEq)]
pub struct LookArea {
    /// The part of the frame in which plates are looked for: the lanes with their surroundings, or
    /// all of it. Vehicles are looked for in the whole frame, whose border cuts fewer of them into
    /// half boxes.
    pub region: Rect,
    /// Nothing that lies in one of these is a plate: burnt-in text, signs.
    pub masks: Vec<Polygon>,
}

/// Why a frame could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    #[error(transparent)]
    Pixels(#[from] PixelError),
    #[error(transparent)]
    Model(#[from] RuntimeError),
}

/// What one camera looks for, and when it looked last. The models are lent to it for each look.
pub struct Vision {
    config: LookConfig,
    cadence: Cadence,
}

/// New plates that are looked at closely in one frame, the likeliest first. Each costs two runs of
/// a model and more. More than this stand on no road in sight; on a billboard they do.
const MOST_NEW_PLATES: usize = 8;
/// A new find narrower than this (pixels) is no plate that could be read soon. The second look
/// would enlarge it until it shows something.
const NARROWEST_PLATE: f32 = 14.0;
/// A find within this share of a followed plate's width is that plate.
const SAME_PLATE: f32 = 0.5;

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
            cadence: Cadence::new(&config),
            config,
        }
    }

    /// What there is to do in a frame of this monotonic time; `None`: nothing. What is due counts
    /// as done.
    pub fn due(&mut self, now: Duration, expected: &[Expected]) -> Option<Due> {
        self.cadence.due(now, !expected.is_empty())
    }

    /// Takes in what the tracker made of a look.
    pub fn update(&mut self, now: Duration, seen: &Detections, updates: &Updates) {
        self.cadence.update(now, seen, updates);
    }

    /// Finds what is in one frame.
    pub fn look(
        &mut self,
        models: &mut ModelSet,
        frame: &Frame,
        due: Due,
        area: &LookArea,
        expected: &[Expected],
    ) -> Result<Detections, LookError> {
        let seen = self.find(models, frame, due, area, expected);
        models.rgb.give_back_if_large();
        seen
    }

    fn find(
        &mut self,
        models: &mut ModelSet,
        frame: &Frame,
        due: Due,
        area: &LookArea,
        expected: &[Expected],
    ) -> Result<Detections, LookError> {
        let ModelSet {
            vehicles,
            plates,
            rgb,
        } = models;
        let picture = frame.rgb(rgb)?;
        let mut seen = Detections::default();
        if due.vehicles {
            seen.vehicles_looked_for = true;
            seen.vehicles = vehicles.find(picture, whole(picture), self.config.vehicle_score)?;
            body::paint(picture, &mut seen.vehicles);
        }
        let now = frame.time.mono;
        let side = self.config.plate_side as f32;
        let largest = PlateFinder::largest_zone(area.region, side);
        let boxes = self.cadence.boxes(now, &due, &seen, area.region, largest);
        let mut coarse = Vec::new();
        match boxes {
            Some(boxes) => {
                for part in boxes {
                    coarse.extend(plates.on_vehicle(picture, part, area.region, side)?);
                }
                coarse = suppress(coarse);
            }
            None => {
                // Where only some places are looked at, a new plate that is not seen means nothing.
                seen.plates_looked_for = true;
                coarse = plates.coarse(picture, area.region, &[side])?;
            }
        }
        let mut close = Vec::new();
        for find in candidates(coarse, expected, &area.masks) {
            close.extend(plates.close(picture, &find)?);
        }
        for find in suppress(close) {
            let centre = find.quad.center();
            if area.masks.iter().any(|m| m.contains(centre)) {
                continue;
            }
            let known = expected.iter().find(|e| is_at(e, &find));
            seen.plates.extend(match known {
                Some(e) if !e.read => Some(plates.unread(&find)),
                // A followed plate that a post hides for a moment is still followed.
                Some(_) => Some(
                    plates
                        .read_closely(picture, &find)?
                        .unwrap_or_else(|| plates.unread(&find)),
                ),
                None => plates.read_closely(picture, &find)?,
            });
        }
        Ok(seen)
    }
}

fn is_at(expected: &Expected, find: &Found) -> bool {
    let apart = expected.quad.center().distance(find.quad.center());
    apart < SAME_PLATE * expected.quad.width()
}

/// What gets a second look: the followed plates, where they were found or are expected; then the
/// new finds, best first, as many as there may be.
fn candidates(coarse: Vec<Found>, expected: &[Expected], masks: &[Polygon]) -> Vec<Found> {
    let mut followed = Vec::new();
    for e in expected {
        let found = coarse.iter().any(|find| is_at(e, find));
        if !found {
            // Its score is nil: it counts only if the second look finds it.
            followed.push(Found {
                rect: e.quad.bounds(),
                quad: e.quad,
                score: 0.0,
            });
        }
    }
    let (mut known, mut new): (Vec<Found>, Vec<Found>) = coarse
        .into_iter()
        .partition(|find| expected.iter().any(|e| is_at(e, find)));
    let visible = |find: &Found| !masks.iter().any(|m| m.contains(find.quad.center()));
    new.retain(|find| visible(find) && find.quad.width() >= NARROWEST_PLATE);
    new.sort_by(|a, b| b.score.total_cmp(&a.score));
    new.truncate(MOST_NEW_PLATES);
    known.extend(followed);
    known.retain(visible);
    known.extend(new);
    known
}

fn whole(picture: &RgbImage) -> Rect {
    Rect::new(0.0, 0.0, picture.width() as f32, picture.height() as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kakou_traffic::geometry::{Point, Quad};

    fn quad(x: f32, y: f32) -> Quad {
        Quad(
            [(x, y), (x + 80.0, y), (x + 80.0, y + 25.0), (x, y + 25.0)]
                .map(|(x, y)| Point::new(x, y)),
        )
    }

    fn find(x: f32, y: f32, score: f32) -> Found {
        Found {
            rect: quad(x, y).bounds(),
            quad: quad(x, y),
            score,
        }
    }

    fn followed(x: f32, y: f32) -> Expected {
        Expected {
            quad: quad(x, y),
            read: true,
        }
    }

    #[test]
    fn a_billboard_costs_no_more_than_its_share_and_hides_no_followed_plate() {
        let mut coarse: Vec<Found> = (0..200)
            .map(|i| find((i % 20) as f32 * 90.0, (i / 20) as f32 * 30.0, 0.9))
            .collect();
        // Last and least: a followed plate, and one that is new.
        coarse.push(find(500.0, 700.0, 0.25));
        coarse.push(find(900.0, 700.0, 0.95));
        let expected = [followed(505.0, 702.0), followed(100.0, 600.0)];
        let chosen = candidates(coarse, &expected, &[]);
        assert_eq!(chosen.len(), expected.len() + MOST_NEW_PLATES);
        for e in &expected {
            assert!(chosen.iter().any(|f| is_at(e, f)), "{e:?}");
        }
        assert!(
            chosen.iter().any(|f| f.score > 0.94),
            "the best comes first"
        );
    }

    #[test]
    fn specks_are_not_enlarged_into_plates() {
        let mut speck = find(10.0, 10.0, 0.9);
        speck.quad = speck.quad.map(|p| Point::new(p.x * 0.05, p.y * 0.05));
        assert!(candidates(vec![speck], &[], &[]).is_empty());
    }

    #[test]
    fn what_is_masked_is_not_looked_at() {
        let mask = Polygon(quad(0.0, 0.0).0.to_vec());
        let expected = [followed(2.0, 2.0)];
        let chosen = candidates(vec![find(1.0, 0.0, 0.9)], &expected, &[mask]);
        assert!(chosen.is_empty(), "{chosen:?}");
    }
}
