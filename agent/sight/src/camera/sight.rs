//! What the picture says of its camera: frozen, black, blinded, turned away.
//!
//! Each has its own measure and its own time that it must last; a moment's wellness does not end
//! it, two seconds do.
//! - **Black**: nearly all cells are dark and without texture.
//! - **Blinded**: most cells are white and without texture. Head lights and a white sky leave the
//!   rest of the picture.
//! - **Frozen**: the same pictures come again and again, *exactly* but for a clock's few cells. A
//!   sensor's noise changes some bit of nearly every cell; but a still scene may be sent unchanged
//!   until the next key frame, so the time is longer than between those.
//! - **Turned away**: the direction of edges, whatever their contrast, no longer matches what was
//!   learnt, in most blocks of the picture that had any. Light changes edges' contrast, not their
//!   place. Vehicles hide a few blocks, not most; wind moves the picture by a cell at most, which
//!   is allowed for. The reference follows slowly, while it matches.

use std::time::Duration;

use super::cells::covered_by_any;
use super::grid::Grid;
use super::landmarks::Landmarks;
use super::repeats::Repeats;
use kakou_traffic::geometry::Polygon;

/// What a picture shows, as far as its camera's health is concerned. Where several hold, the last
/// is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum View {
    Clear,
    TurnedAway,
    Frozen,
    Blinded,
    Black,
}

#[derive(Debug, Clone, PartialEq)]
pub struct SightConfig {
    /// Cells up to this level are dark, as long as their texture is below `flat`.
    pub dark: f32,
    /// Cells from this level on are white; video mostly ends at 235.
    pub bright: f32,
    pub flat: f32,
    /// This share of dark cells is a black picture.
    pub dark_share: f32,
    pub black_after: Duration,
    /// This share of bright cells is a blinded one.
    pub bright_share: f32,
    pub blinded_after: Duration,
    /// This share of cells exactly the same is the same picture.
    pub same_share: f32,
    pub frozen_after: Duration,
    /// The scene is learnt for this long before it can be judged.
    pub learn: Duration,
    /// Below this share of matching blocks the scene is another one; it is learnt on only above
    /// `match_well`.
    pub match_low: f32,
    pub match_well: f32,
    pub turned_after: Duration,
    /// What ended must stay away for this long.
    pub clear_after: Duration,
    /// After a pause of this length nothing is known of what lasted.
    pub pause: Duration,
}

impl Default for SightConfig {
    fn default() -> Self {
        Self {
            dark: 40.0,
            bright: 228.0,
            flat: 4.0,
            dark_share: 0.985,
            black_after: Duration::from_secs(10),
            bright_share: 0.6,
            blinded_after: Duration::from_secs(10),
            same_share: 0.995,
            frozen_after: Duration::from_secs(20),
            learn: Duration::from_secs(60),
            match_low: 0.3,
            match_well: 0.45,
            turned_after: Duration::from_secs(60),
            clear_after: Duration::from_secs(2),
            pause: Duration::from_secs(30),
        }
    }
}

/// Something that must last before it is told, and be gone for a while before it is not.
#[derive(Debug, Default, Clone, Copy)]
struct Lasting {
    on: bool,
    /// Since when it has been otherwise than told.
    since: Option<Duration>,
}

impl Lasting {
    fn update(&mut self, holds: bool, now: Duration, after: Duration, clear: Duration) -> bool {
        if holds == self.on {
            self.since = None;
        } else {
            let since = *self.since.get_or_insert(now);
            if now.saturating_sub(since) >= if holds { after } else { clear } {
                *self = Self {
                    on: holds,
                    since: None,
                };
            }
        }
        self.on
    }
}

/// Judges a camera's pictures, one after the other.
#[derive(Debug)]
pub struct Sight {
    masks: Vec<Polygon>,
    config: SightConfig,
    /// Cells that are not masked, of the size of the first picture.
    open: Vec<usize>,
    repeats: Repeats,
    size: Option<(u32, u32)>,
    landmarks: Option<Landmarks>,
    last: Option<Duration>,
    black: Lasting,
    blinded: Lasting,
    turned: Lasting,
    /// Of the matching blocks, when that was last judged.
    matching: Option<f32>,
}

