//! Which pictures need not be looked at, because nothing moved in or about the lanes.
//!
//! A picture is compared with what the scene was like when it was last **looked at**, not with a
//! background that is learnt as time goes by. So no adaptation can swallow a vehicle that creeps:
//! its movement adds up until it is looked at, and only then is the comparison renewed. What the
//! gate takes for still is looked at all the same every two seconds, which finds what no comparison
//! shows (a vehicle of the road's own colour, one that nobody saw stop).
//!
//! What keeps noise, weather and compression out:
//! - a change counts from a least level on, and from a multiple of the cell's own noise, which is
//!   learnt;
//! - it takes a few neighbouring cells;
//! - a change of the whole picture's brightness or sharpness (clouds, exposure, key frames) is
//!   taken out first;
//! - where scattered small changes (rain) led to nothing, a few cells more;
//! - cells whose changes led to nothing (a burnt-in clock, leaves) need a larger change for some
//!   minutes. There is a limit to that, and it counts per cell: a vehicle covers others too, and
//!   changes more.

use std::time::Duration;

use super::cells::{covered, covered_by_any, grown};
use super::grid::Grid;
use kakou_traffic::geometry::Polygon;

#[derive(Debug, Clone, PartialEq)]
pub struct GateConfig {
    /// A still scene is looked at this often.
    pub routine: Duration,
    /// After movement everything is looked at for this long: a track needs more than one sight.
    pub hold: Duration,
    /// At the start everything is looked at for this long, while the noise is learnt.
    pub warm_up: Duration,
    /// Tracks that are open while nothing has moved for this long ...
    pub standing_after: Duration,
    /// ... are looked at this often. Zero: every picture.
    pub standing_every: Duration,
    /// The least change of a cell's mean level or texture that counts, in levels of 0 to 255.
    pub change: f32,
    /// How many times its noise a cell must change.
    pub noise: f32,
    /// So many changed cells within 5x5 are movement: an edge of a vehicle, but not a drop of rain.
    pub cluster: usize,
    /// At most this much more change is asked of a cell that often changed and nothing came of it;
    /// of one that did so now and then, a quarter of it.
    pub restless: f32,
    /// Half of that is forgotten after this time.
    pub restless_half_life: Duration,
    /// What belongs to a lane beside it, in parts of the picture's width, above and below it, in
    /// parts of its height: a vehicle is wider and taller than the lane it stands on.
    pub side: f32,
    pub above: f32,
    pub below: f32,
}

impl Default for GateConfig {
    fn default() -> Self {
        Self {
            routine: Duration::from_secs(2),
            hold: Duration::from_millis(700),
            warm_up: Duration::from_secs(2),
            standing_after: Duration::from_secs(3),
            standing_every: Duration::from_millis(200),
            change: 5.0,
            noise: 3.2,
            cluster: 5,
            restless: 80.0,
            restless_half_life: Duration::from_secs(600),
            side: 0.04,
            above: 0.1,
            below: 0.04,
        }
    }
}

/// Whether a picture is to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    Look(Reason),
    Still,
}

impl Verdict {
    pub fn is_look(self) -> bool {
        matches!(self, Self::Look(_))
    }
}

/// Why a picture is to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Among the first of a camera, or of a size.
    First,
    /// Tracks are open.
    Busy,
    /// Something moved in or about this lane (by its place among the lanes; `None` where there are
    /// none).
    Motion { lane: Option<usize> },
    /// Something moved a moment ago.
    Held,
    /// Nothing moved for some time.
    Routine,
}

