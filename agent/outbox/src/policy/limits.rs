//! How much may be kept, and what is given up first. Pure.

use std::time::Duration;

use kakou_contract::{EvictionReason, Priority};

use super::counts::{Counts, Stage};

/// The most that messages of one priority may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PriorityLimit {
    pub bytes: u64,
    /// What waits longer is given up. Age is proven time: see `age.rs`.
    pub age: Duration,
}

/// The most that the outbox may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutboxLimits {
    /// Bytes of the database in use, over all priorities.
    pub bytes: u64,
    /// Bytes that should stay free on the disk. Pictures and passages that wait are given up for it
    /// only where that reaches the goal; hits and audit never.
    pub free_disk: u64,
    /// By `Priority::index`.
    pub by_priority: [PriorityLimit; 4],
}

const DAY: Duration = Duration::from_secs(24 * 3600);
const GIB: u64 = 1 << 30;

impl Default for OutboxLimits {
    fn default() -> Self {
        let limit = |gib: u64, days: u32| PriorityLimit {
            bytes: gib * GIB,
            age: DAY * days,
        };
        Self {
            bytes: 20 * GIB,
            free_disk: 512 << 20,
            // Hits, status and audit, passages, pictures.
            by_priority: [limit(4, 90), limit(1, 90), limit(4, 60), limit(16, 14)],
        }
    }
}

impl OutboxLimits {
    pub(crate) fn of(&self, priority: Priority) -> PriorityLimit {
        // `index` is below 4 by its definition.
        self.by_priority[priority.index()]
    }
}

/// What the disk says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Space {
    /// Bytes of the database in use.
    pub used: u64,
    /// Bytes within the database's file that are free for new messages.
    pub reusable: u64,
    /// Bytes that the file system gets back with the next checkpoint that no reader holds up.
    pub returning: u64,
    pub disk_free: u64,
    pub disk_total: u64,
}

/// What to do about a limit that is passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    GiveUp {
        priority: Priority,
        stage: Stage,
        reason: EvictionReason,
        /// So many bytes are too many.
        bytes: u64,
    },
    /// Give free pages back to the file system.
    Shrink,
}

/// From the least valuable: what the platform already has, then pictures before passages, passages
/// before status and audit, hits last. Within each, a hit's picture or passage goes after all
/// others.
const ORDER: [(Priority, Stage); 12] = [
    (Priority::Picture, Stage::Kept),
    (Priority::Passage, Stage::Kept),
    (Priority::Control, Stage::Kept),
    (Priority::Hit, Stage::Kept),
    (Priority::Picture, Stage::Held),
    (Priority::Picture, Stage::Waiting),
    (Priority::Passage, Stage::Held),
    (Priority::Passage, Stage::Waiting),
    (Priority::Control, Stage::Held),
    (Priority::Control, Stage::Waiting),
    (Priority::Hit, Stage::Held),
    (Priority::Hit, Stage::Waiting),
];

/// Less than this changes nothing on a disk that others fill.
const WORTH_IT: u64 = 1 << 20;
/// Room for the next messages, on the disk or in the file. Once others have taken all the rest, old
/// messages are given up for it: on a disk without any room not even a deletion can be written.
/// What is written takes its room twice for a while: in the write-ahead log, and in the file.
const OWN_ROOM: u64 = 16 << 20;

