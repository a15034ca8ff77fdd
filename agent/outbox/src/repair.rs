//! A new outbox out of a damaged one: `kakou outbox repair`.
//!
//! What it promises:
//!
//! - Every message that can be read and has its hash is in the new one, with its number, hash, lane and place.
//! - No number is given twice. What was committed last may be lost without a trace, so numbers go on far above the last
//!   one that is known; those between count as lost.
//! - The platform is told which numbers are lost, by `damage` messages in the new outbox.
//! - The damaged files stay, under a name with the date.
//! - Whenever it is interrupted, the folder has the old outbox or the new one. The new one is made in a folder of its own
//!   and checked; it counts from the moment it has the name `outbox.db.repaired`, and whoever opens the outbox next puts it
//!   in its place. (The old write-ahead log has to go before, and two files cannot be renamed at once.)

use std::fs;
use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use kakou_contract::{AUDIT_RANGES_MAX, AuditEvent, Id, Ranges};
use rusqlite::params;

use super::db::{Db, FILE, Head};
use super::error::OutboxError;
use super::handle::lock;
use super::inspect::Inspection;
use super::key;
use super::salvage::{Row, Source, Was};
use super::steady::EARLIEST_MS;
use super::upkeep::audit_draft;
use super::writer::now_ms;

const WORKSHOP: &str = "outbox.repair";
const REPAIRED: &str = "outbox.db.repaired";
/// Numbers that may have been given after the last one that is known: more than a write-ahead log ever held.
const UNKNOWN: u64 = 1_000_000;
/// Messages and bytes in one transaction.
const GROUP: (usize, usize) = (2000, 16 << 20);

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
    let _lock = lock(folder)?;
    finish(folder)?;
    let path = folder.join(FILE);
    let why = "there is no signing key here, and without it nothing can be checked or sent; restore it from a copy. \
               If there never was an outbox here, name the agent's state folder by --state";
    let key = key::read(folder)?.ok_or_else(|| OutboxError::Key {
        path: key::path(folder),
        why: why.to_owned(),
    })?;
    if let Ok(verdict) = Inspection::open(folder).and_then(|i| i.verify(|_| ()))
        && verdict.is_whole()
        && verdict.messages + verdict.head > 0
        && options.above == 0
    {
        return Ok(Repair::NotNeeded {
            messages: verdict.messages,
        });
    }
    let workshop = folder.join(WORKSHOP);
    clear(&workshop)?;
    let io = |e: std::io::Error| fault(&workshop, &e);
    fs::create_dir(&workshop).map_err(io)?;
    let made = rebuild(&path, &workshop, &key, options, progress).and_then(|repaired| {
        let verdict = Inspection::open(&workshop)?.verify(|_| ())?;
        match verdict.faults.first() {
            None => Ok(repaired),
            Some(first) => {
                let why = format!("the repaired outbox is not whole, nothing was changed: {first}");
                Err(OutboxError::Io {
                    path: workshop.join(FILE),
                    why,
                })
            }
        }
    });
    let mut repaired = match made {
        Ok(repaired) => repaired,
        Err(e) => {
            // What is left of it is cleared by the next repair, if not now.
            let _ = clear(&workshop);
            return Err(e);
        }
    };
    repaired.aside = set_aside(&path).map_err(|e| fault(&path, &e))?;
    fs::File::open(workshop.join(FILE))
        .and_then(|f| f.sync_all())
        .map_err(io)?;
    fs::rename(workshop.join(FILE), folder.join(REPAIRED)).map_err(io)?;
    sync(folder)?;
    finish(folder)?;
    clear(&workshop)?;
    Ok(Repair::Done(repaired))
}

/// Puts a repaired outbox in its place, if there is one. To be called by whoever has the lock, before opening.
pub(super) fn finish(folder: &Path) -> Result<(), OutboxError> {
    let repaired = folder.join(REPAIRED);
    if !repaired.is_file() {
        return Ok(());
    }
    for suffix in ["-wal", "-shm"] {
        let old = folder.join(format!("{FILE}{suffix}"));
        match fs::remove_file(&old) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(fault(&old, &e)),
            _ => {}
        }
    }
    // The log must be gone for good before the new file has the name that it belongs to.
    sync(folder)?;
    fs::rename(&repaired, folder.join(FILE)).map_err(|e| fault(&repaired, &e))?;
    sync(folder)
}

