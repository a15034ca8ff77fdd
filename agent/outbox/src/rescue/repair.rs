//! A new outbox out of a damaged one: `kakou outbox repair`.
//!
//! What it promises:
//!
//! - Every message that can be read and has its hash is in the new one, with its number, hash,
//!   priority and stage.
//! - No number is given twice. What was committed last may be lost without a trace, so numbers go
//!   on far above the last one that is known; those between count as lost.
//! - The platform is told which numbers are lost, by `damage` messages in the new outbox.
//! - The damaged files stay, under a name with the date.
//! - Whatever fails, the damaged outbox stays in its place: the new one is made in a folder of its
//!   own, closed, and read from end to end from its one file before anything else is touched.
//!   Whether there is room for it is asked before.
//! - Whenever it is interrupted, the folder has the old outbox or the new one. The new one counts
//!   from the moment it has the name `outbox.db.repaired`, and whoever opens the outbox next puts
//!   it in its place. (The old write-ahead log has to go before, and two files cannot be renamed at
//!   once.)

use std::fs;
use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use kakou_time::{Clock, SystemClock};

use super::inspect::Inspection;
use super::rebuild::rebuild;
use super::salvage::Source;
use crate::error::OutboxError;
use crate::folder::{lock, sync};
use crate::store::db::log_of;
use crate::store::{Db, FILE, key};

const WORKSHOP: &str = "outbox.repair";
const REPAIRED: &str = "outbox.db.repaired";
/// What a repair takes beside the new database: its write-ahead log, at most.
const LOG: u64 = 128 << 20;
const PAGE: usize = 8192;

/// What the operator may say.
#[derive(Debug, Clone, Default)]
pub struct RepairOptions {
    /// `site/agent`, where the damaged file does not tell any more.
    pub agent: Option<String>,
    /// The highest number that the platform has; the new numbers are above it.
    pub above: u64,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repair {
    /// Nothing was changed.
    NotNeeded {
        messages: u64,
    },
    Done(Repaired),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repaired {
    pub messages: u64,
    /// Numbers that were given and whose messages are lost.
    pub lost: Vec<[u64; 2]>,
    /// The first number that is given from now on.
    pub next: u64,
    /// Where the damaged file is now.
    pub aside: Option<PathBuf>,
}

/// Makes a new outbox out of what can be read; `progress` is told how many messages are saved.
pub fn repair(
    folder: &Path,
    options: &RepairOptions,
    progress: impl FnMut(u64),
) -> Result<Repair, OutboxError> {
    repair_by(folder, options, &SystemClock::new(), progress)
}

/// As `repair`, by this clock.
pub(crate) fn repair_by(
    folder: &Path,
    options: &RepairOptions,
    clock: &dyn Clock,
    progress: impl FnMut(u64),
) -> Result<Repair, OutboxError> {
    let _lock = lock(folder)?;
    finish(folder)?;
    let path = folder.join(FILE);
    let why = "there is no signing key here, and without it nothing can be checked or sent; restore it from a copy. \
               If there never was an outbox here, name the agent's state folder by --state";
    let key = key::read(folder)?.ok_or_else(|| OutboxError::Key {
        path: key::path(folder),
        why: why.to_owned(),
    })?;
    if let Some(messages) = whole(folder)
        && options.above == 0
    {
        return Ok(Repair::NotNeeded { messages });
    }
    let workshop = folder.join(WORKSHOP);
    clear(&workshop)?;
    let made = make(&path, &workshop, &key, options, clock, progress)
        .and_then(|repaired| check(&workshop).map(|()| repaired))
        .and_then(|repaired| install(folder, &workshop, repaired, clock));
    if made.is_err() {
        // What is left of it is cleared by the next repair, if not now.
        let _ = clear(&workshop);
    }
    made.map(Repair::Done)
}

/// How many messages there are, if nothing is damaged.
fn whole(folder: &Path) -> Option<u64> {
    let verdict = Inspection::open(folder)
        .and_then(|i| i.verify(|_| ()))
        .ok()?;
    (verdict.is_whole() && verdict.messages + verdict.head > 0).then_some(verdict.messages)
}

/// The new database, in the workshop and in one file.
fn make(
    path: &Path,
    workshop: &Path,
    key: &SigningKey,
    options: &RepairOptions,
    clock: &dyn Clock,
    progress: impl FnMut(u64),
) -> Result<Repaired, OutboxError> {
    fs::create_dir(workshop).map_err(|e| OutboxError::file(workshop, &e))?;
    let db = Db::open(workshop, key.clone())?;
    // In one file: its first page may be needed.
    db.checkpoint()?;
    let source = match path.is_file() {
        true => source(path, workshop)?,
        false => None,
    };
    rebuild(db, path, source, key, options, clock, progress)
}

/// The new database is whole as it lies on the disk, without any write-ahead log.
fn check(workshop: &Path) -> Result<(), OutboxError> {
    let path = workshop.join(FILE);
    let verdict = Inspection::open(workshop)?.verify(|_| ())?;
    match verdict.faults.first() {
        None => fs::File::open(&path)
            .and_then(|file| file.sync_all())
            .map_err(|e| OutboxError::file(&path, &e)),
        Some(first) => Err(OutboxError::Io {
            path,
            why: format!("the repaired outbox is not whole, nothing was changed: {first}"),
        }),
    }
}

/// Puts the damaged files aside and the new one in their place.
fn install(
    folder: &Path,
    workshop: &Path,
    mut repaired: Repaired,
    clock: &dyn Clock,
) -> Result<Repaired, OutboxError> {
    let path = folder.join(FILE);
    repaired.aside = set_aside(&path, clock).map_err(|e| OutboxError::file(&path, &e))?;
    fs::rename(workshop.join(FILE), folder.join(REPAIRED))
        .map_err(|e| OutboxError::file(workshop, &e))?;
    sync(folder)?;
    finish(folder)?;
    clear(workshop)?;
    Ok(repaired)
}

/// Puts a repaired outbox in its place, if there is one. To be called by whoever has the lock,
/// before opening.
pub(crate) fn finish(folder: &Path) -> Result<(), OutboxError> {
    let repaired = folder.join(REPAIRED);
    if !repaired.is_file() {
        return Ok(());
    }
    for suffix in ["-wal", "-shm"] {
        let old = folder.join(format!("{FILE}{suffix}"));
        match fs::remove_file(&old) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(OutboxError::file(&old, &e));
            }
            _ => {}
        }
    }
    // The log must be gone for good before the new file has the name that it belongs to.
    sync(folder)?;
    fs::rename(&repaired, folder.join(FILE)).map_err(|e| OutboxError::file(&repaired, &e))?;
    sync(folder)
}

