//! Looking at an outbox from outside, on a live or a dead box: how it is, whether its chain is whole, what is in it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use ed25519_dalek::{Signature, Verifier};
use kakou_contract::seal::Sealed;
use kakou_contract::{Priority, PublicKey, VerifyingKey};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row};
use rustix::fs::{FlockOperation, flock};
use serde_json::{Value, json};

use super::db::{Counts, Db, FILE, Head, read_counts, read_head, space};
use super::error::OutboxError;
use super::handle::LOCK;
use super::key;
use super::repair;

/// A database opened for reading only.
pub struct Inspection {
    conn: Connection,
    path: PathBuf,
    folder: PathBuf,
}

/// How an outbox is.
#[derive(Debug, Clone)]
pub struct Overview {
    pub path: PathBuf,
    /// `site/agent` it belongs to.
    pub agent: Option<String>,
    pub head: Head,
    pub public_key: Option<PublicKey>,
    pub lanes: [Counts; 4],
    pub oldest_ms: Option<i64>,
    /// Reason, messages, and why the first was set aside.
    pub held: Vec<(String, u64, String)>,
    pub used_bytes: u64,
    pub file_bytes: u64,
    pub disk_free_bytes: Option<u64>,
    /// An agent has it open.
    pub in_use: bool,
}

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

struct Message {
    sequence: u64,
    lane: usize,
    committed: i64,
    id: String,
    topic: String,
    content_type: Option<String>,
    properties: String,
    previous: [u8; 32],
    hash: [u8; 32],
    payload: Vec<u8>,
}

fn message(r: &Row<'_>) -> rusqlite::Result<Message> {
    Ok(Message {
        sequence: r.get(0)?,
        lane: r.get(1)?,
        committed: r.get(2)?,
        id: r.get(3)?,
        topic: r.get(4)?,
        content_type: r.get(5)?,
        properties: r.get(6)?,
        previous: r.get(7)?,
        hash: r.get(8)?,
        payload: r.get(9)?,
    })
}

const COLUMNS: &str =
    "seq, lane, committed, id, topic, content_type, properties, previous, hash, payload";

impl Message {
    fn computed(&self) -> [u8; 32] {
        Sealed {
            previous: &self.previous,
            sequence: self.sequence,
            id: &self.id,
            topic: &self.topic,
            content_type: self.content_type.as_deref(),
            payload: &self.payload,
        }
        .hash()
    }
}

impl Inspection {
    pub fn open(folder: &Path) -> Result<Self, OutboxError> {
        let path = folder.join(FILE);
        if repair::is_unfinished(folder) {
            let why = "a repair of it was interrupted; start the agent, or run `kakou outbox repair` again".to_owned();
            return Err(OutboxError::Open { path, why });
        }
        if !path.is_file() {
            let why =
                "there is no outbox here; name the state folder of the agent by --state".to_owned();
            return Err(OutboxError::Open { path, why });
        }
        let fault = |e: rusqlite::Error| OutboxError::sqlite(&path, &e);
        let conn =
            Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(fault)?;
        conn.busy_timeout(Duration::from_secs(10)).map_err(fault)?;
        // One state of the database for all that is read, while an agent writes on.
        conn.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema;")
            .map_err(fault)?;
        Ok(Self {
            conn,
            path: path.clone(),
            folder: folder.to_path_buf(),
        })
    }

    fn fault(&self, e: &rusqlite::Error) -> OutboxError {
        OutboxError::sqlite(&self.path, e)
    }