/// The next thing to do so that the limits hold; `None` when they do, or nothing more can be done.
pub(crate) fn next_step(
    limits: &OutboxLimits,
    counts: &[Counts; 4],
    space: &Space,
) -> Option<Step> {
    for priority in Priority::ORDER {
        let of = counts.get(priority.index())?;
        let over = of.bytes().saturating_sub(limits.of(priority).bytes);
        let stage = [Stage::Kept, Stage::Held, Stage::Waiting]
            .into_iter()
            .find(|stage| of.at(*stage).0 > 0);
        if let Some(stage) = stage.filter(|_| over > 0) {
            return Some(Step::GiveUp {
                priority,
                stage,
                reason: EvictionReason::Bytes,
                bytes: over,
            });
        }
    }
    if space.used > limits.bytes {
        let over = space.used - limits.bytes;
        return first(counts, |_, _| true, EvictionReason::Bytes, over);
    }
    let short = OWN_ROOM.saturating_sub(space.disk_free.saturating_add(space.reusable));
    if short > 0
        && let Some(step) = first(counts, may_go_for_room, EvictionReason::FreeDisk, short)
    {
        return Some(step);
    }
    let missing = limits
        .free_disk
        .saturating_sub(space.disk_free.saturating_add(space.returning));
    if missing > 0 {
        return for_the_disk(counts, space, missing);
    }
    None
}

fn may_go_for_room(priority: Priority, stage: Stage) -> bool {
    stage == Stage::Kept || matches!(priority, Priority::Picture | Priority::Passage)
}

/// What the platform has goes if it is worth anything. What waits goes only where that reaches the
/// goal: a disk that others fill must not cost passages for nothing.
fn for_the_disk(counts: &[Counts; 4], space: &Space, missing: u64) -> Option<Step> {
    if space.reusable >= OWN_ROOM + WORTH_IT {
        return Some(Step::Shrink);
    }
    let bytes = |may_go: fn(Priority, Stage) -> bool| -> u64 {
        ORDER
            .into_iter()
            .filter(|(priority, stage)| may_go(*priority, *stage))
            .filter_map(|(priority, stage)| Some(counts.get(priority.index())?.at(stage).1))
            .sum()
    };
    let kept = |_, stage| stage == Stage::Kept;
    let reason = EvictionReason::FreeDisk;
    if bytes(may_go_for_room) >= missing {
        first(counts, may_go_for_room, reason, missing)
    } else if bytes(kept) >= WORTH_IT {
        first(counts, kept, reason, missing)
    } else {
        None
    }
}

/// What to give up so that one more message finds room in the file, however little that is.
pub(crate) fn emergency(counts: &[Counts; 4]) -> Option<Step> {
    first(counts, |_, _| true, EvictionReason::FreeDisk, u64::MAX)
}

