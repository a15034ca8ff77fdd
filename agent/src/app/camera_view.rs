//! What a camera shows: its state, its newest picture, how long looks take. The camera's thread
//! writes it; status, metrics and commands read it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, FixedOffset};
use image::RgbImage;
use kakou_contract::{CameraState, CameraStatus, Health, Id};
use kakou_sight::camera::{Moved, Pixels};
use kakou_traffic::detections::Detections;
use kakou_traffic::track::TrackView;

/// Looks whose delay is remembered.
const DELAYS: usize = 1000;
/// Plates whose width is remembered.
const WIDTHS: usize = 200;

/// A frame that was looked at, and what was found in it.
#[derive(Debug, Clone)]
pub struct Seen {
    pub pixels: Pixels,
    pub captured: DateTime<FixedOffset>,
    pub detections: Detections,
    pub tracks: Vec<TrackView>,
}

pub struct CameraView {
    id: Id,
    status: Mutex<CameraStatus>,
    /// For a snapshot.
    newest: Mutex<Option<Pixels>>,
    /// Of the frames looked at last: seconds from capture to the end of the look, in a ring.
    delays: Mutex<VecDeque<f32>>,
    /// Until when somebody watches what is found, in milliseconds of the monotonic clock.
    watched_until: AtomicU64,
    seen: Mutex<Option<Seen>>,
    moved: Mutex<Option<Moved>>,
    /// Of the plates read last, in pixels, in a ring.
    widths: Mutex<VecDeque<f32>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl CameraView {
    pub fn new(id: Id, now: DateTime<FixedOffset>) -> Self {
        let status = CameraStatus {
            camera: id.clone(),
            health: Health::Degraded,
            state: Some(CameraState::Starting),
            detail: None,
            since: Some(now),
            last_frame: None,
            frames: 0,
            frames_dropped: 0,
            frames_broken: 0,
            frames_still: None,
            fps: None,
            fps_looked: None,
            restarts: None,
        };
        Self {
            id,
            status: Mutex::new(status),
            newest: Mutex::default(),
            delays: Mutex::default(),
            watched_until: AtomicU64::new(0),
            seen: Mutex::default(),
            moved: Mutex::default(),
            widths: Mutex::default(),
        }
    }

    pub fn id(&self) -> &Id {
        &self.id
    }

    pub fn status(&self) -> CameraStatus {
        locked(&self.status).clone()
    }

    pub fn state(&self) -> CameraState {
        locked(&self.status).state.unwrap_or(CameraState::Starting)
    }

    pub fn update(&self, change: impl FnOnce(&mut CameraStatus)) {
        change(&mut locked(&self.status));
    }

    /// Puts the camera into a state. Returns the state before, if it was another.
    pub fn enter(
        &self,
        state: CameraState,
        since: DateTime<FixedOffset>,
        detail: Option<String>,
    ) -> Option<CameraState> {
        let mut status = locked(&self.status);
        let was = status.state.replace(state);
        status.health = state.health();
        status.detail = detail;
        if was == Some(state) {
            return None;
        }
        status.since = Some(since);
        was
    }

    /// The newest picture. `Err`: why there is none.
    pub fn picture(&self) -> Result<RgbImage, String> {
        // Made outside of the lock: the camera's thread must not wait for it.
        let newest = locked(&self.newest).clone();
        let pixels = newest.ok_or_else(|| "no picture has come yet".to_owned())?;
        pixels.to_rgb().map_err(|e| e.to_string())
    }

    /// The newest picture as it came, and when.
    pub fn newest(&self) -> Option<(Pixels, DateTime<FixedOffset>)> {
        let captured = locked(&self.status).last_frame?;
        locked(&self.newest)
            .clone()
            .map(|pixels| (pixels, captured))
    }

    /// What is found is kept until then, for who watches.
    pub fn watch_until(&self, mono: Duration) {
        let until = u64::try_from(mono.as_millis()).unwrap_or(u64::MAX);
        self.watched_until.fetch_max(until, Ordering::Relaxed);
    }

    /// A frame was looked at. `what` is made only while somebody watches.
    pub fn saw(&self, now: Duration, what: impl FnOnce() -> (Seen, Option<Moved>)) {
        let until = self.watched_until.load(Ordering::Relaxed);
        if now.as_millis() >= u128::from(until) {
            // The frame's memory is not held for nobody.
            if until > 0 {
                self.watched_until.store(0, Ordering::Relaxed);
                (*locked(&self.seen), *locked(&self.moved)) = (None, None);
            }
            return;
        }
        let (seen, moved) = what();
        *locked(&self.seen) = Some(seen);
        *locked(&self.moved) = moved;
    }

    /// The frame that was looked at last while somebody watched.
    pub fn seen(&self) -> Option<Seen> {
        locked(&self.seen).clone()
    }

    pub fn moved(&self) -> Option<Moved> {
        locked(&self.moved).clone()
    }

    /// A plate of this width was read.
    pub fn read_at(&self, width: f32) {
        let mut widths = locked(&self.widths);
        if widths.len() == WIDTHS {
            widths.pop_front();
        }
        widths.push_back(width);
    }

    /// The widths of the plates read last, the smallest first.
    pub fn widths(&self) -> Vec<f32> {
        let mut widths: Vec<f32> = locked(&self.widths).iter().copied().collect();
        widths.sort_by(f32::total_cmp);
        widths
    }

    /// Puts the newest picture in place; gives back the one before.
    pub fn show(&self, newest: Pixels) -> Option<Pixels> {
        locked(&self.newest).replace(newest)
    }

    pub fn looked_after(&self, delay: Duration) {
        let mut delays = locked(&self.delays);
        if delays.len() == DELAYS {
            delays.pop_front();
        }
        delays.push_back(delay.as_secs_f32());
    }

    /// From capture to the end of a look, in seconds: the middle one and the 99th of a hundred, of
    /// the looks remembered.
    pub fn delay(&self) -> Option<(f32, f32)> {
        let mut all: Vec<f32> = locked(&self.delays).iter().copied().collect();
        all.sort_by(f32::total_cmp);
        let at = |part: usize| all.get(all.len().saturating_sub(1) * part / 100).copied();
        at(50).zip(at(99))
    }
}

/// The views of all cameras, in the order of the config. A clone is another hand on the same list.
#[derive(Clone, Default)]
pub struct CameraViews(Arc<Mutex<Vec<Arc<CameraView>>>>);

impl CameraViews {
    pub fn all(&self) -> Vec<Arc<CameraView>> {
        locked(&self.0).clone()
    }