/// A repair was interrupted after the new outbox was made and before it was in its place.
pub(super) fn is_unfinished(folder: &Path) -> bool {
    folder.join(REPAIRED).is_file()
}

fn fault(path: &Path, e: &std::io::Error) -> OutboxError {
    let (path, why) = (path.to_path_buf(), e.to_string());
    match e.kind() {
        std::io::ErrorKind::StorageFull => OutboxError::Full { path, why },
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
            OutboxError::ReadOnly { path, why }
        }
        _ => OutboxError::Io { path, why },
    }
}

fn sync(folder: &Path) -> Result<(), OutboxError> {
    fs::File::open(folder)
        .and_then(|f| f.sync_all())
        .map_err(|e| fault(folder, &e))
}

fn clear(workshop: &Path) -> Result<(), OutboxError> {
    match fs::remove_dir_all(workshop) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(fault(workshop, &e)),
        _ => Ok(()),
    }
}

/// Gives the damaged files a second name. Links: nothing is moved before the new outbox counts.
fn set_aside(path: &Path) -> std::io::Result<Option<PathBuf>> {
    let date = chrono::Utc::now().format("%Y%m%dT%H%M%S%3fZ");
    let aside = path.with_file_name(format!("{FILE}.damaged-{date}"));
    let mut any = None;
    for suffix in ["-wal", ""] {
        let with = |p: &Path| PathBuf::from(format!("{}{suffix}", p.display()));
        let from = with(path);
        if from.is_file() {
            fs::hard_link(&from, with(&aside))?;
            any = Some(aside.clone());
        }
    }
    Ok(any)
}

/// The damaged database; if its first page is, a copy with the first page of a new one, which is the same in all.
fn source(path: &Path, workshop: &Path) -> Option<Source> {
    match Source::open(path) {
        Ok(source) => return Some(source),
        Err(e) => tracing::warn!("{}: {e}; trying with a new first page", path.display()),
    }
    let patched = || -> std::io::Result<PathBuf> {
        let copy = workshop.join("source.db");
        fs::copy(path, &copy)?;
        let wal = PathBuf::from(format!("{}-wal", path.display()));
        if wal.is_file() {
            fs::copy(wal, workshop.join("source.db-wal"))?;
        }
        let mut file = fs::OpenOptions::new().read(true).write(true).open(&copy)?;
        patch_first_page(&mut file, &fs::read(workshop.join(FILE))?)?;
        Ok(copy)
    };
    patched().ok().and_then(|copy| Source::open(&copy).ok())
}

