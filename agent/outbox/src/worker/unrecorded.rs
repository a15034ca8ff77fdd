//! How many messages could not be committed, until the platform has been told.
//!
//! The count must survive a restart, and it arises where the database cannot be written: on a full
//! disk, under another process's lock. So it lies in a small file of its own that always has its
//! full size, and is written in place: that needs no new room. If even that fails, the count lives
//! on in memory, and a restart forgets it.

use std::collections::HashSet;
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kakou_contract::{AuditEvent, Priority};
use kakou_time::Moment;
use serde::{Deserialize, Serialize};

use crate::store::Ready;
use crate::store::audit::time;

const FILE: &str = "unrecorded";
/// One sector: it is written as a whole or not at all.
const SIZE: usize = 512;
/// Characters of the reason; fewer where they do not fit.
const WHY: usize = 200;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Count {
    messages: u64,
    from_ms: i64,
    to_ms: i64,
    why: String,
}

#[derive(Debug)]
pub(super) struct Unrecorded {
    path: PathBuf,
    count: Count,
    /// Of those that this run counted: whoever appends may try again, and what is committed then is
    /// not missed.
    ids: HashSet<String>,
    /// The monotonic clock when the count last changed.
    changed: Duration,
}

/// How long nothing must change before the platform is told: a message may be tried again until
/// then.
const QUIET: Duration = Duration::from_secs(30);
/// Ids that are remembered; of more the count may be too high.
const IDS: usize = 10_000;

impl Unrecorded {
    /// Takes up what an earlier run could not report.
    pub(super) fn load(folder: &Path) -> Self {
        let path = folder.join(FILE);
        let mut text = String::new();
        let read = std::fs::File::open(&path).and_then(|mut f| f.read_to_string(&mut text));
        let count = match (read, serde_json::from_str(text.trim_end())) {
            (Ok(_), Ok(count)) => count,
            (Err(e), _) if e.kind() == std::io::ErrorKind::NotFound => Count::default(),
            (Err(e), _) => {
                tracing::warn!("{}: {e}", path.display());
                Count::default()
            }
            (Ok(_), Err(e)) => {
                tracing::warn!("{} is no count: {e}; it begins anew", path.display());
                Count::default()
            }
        };
        let this = Self {
            path,
            count,
            ids: HashSet::new(),
            changed: Duration::ZERO,
        };
        this.store();
        this
    }

    pub(super) fn messages(&self) -> u64 {
        self.count.messages
    }

    /// Counts passages and hits; other messages are not missed.
    pub(super) fn add(&mut self, messages: &[Ready], now: &Moment, why: &str) {
        let now_ms = now.wall.timestamp_millis();
        let before = self.count.messages;
        for ready in messages {
            let envelope = &ready.envelope;
            if !matches!(envelope.priority, Priority::Hit | Priority::Passage) {
                continue;
            }
            // Tried again, in vain.
            if self.ids.contains(&envelope.id) {
                continue;
            }
            if self.ids.len() < IDS {
                self.ids.insert(envelope.id.clone());
            }
            let at = envelope.captured_ms.unwrap_or(now_ms);
            let count = &mut self.count;
            (count.from_ms, count.to_ms) = match count.messages {
                0 => (at, at),
                _ => (count.from_ms.min(at), count.to_ms.max(at)),
            };
            count.messages += 1;
        }
        if self.count.messages > before {
            self.count.why = why.to_owned();
            self.changed = now.mono;
            self.store();
        }
    }

    /// These are committed now, perhaps after an earlier try failed.
    pub(super) fn committed(&mut self, messages: &[Ready], now: Duration) {
        if self.ids.is_empty() {
            return;
        }
        let before = self.count.messages;
        for ready in messages {
            if self.ids.remove(&ready.envelope.id) {
                self.count.messages = self.count.messages.saturating_sub(1);
            }
        }
        if self.count.messages < before {
            self.changed = now;
            self.store();
        }
    }

