//! The watchlists in use, and the part that reads their files again when they change.
//!
//! A list that cannot be read leaves the one in force in force. At a start without a readable list
//! there is none, the status says `degraded`, and the file is tried again until it can be read. One
//! list's fault is none of the others'.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, FixedOffset};
use kakou_contract::{AuditEvent, Health, LISTS_MAX, ListStatus, WatchlistStatus};
use kakou_time::SharedClock;
use kakou_traffic::watchlist::{Listed, Lists, Weights};

use super::recorder::Intake;
use super::supervise::{Pulse, TaskPart};
use super::watchfile::{ListError, ReadList, Rest, Stamp, read};
use crate::config::ListConfig;

/// How often the files are looked at.
const EVERY: Duration = Duration::from_secs(1);
/// A list that loses more than this share of its plates was perhaps not meant to.
const LOST: f64 = 0.5;
/// Of the thread that reads lists.
const NICE: i32 = 19;

/// A configured list.
struct Slot {
    config: ListConfig,
    /// What is in use, and since when.
    source: Option<(ReadList, DateTime<FixedOffset>)>,
    /// Why the configured file is not the list in use.
    fault: Option<String>,
    rest: Rest,
}

impl Slot {
    fn new(config: ListConfig) -> Self {
        Self {
            config,
            source: None,
            fault: None,
            rest: Rest::default(),
        }
    }

    fn status(&self) -> ListStatus {
        let source = self.source.as_ref();
        let is_in_use = source.is_some() && self.fault.is_none();
        let list = source.map(|(read, _)| &read.list);
        let authority = self.config.options.authority.clone();
        ListStatus {
            name: self.config.options.name.clone(),
            health: match is_in_use {
                true => Health::Ok,
                false => Health::Degraded,
            },
            entries: list.map_or(0, |l| l.len() as u64),
            refused: source.map_or(0, |(read, _)| read.refused),
            version: list.map(|l| l.version.clone()),
            authority: list.and_then(|l| l.authority.clone()).or(authority),
            modified: source.map(|(read, _)| read.stamp.modified()),
            since: source.map(|(_, since)| *since),
            detail: self
                .fault
                .clone()
                .or_else(|| source.is_none().then(|| "not read yet".to_owned())),
        }
    }

    /// The configured list cannot be read; what is in use stays.
    fn stays(&mut self, e: &ListError) {
        let stays = match self.source.is_some() {
            true => "the last list stays in use",
            false => "no list is in use",
        };
        self.fault = Some(format!("{e}; {stays}"));
    }

    /// Takes what was read into use. Returns what to record of it.
    fn put(&mut self, read: ReadList, now: DateTime<FixedOffset>) -> AuditEvent {
        let list = &read.list;
        let before = self.source.as_ref().map_or(0, |(read, _)| read.list.len());
        tracing::info!(
            plates = list.len(),
            refused = read.refused,
            version = list.version,
            read = %read.told,
            "watchlist {} is in use",
            list.name
        );
        if (list.len() as f64) < before as f64 * LOST {
            tracing::warn!(
                before,
                now = list.len(),
                "watchlist {} has lost most of its plates",
                list.name
            );
        }
        let event = AuditEvent::Watchlist {
            list: list.name.clone(),
            version: list.version.clone(),
            entries: list.len() as u64,
            refused: read.refused,
        };
        self.source = Some((read, now));
        self.fault = None;
        event
    }
}

#[derive(Default)]
struct Inner {
    slots: Vec<Slot>,
    lists: Arc<Lists>,
}

impl Inner {
    /// Makes the snapshot anew, after a list has changed. Returns the one before, to be dropped
    /// where nobody waits: a large list takes its time.
    fn swap(&mut self, weights: &Arc<Weights>) -> Arc<Lists> {
        let listed = self.slots.iter().filter_map(|slot| {
            Some(Listed {
                list: Arc::clone(&slot.source.as_ref()?.0.list),
                policy: Arc::new(slot.config.policy.clone()),
            })
        });
        let lists = Arc::new(Lists::new(listed.collect(), Arc::clone(weights)));
        std::mem::replace(&mut self.lists, lists)
    }
}

/// What came of a look at the files.
#[derive(Debug, Default)]
pub struct Looked {
    /// What to record of it.
    pub events: Vec<AuditEvent>,
    /// Why a list is not in use; the lists in force stay.
    pub fault: Option<ListError>,
}

/// The lists in use; a clone is another hand on the same ones.
#[derive(Clone)]
pub struct Watchlist {
    inner: Arc<Mutex<Inner>>,
    weights: Arc<Weights>,
    clock: SharedClock,
}