fn first(
    counts: &[Counts; 4],
    may_go: impl Fn(Priority, Stage) -> bool,
    reason: EvictionReason,
    bytes: u64,
) -> Option<Step> {
    let (priority, stage) = ORDER.into_iter().find(|(priority, stage)| {
        let of = counts.get(priority.index());
        may_go(*priority, *stage) && of.is_some_and(|of| of.at(*stage).0 > 0)
    })?;
    Some(Step::GiveUp {
        priority,
        stage,
        reason,
        bytes,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    const MIB: u64 = 1 << 20;

    fn counts(set: &[(Priority, Stage, u64)], bytes: u64) -> [Counts; 4] {
        let mut all = [Counts::default(); 4];
        for (priority, stage, n) in set {
            for _ in 0..*n {
                all[priority.index()].enter(*stage, bytes);
            }
        }
        all
    }

    fn room() -> Space {
        Space {
            disk_free: 100 * GIB,
            disk_total: 200 * GIB,
            ..Space::default()
        }
    }

    fn give_up(priority: Priority, stage: Stage, reason: EvictionReason, bytes: u64) -> Step {
        Step::GiveUp {
            priority,
            stage,
            reason,
            bytes,
        }
    }

    #[test]
    fn pictures_go_before_passages_and_passages_before_hits() {
        let limits = OutboxLimits {
            bytes: 10,
            ..OutboxLimits::default()
        };
        let full = Space { used: 11, ..room() };
        let mut left: Vec<_> = ORDER.iter().map(|(p, s)| (*p, *s, 1)).collect();
        for (priority, stage) in ORDER {
            let step = next_step(&limits, &counts(&left, 1000), &full).unwrap();
            assert_eq!(step, give_up(priority, stage, EvictionReason::Bytes, 1));
            left.remove(0);
        }
        assert_eq!(next_step(&limits, &counts(&left, 1000), &full), None);
    }

    #[test]
    fn a_full_disk_costs_no_waiting_hit() {
        let low = Space {
            disk_free: 0,
            ..room()
        };
        let limits = OutboxLimits::default();
        let hits = [
            (Priority::Hit, Stage::Waiting, 5),
            (Priority::Control, Stage::Waiting, 5),
        ];
        assert_eq!(next_step(&limits, &counts(&hits, 200 * MIB), &low), None);
        let spare = Space {
            reusable: 20 << 20,
            ..low
        };
        let step = next_step(&limits, &counts(&hits, 1000), &spare);
        assert_eq!(step, Some(Step::Shrink));
    }

    #[test]
    fn passages_that_wait_are_given_up_only_where_that_makes_the_room_that_is_wanted() {
        let low = Space {
            disk_free: 500 * MIB,
            ..room()
        };
        let limits = OutboxLimits::default();
        let waiting = [(Priority::Passage, Stage::Waiting, 3)];
        assert_eq!(next_step(&limits, &counts(&waiting, 1000), &low), None);
        assert_eq!(next_step(&limits, &counts(&waiting, 3 * MIB), &low), None);
        let step = next_step(&limits, &counts(&waiting, 4 * MIB), &low);
        let expected = give_up(
            Priority::Passage,
            Stage::Waiting,
            EvictionReason::FreeDisk,
            12 * MIB,
        );
        assert_eq!(step, Some(expected));
        // A reader holds the checkpoint up: the room is on its way, nothing more need go.
        let returning = Space {
            returning: 12 * MIB,
            ..low
        };
        let step = next_step(&limits, &counts(&waiting, 4 * MIB), &returning);
        assert_eq!(step, None);
    }

    #[test]
    fn a_disk_that_others_have_filled_costs_what_the_next_messages_need_and_no_more() {
        let full = Space {
            disk_free: 0,
            reusable: 3 * MIB,
            ..room()
        };
        let waiting = [
            (Priority::Passage, Stage::Waiting, 3),
            (Priority::Hit, Stage::Waiting, 3),
        ];
        let waiting = counts(&waiting, 1000);
        let limits = OutboxLimits::default();
        let expected = give_up(
            Priority::Passage,
            Stage::Waiting,
            EvictionReason::FreeDisk,
            13 * MIB,
        );
        assert_eq!(next_step(&limits, &waiting, &full), Some(expected));
        // It stays in the file: given back to the disk, others would take that too.
        let enough = Space {
            reusable: 16 * MIB,
            ..full
        };
        assert_eq!(next_step(&limits, &waiting, &enough), None);
    }

    #[test]
    fn what_the_platform_has_goes_if_it_is_worth_anything() {
        let low = Space {
            disk_free: 100 * MIB,
            ..room()
        };
        let limits = OutboxLimits::default();
        let both = |kept: u64| {
            let mut all = counts(&[(Priority::Passage, Stage::Waiting, 1)], MIB);
            all[Priority::Hit.index()].enter(Stage::Kept, kept);
            all
        };
        assert_eq!(next_step(&limits, &both(1000), &low), None);
        let expected = give_up(
            Priority::Hit,
            Stage::Kept,
            EvictionReason::FreeDisk,
            412 * MIB,
        );
        assert_eq!(next_step(&limits, &both(2 * MIB), &low), Some(expected));
    }

    #[test]
    fn each_priority_has_its_own_limit() {
        let mut limits = OutboxLimits::default();
        limits.by_priority[Priority::Hit.index()].bytes = 4000;
        let now = [
            (Priority::Hit, Stage::Waiting, 5),
            (Priority::Picture, Stage::Kept, 5),
        ];
        let now = counts(&now, 1000);
        let step = give_up(Priority::Hit, Stage::Waiting, EvictionReason::Bytes, 1000);
        assert_eq!(next_step(&limits, &now, &room()), Some(step));
        assert_eq!(next_step(&OutboxLimits::default(), &now, &room()), None);
    }
}