    /// Whether nothing has changed for a while.
    pub(super) fn is_quiet(&self, now: Duration) -> bool {
        now.saturating_sub(self.changed) >= QUIET
    }

    /// What the platform must be told; `None` if nothing is missing.
    pub(super) fn event(&self) -> Option<AuditEvent> {
        let count = &self.count;
        (count.messages > 0).then(|| AuditEvent::Unrecorded {
            messages: count.messages,
            from: time(count.from_ms),
            to: time(count.to_ms),
            reason: count.why.clone(),
        })
    }

    /// The platform will learn it. A power cut just before tells it twice.
    pub(super) fn reported(&mut self) {
        self.count = Count::default();
        self.ids.clear();
        self.store();
    }

    fn to_json(&self, most: usize) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(&Count {
            why: self.count.why.chars().take(most).collect(),
            ..self.count.clone()
        })
    }

    fn store(&self) {
        let write = || -> std::io::Result<()> {
            let mut bytes = self.to_json(WHY)?;
            let mut most = WHY;
            while bytes.len() > SIZE {
                most /= 2;
                bytes = self.to_json(most)?;
            }
            bytes.resize(SIZE, b' ');
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o640)
                .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32)
                .open(&self.path)?;
            file.write_all(&bytes)?;
            file.sync_data()
        };
        if let Err(e) = write() {
            tracing::warn!(
                messages = self.count.messages,
                "{}: {e}; a restart would forget how many messages were not recorded",
                self.path.display()
            );
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::tests::{clock, envelope};
    use kakou_time::Clock as _;

    #[test]
    fn the_count_survives_a_restart_until_it_is_reported() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = Unrecorded::load(dir.path());
        let mut early = envelope(Priority::Hit, "early");
        early.captured_ms = Some(1_800_000_000_000);
        let all = [
            early,
            envelope(Priority::Picture, "not missed"),
            envelope(Priority::Passage, "late"),
        ];
        let all = Ready::all(all.into()).unwrap();
        let now = clock(1_800_000_060_000).now();
        let why = "no room \"here\"\n".repeat(200);
        first.add(&all, &now, &why);
        // Tried again in vain.
        first.add(&all, &now, &why);
        let size = std::fs::metadata(dir.path().join(FILE)).unwrap().len();
        assert_eq!(size, SIZE as u64);
        drop(first);
        let mut second = Unrecorded::load(dir.path());
        let Some(AuditEvent::Unrecorded {
            messages,
            from,
            to,
            reason,
        }) = second.event()
        else {
            unreachable!("two are missing");
        };
        assert_eq!((messages, (to - from).num_seconds()), (2, 60));
        assert!(reason.starts_with("no room"), "{reason}");
        second.reported();
        assert_eq!(Unrecorded::load(dir.path()).event(), None);
    }

    #[test]
    fn what_is_committed_at_a_later_try_is_not_missed() {
        let dir = tempfile::tempdir().unwrap();
        let mut unrecorded = Unrecorded::load(dir.path());
        let texts = ["one", "two"].map(|text| envelope(Priority::Passage, text));
        let all = Ready::all(texts.into()).unwrap();
        let now = clock(1_800_000_000_000).now();
        unrecorded.add(&all, &now, "no room");
        assert!(!unrecorded.is_quiet(now.mono + Duration::from_secs(29)));
        unrecorded.committed(&all[..1], now.mono + Duration::from_secs(20));
        assert_eq!(unrecorded.messages(), 1);
        assert!(!unrecorded.is_quiet(now.mono + Duration::from_secs(49)));
        assert!(unrecorded.is_quiet(now.mono + Duration::from_secs(50)));
        unrecorded.committed(&all[1..], now.mono);
        assert_eq!(Unrecorded::load(dir.path()).messages(), 0);
    }

    #[test]
    fn what_is_no_count_is_told_and_begins_anew() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), "{\"messages\":").unwrap();
        assert_eq!(Unrecorded::load(dir.path()).messages(), 0);
        assert_eq!(Unrecorded::load(dir.path()).event(), None);
    }
}
