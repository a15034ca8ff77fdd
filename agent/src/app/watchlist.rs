//! The watchlist in use, and the part that reads its file again when it changes.
//!
//! A list that cannot be read leaves the one in force in force. At a start without a readable list
//! there is none, the status says `degraded`, and the file is tried again until it can be read.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, FixedOffset};
use kakou_contract::{AuditEvent, Health, WatchlistStatus};
use kakou_time::SharedClock;
use kakou_traffic::watchlist::List;

use super::recorder::Intake;
use super::supervise::{Pulse, TaskPart};
use super::watchfile::{ListError, ReadList, Rest, Stamp, read};

/// How often the file is looked at.
const EVERY: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Inner {
    /// The configured file.
    file: Option<PathBuf>,
    list: Arc<List>,
    /// What `list` was read from, and since when it is in use.
    source: Option<(ReadList, DateTime<FixedOffset>)>,
    /// Why the configured file is not the list in use.
    fault: Option<String>,
    rest: Rest,
}

/// The list in use; a clone is another hand on the same one.
#[derive(Clone)]
pub struct Watchlist {
    inner: Arc<Mutex<Inner>>,
    clock: SharedClock,
}

impl Watchlist {
    /// None yet: it is read by [`Self::look`].
    pub fn new(file: Option<&Path>, clock: SharedClock) -> Self {
        let inner = Inner {
            file: file.map(Path::to_path_buf),
            ..Inner::default()
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
            clock,
        }
    }

    /// The list that passages are compared with now.
    pub fn current(&self) -> Arc<List> {
        Arc::clone(&self.lock().list)
    }

    /// What the status says of it; `None` where no list is configured.
    pub fn status(&self) -> Option<WatchlistStatus> {
        let inner = self.lock();
        let file = inner.file.as_ref()?;
        let source = inner.source.as_ref();
        let is_in_use = source.is_some() && inner.fault.is_none();
        Some(WatchlistStatus {
            health: if is_in_use {
                Health::Ok
            } else {
                Health::Degraded
            },
            file: file
                .file_name()
                .map(|n| n.to_string_lossy().into_owned())
                .unwrap_or_default(),
            entries: inner.list.len() as u64,
            sha256: source.map(|(read, _)| read.sha256),
            modified: source.map(|(read, _)| read.stamp.modified()),
            since: source.map(|(_, since)| *since),
            detail: inner
                .fault
                .clone()
                .or_else(|| source.is_none().then(|| "not read yet".to_owned())),
        })
    }

    /// Looks whether the configured file has changed, and takes it into use if so. Returns what to
    /// record of that. `Err`: the list in force stays.
    pub fn look(&self) -> Result<Option<AuditEvent>, ListError> {
        let Some(file) = self.lock().file.clone() else {
            return Ok(None);
        };
        let outcome = self.read_if_changed(&file);
        let mut inner = self.lock();
        if inner.file.as_ref() != Some(&file) {
            // A reload named another one meanwhile.
            return Ok(None);
        }
        match outcome {
            Ok(None) => Ok(None),
            Ok(Some(read)) => {
                let now = self.clock.wall();
                Ok(Some(put(&mut inner, read, now)))
            }
            Err(e) => {
                let stays = match inner.source.is_some() {
                    true => "the last list stays in use",
                    false => "no list is in use",
                };
                inner.fault = Some(format!("{e}; {stays}"));
                Err(e)
            }
        }
    }

