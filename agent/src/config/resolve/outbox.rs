//! `[outbox]`: where messages are kept, how many, and for how long.

use std::path::Path;
use std::time::Duration;

use kakou_contract::Priority;
use kakou_outbox::{OutboxLimits, PriorityLimit, Retention};

use super::super::define::{Absent, Is, Section, Setting};
use super::super::keys::outbox as keys;
use super::super::kinds::Integer;
use super::super::part::Part;
use super::super::settings::OutboxConfig;

type Mib = Setting<Integer<u64>, Is<u64>>;
type Hours = Setting<Integer<u32>, Is<u32>>;
type Minutes = Setting<Integer<u32>, Absent>;

/// What each priority may take, and where that is written.
const BY_PRIORITY: [(Priority, &Section, &Mib, &Hours); 4] = [
    (Priority::Hit, &keys::HITS, &keys::HITS_MIB, &keys::HITS_AGE),
    (
        Priority::Control,
        &keys::CONTROL,
        &keys::CONTROL_MIB,
        &keys::CONTROL_AGE,
    ),
    (
        Priority::Passage,
        &keys::PASSAGES,
        &keys::PASSAGES_MIB,
        &keys::PASSAGES_AGE,
    ),
    (
        Priority::Picture,
        &keys::PICTURES,
        &keys::PICTURES_MIB,
        &keys::PICTURES_AGE,
    ),
];

pub(super) fn outbox(part: &Part<'_>, base: &Path) -> OutboxConfig {
    let bytes = |mib: u64| mib << 20;
    let hours = |hours: u32| Duration::from_secs(u64::from(hours) * 3600);
    let all = part.get(&keys::MAX_MIB);
    let mut limits = OutboxLimits {
        bytes: bytes(all),
        free_disk: bytes(part.get(&keys::MIN_FREE_MIB)),
        ..OutboxLimits::default()
    };
    for (priority, section, mib, age) in BY_PRIORITY {
        let own = part.part(section);
        let most = own.get(mib);
        if most > all && own.place(mib).is_some() && part.place(&keys::MAX_MIB).is_some() {
            let reason = format!(
                "{most} MiB is more than the whole database may take ({})",
                part.named(&keys::MAX_MIB, all)
            );
            own.wrong(mib, reason);
        }
        limits.by_priority[priority.index()] = PriorityLimit {
            bytes: bytes(most),
            age: hours(own.get(age)),
        };
    }
    let kept = |in_hours: &Hours, in_minutes: &Minutes| {
        let (kept, minutes) = (hours(part.get(in_hours)), part.get(in_minutes));
        if minutes.is_some() && part.place(in_hours).is_some() {
            let reason = format!("stands beside `{}`; write one of the two", in_hours.name);
            part.wrong(in_minutes, reason);
        }
        minutes.map_or(kept, |m| Duration::from_secs(u64::from(m) * 60))
    };
    let retention = Retention {
        passage: kept(&keys::KEEP_PASSAGES_H, &keys::KEEP_PASSAGES_MIN),
        hit: kept(&keys::KEEP_HITS_H, &keys::KEEP_HITS_MIN),
        control: hours(part.get(&keys::KEEP_CONTROL_H)),
    };
    OutboxConfig {
        state: base.join(part.get(&keys::STATE)),
        limits,
        retention,
    }
}
