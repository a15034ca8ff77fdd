//! Checks every message against its hash, the chain, its signature, the stages and the counters.
//!
//! It reads in slices, each one state of the database. A message never changes once it is
//! committed, so the chain can be followed from slice to slice while an agent writes on. What it
//! compares over the whole database (the bytes in the counters, the file's own structure as a
//! whole) it compares only where nothing was written meanwhile.

use ed25519_dalek::{Signature, Verifier};
use kakou_contract::{Priority, VerifyingKey};
use rusqlite::{Connection, params};

use super::inspect::{COLUMNS, Inspection, Message, SLICE, public_key};
use crate::error::OutboxError;
use crate::folder::in_use;
use crate::policy::{Counts, Stage};
use crate::store::db::read_head;
use crate::store::{Head, LARGEST_SEQUENCE, tally};

/// What `verify` found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    pub messages: u64,
    pub head: u64,
    /// Numbers that were deleted on purpose or reported as lost.
    pub gone: u64,
    pub faults: Vec<String>,
}

/// How many faults are told word by word.
const FAULTS: usize = 100;

/// Small tables: their structure is checked in one go beside a live agent. That of `message` is, by
/// reading all of it.
const SMALL_TABLES: [&str; 11] = [
    "waiting", "held", "kept", "gone", "lane", "head", "revived", "command", "setting", "age",
    "open_hit",
];

/// How far the walk has come.
struct Walk {
    /// The last message that was read, and its hash.
    last: (u64, [u8; 32]),
    counted: [Counts; 4],
    version: i64,
    /// The last message there was at the start: what is appended meanwhile is not followed for
    /// ever.
    to: u64,
}

impl Inspection {
    /// Goes through everything; `progress` is told how many messages are done.
    pub fn verify(&self, mut progress: impl FnMut(u64)) -> Result<Verdict, OutboxError> {
        let mut verdict = Verdict::default();
        self.check_structure(&mut verdict);
        if let Err(e) = self.walk(&mut verdict, &mut progress) {
            verdict.add(format!("reading on after message {}: {e}", verdict.head));
        }
        Ok(verdict)
    }

    fn check_structure(&self, verdict: &mut Verdict) {
        let check = |pragma: String| -> String {
            self.conn
                .query_row(&pragma, [], |r| r.get(0))
                .unwrap_or_else(|e| e.to_string())
        };
        let checks = if in_use(&self.folder) {
            SMALL_TABLES
                .map(|table| format!("PRAGMA quick_check('{table}')"))
                .to_vec()
        } else {
            vec!["PRAGMA quick_check(1)".to_owned()]
        };
        for found in checks.into_iter().map(check).filter(|found| found != "ok") {
            verdict.add(format!("the database file: {found}"));
        }
    }

    fn walk(&self, verdict: &mut Verdict, progress: &mut impl FnMut(u64)) -> rusqlite::Result<()> {
        let mut walk = Walk {
            last: (0, [0; 32]),
            counted: [Counts::default(); 4],
            version: self.version()?,
            to: self
                .conn
                .query_row("SELECT max(seq) FROM message", [], |r| {
                    r.get::<_, Option<u64>>(0)
                })
                .unwrap_or(Some(LARGEST_SEQUENCE))
                .unwrap_or(0),
        };
        while self.read(|conn| slice(conn, verdict, &mut walk))? {
            progress(verdict.messages);
        }
        progress(verdict.messages);
        self.read(|conn| end(conn, verdict, &walk))
    }

    fn version(&self) -> rusqlite::Result<i64> {
        self.conn.query_row("PRAGMA data_version", [], |r| r.get(0))
    }
}

/// Checks some more messages. False if there were no more.
fn slice(conn: &Connection, verdict: &mut Verdict, walk: &mut Walk) -> rusqlite::Result<bool> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM message WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?"
    ))?;
    let mut gone: Option<Vec<(u64, u64)>> = None;
    let (mut messages, mut bytes) = (0, 0);
    let mut rows = statement.query(params![walk.last.0, walk.to, SLICE.0])?;
    while let Some(row) = rows.next()? {
        let message = Message::of(row)?;
        let gone = match &gone {
            Some(gone) => gone,
            // As it is in this slice, from where it begins.
            None => gone.insert(read_gone(conn, walk.last.0 + 1)?),
        };
        check(conn, verdict, walk, gone, &message)?;
        messages += 1;
        bytes += message.payload.len();
        if bytes >= SLICE.1 {
            break;
        }
    }
    Ok(messages > 0)
}

fn check(
    conn: &Connection,
    verdict: &mut Verdict,
    walk: &mut Walk,
    gone: &[(u64, u64)],
    message: &Message,
) -> rusqlite::Result<()> {
    let n = message.sequence;
    let (before, hash_before) = walk.last;
    for [first, last] in unexplained(gone, before + 1, n) {
        verdict.add(format!(
            "messages {first} to {last} are missing, and nothing says why"
        ));
    }
    let at = gone.partition_point(|(first, _)| *first <= n);
    if at > 0 && gone.get(at - 1).is_some_and(|(_, last)| n <= *last) {
        verdict.add(format!("message {n} is there, and listed as deleted"));
    }
    if message.computed_hash() != message.hash {
        verdict.add(format!(
            "message {n} is not what was committed: its hash does not fit"
        ));
    }
    if before + 1 == n && message.previous != hash_before {
        verdict.add(format!(
            "message {n} does not follow on message {before}: the chain is broken"
        ));
    }
    let stages = stages_of(conn, message.priority, n)?;
    let bytes = message.payload.len() as u64;
    match walk.counted.get_mut(message.priority) {
        Some(counts) => match stages {
            (1, 0, 0) => counts.enter(Stage::Waiting, bytes),
            (0, 1, 0) => counts.enter(Stage::Held, bytes),
            (0, 0, 1) => counts.enter(Stage::Kept, bytes),
            _ => verdict.add(format!(
                "message {n} is in {stages:?} of waiting, held, kept; it must be in one"
            )),
        },
        None => verdict.add(format!(
            "message {n} has the priority {}, which there is not",
            message.priority
        )),
    }
    walk.last = (n, message.hash);
    verdict.messages += 1;
    verdict.head = n;
    Ok(())
}