fn patch_first_page(file: &mut fs::File, new: &[u8]) -> std::io::Result<()> {
    use std::io::{Seek, SeekFrom, Write};
    const PAGE: usize = 8192;
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

fn rebuild(
    path: &Path,
    workshop: &Path,
    key: &SigningKey,
    options: &RepairOptions,
    mut progress: impl FnMut(u64),
) -> Result<Repaired, OutboxError> {
    let mut db = Db::open(workshop, key.clone())?;
    // In one file: its first page may be needed.
    db.checkpoint().map_err(|e| db.fault(&e))?;
    let source = path.is_file().then(|| source(path, workshop)).flatten();
    let head = source.as_ref().and_then(|s| s.head(&key.verifying_key()));
    let known_to = head.map_or(0, |h| h.sequence);

    let mut saved = Saved {
        db: &mut db,
        pending: None,
        group: Vec::new(),
        bytes: 0,
        last: None,
        taken: Ranges::new(),
        agent: None,
    };
    if let Some(source) = &source {
        source.walk(known_to, |row| {
            saved.take(source, row)?;
            progress(saved.taken.count());
            Ok::<(), OutboxError>(())
        })?;
    }
    if let Some(row) = saved.pending.take()
        && head.is_none_or(|h| h.sequence != row.sequence || h.hash == row.hash)
    {
        saved.keep(row);
    }
    saved.write(source.as_ref())?;
    let Saved {
        last,
        taken,
        agent: by_topic,
        ..
    } = saved;

    // Not under any hash: believed as far as it is near what is.
    let sure = known_to.max(last.map_or(0, |h| h.sequence));
    let near = |n: &u64| *n <= sure.saturating_add(UNKNOWN);
    let mut gone = source.as_ref().map(Source::gone).unwrap_or_default();
    let mut highest = source
        .iter()
        .flat_map(Source::others)
        .filter(near)
        .fold(sure, u64::max);
    highest = gone.last().filter(near).map_or(highest, |n| n.max(highest));
    gone = clipped(&gone, highest);
    let next = match highest {
        // Nothing at all is known: no agent has committed a thousand messages a second since Kakou exists.
        0 => {
            u64::try_from(now_ms() - EARLIEST_MS)
                .unwrap_or(0)
                .max(UNKNOWN)
                + 1
        }
        n => n + UNKNOWN + 1,
    }
    .max(options.above + 1);

    let mut accounted = taken.clone();
    gone.pairs()
        .into_iter()
        .for_each(|[first, last]| accounted.insert(first, last));
    accounted.insert(highest + 1, highest + 1);
    let lost = if highest == 0 {
        Vec::new()
    } else {
        accounted.gaps_from(1)
    };

    let settings = source.as_ref().map(Source::settings).unwrap_or_default();
    let noted = settings
        .iter()
        .find(|(k, _)| k == "agent")
        .map(|(_, v)| v.clone());
    let agent = noted.or(by_topic).or_else(|| options.agent.clone());
    let (site, agent) = parse_agent(agent.as_deref(), path)?;
    let evicted = source.as_ref().and_then(Source::counts);
    let commands = source.as_ref().map(Source::commands).unwrap_or_default();
    let detail = format!(
        "{} messages saved, {} numbers lost; numbers from {} to {} are not given, they may have been",
        taken.count(),
        lost.iter().map(|[a, b]| b - a + 1).sum::<u64>(),
        highest + 1,
        next - 1
    );
    tracing::warn!("{}: {detail}", path.display());
    db.transact(|batch| {
        for (k, v) in settings
            .iter()
            .filter(|(k, _)| k != "agent" && k != "public_key")
        {
            batch.run(
                "INSERT OR REPLACE INTO setting (key, value) VALUES (?, ?)",
                params![k, v],
            )?;
        }
        use base64::Engine;
        let public =
            base64::engine::general_purpose::STANDARD.encode(key.verifying_key().as_bytes());
        for (k, v) in [("agent", format!("{site}/{agent}")), ("public_key", public)] {
            batch.run(
                "INSERT OR REPLACE INTO setting (key, value) VALUES (?, ?)",
                params![k, v],
            )?;
        }
        for (request, at, answer) in commands {
            batch.run(
                "INSERT OR IGNORE INTO command (request, at, answer) VALUES (?, ?, ?)",
                params![request, at, answer],
            )?;
        }
        for (to, from) in batch.lanes.iter_mut().zip(evicted.unwrap_or_default()) {
            (to.evicted, to.evicted_bytes) = (from.evicted, from.evicted_bytes);
        }
        let mut there = taken.clone();
        there.insert(next, next);
        for [first, last] in there.gaps_from(1) {
            batch.run(
                "INSERT INTO gone (first, last) VALUES (?, ?)",
                params![first, last],
            )?;
        }
        // The hash of the last message that is known: the next one is chained to it, over the gap.
        let hash = head.or(last).map_or([0; 32], |h| h.hash);
        batch.set_head(Head {
            sequence: next - 1,
            hash,
        });
        let mut told = lost.clone();
        told.push([highest + 1, next - 1]);
        for ranges in joined(told).chunks(AUDIT_RANGES_MAX) {
            let event = AuditEvent::Damage {
                detail: detail.clone(),
                ranges: ranges.to_vec(),
            };
            batch.append(audit_draft(&site, &agent, event, path, now_ms())?, now_ms())?;
        }
        Ok(())
    })?;
    db.close()?;
    Ok(Repaired {
        messages: taken.count(),
        lost,
        next,
        aside: None,
    })
}

fn joined(ranges: Vec<[u64; 2]>) -> Vec<[u64; 2]> {
    let mut all = Ranges::new();
    ranges
        .into_iter()
        .for_each(|[first, last]| all.insert(first, last));
    all.pairs()
}

fn clipped(ranges: &Ranges, highest: u64) -> Ranges {
    let mut all = Ranges::new();
    ranges
        .pairs()
        .into_iter()
        .for_each(|[first, last]| all.insert(first, last.min(highest)));
    all
}

fn parse_agent(found: Option<&str>, path: &Path) -> Result<(Id, Id), OutboxError> {
    let parts = found.and_then(|f| f.split_once('/'));
    let ids = parts.and_then(|(s, a)| Some((Id::new("site", s).ok()?, Id::new("agent", a).ok()?)));
    ids.ok_or_else(|| OutboxError::Open {
        path: path.to_path_buf(),
        why:
            "it does not tell any more whose outbox it is; name site and agent as in the config, by --agent SITE/AGENT"
                .to_owned(),
    })
}

/// What has been read and not yet written.
struct Saved<'a> {
    db: &'a mut Db,
    /// Its successor has not been seen.
    pending: Option<Row>,
    group: Vec<Row>,
    bytes: usize,
    last: Option<Head>,
    taken: Ranges,
    /// `site/agent`, from the topic of a message.
    agent: Option<String>,
}