/// How fast the comparison follows at a look: by half, so that one noisy picture is not the
/// measure.
const FOLLOW: f32 = 0.5;
/// The same at a routine look, of which none follows soon.
const FOLLOW_ROUTINE: f32 = 0.3;
/// The share of a cell's changes, while nothing is about, that its noise figure lies above.
const NOISE_SHARE: f32 = 0.85;
/// The noise figure's step per picture, in levels: the larger one while warming up, and less and
/// less after that.
const NOISE_STEP: f32 = 0.02;
const NOISE_STEP_FIRST: f32 = 0.3;
/// Cells to each side in which changed ones are counted.
const REACH: usize = 2;
/// So many times of movement that led to nothing, with half of them forgotten in `OFTEN_HALF_LIFE`,
/// are often.
const OFTEN: f32 = 4.0;
const OFTEN_HALF_LIFE: f32 = 60.0;
/// At most so many cells more are asked for than `cluster`: half a vehicle's length of creeping.
const SCATTER_MAX: usize = 4;
/// No noise is learnt beyond this: a cell that is as restless as a vehicle must not become blind.
const NOISE_MAX: f32 = 8.0;
/// Movement that led to no track for this long is held against its cells, even if it goes on.
const IDLE_MAX: Duration = Duration::from_secs(5);
/// Every so many cells one is asked for the picture's brightness.
const SPARSE: usize = 7;
/// Fewer cells than this say nothing of the whole picture.
const SPARSE_MIN: usize = 40;
/// The 64th lane and those after it share a bit.
const LANES: usize = 64;

/// Says picture by picture whether to look. Hand it the pictures that would be looked at, in order:
/// with [`Verdict::Look`] it takes the picture for seen.
#[derive(Debug)]
pub struct Gate {
    lanes: Vec<Polygon>,
    masks: Vec<Polygon>,
    config: GateConfig,
    field: Option<Field>,
}

/// What is known of the scene at one size of picture.
#[derive(Debug)]
struct Field {
    size: Grid,
    /// The lanes a cell belongs to, a bit each; 0: not watched.
    watch: Vec<u64>,
    /// Mean and texture when the scene was last looked at, of each cell.
    seen: [Vec<f32>; 2],
    noise: [Vec<f32>; 2],
    restless: Vec<f32>,
    /// How often each cell's movement has led to nothing, lately.
    alarms: Vec<f32>,
    /// So many cells more are asked of movement, since scattered ones (rain) led to nothing.
    scatter: f32,
    /// The most that moved together while something moved that has led to no track.
    largest: usize,
    /// The largest change of each cell while something moved that has led to no track.
    peak: Vec<f32>,
    /// Changes of this picture, kept to save allocations.
    change: [Vec<f32>; 2],
    changed: Vec<bool>,
    began: Duration,
    looked: Duration,
    moved: Option<Duration>,
    /// When the movement that goes on, or is held, began; and whether it led to a track.
    stir: Option<(Duration, bool)>,
    /// Since when tracks have been open.
    busy: Option<Duration>,
    forgot: Duration,
}

impl Gate {
    /// `lanes` and `masks` are in parts of the picture (0 to 1). Without lanes the whole picture is
    /// watched; what is masked never is.
    pub fn new(lanes: &[Polygon], masks: &[Polygon], config: GateConfig) -> Self {
        Self {
            lanes: lanes.to_vec(),
            masks: masks.to_vec(),
            config,
            field: None,
        }
    }

    /// Whether to look at this picture. `now` is monotonic; `busy` says that tracks are open.
    pub fn look(&mut self, grid: &Grid, now: Duration, busy: bool) -> Verdict {
        let c = &self.config;
        if !self.field.as_ref().is_some_and(|f| f.size.fits(grid)) {
            self.field = Some(Field::new(grid, &self.lanes, &self.masks, c, now));
            return Verdict::Look(Reason::First);
        }
        let Some(field) = &mut self.field else {
            return Verdict::Look(Reason::First);
        };
        let warm = now.saturating_sub(field.began) < c.warm_up;
        field.compare(grid);
        let moving = field.movement(c);
        field.follow_stir(c, now, busy, moving != 0);
        let verdict = field.decide(c, now, busy, warm, moving, self.lanes.is_empty());
        if !busy {
            let after = now.saturating_sub(field.began).saturating_sub(c.warm_up);
            field.learn_noise((NOISE_STEP_FIRST / (1.0 + after.as_secs_f32())).max(NOISE_STEP));
        }
        if let Verdict::Look(reason) = verdict {
            field.see(
                grid,
                if reason == Reason::Routine {
                    FOLLOW_ROUTINE
                } else {
                    FOLLOW
                },
            );
            field.looked = now;
        }
        verdict
    }
}

/// Which cells of a picture have changed since the scene was looked at last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    pub columns: u32,
    pub rows: u32,
    /// Row by row, from the top left.
    pub cells: Vec<u32>,
}

