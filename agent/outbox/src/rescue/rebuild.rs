//! Makes a new database of what can be read of a damaged one.

use std::path::Path;

use ed25519_dalek::SigningKey;
use kakou_contract::{AUDIT_RANGES_MAX, AuditEvent, Id, Ranges};
use kakou_time::Clock;
use rusqlite::params;

use super::repair::{RepairOptions, Repaired};
use super::salvage::{Row, Source, Was};
use crate::error::OutboxError;
use crate::policy::{EARLIEST_MS, Stage};
use crate::store::audit::Author;
use crate::store::{Db, Head, LARGEST_SEQUENCE, settings};

/// Numbers that may have been given after the last one that is known: more than a write-ahead log
/// ever held.
const UNKNOWN: u64 = 1_000_000;
/// Messages and bytes in one transaction.
const GROUP: (usize, usize) = (2000, 16 << 20);

/// Fills `db`, which is new, and closes it: everything is in one file then.
pub(super) fn rebuild(
    mut db: Db,
    path: &Path,
    source: Option<Source>,
    key: &SigningKey,
    options: &RepairOptions,
    clock: &dyn Clock,
    mut progress: impl FnMut(u64),
) -> Result<Repaired, OutboxError> {
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
        // Nothing at all is known: no agent has committed a thousand messages a second since Kakou
        // exists.
        0 => {
            u64::try_from(clock.wall_ms() - EARLIEST_MS)
                .unwrap_or(0)
                .max(UNKNOWN)
                + 1
        }
        n => n + UNKNOWN + 1,
    }
    .max(options.above.saturating_add(1));
    if next >= LARGEST_SEQUENCE {
        return Err(OutboxError::Sequence {
            what: "the next number",
            value: next,
            largest: LARGEST_SEQUENCE,
        });
    }

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

    let found_settings = source.as_ref().map(Source::settings).unwrap_or_default();
    let noted = found_settings
        .iter()
        .find(|(key, _)| key == settings::AGENT)
        .map(|(_, v)| v.clone());
    let agent = noted.or(by_topic).or_else(|| options.agent.clone());
    let author = parse_agent(agent.as_deref(), path)?;
    let evicted = source.as_ref().and_then(Source::counts);
    let commands = source.as_ref().map(Source::commands).unwrap_or_default();
    let open_hits = source.as_ref().map(Source::open_hits).unwrap_or_default();
    let ages = source.as_ref().map(Source::ages).unwrap_or_default();
    let detail = format!(
        "{} messages saved, {} numbers lost; numbers from {} to {} are not given, they may have been",
        taken.count(),
        lost.iter().map(|[a, b]| b - a + 1).sum::<u64>(),
        highest + 1,
        next - 1
    );
    tracing::warn!("{}: {detail}", path.display());
    let now_ms = clock.wall_ms();
    db.transact(|tx| {
        use base64::Engine;
        let public =
            base64::engine::general_purpose::STANDARD.encode(key.verifying_key().as_bytes());
        for (key, value) in &found_settings {
            settings::write(tx, key, value)?;
        }
        let Author { site, agent } = &author;
        settings::write(tx, settings::AGENT, &format!("{site}/{agent}"))?;
        settings::write(tx, settings::PUBLIC_KEY, &public)?;
        for (proven, sequence) in &ages {
            tx.run(
                "INSERT OR IGNORE INTO age (proven, seq) VALUES (?, ?)",
                params![proven, sequence],
            )?;
        }
        for (request, at, answer) in &commands {
            tx.run(
                "INSERT OR IGNORE INTO command (request, at, answer) VALUES (?, ?, ?)",
                params![request, at, answer],
            )?;
        }
        for (id, payload) in &open_hits {
            tx.run(
                "INSERT OR IGNORE INTO open_hit (id, payload) VALUES (?, ?)",
                params![id, payload],
            )?;
        }
        for (to, from) in tx.counts.iter_mut().zip(evicted.unwrap_or_default()) {
            (to.evicted, to.evicted_bytes) = (from.evicted, from.evicted_bytes);
        }
        let mut there = taken.clone();
        there.insert(next, next);
        for [first, last] in there.gaps_from(1) {
            tx.run(
                "INSERT INTO gone (first, last) VALUES (?, ?)",
                params![first, last],
            )?;
        }
        // The hash of the last message that is known: the next one is chained to it, over the gap.
        let hash = head.or(last).map_or([0; 32], |h| h.hash);
        tx.set_head(Head {
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
            tx.append(author.audit(event, path, now_ms)?, now_ms)?;
        }
        Ok(())
    })?;
    db.close_in_one_file()?;
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

fn parse_agent(found: Option<&str>, path: &Path) -> Result<Author, OutboxError> {
    let parts = found.and_then(|f| f.split_once('/'));
    let author = parts.and_then(|(site, agent)| {
        Some(Author {
            site: Id::new("site", site).ok()?,
            agent: Id::new("agent", agent).ok()?,
        })
    });
    author.ok_or_else(|| OutboxError::Open {
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
            // Of two that follow each other and do not fit, the later one is nearer to the signed
            // end.
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
        self.db.transact(|tx| {
            for row in &group {
                let size = row.payload.len() as u64;
                tx.run(
                    "INSERT INTO message (seq, lane, keep, committed, captured, retain, size, id, topic, content_type,
                     properties, correlation, previous, hash, payload) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                    params![
                        row.sequence,
                        row.priority.index(),
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
                let (priority, n) = (row.priority.index(), row.sequence);
                let stage = match source.was(row) {
                    Was::Waiting => {
                        tx.run(
                            "INSERT INTO waiting (lane, seq) VALUES (?, ?)",
                            params![priority, n],
                        )?;
                        Stage::Waiting
                    }
                    Was::Held { reason, why, at } => {
                        tx.run(
                            "INSERT INTO held (seq, lane, reason, why, at) VALUES (?, ?, ?, ?, ?)",
                            params![n, priority, reason.as_str(), why, at],
                        )?;
                        Stage::Held
                    }
                    Was::Kept => {
                        tx.run(
                            "INSERT INTO kept (keep, lane, committed, seq) VALUES (?, ?, ?, ?)",
                            params![row.keep, priority, row.committed, n],
                        )?;
                        Stage::Kept
                    }
                };
                tx.counts(row.priority).enter(stage, size);
            }
            Ok(())
        })
    }
}
