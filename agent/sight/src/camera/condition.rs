//! How a camera is, from what happens to it: pure, driven by events that carry monotonic time.
//!
//! A state is entered when its cause has lasted for its threshold, and left when all has been well
//! for a moment, so that a camera on the brink does not flood the platform. Where several hold, the
//! worst is told, in the order of [`CameraState`]: no connection explains why there is no frame;
//! without frames nothing can be said of the picture; of a black or white picture nobody can say
//! whether it is frozen or where it looks; and all of these matter more than its size or its rate.

use std::time::Duration;

use kakou_contract::{Health, codes::CameraState};

use super::pace::LOOKS_NEEDED;
use super::rate::Rate;
use super::sight::View;

#[derive(Debug, Clone, PartialEq)]
pub struct ConditionConfig {
    /// Without a frame for this long there are none.
    pub no_frames_after: Duration,
    /// A camera may take this long for its first frame, from the beginning or from a new
    /// connection.
    pub start_within: Duration,
    /// A stream that broke off and is back within this time is not told.
    pub failed_after: Duration,
    /// All must have been well for this long before it is well again.
    pub recover_after: Duration,
    /// The size the pictures must have; `None`: that of the first.
    pub size: Option<(u32, u32)>,
    /// Where no size is configured, a new one is taken for the camera's own after this long.
    pub size_settles: Duration,
    /// Frames a second that the camera must send; `None`: what its stream declares, or did send.
    pub rate: Option<f32>,
    /// Below this share of its rate a stream is too slow, and well again from `rate_well` on.
    pub rate_low: f32,
    pub rate_well: f32,
    /// The rate is taken over this time, and must be low for as long.
    pub rate_over: Duration,
    /// From this share of undecodable frames on, over `rate_over`, the stream is broken.
    pub damaged: f32,
}

impl Default for ConditionConfig {
    fn default() -> Self {
        Self {
            no_frames_after: Duration::from_secs(5),
            start_within: Duration::from_secs(15),
            failed_after: Duration::from_secs(2),
            recover_after: Duration::from_secs(1),
            size: None,
            size_settles: Duration::from_secs(60),
            rate: None,
            rate_low: 0.6,
            rate_well: 0.75,
            rate_over: Duration::from_secs(10),
            damaged: 0.5,
        }
    }
}

/// Why a connection or a stream failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailKind {
    /// User and password are not taken.
    Unauthorised,
    /// No connection: refused, no route, no answer, no such stream.
    Unreachable,
    /// Connected, but what came cannot be decoded, or it broke off.
    BrokenStream,
    /// It has no session free for us.
    Busy,
    /// Connected, and nothing came in the time allowed.
    Silent,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum CameraEvent {
    /// A connection is being made.
    Connecting,
    /// It was made; the frames a second that the stream declares on average, if it does. Less than
    /// 1 and more than 120 are no rates but clocks, and not believed.
    Connected { rate: Option<f32> },
    /// A frame came; `view` is what it shows.
    Frame { size: (u32, u32), view: View },
    /// So many frames came that nobody looked at, since newer ones came first: they count for the
    /// rate.
    Displaced { frames: u64 },
    /// How many frames a second are looked at while the box cannot keep up; `None`: it can.
    Pace { too_slow: Option<f32> },
    /// A frame came that could not be decoded.
    Damaged,
    /// It sends, and there is no picture yet; `text` is for people.
    Waiting { text: String },
    /// Connection or stream failed; `text` is for people and must carry no credentials.
    Failed { kind: FailKind, text: String },
    /// Time passed. To come a few times a second.
    Tick,
    /// By its schedule the camera is not looked at from now on. [`CameraEvent::Connecting`] ends
    /// it.
    OffDuty,
    /// The recording is over.
    Ended,
}

/// A camera's state changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CameraChange {
    pub state: CameraState,
    pub was: CameraState,
    /// Since when `state` holds, as far as known: before now by the threshold it had to last.
    pub since: Duration,
    pub detail: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    Off,
    Ended,
}

/// A state that holds by what was seen last, since when, and what to say of it.
type Cause = (CameraState, Duration, Option<String>);

#[derive(Debug)]
pub struct Condition {
    config: ConditionConfig,
    state: CameraState,
    since: Duration,
    detail: Option<String>,
    phase: Phase,
    /// When the wait for a first frame began, or that of a connection.
    waiting: Duration,
    /// Frames came since the agent, or its duty, began.
    seen: bool,
    last_frame: Option<Duration>,
    failure: Option<(FailKind, String, Duration)>,
    /// Why there is no frame, as far as known.
    awaited: Option<String>,
    view: (View, Duration),
    size: Option<(u32, u32)>,
    /// The camera's own size, and since when another one comes.
    own_size: Option<(u32, u32)>,
    other_size: Option<Duration>,
    rate: Rate,
    declared: Option<f32>,
    low_rate: Option<Duration>,
    /// Looks a second while the box cannot keep up, and since when.
    overloaded: Option<(f32, Duration)>,
    /// Since when nothing worse than the state has held: what it takes to leave it.
    better: Option<Duration>,
}