/// How often it is waiting, held, kept.
fn stages_of(conn: &Connection, priority: usize, n: u64) -> rusqlite::Result<(u64, u64, u64)> {
    conn.prepare_cached(
        "SELECT (SELECT count(*) FROM waiting WHERE lane = ?1 AND seq = ?2),
         (SELECT count(*) FROM held WHERE seq = ?2),
         (SELECT count(*) FROM kept k JOIN message m ON m.seq = ?2 AND k.keep = m.keep
          AND k.lane = m.lane AND k.committed = m.committed AND k.seq = ?2)",
    )?
    .query_row((priority, n), |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))
}

/// Compares what holds of the whole: the counters, and the signed end of the chain.
fn end(conn: &Connection, verdict: &mut Verdict, walk: &Walk) -> rusqlite::Result<()> {
    verdict.gone = read_gone(conn, 0)?
        .iter()
        .map(|(first, last)| last.saturating_add(1).saturating_sub(*first))
        .fold(0, u64::saturating_add);
    let version: i64 = conn.query_row("PRAGMA data_version", [], |r| r.get(0))?;
    let unchanged = version == walk.version;
    let told = tally::read(conn)?;
    for (priority, (told, walked)) in Priority::ORDER.iter().zip(told.iter().zip(&walk.counted)) {
        let told = Counts {
            evicted: 0,
            evicted_bytes: 0,
            ..*told
        };
        let agree = if unchanged {
            told == *walked
        } else {
            // Of a database that changes, the numbers of one moment.
            numbers(conn, *priority)? == [told.waiting, told.held, told.kept]
        };
        if !agree {
            verdict.add(format!(
                "{priority}: the counters say {told:?}, there are {walked:?}"
            ));
        }
    }
    let last: Option<(u64, [u8; 32])> = if unchanged {
        Some(walk.last)
    } else {
        conn.prepare("SELECT seq, hash FROM message ORDER BY seq DESC LIMIT 1")?
            .query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?
            .next()
            .transpose()?
    };
    check_head(conn, verdict, last.unwrap_or_default())
}

fn numbers(conn: &Connection, priority: Priority) -> rusqlite::Result<[u64; 3]> {
    let count = |sql: &str| conn.query_row(sql, [priority.index()], |r| r.get::<_, u64>(0));
    Ok([
        count("SELECT count(*) FROM waiting WHERE lane = ?")?,
        count("SELECT count(*) FROM held WHERE lane = ?")?,
        count("SELECT count(*) FROM kept WHERE lane = ? AND keep IN (0, 1, 2)")?,
    ])
}

fn check_head(
    conn: &Connection,
    verdict: &mut Verdict,
    last: (u64, [u8; 32]),
) -> rusqlite::Result<()> {
    let Some((head, signature)) = read_head(conn)? else {
        if last.0 > 0 {
            verdict.add("the end of the chain is missing".to_owned());
        }
        return Ok(());
    };
    verdict.head = head.sequence;
    if head.sequence == last.0 && head.hash != last.1 {
        verdict.add("the last message is not the one that was signed".to_owned());
    }
    if head.sequence < last.0 {
        verdict.add(format!(
            "there are messages after {}, the signed end of the chain",
            head.sequence
        ));
    }
    match public_key(conn)? {
        Some(key) if is_signed(&head, &signature, &key) => {}
        Some(_) => {
            verdict.add("the end of the chain is not signed with this agent's key".to_owned());
        }
        None => verdict.add("there is no public key to check the signature with".to_owned()),
    }
    Ok(())
}

pub(super) fn is_signed(head: &Head, signature: &[u8], key: &VerifyingKey) -> bool {
    Signature::from_slice(signature).is_ok_and(|s| key.verify(&head.signed_bytes(), &s).is_ok())
}

impl Verdict {
    fn add(&mut self, fault: String) {
        if self.faults.len() < FAULTS {
            self.faults.push(fault);
        } else if self.faults.len() == FAULTS {
            self.faults.push("and more".to_owned());
        }
    }

    pub fn is_whole(&self) -> bool {
        self.faults.is_empty()
    }
}

/// The deleted ranges that reach beyond this number.
fn read_gone(conn: &Connection, from: u64) -> rusqlite::Result<Vec<(u64, u64)>> {
    conn.prepare_cached("SELECT first, last FROM gone WHERE last >= ? ORDER BY first")?
        .query_map([from], |r| Ok((r.get(0)?, r.get(1)?)))?
        .collect()
}

/// The numbers from `from` to below `to` that are in no range of `gone`.
fn unexplained(gone: &[(u64, u64)], from: u64, to: u64) -> Vec<[u64; 2]> {
    let (mut at, mut out) = (from, Vec::new());
    // From the range before on, which may reach into it.
    let start = gone
        .partition_point(|(first, _)| *first <= from)
        .saturating_sub(1);
    for (first, last) in gone.iter().skip(start).take_while(|(first, _)| *first < to) {
        if *first > at {
            out.push([at, first - 1]);
        }
        at = at.max(last.saturating_add(1));
    }
    if at < to {
        out.push([at, to - 1]);
    }
    out
}