    pub fn find(&self, id: &Id) -> Option<Arc<CameraView>> {
        self.all().into_iter().find(|view| view.id() == id)
    }

    pub fn set(&self, views: Vec<Arc<CameraView>>) {
        *locked(&self.0) = views;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_state_is_entered_once_and_its_beginning_stays() {
        let at = |text: &str| DateTime::parse_from_rfc3339(text).unwrap();
        let start = at("2026-03-14T09:00:00+08:00");
        let view = CameraView::new("cam-1".parse().unwrap(), start);
        let failed = CameraState::PipelineFailed;
        let why = |text: &str| Some(text.to_owned());
        let (first, later) = (
            at("2026-03-14T09:00:05+08:00"),
            at("2026-03-14T09:00:09+08:00"),
        );
        assert_eq!(
            view.enter(failed, first, why("a")),
            Some(CameraState::Starting)
        );
        assert_eq!(view.enter(failed, later, why("b")), None);
        let status = view.status();
        assert_eq!(
            (status.health, status.since, status.detail),
            (Health::Failed, Some(first), why("b"))
        );
        assert_eq!(view.enter(CameraState::Ok, later, None), Some(failed));
        assert_eq!(view.status().health, Health::Ok);
    }

    #[test]
    fn delays_are_those_of_the_last_thousand_looks() {
        let start = DateTime::parse_from_rfc3339("2026-03-14T09:00:00+08:00").unwrap();
        let view = CameraView::new("cam-1".parse().unwrap(), start);
        assert_eq!(view.delay(), None);
        view.looked_after(Duration::from_secs(100));
        for n in 1..=1000 {
            view.looked_after(Duration::from_secs(n));
        }
        let (middle, most) = view.delay().unwrap();
        assert_eq!((middle, most), (500.0, 990.0));
    }
}
