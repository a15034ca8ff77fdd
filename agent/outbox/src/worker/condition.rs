//! How the outbox is, beyond what its counters say: the room on the disk, what is damaged, what
//! went wrong last.

use std::path::Path;

use kakou_contract::Held;

use super::shared::OutboxState;
use crate::error::{Concern, OutboxError};
use crate::policy::Space;
use crate::store::reserve::RESERVE_BYTES;
use crate::store::{Db, push_range};

/// Damaged messages that are listed one by one.
const LISTED: usize = 10_000;

/// What the database takes, and what the file system has. One that does not say has no limit that
/// could be kept.
pub(super) fn space(db: &Db, folder: &Path) -> Result<Space, OutboxError> {
    let disk = rustix::fs::statvfs(folder).ok();
    Ok(Space {
        disk_free: disk
            .as_ref()
            .map_or(u64::MAX >> 1, |d| d.f_bavail * d.f_frsize),
        disk_total: disk.map_or(0, |d| d.f_blocks * d.f_frsize),
        ..db.space()?
    })
}

/// Put together, it is the state that others see.
#[derive(Debug, Default)]
pub(super) struct Condition {
    /// Why nothing could be committed the last time; `None` once something was.
    trouble: Option<OutboxState>,
    /// Messages that are held as damaged.
    ranges: Vec<[u64; 2]>,
    /// What else could not be read or changed.
    damage: Option<String>,
    /// The disk has less free room than is wanted.
    low: Option<String>,
}

impl Condition {
    pub(super) fn state(&self) -> OutboxState {
        if let Some(trouble) = &self.trouble {
            return trouble.clone();
        }
        if !self.ranges.is_empty() || self.damage.is_some() {
            let why = self.damage.clone().unwrap_or_else(|| {
                "some messages cannot be read; `kakou outbox verify` says how far".to_owned()
            });
            return OutboxState::Damaged {
                ranges: self.ranges.clone(),
                why,
            };
        }
        match &self.low {
            Some(why) => OutboxState::Tight(why.clone()),
            None => OutboxState::Ok,
        }
    }

    /// Whether the last try to commit failed.
    pub(super) fn is_troubled(&self) -> bool {
        self.trouble.is_some()
    }

    pub(super) fn is_blocked(&self) -> bool {
        matches!(self.trouble, Some(OutboxState::Blocked { .. }))
    }

    /// An append, or what was to make room for one, failed.
    pub(super) fn failed(&mut self, e: &OutboxError, now_ms: i64) {
        let why = e.to_string();
        self.trouble = match e.concern() {
            Concern::Message => return,
            Concern::Database => Some(OutboxState::Broken(why)),
            Concern::Now if e.is_full() => Some(OutboxState::Full(why)),
            Concern::Now => match self.trouble.take() {
                Some(OutboxState::Blocked { since_ms, .. }) => {
                    Some(OutboxState::Blocked { since_ms, why })
                }
                _ => Some(OutboxState::Blocked {
                    since_ms: now_ms,
                    why,
                }),
            },
        };
    }

    /// Messages are given up for one that must be kept.
    pub(super) fn making_room(&mut self, why: &OutboxError) {
        self.low = Some(why.to_string());
    }

    /// Something was committed. True if that was not so before.
    pub(super) fn works(&mut self) -> bool {
        self.trouble.take().is_some()
    }

    pub(super) fn damage(&mut self, e: &OutboxError) {
        self.damage = Some(e.to_string());
    }

    pub(super) fn look_at_room(&mut self, room: &Space, wanted: u64) {
        let has_room = room.disk_free + room.reusable >= 2 * RESERVE_BYTES;
        if matches!(self.trouble, Some(OutboxState::Full(_))) && has_room {
            self.trouble = None;
        }
        self.low = (room.disk_free < wanted).then(|| {
            format!(
                "{} MiB free on the disk, {} wanted",
                room.disk_free >> 20,
                wanted >> 20
            )
        });
    }

    /// Which messages are held as damaged now.
    pub(super) fn look_at_damage(&mut self, db: &Db) {
        let read = || -> rusqlite::Result<Vec<[u64; 2]>> {
            let mut ranges = Vec::new();
            if db.counts().iter().all(|c| c.held == 0) {
                return Ok(ranges);
            }
            let mut statement = db
                .conn()
                .prepare_cached("SELECT seq FROM held WHERE reason = ? ORDER BY seq LIMIT ?")?;
            let mut rows = statement.query((Held::Damaged.as_str(), LISTED))?;
            while let Some(row) = rows.next()? {
                push_range(&mut ranges, row.get(0)?);
            }
            Ok(ranges)
        };
        match read() {
            Ok(ranges) => self.ranges = ranges,
            Err(e) => self.damage(&db.fault(&e)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::path::PathBuf;

    fn error(make: impl FnOnce(PathBuf, String) -> OutboxError) -> OutboxError {
        make("/state/outbox.db".into(), "why".into())
    }

    #[test]
    fn the_worst_is_told_and_goes_when_something_is_committed() {
        let mut condition = Condition::default();
        let low = Space {
            disk_free: 5 << 20,
            reusable: 1 << 30,
            ..Space::default()
        };
        condition.look_at_room(&low, 6 << 20);
        assert!(matches!(condition.state(), OutboxState::Tight(_)));
        let damaged = error(|path, why| OutboxError::Damaged { path, why });
        condition.damage(&damaged);
        assert!(matches!(condition.state(), OutboxState::Damaged { .. }));
        condition.failed(&damaged, 1);
        assert!(matches!(condition.state(), OutboxState::Broken(_)));
        assert!(condition.works() && !condition.works());
        assert!(matches!(condition.state(), OutboxState::Damaged { .. }));
    }

    #[test]
    fn it_says_since_when_it_is_blocked() {
        let mut condition = Condition::default();
        let busy = error(|path, why| OutboxError::Busy { path, why });
        for now in [1000, 2000] {
            condition.failed(&busy, now);
            let state = condition.state();
            assert!(
                matches!(state, OutboxState::Blocked { since_ms: 1000, .. }),
                "{state:?}"
            );
        }
    }

    #[test]
    fn an_error_of_one_message_says_nothing_of_the_outbox() {
        let mut condition = Condition::default();
        condition.failed(&error(|path, why| OutboxError::Form { path, why }), 1);
        assert_eq!(condition.state(), OutboxState::Ok);
    }
}