impl Sight {
    /// `masks` are in parts of the picture; what is burnt in there says nothing of the camera.
    pub fn new(masks: &[Polygon], config: SightConfig) -> Self {
        Self {
            masks: masks.to_vec(),
            config,
            open: Vec::new(),
            repeats: Repeats::default(),
            size: None,
            landmarks: None,
            last: None,
            black: Lasting::default(),
            blinded: Lasting::default(),
            turned: Lasting::default(),
            matching: None,
        }
    }

    /// The share of landmarks that are where they were, 0 to 1; `None`: not yet known, or too dark
    /// to tell.
    pub fn matching(&self) -> Option<f32> {
        self.matching
    }

    /// What the camera shows, this picture included.
    pub fn update(&mut self, grid: &Grid, now: Duration) -> View {
        let c = self.config.clone();
        if self.size != Some((grid.width, grid.height)) {
            self.size = Some((grid.width, grid.height));
            let masked = covered_by_any(&self.masks, grid.columns, grid.rows);
            self.open = (0..grid.len()).filter(|&i| !masked[i]).collect();
            self.repeats.clear();
            self.landmarks = Some(Landmarks::new(grid.columns, &masked, c.learn));
            self.matching = None;
        }
        if self.last.is_some_and(|l| now.saturating_sub(l) >= c.pause) {
            self.repeats.clear();
            for lasting in [&mut self.black, &mut self.blinded, &mut self.turned] {
                lasting.since = None;
            }
        }
        self.last = Some(now);
        let (dark, bright) = self.shares(grid);
        let black = self
            .black
            .update(dark >= c.dark_share, now, c.black_after, c.clear_after);
        let blinded = self.blinded.update(
            bright >= c.bright_share,
            now,
            c.blinded_after,
            c.clear_after,
        );
        let frozen = self.frozen_for(grid, now) >= c.frozen_after;
        // A frozen, black or white picture says nothing of where the camera looks.
        let plain = dark < c.dark_share && bright < c.bright_share && !frozen;
        if let Some(landmarks) = self.landmarks.as_mut().filter(|_| plain)
            && let Some(judged) = landmarks.update(grid, now, c.match_well)
        {
            self.matching = judged;
            if let Some(share) = judged {
                let bar = if self.turned.on {
                    c.match_well
                } else {
                    c.match_low
                };
                self.turned
                    .update(share < bar, now, c.turned_after, c.clear_after);
            }
        }
        if black {
            View::Black
        } else if blinded {
            View::Blinded
        } else if frozen {
            View::Frozen
        } else if self.turned.on {
            View::TurnedAway
        } else {
            View::Clear
        }
    }

    /// The shares of dark and of bright cells.
    fn shares(&self, grid: &Grid) -> (f32, f32) {
        let c = &self.config;
        let (mut dark, mut bright) = (0_u32, 0_u32);
        for &i in &self.open {
            if grid.texture[i] < c.flat {
                dark += u32::from(grid.mean[i] <= c.dark);
                bright += u32::from(grid.mean[i] >= c.bright);
            }
        }
        let all = self.open.len().max(1) as f32;
        (dark as f32 / all, bright as f32 / all)
    }

    /// For how long the same pictures have come.
    fn frozen_for(&mut self, grid: &Grid, now: Duration) -> Duration {
        // Few cells may differ; a live picture is told after as many.
        let may = (self.open.len() as f32 * (1.0 - self.config.same_share)) as usize;
        if self.open.is_empty() {
            return Duration::ZERO;
        }
        let open = &self.open;
        let same = |a: &[[u32; 2]], b: &[[u32; 2]]| {
            open.iter().filter(|&&i| a[i] != b[i]).nth(may).is_none()
        };
        // A cell's level is a sum over its pixels: what coding changes of it is small against that.
        let moved = |a: u32, b: u32| a.abs_diff(b) > a.max(b) / 50 + 40;
        let near = |a: &[[u32; 2]], b: &[[u32; 2]]| {
            open.iter()
                .filter(|&&i| moved(a[i][0], b[i][0]))
                .nth(may)
                .is_none()
        };
        self.repeats.update(grid.exact(), now, same, near)
    }
}

#[cfg(test)]
#[path = "sight_tests.rs"]
mod tests;