    pub fn overview(&self) -> Result<Overview, OutboxError> {
        let read = || -> rusqlite::Result<Overview> {
            let (used, reusable) = space(&self.conn)?;
            let mut held = self
                .conn
                .prepare("SELECT reason, count(*), min(seq), why FROM held GROUP BY reason")?;
            let held = held
                .query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(3)?)))?
                .collect::<rusqlite::Result<Vec<(String, u64, String)>>>()?;
            let oldest = self.conn.query_row(
                "SELECT min(committed) FROM message WHERE seq IN
                 (SELECT min(seq) FROM waiting WHERE lane = 0 UNION ALL SELECT min(seq) FROM waiting WHERE lane = 1
                  UNION ALL SELECT min(seq) FROM waiting WHERE lane = 2
                  UNION ALL SELECT min(seq) FROM waiting WHERE lane = 3)",
                [],
                |r| r.get(0),
            )?;
            Ok(Overview {
                path: self.path.clone(),
                agent: self.setting("agent")?,
                head: read_head(&self.conn)?
                    .map(|(head, _)| head)
                    .unwrap_or_default(),
                public_key: self.public_key()?.map(|k| PublicKey::of(&k)),
                lanes: read_counts(&self.conn)?,
                oldest_ms: oldest,
                held,
                used_bytes: used,
                file_bytes: used + reusable,
                disk_free_bytes: rustix::fs::statvfs(&self.folder)
                    .ok()
                    .map(|d| d.f_bavail * d.f_frsize),
                in_use: in_use(&self.folder),
            })
        };
        read().map_err(|e| self.fault(&e))
    }

    /// Goes through everything; `progress` is told how many messages are done.
    pub fn verify(&self, mut progress: impl FnMut(u64)) -> Result<Verdict, OutboxError> {
        let mut v = Verdict::default();
        let check: String = self
            .conn
            .query_row("PRAGMA quick_check(1)", [], |r| r.get(0))
            .unwrap_or_else(|e| e.to_string());
        if check != "ok" {
            v.add(format!("the database file: {check}"));
        }
        if let Err(e) = self.walk(&mut v, &mut progress) {
            v.add(format!("reading on after message {}: {e}", v.head));
        }
        Ok(v)
    }

    fn walk(&self, v: &mut Verdict, progress: &mut impl FnMut(u64)) -> rusqlite::Result<()> {
        let head = read_head(&self.conn)?;
        let mut gone = self
            .conn
            .prepare("SELECT first, last FROM gone ORDER BY first")?;
        let gone = gone
            .query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?
            .collect::<rusqlite::Result<Vec<(u64, u64)>>>()?;
        v.gone = gone.iter().map(|(f, l)| l - f + 1).sum();
        let is_gone = |n: u64| {
            let at = gone.partition_point(|(first, _)| *first <= n);
            at > 0 && gone.get(at - 1).is_some_and(|(_, last)| n <= *last)
        };
        let mut counted = [Counts::default(); 4];
        let mut place = self.conn.prepare(
            "SELECT (SELECT count(*) FROM waiting WHERE lane = ?1 AND seq = ?2), (SELECT count(*) FROM held WHERE seq = ?2),
             (SELECT count(*) FROM kept k JOIN message m ON m.seq = ?2 AND k.keep = m.keep AND k.lane = m.lane
              AND k.committed = m.committed AND k.seq = ?2)",
        )?;
        let mut statement = self
            .conn
            .prepare(&format!("SELECT {COLUMNS} FROM message ORDER BY seq"))?;
        let mut rows = statement.query([])?;
        let mut before: (u64, [u8; 32]) = (0, [0; 32]);
        while let Some(row) = rows.next()? {
            let m = message(row)?;
            let n = m.sequence;
            for [first, last] in unexplained(&gone, before.0 + 1, n) {
                v.add(format!(
                    "messages {first} to {last} are missing, and nothing says why"
                ));
            }
            if is_gone(n) {
                v.add(format!("message {n} is there, and listed as deleted"));
            }
            if m.computed() != m.hash {
                v.add(format!(
                    "message {n} is not what was committed: its hash does not fit"
                ));
            }
            if before.0 + 1 == n && m.previous != before.1 {
                v.add(format!(
                    "message {n} does not follow on message {}: the chain is broken",
                    before.0
                ));
            }
            let places: (u64, u64, u64) =
                place.query_row((m.lane, n), |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?;
            let size = m.payload.len() as u64;
            if let Some(c) = counted.get_mut(m.lane) {
                match places {
                    (1, 0, 0) => {
                        (c.waiting, c.waiting_bytes) = (c.waiting + 1, c.waiting_bytes + size)
                    }
                    (0, 1, 0) => (c.held, c.held_bytes) = (c.held + 1, c.held_bytes + size),
                    (0, 0, 1) => (c.kept, c.kept_bytes) = (c.kept + 1, c.kept_bytes + size),
                    _ => v.add(format!(
                        "message {n} is in {places:?} of waiting, held, kept; it must be in one"
                    )),
                }
            } else {
                v.add(format!(
                    "message {n} is in lane {}, which there is not",
                    m.lane
                ));
            }
            before = (n, m.hash);
            v.messages += 1;
            v.head = n;
            progress(v.messages);
        }
        for (lane, (told, found)) in Priority::ORDER
            .iter()
            .zip(read_counts(&self.conn)?.iter().zip(&counted))
        {
            let told = Counts {
                evicted: 0,
                evicted_bytes: 0,
                ..*told
            };
            if told != *found {
                v.add(format!(
                    "lane {lane}: the counters say {told:?}, there are {found:?}"
                ));
            }
        }
        self.verify_head(v, head, before)
    }

    fn verify_head(
        &self,
        v: &mut Verdict,
        head: Option<(Head, Vec<u8>)>,
        last: (u64, [u8; 32]),
    ) -> rusqlite::Result<()> {
        let Some((head, signature)) = head else {
            if last.0 > 0 {
                v.add("the end of the chain is missing".to_owned());
            }
            return Ok(());
        };
        v.head = head.sequence;
        if head.sequence == last.0 && head.hash != last.1 {
            v.add("the last message is not the one that was signed".to_owned());
        }
        if head.sequence < last.0 {
            v.add(format!(
                "there are messages after {}, the signed end of the chain",
                head.sequence
            ));
        }
        let signed = |key: VerifyingKey| {
            Signature::from_slice(&signature)
                .is_ok_and(|s| key.verify(&head.signed_bytes(), &s).is_ok())
        };
        match self.public_key()? {
            Some(key) if signed(key) => {}
            Some(_) => v.add("the end of the chain is not signed with this agent's key".to_owned()),
            None => v.add("there is no public key to check the signature with".to_owned()),
        }
        Ok(())
    }

    /// Tells each message of the range as one JSON object; pictures go to `picture`, which says where they went.
    pub fn export(
        &self,
        first: u64,
        last: u64,
        lane: Option<Priority>,
        mut picture: impl FnMut(u64, &str, &[u8]) -> std::io::Result<Option<String>>,
        mut line: impl FnMut(Value) -> std::io::Result<()>,
    ) -> Result<u64, OutboxError> {
        let io = |e: std::io::Error| OutboxError::Io {
            path: self.path.clone(),
            why: e.to_string(),
        };
        let fault = |e: rusqlite::Error| self.fault(&e);
        let sql = format!(
            "SELECT {COLUMNS} FROM message WHERE seq BETWEEN ? AND ? AND (?3 IS NULL OR lane = ?3) ORDER BY seq"
        );
        let mut statement = self.conn.prepare(&sql).map_err(fault)?;
        let mut place = self
            .conn
            .prepare(
                "SELECT CASE WHEN EXISTS (SELECT 1 FROM waiting WHERE lane = ?1 AND seq = ?2) THEN 'waiting'
                 WHEN EXISTS (SELECT 1 FROM held WHERE seq = ?2) THEN 'held' ELSE 'kept' END",
            )
            .map_err(fault)?;
        let mut rows = statement
            .query((first, last.min(i64::MAX as u64), lane.map(Priority::index)))
            .map_err(fault)?;
        let mut count = 0;
        while let Some(row) = rows.next().map_err(fault)? {
            let m = message(row).map_err(fault)?;
            let place: String = place
                .query_row((m.lane, m.sequence), |r| r.get(0))
                .map_err(fault)?;
            let mut object = json!({
                "sequence": m.sequence,
                "lane": Priority::at(m.lane).map(Priority::as_str),
                "place": place,
                "committed": kakou_contract::time::to_text(&super::upkeep::time(m.committed)),
                "id": m.id,
                "topic": m.topic,
                "content_type": m.content_type,
                "properties": serde_json::from_str::<Value>(&m.properties).unwrap_or(Value::Null),
                "previoushash": hex(&m.previous),
                "hash": hex(&m.hash),
                "whole": m.computed() == m.hash,
            });
            let is_json = m
                .content_type
                .as_deref()
                .is_some_and(|t| t.starts_with("application/json"));
            let payload = is_json
                .then(|| serde_json::from_slice::<Value>(&m.payload).ok())
                .flatten();
            let (name, value) = match payload {
                Some(json) => ("payload", json),
                None => match picture(
                    m.sequence,
                    m.content_type.as_deref().unwrap_or(""),
                    &m.payload,
                )
                .map_err(io)?
                {
                    Some(file) => ("file", Value::String(file)),
                    None => (
                        "base64",
                        base64::engine::general_purpose::STANDARD
                            .encode(&m.payload)
                            .into(),
                    ),
                },
            };
            if let Some(o) = object.as_object_mut() {
                o.insert(name.to_owned(), value);
            }
            line(object).map_err(io)?;
            count += 1;
        }
        Ok(count)
    }

    fn setting(&self, key: &str) -> rusqlite::Result<Option<String>> {
        self.conn
            .query_row("SELECT value FROM setting WHERE key = ?", [key], |r| {
                r.get(0)
            })
            .optional()
    }

    fn public_key(&self) -> rusqlite::Result<Option<VerifyingKey>> {
        // The key's own file is not readable for everybody; the public half is noted.
        let noted = self.setting("public_key")?;
        Ok(noted.and_then(|base64| {
            PublicKey {
                algorithm: "ed25519".to_owned(),
                base64,
            }
            .key()
            .ok()
        }))
    }
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
        at = at.max(last + 1);
    }
    if at < to {
        out.push([at, to - 1]);
    }
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Whether an agent has the outbox of this folder open.
pub fn in_use(folder: &Path) -> bool {
    let Ok(file) = std::fs::File::open(folder.join(LOCK)) else {
        return false;
    };
    flock(&file, FlockOperation::NonBlockingLockShared).is_err()
}