/// A repair was interrupted after the new outbox was made and before it was in its place.
pub(super) fn is_unfinished(folder: &Path) -> bool {
    folder.join(REPAIRED).is_file()
}

fn clear(workshop: &Path) -> Result<(), OutboxError> {
    match fs::remove_dir_all(workshop) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(OutboxError::file(workshop, &e)),
        _ => Ok(()),
    }
}

/// Gives the damaged files a second name. Links: nothing is moved before the new outbox counts.
fn set_aside(path: &Path, clock: &dyn Clock) -> std::io::Result<Option<PathBuf>> {
    let date = clock.wall().to_utc().format("%Y%m%dT%H%M%S%3fZ");
    let aside = path.with_file_name(format!("{FILE}.damaged-{date}"));
    let mut any = None;
    for (from, to) in [
        (log_of(path), log_of(&aside)),
        (path.to_path_buf(), aside.clone()),
    ] {
        if from.is_file() {
            fs::hard_link(&from, &to)?;
            any = Some(aside.clone());
        }
    }
    Ok(any)
}

/// The damaged database; if its first page is, a copy with the first page of a new one, which is
/// the same in all. An error if there is no room for the repair.
fn source(path: &Path, workshop: &Path) -> Result<Option<Source>, OutboxError> {
    let length = |path: &Path| fs::metadata(path).map_or(0, |m| m.len());
    let on_disk = length(path) + length(&log_of(path));
    match Source::open(path) {
        Ok(source) => {
            // What a damaged page says of the size is not believed beyond the file's.
            let used = source.used().map_or(on_disk, |used| used.min(on_disk));
            ask_for_room(workshop, 0, used)?;
            return Ok(Some(source));
        }
        Err(e) => tracing::warn!("{}: {e}; trying with a new first page", path.display()),
    }
    ask_for_room(workshop, on_disk, on_disk)?;
    let patched = || -> std::io::Result<PathBuf> {
        let copy = workshop.join("source.db");
        fs::copy(path, &copy)?;
        let log = log_of(path);
        if log.is_file() {
            fs::copy(log, log_of(&copy))?;
        }
        let mut file = fs::OpenOptions::new().read(true).write(true).open(&copy)?;
        patch_first_page(&mut file, &fs::read(workshop.join(FILE))?)?;
        Ok(copy)
    };
    let copy = match patched() {
        Ok(copy) => copy,
        // A file without even one page.
        Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(e) => return Err(OutboxError::file(path, &e)),
    };
    Ok(Source::open(&copy).ok())
}

/// The new database takes as much as is in use, and its write-ahead log as much again, up to a
/// bound.
fn ask_for_room(workshop: &Path, copy: u64, used: u64) -> Result<(), OutboxError> {
    let needed = copy + used + used.min(LOG);
    let Ok(disk) = rustix::fs::statvfs(workshop) else {
        return Ok(());
    };
    let free = disk.f_bavail * disk.f_frsize;
    if free >= needed {
        return Ok(());
    }
    let mib = |bytes: u64| bytes.div_ceil(1 << 20);
    Err(OutboxError::Full {
        path: workshop.to_path_buf(),
        why: format!(
            "the repair needs {} MiB, {} MiB are free; nothing was changed. Make room, or copy the state folder to a \
             larger disk and repair it there",
            mib(needed),
            free >> 20
        ),
    })
}

fn patch_first_page(file: &mut fs::File, new: &[u8]) -> std::io::Result<()> {
    use std::io::{Seek, SeekFrom, Write};
    let mut page = new
        .get(..PAGE)
        .ok_or(std::io::ErrorKind::UnexpectedEof)?
        .to_vec();
    // Bytes 28 to 31: pages in the file. 32 to 39: none is free, as far as a reader cares.
    let pages = u32::try_from(file.metadata()?.len() / PAGE as u64).unwrap_or(u32::MAX);
    if let Some(field) = page.get_mut(28..32) {
        field.copy_from_slice(&pages.to_be_bytes());
    }
    if let Some(field) = page.get_mut(32..40) {
        field.fill(0);
    }
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&page)?;
    file.sync_all()
}
