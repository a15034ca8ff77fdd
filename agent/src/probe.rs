//! Listening to a live camera for some seconds: what `kakou camera probe` and `kakou doctor` tell of
//! it. Nothing is looked for in its pictures.

use std::time::Duration;

use kakou_sight::camera::{
    Fault, Grid, Live, LiveEvent, LiveFrame, PictureCoding, Sight, SightConfig, StreamInfo, View,
};
use kakou_time::Clock;

/// What was heard of a camera that sent a picture.
#[derive(Debug)]
pub struct Heard {
    pub stream: Option<StreamInfo>,
    pub size: (u32, u32),
    /// By the time stamps of its frames.
    pub fps: f64,
    pub frames: u64,
    /// Complaints of the decoder.
    pub broken: u64,
    /// From one frame to the next, in seconds, the shortest first.
    gaps: Vec<f64>,
    pub first_after: Duration,
    pub view: View,
    pub coding: PictureCoding,
    /// It broke off while it was listened to.
    pub ended: Option<Fault>,
}

impl Heard {
    /// In milliseconds; `part` 0.5 is the median, 1 the longest. `None`: there was one frame only.
    pub fn gap_ms(&self, part: f64) -> Option<f64> {
        let last = self.gaps.len().checked_sub(1)?;
        let gap = self.gaps.get((last as f64 * part) as usize)?;
        Some((gap * 1e4).round() / 10.0)
    }
}

/// The next frame before `until`, a moment of `clock`.
pub fn next(live: &Live, clock: &dyn Clock, until: Duration) -> Result<Option<LiveFrame>, Fault> {
    match live.next(until.saturating_sub(clock.mono())) {
        LiveEvent::Frame(frame) => Ok(Some(frame)),
        LiveEvent::Nothing => Ok(None),
        LiveEvent::Ended(fault) => Err(fault),
    }
}

/// Waits for the first picture, and listens for some time from then on. `each` sees every frame,
/// with the moment at which the listening began. `Ok(None)`: no picture came in that time.
pub fn listen<E: From<Fault>>(
    live: &Live,
    clock: &dyn Clock,
    wait: Duration,
    listen: Duration,
    mut each: impl FnMut(&LiveFrame, Duration) -> Result<(), E>,
) -> Result<Option<Heard>, E> {
    let start = clock.mono();
    let Some(mut frame) = next(live, clock, start + wait)? else {
        return Ok(None);
    };
    let began = clock.mono();
    let first_after = began.saturating_sub(start);
    let (first_captured, size) = (frame.captured, (frame.planes.width, frame.planes.height));
    let mut sight = Sight::new(&[], SightConfig::default());
    let (mut view, mut gaps, mut received) = (View::Clear, Vec::new(), 1_u64);
    let (mut ended, mut last) = (None, frame.captured);
    loop {
        view = view.max(sight.update(&Grid::of(&frame.planes.luma()), frame.captured));
        each(&frame, began)?;
        live.give_back(frame.planes);
        match next(live, clock, began + listen) {
            Ok(Some(next)) => frame = next,
            Ok(None) => break,
            Err(fault) => {
                ended = Some(fault);
                break;
            }
        }
        gaps.push(frame.captured.saturating_sub(last).as_secs_f64());
        last = frame.captured;
        received += 1;
    }
    let spent = last.saturating_sub(first_captured).as_secs_f64();
    let frames = live.received();
    let fps = if spent > 0.0 {
        (frames.max(received) - 1) as f64 / spent
    } else {
        0.0
    };
    gaps.sort_by(f64::total_cmp);
    Ok(Some(Heard {
        stream: live.stream(),
        size,
        fps,
        frames,
        broken: live.broken(),
        gaps,
        first_after,
        view,
        coding: live.coding(),
        ended,
    }))
}

/// A view in a word or two.
pub fn words(view: View) -> &'static str {
    match view {
        View::Clear => "to be seen",
        View::TurnedAway => "turned away",
        View::Frozen => "frozen",
        View::Blinded => "blinded: most of it is white",
        View::Black => "black",
    }
}
