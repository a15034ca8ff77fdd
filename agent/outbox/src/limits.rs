//! How much may be kept, and what is given up first. Pure.

use std::time::Duration;

use kakou_contract::{EvictionReason, Priority};

use super::db::Counts;
use super::moves::Place;

/// The most that one lane may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneLimit {
    pub bytes: u64,
    /// What waits longer is given up.
    pub age: Duration,
}

/// The most that the outbox may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the database in use, over all lanes.
    pub bytes: u64,
    /// Bytes that must stay free on the disk. Pictures and passages are given up for it, hits and audit never.
    pub free_disk: u64,
    /// By `Priority::index`.
    pub lanes: [LaneLimit; 4],
}

const DAY: Duration = Duration::from_secs(24 * 3600);
const GIB: u64 = 1 << 30;

impl Default for Limits {
    fn default() -> Self {
        let lane = |gib: u64, days: u32| LaneLimit {
            bytes: gib * GIB,
            age: DAY * days,
        };
        Self {
            bytes: 20 * GIB,
            free_disk: 512 << 20,
            // Hits, status and audit, passages, pictures.
            lanes: [lane(4, 90), lane(1, 90), lane(4, 60), lane(16, 14)],
        }
    }
}

/// How long the box keeps what the platform has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Passages that hit nothing, and their pictures.
    pub passage: Duration,
    /// Hits, their passages and pictures.
    pub hit: Duration,
    /// Status, audit and answers.
    pub control: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            passage: DAY,
            hit: DAY * 30,
            control: DAY * 30,
        }
    }
}

/// What the disk says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Space {
    /// Bytes of the database in use.
    pub used: u64,
    /// Bytes within the database's file that are free for new messages.
    pub reusable: u64,
    pub disk_free: u64,
    pub disk_total: u64,
}

/// What to do about a limit that is passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Delete {
        lane: Priority,
        place: Place,
        reason: EvictionReason,
        /// So many bytes are too many.
        bytes: u64,
    },
    /// Give free pages back to the file system.
    Shrink,
}

/// From the least valuable: what the platform already has, then pictures before passages, passages before status and
/// audit, hits last.
const ORDER: [(Priority, Place); 12] = [
    (Priority::Picture, Place::Kept),
    (Priority::Passage, Place::Kept),
    (Priority::Control, Place::Kept),
    (Priority::Hit, Place::Kept),
    (Priority::Picture, Place::Held),
    (Priority::Picture, Place::Waiting),
    (Priority::Passage, Place::Held),
    (Priority::Passage, Place::Waiting),
    (Priority::Control, Place::Held),
    (Priority::Control, Place::Waiting),
    (Priority::Hit, Place::Held),
    (Priority::Hit, Place::Waiting),
];

/// Freed pages are worth giving back from here on.
const WORTH_SHRINKING: u64 = 1 << 20;

/// The next thing to do so that the limits hold; `None` when they do, or nothing more can be done.
pub(super) fn next_step(limits: &Limits, lanes: &[Counts; 4], space: &Space) -> Option<Step> {
    for lane in Priority::ORDER {
        let over = lanes
            .get(lane.index())?
            .bytes()
            .saturating_sub(limits.lanes.get(lane.index())?.bytes);
        if over > 0
            && let Some(place) = [Place::Kept, Place::Held, Place::Waiting]
                .into_iter()
                .find(|p| has(lanes, lane, *p))
        {
            return Some(Step::Delete {
                lane,
                place,
                reason: EvictionReason::Bytes,
                bytes: over,
            });
        }
    }
    if space.used > limits.bytes {
        return first(
            lanes,
            |_, _| true,
            EvictionReason::Bytes,
            space.used - limits.bytes,
        );
    }
    if space.disk_free < limits.free_disk {
        if space.reusable >= WORTH_SHRINKING {
            return Some(Step::Shrink);
        }
        let may_go = |lane: Priority, place: Place| {
            place == Place::Kept || matches!(lane, Priority::Picture | Priority::Passage)
        };
        return first(
            lanes,
            may_go,
            EvictionReason::FreeDisk,
            limits.free_disk - space.disk_free,
        );
    }
    None
}

