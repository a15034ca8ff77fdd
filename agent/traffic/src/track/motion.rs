//! Where something is going: a box followed at nearly constant velocity, growing or shrinking.

use std::time::Duration;

use crate::geometry::{Point, Rect};

/// How fast estimates follow, in seconds. Plates are found steadily, vehicle boxes jump about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pace {
    place: f32,
    speed: f32,
    /// Displacement within about a second, in own widths, under which it stands.
    still: f32,
}

/// A plate moves by more of its own width than a vehicle does.
pub(crate) const PLATE: Pace = Pace {
    place: 0.05,
    speed: 0.3,
    still: 0.5,
};
pub(crate) const VEHICLE: Pace = Pace {
    place: 0.12,
    speed: 0.5,
    still: 0.12,
};
/// A standing thing is predicted to move for this many seconds only.
const STANDING_HORIZON: f32 = 0.3;
/// Nothing is known to stand before it was measured this often within [`CALM`]: two places may
/// agree by chance.
const STANDING_HITS: u32 = 3;

/// Over how long the calm place that tells standing from moving is averaged.
const CALM: f32 = 1.0;
/// Predictions beyond this many seconds no longer move: velocities are not trusted that long.
const HORIZON: f32 = 2.0;
/// Growth per second is kept within these bounds (natural logarithm of the size).
const MAX_GROWTH: f32 = 1.2;
/// Predictions change the size by at most this much (natural logarithm).
const MAX_SCALE: f32 = 0.5;
/// Seconds of rest that a new track is believed to come with: damps its first, noisy velocities.
const REST: f32 = 0.15;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Motion {
    /// When it was measured last and first, on the agent's monotonic clock. Only differences of the
    /// two become floating-point seconds: an `f32` that counts from the start of the agent cannot
    /// tell two frames apart after some weeks.
    at: Duration,
    born: Duration,
    pub(crate) hits: u32,
    pace: Pace,
    center: Point,
    width: f32,
    height: f32,
    velocity: Point,
    /// Change of the logarithm of the size per second.
    growth: f32,
    calm: Point,
    calm_width: f32,
}

fn blend(dt: f32, tau: f32) -> f32 {
    1.0 - (-dt / tau).exp()
}

impl Motion {
    pub(crate) fn new(now: Duration, r: &Rect, pace: Pace) -> Self {
        Self {
            at: now,
            born: now,
            hits: 1,
            pace,
            center: r.center(),
            width: r.width().max(1.0),
            height: r.height().max(1.0),
            velocity: Point::default(),
            growth: 0.0,
            calm: r.center(),
            calm_width: r.width().max(1.0),
        }
    }

    pub(crate) fn age(&self, now: Duration) -> f32 {
        now.saturating_sub(self.at).as_secs_f32()
    }

    /// Whether the velocity rests on more than one place.
    pub(crate) fn moving_known(&self) -> bool {
        self.hits > 1
    }

    /// Seconds between the first and the last measurement.
    pub(crate) fn life(&self) -> f32 {
        self.at.saturating_sub(self.born).as_secs_f32()
    }

    pub(crate) fn width(&self) -> f32 {
        self.width
    }

    pub(crate) fn velocity(&self) -> Point {
        self.velocity
    }

    /// Whether it hardly moved over the last second or so, measured in its own width.
    pub(crate) fn stands(&self) -> bool {
        let moved = self.center.distance(self.calm) / self.width;
        let grown = (self.width / self.calm_width).ln().abs();
        self.life() >= CALM
            && self.hits >= STANDING_HITS
            && moved < self.pace.still
            && grown < self.pace.still
    }

    /// Where it was when last measured.
    pub(crate) fn here(&self) -> Rect {
        let (c, w, h) = (self.center, self.width / 2.0, self.height / 2.0);
        Rect::new(c.x - w, c.y - h, c.x + w, c.y + h)
    }

    pub(crate) fn predict(&self, now: Duration) -> Rect {
        let dt = self.age(now);
        self.after(if self.stands() && dt > STANDING_HORIZON {
            0.0
        } else {
            dt
        })
    }

    fn after(&self, dt: f32) -> Rect {
        let dt = dt.min(HORIZON);
        let s = (self.growth * dt).clamp(-MAX_SCALE, MAX_SCALE).exp();
        let (w, h) = (self.width * s / 2.0, self.height * s / 2.0);
        let c = Point::new(
            self.center.x + self.velocity.x * dt,
            self.center.y + self.velocity.y * dt,
        );
        Rect::new(c.x - w, c.y - h, c.x + w, c.y + h)
    }

    /// Takes a measurement; `trust` below 1 moves the estimate less (a box that seems wrong).
    pub(crate) fn measure(&mut self, now: Duration, r: &Rect, trust: f32) {
        let dt = self.age(now);
        if dt <= 0.0 {
            return;
        }
        let (p, pace) = (self.after(dt), self.pace);
        let (pc, c) = (p.center(), r.center());
        let (w, h) = (r.width().max(1.0), r.height().max(1.0));
        let age = self.life() + dt;
        // The first velocities are plain averages: one step of one frame is mostly noise.
        let kv = blend(dt, pace.speed).max(dt / (age + REST)) * trust;
        let kx = blend(dt, pace.place) * trust;
        self.velocity.x += kv * (c.x - pc.x) / dt;
        self.velocity.y += kv * (c.y - pc.y) / dt;
        // The size of a box that seems wrong says nothing at all.
        let ks = if trust < 1.0 { 0.0 } else { kx };
        if trust >= 1.0 {
            self.growth = (self.growth + kv * (w / p.width().max(1.0)).ln() / dt)
                .clamp(-MAX_GROWTH, MAX_GROWTH);
        }
        self.center = Point::new(pc.x + kx * (c.x - pc.x), pc.y + kx * (c.y - pc.y));
        self.width = p.width() + ks * (w - p.width());
        self.height = p.height() + ks * (h - p.height());
        let kc = blend(dt, CALM);
        self.calm.x += kc * (self.center.x - self.calm.x);
        self.calm.y += kc * (self.center.y - self.calm.y);
        self.calm_width += kc * (self.width - self.calm_width);
        self.at = now;
        self.hits = self.hits.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(fps: f32, speed: f32, seconds: f32) -> (Motion, f32) {
        let rect = |t: f32| Rect::new(speed * t, 100.0, speed * t + 100.0, 200.0);
        let mut m = Motion::new(Duration::ZERO, &rect(0.0), PLATE);
        let mut t = 0.0;
        while t < seconds {
            t += 1.0 / fps;
            m.measure(Duration::from_secs_f32(t), &rect(t), 1.0);
        }
        (m, t)
    }

    #[test]
    fn learns_a_steady_motion_at_any_rate() {
        for fps in [5.0, 12.5, 25.0] {
            let (m, t) = follow(fps, 300.0, 1.0);
            let p = m.predict(Duration::from_secs_f32(t + 1.0));
            assert!(
                (p.center().x - (300.0 * (t + 1.0) + 50.0)).abs() < 30.0,
                "{fps} {p:?}"
            );
            assert!(!m.stands());
        }
    }

    #[test]
    fn knows_standing() {
        assert!(follow(10.0, 0.0, 2.0).0.stands());
        assert!(!follow(10.0, 90.0, 2.0).0.stands());
    }
}