impl Gate {
    /// Of the picture that was handed in last; `None`: there was none yet.
    pub fn moved(&self) -> Option<Moved> {
        let field = self.field.as_ref()?;
        let changed = field.changed.iter().enumerate().filter(|(_, on)| **on);
        Some(Moved {
            columns: field.size.columns as u32,
            rows: field.size.rows as u32,
            cells: changed.map(|(i, _)| i as u32).collect(),
        })
    }
}

impl Field {
    fn new(
        grid: &Grid,
        lanes: &[Polygon],
        masks: &[Polygon],
        c: &GateConfig,
        now: Duration,
    ) -> Self {
        let (columns, rows, n) = (grid.columns, grid.rows, grid.len());
        let part = |share: f32, of: usize| (share * of as f32).ceil() as usize;
        let mut watch = vec![if lanes.is_empty() { 1 } else { 0 }; n];
        for (i, lane) in lanes.iter().enumerate() {
            let cells = covered(lane, columns, rows);
            let wide = grown(
                &cells,
                columns,
                part(c.side, columns),
                part(c.above, rows),
                part(c.below, rows),
            );
            let bit = 1_u64 << i.min(LANES - 1);
            watch
                .iter_mut()
                .zip(wide)
                .filter(|(_, on)| *on)
                .for_each(|(w, _)| *w |= bit);
        }
        let masked = covered_by_any(masks, columns, rows);
        watch
            .iter_mut()
            .zip(masked)
            .filter(|(_, masked)| *masked)
            .for_each(|(w, _)| *w = 0);
        let zero = || vec![0.0; n];
        Self {
            seen: [grid.mean.clone(), grid.texture.clone()],
            size: grid.clone(),
            watch,
            noise: [zero(), zero()],
            restless: zero(),
            alarms: zero(),
            scatter: 0.0,
            largest: 0,
            peak: zero(),
            change: [zero(), zero()],
            changed: vec![false; n],
            began: now,
            looked: now,
            moved: None,
            stir: None,
            busy: None,
            forgot: now,
        }
    }

    /// How much each cell differs from when it was last looked at. A change that the whole picture
    /// made in proportion is none; cells that could not make it (black, or white already) are
    /// compared as they are.
    fn compare(&mut self, grid: &Grid) {
        for (part, least, most) in [(0, 16.0, 235.0), (1, 2.0, 255.0)] {
            let now = if part == 0 { &grid.mean } else { &grid.texture };
            let seen = &self.seen[part];
            let gain = common_gain(now, seen, least, most);
            for ((d, &n), &s) in self.change[part].iter_mut().zip(now).zip(seen) {
                *d = (n - s).abs().min((n - gain * s).abs());
            }
        }
    }

    /// The lanes in which enough neighbouring cells changed, as bits.
    fn movement(&mut self, c: &GateConfig) -> u64 {
        let [levels, textures] = &self.change;
        let [level_noise, texture_noise] = &self.noise;
        let mut any = false;
        for (i, changed) in self.changed.iter_mut().enumerate() {
            let over = |d: f32, noise: f32| d > c.change.max(c.noise * noise) + self.restless[i];
            *changed = self.watch[i] != 0
                && (over(levels[i], level_noise[i]) || over(textures[i], texture_noise[i]));
            any |= *changed;
        }
        if !any {
            return 0;
        }
        let (columns, rows) = (self.size.columns, self.size.rows);
        let mut moving = 0;
        for i in (0..self.changed.len()).filter(|&i| self.changed[i]) {
            let (x, y) = (i % columns, i / columns);
            let near = (y.saturating_sub(REACH)..=(y + REACH).min(rows - 1)).flat_map(|row| {
                let (from, to) = (x.saturating_sub(REACH), (x + REACH).min(columns - 1));
                &self.changed[row * columns + from..=row * columns + to]
            });
            let together = near.filter(|&&on| on).count();
            if together >= c.cluster + self.scatter.round() as usize {
                self.largest = self.largest.max(together);
                moving |= self.watch[i];
                self.peak[i] = self.peak[i].max(levels[i]).max(textures[i]);
            }
        }
        moving
    }