impl Condition {
    pub fn new(config: ConditionConfig, now: Duration) -> Self {
        Self {
            rate: Rate::new(config.rate_over, now),
            own_size: config.size,
            config,
            state: CameraState::Starting,
            since: now,
            detail: None,
            phase: Phase::Running,
            waiting: now,
            seen: false,
            last_frame: None,
            failure: None,
            awaited: None,
            view: (View::Clear, now),
            size: None,
            other_size: None,
            declared: None,
            low_rate: None,
            overloaded: None,
            better: None,
        }
    }

    pub fn state(&self) -> CameraState {
        self.state
    }

    pub fn health(&self) -> Health {
        self.state.health()
    }

    /// What is wrong, for people.
    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }

    pub fn since(&self) -> Duration {
        self.since
    }

    pub fn last_frame(&self) -> Option<Duration> {
        self.last_frame
    }

    /// Frames received a second, lately.
    pub fn fps(&self, now: Duration) -> f32 {
        self.rate.fps(now)
    }

    /// Takes in what happened; tells if that changed the state.
    pub fn on(&mut self, now: Duration, event: CameraEvent) -> Option<CameraChange> {
        match event {
            CameraEvent::Tick => {}
            CameraEvent::Connecting => {
                if self.phase != Phase::Running {
                    // Duty begins: what was before it counts no more.
                    *self = Self {
                        state: self.state,
                        since: self.since,
                        ..Self::new(self.config.clone(), now)
                    };
                    return self.enter((CameraState::Starting, now, None));
                }
            }
            CameraEvent::Connected { rate } => {
                self.declared = rate.filter(|r| (1.0..=120.0).contains(r));
                self.waiting = now;
                self.rate.restart(now);
                self.low_rate = None;
            }
            CameraEvent::Frame { size, view } => self.frame(now, size, view),
            CameraEvent::Displaced { frames } => {
                (0..frames.min(1000)).for_each(|_| self.rate.frame(now))
            }
            CameraEvent::Pace { too_slow } => {
                let since = self.overloaded.map_or(now, |(_, since)| since);
                self.overloaded = too_slow.map(|looks| (looks, since));
            }
            CameraEvent::Damaged => self.rate.damaged(now),
            CameraEvent::Waiting { text } => {
                self.awaited = Some(text);
                self.failure = None;
            }
            CameraEvent::Failed { kind, text } => self.fail(now, kind, text),
            CameraEvent::OffDuty => self.phase = Phase::Off,
            CameraEvent::Ended => self.phase = Phase::Ended,
        }
        self.judge_rate(now);
        let cause = self.cause(now);
        self.settle(now, cause)
    }

    fn frame(&mut self, now: Duration, size: (u32, u32), view: View) {
        if self
            .last_frame
            .is_none_or(|l| now.saturating_sub(l) >= self.config.no_frames_after)
        {
            // A pause is no low rate, and what the picture showed before it is not what it shows
            // now.
            self.rate.restart(now);
            self.low_rate = None;
            self.view = (view, now);
        }
        self.rate.frame(now);
        (self.seen, self.last_frame, self.failure) = (true, Some(now), None);
        self.awaited = None;
        if view != self.view.0 {
            self.view = (view, now);
        }
        self.size = Some(size);
        if *self.own_size.get_or_insert(size) == size {
            self.other_size = None;
        } else {
            let since = *self.other_size.get_or_insert(now);
            if self.config.size.is_none() && now.saturating_sub(since) >= self.config.size_settles {
                (self.own_size, self.other_size) = (Some(size), None);
            }
        }
    }

    fn fail(&mut self, now: Duration, kind: FailKind, text: String) {
        // Since when it fails, not since when it last failed: attempts repeat.
        let began = match &self.failure {
            Some((known, _, began)) if *known == kind => *began,
            _ => now,
        };
        self.awaited = None;
        self.failure = Some((kind, text, began));
    }

    fn own_rate(&self) -> Option<f32> {
        self.config.rate.or(self.declared).or(self.rate.learnt)
    }

    fn judge_rate(&mut self, now: Duration) {
        let (Some(own), true) = (self.own_rate(), self.rate.known(now)) else {
            self.low_rate = None;
            return;
        };
        let share = self.rate.fps(now) / own;
        let bar = if self.state == CameraState::LowRate {
            self.config.rate_well
        } else {
            self.config.rate_low
        };
        self.low_rate = (share < bar).then(|| self.low_rate.unwrap_or(now));
    }

    /// The worst that holds now.
    fn cause(&self, now: Duration) -> Cause {
        let c = &self.config;
        match self.phase {
            Phase::Ended => {
                return (
                    CameraState::Ended,
                    now,
                    Some("the recording is over".to_owned()),
                );
            }
            Phase::Off => return (CameraState::OffDuty, now, None),
            Phase::Running => {}
        }
        let silent = self.last_frame.map(|l| now.saturating_sub(l));
        if let Some((kind, text, began)) = &self.failure {
            // Frames flowed until just now: it may be back at once.
            if silent.is_none_or(|s| s >= c.failed_after) {
                let state = match kind {
                    FailKind::Unauthorised => CameraState::Unauthorised,
                    FailKind::Unreachable => CameraState::Unreachable,
                    FailKind::BrokenStream => CameraState::BrokenStream,
                    FailKind::Silent => CameraState::NoFrames,
                    FailKind::Busy => CameraState::Busy,
                };
                let waited = now.saturating_sub(self.waiting);
                // A connection that was made since, and stays silent, is a failure of its own.
                if self.waiting <= *began || waited < c.no_frames_after {
                    return (state, *began, Some(text.clone()));
                }
            }
        }
        if self.rate.damaged_share(now) >= c.damaged {
            return (
                CameraState::BrokenStream,
                now,
                Some("most of what comes cannot be decoded".to_owned()),
            );
        }
        let waited = silent.unwrap_or(now.saturating_sub(self.waiting));
        let patience = if self.seen {
            c.no_frames_after
        } else {
            c.start_within
        };
        if waited >= patience {
            let what = if self.seen {
                "no frame for"
            } else {
                "no frame came within"
            };
            let detail = match &self.awaited {
                Some(text) => text.clone(),
                None => format!("{what} {:.0} s", patience.as_secs_f32()),
            };
            return (
                CameraState::NoFrames,
                self.last_frame.unwrap_or(self.waiting),
                Some(detail),
            );
        }
        if !self.seen {
            return (CameraState::Starting, self.waiting, None);
        }
        if let Some((state, text)) = seen_wrong(self.view.0) {
            return (state, self.view.1, Some(text.to_owned()));
        }
        if let (Some(since), Some((w, h)), Some((ow, oh))) =
            (self.other_size, self.size, self.own_size)
        {
            let meant = if c.size.is_some() {
                "the config says"
            } else {
                "before it was"
            };
            return (
                CameraState::WrongSize,
                since,
                Some(format!("{w}x{h}, {meant} {ow}x{oh}")),
            );
        }
        if let (Some(since), Some(own)) = (self.low_rate, self.own_rate())
            && (self.state == CameraState::LowRate || now.saturating_sub(since) >= c.rate_over)
        {
            let detail = format!("{:.1} of {own:.1} frames a second", self.rate.fps(now));
            return (CameraState::LowRate, since, Some(detail));
        }
        if let Some((looks, since)) = self.overloaded {
            let detail = format!(
                "the box cannot keep up: {looks:.1} looks a second while vehicles pass, of at least \
                 {LOOKS_NEEDED:.0}; give it fewer cameras, smaller lanes or a faster processor"
            );
            return (CameraState::Overloaded, since, Some(detail));
        }
        (CameraState::Ok, now, None)
    }

    /// Worse is told at once, its threshold has passed; better only after a while.
    fn settle(&mut self, now: Duration, cause: Cause) -> Option<CameraChange> {
        use CameraState::{Ended, OffDuty, Ok, Starting};
        let (state, ..) = cause;
        if state == self.state {
            self.better = None;
            // The text may have changed; that is no news of its own.
            self.detail = cause.2;
            return None;
        }
        let at_once =
            state > self.state || self.state == Starting || matches!(self.state, OffDuty | Ended);
        let since = *self.better.get_or_insert(now);
        if at_once || now.saturating_sub(since) >= self.config.recover_after {
            let cause = if state == Ok {
                (Ok, since, None)
            } else {
                cause
            };
            return self.enter(cause);
        }
        None
    }

    fn enter(&mut self, (state, since, detail): Cause) -> Option<CameraChange> {
        self.better = None;
        let was = std::mem::replace(&mut self.state, state);
        (self.since, self.detail) = (since, detail.clone());
        (state != was).then_some(CameraChange {
            state,
            was,
            since,
            detail,
        })
    }
}

fn seen_wrong(view: View) -> Option<(CameraState, &'static str)> {
    match view {
        View::Clear => None,
        View::TurnedAway => Some((
            CameraState::TurnedAway,
            "the camera shows another place than it did",
        )),
        View::Frozen => Some((CameraState::Frozen, "the very same picture again and again")),
        View::Blinded => Some((CameraState::Blinded, "most of the picture is white")),
        View::Black => Some((
            CameraState::Black,
            "dark and without structure: covered, or without light",
        )),
    }
}

#[cfg(test)]
#[path = "condition_tests.rs"]
mod tests;