    /// A file that has not changed is taken to be what it was; one that is still written to is left
    /// alone.
    fn read_if_changed(&self, file: &Path) -> Result<Option<ReadList>, ListError> {
        let stamp = Stamp::of(file)?;
        let mut inner = self.lock();
        if inner.source.as_ref().is_some_and(|(r, _)| r.stamp == stamp) {
            inner.fault = None;
            return Ok(None);
        }
        if !inner.rest.is_at_rest(stamp, &*self.clock) {
            return Ok(None);
        }
        drop(inner);
        match read(file) {
            Ok(read) => Ok(Some(read)),
            Err(ListError::Unrested { .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Takes what a reload has read into use; without a file there is no list. Returns what to
    /// record of it.
    pub fn replace(&self, file: Option<PathBuf>, read: Option<ReadList>) -> Option<AuditEvent> {
        let now = self.clock.wall();
        let mut inner = self.lock();
        let same = match (&inner.source, &read) {
            (Some((old, _)), Some(new)) => inner.file == file && old.sha256 == new.sha256,
            _ => false,
        };
        inner.file = file;
        match read {
            None => {
                inner.list = Arc::default();
                inner.source = None;
                inner.fault = None;
                None
            }
            Some(read) => {
                let event = put(&mut inner, read, now);
                (!same).then_some(event)
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn put(inner: &mut Inner, read: ReadList, now: DateTime<FixedOffset>) -> AuditEvent {
    let list = &read.list;
    tracing::info!(
        plates = list.len(),
        refused = read.refused,
        version = list.version,
        "watchlist {} is in use",
        list.name
    );
    let event = AuditEvent::Watchlist {
        list: list.name.clone(),
        version: list.version.clone(),
        entries: list.len() as u64,
        refused: read.refused,
    };
    inner.list = Arc::clone(list);
    inner.source = Some((read, now));
    inner.fault = None;
    event
}

/// Looks at the file again and again.
pub struct WatchlistPart {
    pub watchlist: Watchlist,
    pub intake: Intake,
}

impl TaskPart for WatchlistPart {
    async fn run_once(&mut self, pulse: &Pulse) -> anyhow::Result<()> {
        loop {
            let watchlist = self.watchlist.clone();
            // A folder in the network may let a read wait.
            if let Some(event) = tokio::task::spawn_blocking(move || watchlist.look()).await?? {
                self.intake.audit(event);
            }
            pulse.working();
            tokio::time::sleep(EVERY).await;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use chrono::TimeDelta;
    use kakou_time::{Clock, SimulatedClock};

    use super::*;

    fn write(path: &Path, plates: &[&str]) {
        let lines: String = plates
            .iter()
            .map(|p| format!("{p},red,stolen,x,\n"))
            .collect();
        std::fs::write(
            path,
            format!("plate,level,category,reason,valid_until\n{lines}"),
        )
        .unwrap();
    }

    fn clock_after(path: &Path) -> Arc<SimulatedClock> {
        let wall = Stamp::of(path).unwrap().modified() + TimeDelta::minutes(1);
        Arc::new(SimulatedClock::new(wall, Duration::ZERO))
    }

    #[test]
    fn a_list_that_cannot_be_read_leaves_the_old_one_in_force_and_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list.csv");
        write(&path, &["鲁E6K829", "浙AD62983"]);
        let clock = clock_after(&path);
        let watchlist = Watchlist::new(Some(&path), clock.clone());
        assert_eq!(watchlist.status().unwrap().health, Health::Degraded);
        assert!(matches!(
            watchlist.look(),
            Ok(Some(AuditEvent::Watchlist { entries: 2, .. }))
        ));
        assert!(matches!(watchlist.look(), Ok(None)));
        let good = watchlist.status().unwrap();
        assert_eq!(
            (good.health, good.entries, good.since, good.sha256.is_some()),
            (Health::Ok, 2, Some(clock.wall()), true)
        );

        std::fs::rename(&path, dir.path().join("gone")).unwrap();
        assert!(watchlist.look().is_err());
        let status = watchlist.status().unwrap();
        assert_eq!(
            (status.health, status.entries, status.sha256),
            (Health::Degraded, 2, good.sha256)
        );
        assert!(
            status
                .detail
                .unwrap()
                .contains("the last list stays in use")
        );
        assert_eq!(watchlist.current().len(), 2);

        std::fs::rename(dir.path().join("gone"), &path).unwrap();
        assert!(matches!(watchlist.look(), Ok(None)));
        assert_eq!(watchlist.status().unwrap().health, Health::Ok);
    }

    #[test]
    fn a_start_without_a_list_is_degraded_until_it_can_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list.csv");
        write(&path, &["鲁E6K829"]);
        let clock = clock_after(&path);
        let late = dir.path().join("late.csv");
        let watchlist = Watchlist::new(Some(&late), clock);
        assert!(watchlist.look().is_err());
        let status = watchlist.status().unwrap();
        assert_eq!(
            (status.health, status.entries, status.sha256),
            (Health::Degraded, 0, None)
        );
        assert!(status.detail.unwrap().contains("no list is in use"));
        std::fs::rename(&path, &late).unwrap();
        assert!(matches!(watchlist.look(), Ok(Some(_))));
        assert_eq!(watchlist.status().unwrap().health, Health::Ok);
    }

    #[test]
    fn a_reload_replaces_the_list_or_takes_it_away() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list.csv");
        write(&path, &["鲁E6K829"]);
        let watchlist = Watchlist::new(None, clock_after(&path));
        assert!(matches!(watchlist.look(), Ok(None)));
        assert!(watchlist.status().is_none());
        let again = || Some(read(&path).unwrap());
        assert!(watchlist.replace(Some(path.clone()), again()).is_some());
        assert!(
            watchlist.replace(Some(path.clone()), again()).is_none(),
            "the same list is no news"
        );
        assert_eq!(watchlist.status().unwrap().entries, 1);
        assert!(watchlist.replace(None, None).is_none());
        assert!(watchlist.current().is_empty() && watchlist.status().is_none());
    }
}
