//! What a camera sees, for who aims it: a picture with what was found in it. A scene is made when
//! somebody asks, at most five times a second, and is the same for everybody; its JPEG is made once.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, FixedOffset};
use image::RgbImage;
use kakou_panel::{Exposure, Motion, PlateSight, Refused, Scene, VehicleSight};
use kakou_sight::camera::Pixels;
use kakou_sight::evidence::jpeg;
use kakou_time::SharedClock;

use super::super::camera_view::{CameraView, Seen};

/// A scene is shown to everybody who asks within this time.
const SHARED: Duration = Duration::from_millis(180);
/// A camera keeps what it finds for this long after somebody asked.
const WATCHED: Duration = Duration::from_secs(5);
/// Scenes whose pictures can be asked for.
const KEPT: usize = 4;
/// Pictures are no wider than this.
const WIDTH: u32 = 1280;
const QUALITY: u8 = 70;

/// The scenes of all cameras. A clone is another hand on the same ones.
#[derive(Clone, Default)]
pub struct Scenes(Arc<Mutex<HashMap<String, Arc<Mutex<Stage>>>>>);

/// Those of one camera.
#[derive(Default)]
struct Stage {
    shots: VecDeque<Shot>,
    next: u64,
}

struct Shot {
    scene: Scene,
    made: Duration,
    pixels: Pixels,
    jpeg: Option<Bytes>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Scenes {
    pub fn scene(
        &self,
        view: &CameraView,
        clock: &SharedClock,
        motion: bool,
    ) -> Result<Scene, Refused> {
        let now = clock.mono();
        view.watch_until(now + WATCHED);
        let stage = self.stage(view);
        let mut stage = locked(&stage);
        let is_fresh = |shot: &Shot| now.saturating_sub(shot.made) < SHARED;
        if !stage.shots.back().is_some_and(is_fresh) {
            stage.look(view, clock)?;
        }
        let shot = stage.shots.back().ok_or_else(no_picture)?;
        Ok(Scene {
            motion: motion.then(|| view.moved()).flatten().map(|moved| Motion {
                columns: moved.columns,
                rows: moved.rows,
                moved: moved.cells,
            }),
            ..shot.scene.clone()
        })
    }

    pub fn picture(&self, view: &CameraView, frame: u64) -> Result<Bytes, Refused> {
        let stage = self.stage(view);
        let mut stage = locked(&stage);
        let shot = stage
            .shots
            .iter_mut()
            .find(|shot| shot.scene.frame == frame);
        let shot = shot.ok_or_else(|| Refused::NotFound("a newer picture is shown".into()))?;
        if let Some(jpeg) = &shot.jpeg {
            return Ok(jpeg.clone());
        }
        let picture = shot
            .pixels
            .to_rgb()
            .map_err(|e| Refused::Failed(e.to_string()))?;
        let bytes = encoded(&picture, WIDTH)?;
        shot.jpeg = Some(bytes.clone());
        Ok(bytes)
    }

    fn stage(&self, view: &CameraView) -> Arc<Mutex<Stage>> {
        let mut all = locked(&self.0);
        Arc::clone(all.entry(view.id().to_string()).or_default())
    }
}

fn no_picture() -> Refused {
    Refused::NotFound("no picture has come yet".into())
}

impl Stage {
    /// Takes the frame that was looked at last, or the newest one where nothing moved since.
    fn look(&mut self, view: &CameraView, clock: &SharedClock) -> Result<(), Refused> {
        let (last, seen) = (self.shots.back().map(|shot| shot.scene.time), view.seen());
        // Asked after the frame was taken: a later time is one of before the clock was set back, and
        // says nothing of what is new.
        let now = clock.now();
        let is_past = |time: &DateTime<FixedOffset>| *time <= now.wall;
        let shown = last.filter(is_past);
        let seen = seen.filter(|seen| {
            is_past(&seen.captured) && shown.is_none_or(|shown| seen.captured > shown)
        });
        let looked = seen.is_some();
        let seen = match seen {
            Some(seen) => seen,
            None => {
                let (pixels, captured) = view.newest().ok_or_else(no_picture)?;
                // The very frame that is shown is not new, whatever its time.
                if last == Some(captured) || shown.is_some_and(|shown| captured <= shown) {
                    return Ok(());
                }
                Seen {
                    pixels,
                    captured,
                    detections: Default::default(),
                    tracks: Vec::new(),
                }
            }
        };
        let (focus, exposure) = measured(&seen.pixels)?;
        let (width, height) = seen.pixels.size();
        let scene = Scene {
            frame: self.next,
            time: seen.captured,
            size: [width, height],
            looked,
            vehicles: vehicles(&seen),
            plates: plates(&seen),
            motion: None,
            focus,
            exposure,
        };
        self.next += 1;
        self.shots.push_back(Shot {
            scene,
            made: now.mono,
            pixels: seen.pixels,
            jpeg: None,
        });
        if self.shots.len() > KEPT {
            self.shots.pop_front();
        }
        Ok(())
    }
}

fn vehicles(seen: &Seen) -> Vec<VehicleSight> {
    let track = |index: usize| {
        let mut tracks = seen.tracks.iter();
        tracks
            .find(|t| t.vehicle_find == Some(index))
            .map(|t| t.id.0)
    };
    let sight = |(index, found): (usize, &kakou_traffic::detections::VehicleFind)| VehicleSight {
        rect: [
            found.rect.x0,
            found.rect.y0,
            found.rect.width(),
            found.rect.height(),
        ],
        class: found.class.to_string(),
        score: found.score,
        track: track(index),
    };
    seen.detections
        .vehicles
        .iter()
        .enumerate()
        .map(sight)
        .collect()
}

fn plates(seen: &Seen) -> Vec<PlateSight> {
    let sight = |found: &kakou_traffic::detections::PlateFind| PlateSight {
        quad: found.quad.0.map(|p| [p.x, p.y]),
        text: found.read.as_ref().map(|read| read.text()),
        confidence: found.read.as_ref().map(|read| read.min_conf()),
        score: found.score,
        width: found.quad.width(),
    };
    seen.detections.plates.iter().map(sight).collect()
}

/// As JPEG, no wider than `width`.
pub fn encoded(picture: &RgbImage, width: u32) -> Result<Bytes, Refused> {
    let failed = |e: &dyn std::fmt::Display| Refused::Failed(e.to_string());
    let (w, h) = picture.dimensions();
    if w <= width {
        return jpeg(picture, QUALITY)
            .map(Bytes::from)
            .map_err(|e| failed(&e));
    }
    let height = (u64::from(h) * u64::from(width) / u64::from(w.max(1))) as u32;
    let small = image::imageops::thumbnail(picture, width, height.max(1));
    jpeg(&small, QUALITY)
        .map(Bytes::from)
        .map_err(|e| failed(&e))
}

/// Every so many rows of the picture are measured.
const ROWS: usize = 3;
/// As good as black, and as good as white.
const DARK: u8 = 16;
const BRIGHT: u8 = 240;

fn measured(pixels: &Pixels) -> Result<(f64, Exposure), Refused> {
    match pixels {
        Pixels::Planes(planes) => {
            let (w, h) = (planes.width as usize, planes.height as usize);
            Ok(measure(&planes.bytes, w, h))
        }
        Pixels::File { .. } => {
            let picture = pixels
                .to_rgb()
                .map_err(|e| Refused::Failed(e.to_string()))?;
            let grey = image::imageops::grayscale(&picture);
            let (w, h) = grey.dimensions();
            Ok(measure(grey.as_raw(), w as usize, h as usize))
        }
    }
}

/// The focus: the mean square of the Laplacian (Pech-Pacheco et al., "Diatom autofocusing in
/// brightfield microscopy", ICPR 2000, there as its variance) along rows, in the middle of the
/// picture. And how bright all of it is.
fn measure(luma: &[u8], w: usize, h: usize) -> (f64, Exposure) {
    let (mut sum, mut dark, mut bright, mut all) = (0_u64, 0_u64, 0_u64, 0_u64);
    let (mut edges, mut steps) = (0.0_f64, 0_u64);
    for y in (0..h).step_by(ROWS) {
        let Some(row) = luma.get(y * w..(y + 1) * w) else {
            break;
        };
        for &level in row {
            sum += u64::from(level);
            dark += u64::from(level < DARK);
            bright += u64::from(level >= BRIGHT);
        }
        all += row.len() as u64;
        if (h / 4..h * 3 / 4).contains(&y) {
            let middle = row.get(w / 4..w * 3 / 4).unwrap_or_default();
            let mut row_edges = 0_i64;
            for window in middle.windows(3) {
                let [a, b, c] = window else { continue };
                let step = i64::from(*a) - 2 * i64::from(*b) + i64::from(*c);
                row_edges += step * step;
            }
            edges += row_edges as f64;
            steps += middle.len().saturating_sub(2) as u64;
        }
    }
    let share = |n: u64| n as f32 / all.max(1) as f32;
    let exposure = Exposure {
        mean: share(sum),
        dark: share(dark),
        bright: share(bright),
    };
    (edges / steps.max(1) as f64, exposure)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use chrono::TimeDelta;
    use kakou_time::{Clock, SimulatedClock};

    use super::*;

    #[test]
    fn a_clock_that_is_set_back_does_not_stop_the_picture() {
        let wall = DateTime::parse_from_rfc3339("2026-03-14T17:00:00+08:00").unwrap();
        let simulated = Arc::new(SimulatedClock::new(wall, Duration::from_secs(5)));
        let clock: SharedClock = simulated.clone();
        let view = CameraView::new("cam-1".parse().unwrap(), wall);
        let mut png = std::io::Cursor::new(Vec::new());
        RgbImage::new(8, 8)
            .write_to(&mut png, image::ImageFormat::Png)
            .unwrap();
        let pixels = Pixels::File {
            bytes: Bytes::from(png.into_inner()),
            size: (8, 8),
        };
        // What the camera's thread does with a frame. Half of the frames are looked at.
        let frame = |is_looked_at: bool| {
            simulated.advance(Duration::from_millis(200));
            let captured = simulated.wall();
            view.update(|status| status.last_frame = Some(captured));
            view.show(pixels.clone());
            if is_looked_at {
                let seen = Seen {
                    pixels: pixels.clone(),
                    captured,
                    detections: Default::default(),
                    tracks: Vec::new(),
                };
                view.saw(simulated.mono(), || (seen, None));
            }
            captured
        };
        let scenes = Scenes::default();
        let shown = || {
            let scene = scenes.scene(&view, &clock, false).unwrap();
            (scene.frame, scene.time, scene.looked)
        };
        let first = frame(false);
        assert_eq!(shown(), (0, first, false));
        let second = frame(true);
        assert_eq!(shown(), (1, second, true));
        simulated.step(TimeDelta::hours(-8));
        simulated.advance(Duration::from_millis(200));
        assert_eq!(shown(), (1, second, true), "no frame has come since");
        let third = frame(false);
        assert_eq!(shown(), (2, third, false));
        let fourth = frame(true);
        assert_eq!(shown(), (3, fourth, true));
        simulated.advance(Duration::from_millis(200));
        assert_eq!(shown(), (3, fourth, true));
    }

    #[test]
    fn a_sharp_picture_has_more_focus_than_a_blurred_one_and_a_flat_one_none() {
        let (w, h) = (120, 90);
        let stripes = |width: usize| -> Vec<u8> {
            (0..w * h)
                .map(|i| {
                    if ((i % w) / width).is_multiple_of(2) {
                        40
                    } else {
                        200
                    }
                })
                .collect()
        };
        let sharp = stripes(4);
        let blurred: Vec<u8> = (0..w * h)
            .map(|i| {
                let near = &sharp[i.saturating_sub(3)..(i + 4).min(w * h)];
                (near.iter().map(|v| usize::from(*v)).sum::<usize>() / near.len()) as u8
            })
            .collect();
        let focus = |luma: &[u8]| measure(luma, w, h).0;
        assert!(focus(&sharp) > 4.0 * focus(&blurred));
        assert_eq!(focus(&vec![99; w * h]), 0.0);
    }

    #[test]
    fn exposure_is_of_all_of_the_picture() {
        let (_, dark) = measure(&[0; 300], 20, 15);
        assert_eq!((dark.mean, dark.dark, dark.bright), (0.0, 1.0, 0.0));
        let (_, bright) = measure(&[255; 300], 20, 15);
        assert_eq!((bright.mean, bright.dark, bright.bright), (255.0, 0.0, 1.0));
        // Bytes that are too few are no reason to fall.
        measure(&[1; 7], 20, 15);
    }
}