impl Watchlist {
    /// None yet: they are read by [`Self::look`].
    pub fn new(lists: &[ListConfig], clock: SharedClock) -> Self {
        let slots = lists.iter().cloned().map(Slot::new).collect();
        let inner = Inner {
            slots,
            ..Inner::default()
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
            weights: Arc::default(),
            clock,
        }
    }

    /// The lists that passages are compared with now: a snapshot, which no reload changes.
    pub fn current(&self) -> Arc<Lists> {
        Arc::clone(&self.lock().lists)
    }

    /// What the status says of them; `None` where no list is configured.
    pub fn status(&self) -> Option<WatchlistStatus> {
        let inner = self.lock();
        let lists: Vec<ListStatus> = inner.slots.iter().map(Slot::status).collect();
        let one = inner.slots.first()?;
        let alone = inner.slots.len() == 1;
        let file = |slot: &Slot| {
            let name = slot.config.file.file_name();
            name.map(|n| n.to_string_lossy().into_owned())
                .unwrap_or_default()
        };
        let files: Vec<String> = inner.slots.iter().map(file).collect();
        let details = lists.iter().filter_map(|l| {
            let detail = l.detail.as_ref()?;
            Some(match alone {
                true => detail.clone(),
                false => format!("{}: {detail}", l.name),
            })
        });
        let details: Vec<String> = details.collect();
        Some(WatchlistStatus {
            health: match lists.iter().all(|l| l.health == Health::Ok) {
                true => Health::Ok,
                false => Health::Degraded,
            },
            file: files.join(", "),
            entries: inner.lists.len() as u64,
            sha256: one
                .source
                .as_ref()
                .filter(|_| alone)
                .map(|(read, _)| read.sha256),
            modified: lists.iter().filter_map(|l| l.modified).min(),
            since: lists.iter().filter_map(|l| l.since).max(),
            detail: (!details.is_empty()).then(|| details.join("; ")),
            lists: lists.into_iter().take(LISTS_MAX).collect(),
        })
    }

    /// Looks whether configured files have changed, and takes them into use if so.
    pub fn look(&self) -> Looked {
        let configs: Vec<ListConfig> = self.lock().slots.iter().map(|s| s.config.clone()).collect();
        let mut looked = Looked::default();
        for config in configs {
            let outcome = self.read_if_changed(&config);
            let now = self.clock.wall();
            let mut inner = self.lock();
            // A reload may have named others meanwhile.
            let Some(slot) = inner.slots.iter_mut().find(|s| s.config == config) else {
                continue;
            };
            match outcome {
                Ok(None) => {}
                Ok(Some(read)) => {
                    looked.events.push(slot.put(read, now));
                    let before = inner.swap(&self.weights);
                    drop(inner);
                    drop(before);
                }
                Err(e) => {
                    slot.stays(&e);
                    // The platform is asked for it; nothing is broken here.
                    if !matches!(e, ListError::Undelivered) {
                        looked.fault.get_or_insert(e);
                    }
                }
            }
        }
        looked
    }