/// Which messages to put back in line.
#[derive(Debug, Clone, Copy)]
pub enum Requeue {
    Held(Option<kakou_contract::Held>),
    Range { first: u64, last: u64 },
}

/// Puts messages back in line. A live agent takes them up within a second.
pub fn requeue(folder: &Path, what: Requeue) -> Result<u64, OutboxError> {
    let path = folder.join(FILE);
    if !path.is_file() {
        let why =
            "there is no outbox here; name the state folder of the agent by --state".to_owned();
        return Err(OutboxError::Open { path, why });
    }
    if repair::is_unfinished(folder) {
        let why =
            "a repair of it was interrupted; start the agent, or run `kakou outbox repair` again"
                .to_owned();
        return Err(OutboxError::Open { path, why });
    }
    let why = || "there is no signing key beside the outbox".to_owned();
    let key = key::read(folder)?.ok_or_else(|| OutboxError::Key {
        path: key::path(folder),
        why: why(),
    })?;
    let mut db = Db::open(folder, key)?;
    let moved = db.transact(|batch| {
        let moved = match what {
            Requeue::Held(reason) => batch.release(reason, i64::MAX as usize)?,
            Requeue::Range { first, last } => {
                batch.resend(first, last.min(i64::MAX as u64), i64::MAX as usize)?
            }
        };
        super::upkeep::note_revived(batch, &moved)?;
        Ok(moved)
    })?;
    Ok(moved.len() as u64)
}