    /// Movement begins, goes on, leads to a track, or leads to nothing.
    fn follow_stir(&mut self, c: &GateConfig, now: Duration, busy: bool, moving: bool) {
        if moving {
            self.moved = Some(now);
            self.stir.get_or_insert((now, false));
        }
        self.busy = if busy { self.busy.or(Some(now)) } else { None };
        if let Some((began, led)) = &mut self.stir {
            *led |= busy;
            let over = self.moved.is_none_or(|m| now.saturating_sub(m) > c.hold);
            if over || (!*led && now.saturating_sub(*began) > IDLE_MAX) {
                let idle = !*led;
                if idle {
                    let more = (self.largest + 1)
                        .saturating_sub(c.cluster)
                        .min(SCATTER_MAX);
                    self.scatter = self.scatter.max(more as f32);
                }
                self.largest = 0;
                let cells = self
                    .restless
                    .iter_mut()
                    .zip(&mut self.alarms)
                    .zip(&mut self.peak);
                for ((restless, alarms), peak) in cells {
                    if idle && *peak > 0.0 {
                        *alarms += 1.0;
                        let (more, most) = if *alarms > OFTEN {
                            (peak.max(*restless + *peak / 2.0), c.restless)
                        } else {
                            (*restless + *peak / 2.0, (c.restless / 4.0).max(*restless))
                        };
                        *restless = more.min(most);
                    }
                    *peak = 0.0;
                }
                self.stir = None;
            }
        }
        let since = now.saturating_sub(self.forgot);
        if since > Duration::from_secs(1) {
            let left =
                0.5_f32.powf(since.as_secs_f32() / c.restless_half_life.as_secs_f32().max(1.0));
            self.restless.iter_mut().for_each(|r| *r *= left);
            let left = 0.5_f32.powf(since.as_secs_f32() / OFTEN_HALF_LIFE);
            self.alarms.iter_mut().for_each(|a| *a *= left);
            self.scatter *= left;
            self.forgot = now;
        }
    }

    fn decide(
        &self,
        c: &GateConfig,
        now: Duration,
        busy: bool,
        warm: bool,
        moving: u64,
        laneless: bool,
    ) -> Verdict {
        let past = |since: Option<Duration>, time: Duration| {
            since.is_none_or(|s| now.saturating_sub(s) > time)
        };
        let waited = now.saturating_sub(self.looked);
        let at_rest = past(self.moved, c.standing_after) && past(self.busy, c.standing_after);
        let reason = if warm {
            Reason::First
        } else if busy && (!at_rest || waited >= c.standing_every) {
            Reason::Busy
        } else if moving != 0 {
            Reason::Motion {
                lane: (!laneless).then_some(moving.trailing_zeros() as usize),
            }
        } else if !past(self.moved, c.hold) {
            Reason::Held
        } else if waited >= c.routine {
            Reason::Routine
        } else {
            return Verdict::Still;
        };
        Verdict::Look(reason)
    }

    /// Moves each cell's noise figure to where `NOISE_SHARE` of its changes lie below: unlike a
    /// mean, a rare vehicle that led to no track moves it by a few steps only.
    fn learn_noise(&mut self, step: f32) {
        for (noise, change) in self.noise.iter_mut().zip(&self.change) {
            for (n, &d) in noise.iter_mut().zip(change) {
                let by = if d > *n {
                    NOISE_SHARE * step
                } else {
                    (NOISE_SHARE - 1.0) * step
                };
                *n = (*n + by).clamp(0.0, NOISE_MAX);
            }
        }
    }

    fn see(&mut self, grid: &Grid, follow: f32) {
        for (seen, now) in self.seen.iter_mut().zip([&grid.mean, &grid.texture]) {
            seen.iter_mut()
                .zip(now)
                .for_each(|(s, &n)| *s += follow * (n - *s));
        }
    }
}

/// By how much most of the picture grew, in proportion: the median, so that a vehicle does not
/// count.
fn common_gain(now: &[f32], seen: &[f32], least: f32, most: f32) -> f32 {
    let pairs = now.iter().zip(seen).step_by(SPARSE);
    let mut ratios: Vec<f32> = pairs
        .filter(|&(_, &s)| s > least && s < most)
        .map(|(n, s)| n / s)
        .collect();
    if ratios.len() < SPARSE_MIN {
        return 1.0;
    }
    let middle = ratios.len() / 2;
    let (_, median, _) = ratios.select_nth_unstable_by(middle, f32::total_cmp);
    median.clamp(0.5, 2.0)
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