    /// A file that has not changed is taken to be what it was; one that is still written to is left
    /// alone.
    fn read_if_changed(&self, config: &ListConfig) -> Result<Option<ReadList>, ListError> {
        let stamp = Stamp::of_list(config)?;
        let mut inner = self.lock();
        let Some(slot) = inner.slots.iter_mut().find(|s| s.config == *config) else {
            return Ok(None);
        };
        if slot.source.as_ref().is_some_and(|(r, _)| r.stamp == stamp) {
            slot.fault = None;
            return Ok(None);
        }
        // What the platform sent is renamed into its place as a whole.
        if config.delivered.is_none() && !slot.rest.is_at_rest(stamp, &*self.clock) {
            return Ok(None);
        }
        drop(inner);
        match read(config) {
            Ok(read) => Ok(Some(read)),
            Err(ListError::Unrested { .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Takes what a reload has read into use; without files there are no lists. A list that the
    /// platform sends may be unreadable: what is in use stays, unless no key of the config signed
    /// it. Returns what to record of it.
    pub fn replace(
        &self,
        lists: Vec<(ListConfig, Result<ReadList, ListError>)>,
    ) -> Vec<AuditEvent> {
        let now = self.clock.wall();
        let mut inner = self.lock();
        let mut old = std::mem::take(&mut inner.slots);
        let mut events = Vec::new();
        for (config, read) in lists {
            let known = old.iter().position(|slot| slot.config.file == config.file);
            let mut slot = Slot::new(config);
            let before = known.map(|at| old.swap_remove(at));
            let read = match read {
                Ok(read) => read,
                Err(e) => {
                    // Without a source every look reads it again, and says so as long as its key
                    // is gone.
                    let is_trusted = !matches!(e, ListError::Untrusted(_));
                    slot.source = before
                        .and_then(|before| before.source)
                        .filter(|_| is_trusted);
                    slot.stays(&e);
                    inner.slots.push(slot);
                    continue;
                }
            };
            let same = before.as_ref().is_some_and(|before| {
                let source = before.source.as_ref();
                before.config == slot.config && source.is_some_and(|(r, _)| r.sha256 == read.sha256)
            });
            slot.source = before.and_then(|before| before.source);
            let event = slot.put(read, now);
            events.extend((!same).then_some(event));
            inner.slots.push(slot);
        }
        let before = inner.swap(&self.weights);
        drop(inner);
        drop((before, old));
        events
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks at the files again and again.
pub struct WatchlistPart {
    pub watchlist: Watchlist,
    pub intake: Intake,
}

/// Runs what may take half a minute for a list of a million entries on a thread that gives way to
/// cameras. A folder in the network may let it wait, too.
async fn behind_the_cameras<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> anyhow::Result<T> {
    let (done, told) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name("watchlist-read".into())
        .spawn(move || {
            // Of this thread alone. Where it may not be, the list is read all the same.
            if let Err(e) = rustix::process::setpriority_process(None, NICE) {
                tracing::debug!("the list's thread keeps its priority: {e}");
            }
            // Who waited may have gone.
            let _ = done.send(work());
        })?;
    told.await
        .map_err(|_| anyhow::anyhow!("reading the lists panicked"))
}

impl TaskPart for WatchlistPart {
    async fn run_once(&mut self, pulse: &Pulse) -> anyhow::Result<()> {
        loop {
            let watchlist = self.watchlist.clone();
            let looked = behind_the_cameras(move || watchlist.look()).await?;
            for event in looked.events {
                self.intake.audit(event);
            }
            if let Some(fault) = looked.fault {
                return Err(fault.into());
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

    use std::path::Path;

    use chrono::TimeDelta;
    use kakou_contract::{Id, Sequence, SigningKey};
    use kakou_delivery::{Draft, Inbox, InboxOptions, Package, Vault, whole};
    use kakou_time::{Clock, SimulatedClock};

    use super::super::watchfile::tests::config;
    use super::*;
    use crate::config::DeliveredConfig;

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

    fn is_still(watchlist: &Watchlist) -> bool {
        let looked = watchlist.look();
        looked.events.is_empty() && looked.fault.is_none()
    }

    #[test]
    fn one_lists_fault_is_none_of_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (dir.path().join("one.csv"), dir.path().join("other.csv"));
        write(&one, &["鲁E6K829"]);
        let clock = clock_after(&one);
        let watchlist = Watchlist::new(&[config(&other), config(&one)], clock);
        let looked = watchlist.look();
        assert!(looked.fault.is_some() && looked.events.len() == 1);
        let status = watchlist.status().unwrap();
        assert_eq!(
            (status.health, status.entries, status.lists.len()),
            (Health::Degraded, 1, 2)
        );
        assert_eq!(
            (status.file.as_str(), status.sha256),
            ("other.csv, one.csv", None)
        );
        assert!(status.detail.unwrap().starts_with("other: "));
        let healths: Vec<Health> = status.lists.iter().map(|l| l.health).collect();
        assert_eq!(healths, [Health::Degraded, Health::Ok]);
    }

    #[test]
    fn a_snapshot_stays_what_it_is_while_a_list_is_swapped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list.csv");
        write(&path, &["鲁E6K829"]);
        let watchlist = Watchlist::new(&[config(&path)], clock_after(&path));
        watchlist.look();
        let before = watchlist.current();
        write(&path, &["浙AD62983", "京A12345"]);
        let again = vec![(config(&path), read(&config(&path)))];
        assert_eq!(watchlist.replace(again).len(), 1);
        assert_eq!((before.len(), watchlist.current().len()), (1, 2));
    }

    #[test]
    fn a_list_that_cannot_be_read_leaves_the_old_one_in_force_and_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list.csv");
        write(&path, &["鲁E6K829", "浙AD62983"]);
        let clock = clock_after(&path);
        let watchlist = Watchlist::new(&[config(&path)], clock.clone());
        assert_eq!(watchlist.status().unwrap().health, Health::Degraded);
        assert!(matches!(
            watchlist.look().events[..],
            [AuditEvent::Watchlist { entries: 2, .. }]
        ));
        assert!(is_still(&watchlist));
        let good = watchlist.status().unwrap();
        assert_eq!(
            (good.health, good.entries, good.since, good.sha256.is_some()),
            (Health::Ok, 2, Some(clock.wall()), true)
        );

        std::fs::rename(&path, dir.path().join("gone")).unwrap();
        assert!(watchlist.look().fault.is_some());
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
        assert!(is_still(&watchlist));
        assert_eq!(watchlist.status().unwrap().health, Health::Ok);
    }

    #[test]
    fn a_start_without_a_list_is_degraded_until_it_can_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list.csv");
        write(&path, &["鲁E6K829"]);
        let clock = clock_after(&path);
        let late = dir.path().join("late.csv");
        let watchlist = Watchlist::new(&[config(&late)], clock);
        assert!(watchlist.look().fault.is_some());
        let status = watchlist.status().unwrap();
        assert_eq!(
            (status.health, status.entries, status.sha256),
            (Health::Degraded, 0, None)
        );
        assert!(status.detail.unwrap().contains("no list is in use"));
        std::fs::rename(&path, &late).unwrap();
        assert_eq!(watchlist.look().events.len(), 1);
        assert_eq!(watchlist.status().unwrap().health, Health::Ok);
    }

    #[test]
    fn a_reload_replaces_the_list_or_takes_it_away() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list.csv");
        write(&path, &["鲁E6K829"]);
        let watchlist = Watchlist::new(&[], clock_after(&path));
        assert!(is_still(&watchlist));
        assert!(watchlist.status().is_none());
        let again = || vec![(config(&path), read(&config(&path)))];
        assert_eq!(watchlist.replace(again()).len(), 1);
        assert!(
            watchlist.replace(again()).is_empty(),
            "the same list is no news"
        );
        assert_eq!(watchlist.status().unwrap().entries, 1);
        assert!(watchlist.replace(Vec::new()).is_empty());
        assert!(watchlist.current().is_empty() && watchlist.status().is_none());
    }

    #[test]
    fn a_list_whose_key_is_gone_is_used_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let list = Id::new("list", "stolen").unwrap();
        let (gone, new) = (
            SigningKey::from_bytes(&[1; 32]),
            SigningKey::from_bytes(&[2; 32]),
        );
        let vault = Vault::new(dir.path(), None);
        let file = vault.path(&list);
        let trusting = |keys: &[&SigningKey]| {
            let mut config = config(&file);
            config.delivered = Some(DeliveredConfig {
                list: list.clone(),
                trusted: keys.iter().map(|key| key.verifying_key()).collect(),
                store_key_file: None,
            });
            config
        };
        let text = whole(
            "plate,level,category,reason,valid_until",
            ["鲁E6K829,red,stolen,x,"],
        );
        let at = DateTime::parse_from_rfc3339("2031-05-04T08:15:30.000+08:00").unwrap();
        let draft = Draft::new(list.clone(), Sequence::new(1).unwrap(), at);
        let package = Package::make(draft, &text, None, &gone).unwrap();
        let inbox = InboxOptions {
            list: list.clone(),
            site: Id::new("site", "s").unwrap(),
            trusted: vec![gone.verifying_key()],
            vault: vault.clone(),
        };
        let mut inbox = Inbox::open(inbox, Duration::ZERO);
        for chunk in package.chunks(&package.edition().unwrap()) {
            inbox.hear(&serde_json::to_vec(&chunk).unwrap(), Duration::ZERO);
        }

        let both = trusting(&[&gone, &new]);
        let watchlist = Watchlist::new(std::slice::from_ref(&both), clock_after(&file));
        assert_eq!(watchlist.look().events.len(), 1);
        assert_eq!(watchlist.current().len(), 1);

        let one = trusting(&[&new]);
        let withdrawn = vec![(one.clone(), read(&one))];
        assert!(watchlist.replace(withdrawn).is_empty());
        assert!(watchlist.current().is_empty());
        // However often the file is looked at, which has not changed.
        for _ in 0..2 {
            assert!(watchlist.look().fault.is_some());
            let status = watchlist.status().unwrap();
            assert_eq!((status.health, status.entries), (Health::Degraded, 0));
            assert!(status.detail.unwrap().contains("no list is in use"));
            assert!(watchlist.current().is_empty());
        }

        // Its key is trusted again.
        watchlist.replace(vec![(both.clone(), read(&both))]);
        assert_eq!(watchlist.current().len(), 1);
        assert_eq!(watchlist.status().unwrap().health, Health::Ok);
    }
}