impl Saved<'_> {
    fn take(&mut self, source: &Source, row: Row) -> Result<(), OutboxError> {
        if self.agent.is_none() {
            let mut levels = row.topic.split('/').skip(2);
            self.agent = levels
                .next()
                .zip(levels.next())
                .map(|(site, agent)| format!("{site}/{agent}"));
        }
        if let Some(before) = self.pending.replace(row) {
            // Of two that follow each other and do not fit, the later one is nearer to the signed end.
            let fits = self.pending.as_ref().is_none_or(|row| {
                before.sequence + 1 != row.sequence || before.hash == row.previous
            });
            if fits {
                self.keep(before);
            }
        }
        if self.group.len() >= GROUP.0 || self.bytes >= GROUP.1 {
            self.write(Some(source))
        } else {
            Ok(())
        }
    }

    fn keep(&mut self, row: Row) {
        self.last = Some(Head {
            sequence: row.sequence,
            hash: row.hash,
        });
        self.bytes += row.payload.len();
        self.taken.insert(row.sequence, row.sequence);
        self.group.push(row);
    }

    fn write(&mut self, source: Option<&Source>) -> Result<(), OutboxError> {
        let group = std::mem::take(&mut self.group);
        self.bytes = 0;
        let Some(source) = source else { return Ok(()) };
        self.db.transact(|batch| {
            for row in &group {
                let size = row.payload.len() as u64;
                batch.run(
                    "INSERT INTO message (seq, lane, keep, committed, captured, retain, size, id, topic, content_type,
                     properties, correlation, previous, hash, payload) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                    params![
                        row.sequence,
                        row.lane.index(),
                        row.keep,
                        row.committed,
                        row.captured,
                        row.retain,
                        size,
                        row.id,
                        row.topic,
                        row.content_type,
                        row.properties,
                        row.correlation,
                        row.previous,
                        row.hash,
                        row.payload
                    ],
                )?;
                let (lane, n) = (row.lane.index(), row.sequence);
                let was = source.was(row);
                match &was {
                    Was::Waiting => batch.run("INSERT INTO waiting (lane, seq) VALUES (?, ?)", params![lane, n])?,
                    Was::Held { reason, why, at } => batch.run(
                        "INSERT INTO held (seq, lane, reason, why, at) VALUES (?, ?, ?, ?, ?)",
                        params![n, lane, reason.as_str(), why, at],
                    )?,
                    Was::Kept => batch.run(
                        "INSERT INTO kept (keep, lane, committed, seq) VALUES (?, ?, ?, ?)",
                        params![row.keep, lane, row.committed, n],
                    )?,
                }
                let c = batch.counts(row.lane);
                let (count, bytes) = match was {
                    Was::Waiting => (&mut c.waiting, &mut c.waiting_bytes),
                    Was::Held { .. } => (&mut c.held, &mut c.held_bytes),
                    Was::Kept => (&mut c.kept, &mut c.kept_bytes),
                };
                (*count, *bytes) = (*count + 1, *bytes + size);
            }
            Ok(())
        })
    }
}