/// What to give up so that one more message finds room in the file, however little that is.
pub(super) fn emergency(lanes: &[Counts; 4]) -> Option<Step> {
    first(lanes, |_, _| true, EvictionReason::FreeDisk, u64::MAX)
}

fn first(
    lanes: &[Counts; 4],
    may_go: impl Fn(Priority, Place) -> bool,
    reason: EvictionReason,
    bytes: u64,
) -> Option<Step> {
    let found = ORDER
        .into_iter()
        .find(|(lane, place)| may_go(*lane, *place) && has(lanes, *lane, *place));
    found.map(|(lane, place)| Step::Delete {
        lane,
        place,
        reason,
        bytes,
    })
}

fn has(lanes: &[Counts; 4], lane: Priority, place: Place) -> bool {
    lanes.get(lane.index()).is_some_and(|c| match place {
        Place::Waiting => c.waiting > 0,
        Place::Held => c.held > 0,
        Place::Kept => c.kept > 0,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn lanes(set: &[(Priority, Place, u64)]) -> [Counts; 4] {
        let mut all = [Counts::default(); 4];
        for (lane, place, n) in set {
            let c = &mut all[lane.index()];
            let (count, bytes) = match place {
                Place::Waiting => (&mut c.waiting, &mut c.waiting_bytes),
                Place::Held => (&mut c.held, &mut c.held_bytes),
                Place::Kept => (&mut c.kept, &mut c.kept_bytes),
            };
            *count = *n;
            *bytes = n * 1000;
        }
        all
    }

    fn room() -> Space {
        Space {
            used: 0,
            reusable: 0,
            disk_free: 100 * GIB,
            disk_total: 200 * GIB,
        }
    }

    #[test]
    fn pictures_go_before_passages_and_passages_before_hits() {
        let limits = Limits {
            bytes: 10,
            ..Limits::default()
        };
        let full = Space { used: 11, ..room() };
        let mut left: Vec<_> = ORDER.iter().map(|(l, p)| (*l, *p, 1)).collect();
        for (lane, place) in ORDER {
            let step = next_step(&limits, &lanes(&left), &full).unwrap();
            assert_eq!(
                step,
                Step::Delete {
                    lane,
                    place,
                    reason: EvictionReason::Bytes,
                    bytes: 1
                }
            );
            left.remove(0);
        }
        assert_eq!(next_step(&limits, &lanes(&left), &full), None);
    }

    #[test]
    fn a_disk_that_others_fill_costs_no_waiting_hit() {
        let low = Space {
            disk_free: 0,
            ..room()
        };
        let hits = lanes(&[
            (Priority::Hit, Place::Waiting, 5),
            (Priority::Control, Place::Waiting, 5),
        ]);
        assert_eq!(next_step(&Limits::default(), &hits, &low), None);
        let step = next_step(
            &Limits::default(),
            &lanes(&[(Priority::Passage, Place::Waiting, 1)]),
            &low,
        );
        let reason = EvictionReason::FreeDisk;
        let bytes = Limits::default().free_disk;
        assert_eq!(
            step,
            Some(Step::Delete {
                lane: Priority::Passage,
                place: Place::Waiting,
                reason,
                bytes
            })
        );
        let spare = Space {
            reusable: 2 << 20,
            ..low
        };
        assert_eq!(
            next_step(&Limits::default(), &hits, &spare),
            Some(Step::Shrink)
        );
    }

    #[test]
    fn a_lane_has_its_own_limit() {
        let mut limits = Limits::default();
        limits.lanes[Priority::Hit.index()].bytes = 4000;
        let now = lanes(&[
            (Priority::Hit, Place::Waiting, 5),
            (Priority::Picture, Place::Kept, 5),
        ]);
        let reason = EvictionReason::Bytes;
        let step = Step::Delete {
            lane: Priority::Hit,
            place: Place::Waiting,
            reason,
            bytes: 1000,
        };
        assert_eq!(next_step(&limits, &now, &room()), Some(step));
        assert_eq!(next_step(&Limits::default(), &now, &room()), None);
    }
}
