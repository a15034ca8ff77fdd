//! What the rest of the agent holds of the outbox.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use kakou_contract::{Held, Id, Priority, VerifyingKey};
use rusqlite::params;
use rustix::fs::{FlockOperation, flock};
use tokio::sync::{mpsc, oneshot, watch};

use super::db::{Db, FILE};
use super::error::OutboxError;
use super::key;
use super::limits::{Limits, Retention};
use super::moves::Claim;
use super::reader::{Ask, Reader};
use super::ready::{Appended, Ready};
use super::repair;
use super::shared::{Shared, Stats};
use super::upkeep;
use super::writer::{Op, Reply, Resent, Writer, now_ms};
use kakou_contract::{Committed, Cursor, Envelope};

/// Requests that wait for the writer; who comes then waits.
const QUEUE: usize = 1024;
/// Whoever has this file locked owns the folder.
pub(super) const LOCK: &str = "outbox.lock";

/// What an outbox needs to know.
pub struct OutboxOptions {
    /// The state folder: database, key and reserve.
    pub folder: PathBuf,
    pub site: Id,
    pub agent: Id,
    pub limits: Limits,
    /// Holds until the platform sets another.
    pub retention: Retention,
    /// Whether the wall clock is known to be right: nothing is given up or deleted by its age otherwise. Beside it, a
    /// clock that was never set, is behind what was committed, or has just stepped is not trusted in any case; so who
    /// knows nothing may say yes.
    pub clock_trusted: Arc<dyn Fn() -> bool + Send + Sync>,
    /// The wall clock, in milliseconds since 1970.
    pub wall_ms: Arc<dyn Fn() -> i64 + Send + Sync>,
}

impl OutboxOptions {
    pub fn new(folder: impl Into<PathBuf>, site: Id, agent: Id) -> Self {
        Self {
            folder: folder.into(),
            site,
            agent,
            limits: Limits::default(),
            retention: Retention::default(),
            clock_trusted: Arc::new(|| true),
            wall_ms: Arc::new(now_ms),
        }
    }
}

/// The outbox; a clone is another hand on the same one.
#[derive(Clone)]
pub struct Outbox {
    ops: mpsc::Sender<Op>,
    asks: mpsc::Sender<Ask>,
    shared: Arc<Shared>,
    public_key: VerifyingKey,
    path: PathBuf,
    threads: Arc<Threads>,
}

struct Threads {
    writer: Mutex<Option<JoinHandle<Result<(), OutboxError>>>>,
    /// Held as long as any hand on the outbox is.
    _lock: File,
}

impl Outbox {
    /// Opens the outbox of a folder; makes it, and the signing key, where there is none.
    pub fn open(options: OutboxOptions) -> Result<Self, OutboxError> {
        let folder = options.folder.clone();
        let lock = lock(&folder)?;
        let path = folder.join(FILE);
        repair::finish(&folder)?;
        let is_there = std::fs::metadata(&path).is_ok_and(|m| m.len() > 0);
        let mut first_start = false;
        let key = match key::read(&folder)? {
            Some(_) if !is_there => return Err(OutboxError::Gone { path }),
            Some(key) => key,
            None if is_there && !is_unused(&path) => {
                let why = "the key that this outbox was signed with is gone; restore it from a copy, or move the \
                           outbox away and begin a new one";
                return Err(OutboxError::Key {
                    path: key::path(&folder),
                    why: why.into(),
                });
            }
            None => {
                first_start = true;
                key::make(&folder)?
            }
        };
        let mut db = Db::open(&folder, key.clone())?;
        belongs_to(&mut db, &options.site, &options.agent, first_start)?;
        if first_start {
            // Last: from then on the database must be there, or something is wrong.
            key::store(&folder, &key)?;
        }
        let retention = upkeep::stored_retention(&db)
            .map_err(|e| db.fault(&e))?
            .unwrap_or(options.retention);
        let shared = Arc::new(Shared::new());
        let public_key = db.public_key();
        let (ops, op_queue) = mpsc::channel(QUEUE);
        let (asks, ask_queue) = mpsc::channel(64);
        let reader = Reader::open(&path, key, Arc::clone(&shared), ops.downgrade())?;
        let writer = Writer::new(
            db,
            OutboxOptions {
                retention,
                ..options
            },
            Arc::clone(&shared),
        );
        let started = |e: std::io::Error| OutboxError::Io {
            path: path.clone(),
            why: format!("starting a thread: {e}"),
        };
        let writer = std::thread::Builder::new()
            .name("outbox-write".into())
            .spawn(move || writer.run(op_queue))
            .map_err(started)?;
        std::thread::Builder::new()
            .name("outbox-read".into())
            .spawn(move || reader.run(ask_queue))
            .map_err(started)?;
        let threads = Arc::new(Threads {
            writer: Mutex::new(Some(writer)),
            _lock: lock,
        });
        Ok(Self {
            ops,
            asks,
            shared,
            public_key,
            path,
            threads,
        })
    }

    /// Commits all or none of these, in this order; returns their sequence numbers when they are on disk. Blocks: for
    /// threads, not for tokio tasks.
    pub fn append(&self, drafts: Vec<Envelope>) -> Result<Vec<u64>, OutboxError> {
        let drafts = Ready::all(drafts)?;
        let (reply, answer) = oneshot::channel();
        self.ops
            .blocking_send(Op::Append {
                drafts,
                request: None,
                reply,
            })
            .map_err(|_| self.closed())?;
        Ok(told(answer.blocking_recv().map_err(|_| self.closed())??))
    }

    /// As `append`, for tokio tasks.
    pub async fn append_async(&self, drafts: Vec<Envelope>) -> Result<Vec<u64>, OutboxError> {
        let drafts = Ready::all(drafts)?;
        self.ask(|reply| Op::Append {
            drafts,
            request: None,
            reply,
        })
        .await
        .map(told)
    }

    /// Appends the answer to a command, and notes that it is the answer.
    pub async fn answer(
        &self,
        request: String,
        drafts: Vec<Envelope>,
    ) -> Result<Vec<u64>, OutboxError> {
        let drafts = Ready::all(drafts)?;
        self.ask(|reply| Op::Append {
            drafts,
            request: Some(request),
            reply,
        })
        .await
        .map(told)
    }

    /// Whether a command is new. From then on it is not.
    pub async fn claim(&self, request: String) -> Result<Claim, OutboxError> {
        self.ask(|reply| Op::Claim { request, reply }).await
    }

    /// Puts messages that the platform had, or that are held, back in line.
    pub async fn resend(&self, first: u64, last: u64) -> Result<Resent, OutboxError> {
        self.ask(|reply| Op::Resend { first, last, reply }).await
    }

    /// Holds from now on, over restarts too.
    pub async fn set_retention(&self, wanted: Retention) -> Result<(), OutboxError> {
        self.ops
            .send(Op::Retention(wanted))
            .await
            .map_err(|_| self.closed())?;
        self.ask(Op::Settle).await
    }

    /// Holds from now on, until the next start.
    pub async fn set_limits(&self, wanted: Limits) -> Result<(), OutboxError> {
        self.ops
            .send(Op::Limits(wanted))
            .await
            .map_err(|_| self.closed())?;
        self.ask(Op::Settle).await
    }

    pub fn retention(&self) -> Retention {
        self.shared.stats.borrow().retention
    }

    /// The payload of a message, if it is still there.
    pub async fn stored_payload(&self, sequence: u64) -> Result<Option<Vec<u8>>, OutboxError> {
        let (reply, answer) = oneshot::channel();
        self.asks
            .send(Ask::Payload { sequence, reply })
            .await
            .map_err(|_| self.closed())?;
        answer.await.map_err(|_| self.closed())?
    }

    #[cfg(test)]
    pub(super) async fn upkeep_now(
        &self,
        limits: Limits,
        retention: Retention,
    ) -> Result<(), OutboxError> {
        self.ask(|reply| Op::Upkeep {
            limits,
            retention,
            reply,
        })
        .await
    }

    pub fn stats(&self) -> Stats {
        self.shared.stats.borrow().clone()
    }

    pub fn watch(&self) -> watch::Receiver<Stats> {
        self.shared.stats.subscribe()
    }

    /// What checks this agent's signatures.
    pub fn public_key(&self) -> VerifyingKey {
        self.public_key
    }

    /// Transactions on disk since the start: how many messages share one is for benchmarks.
    pub fn transactions(&self) -> u64 {
        self.shared
            .transactions
            .load(std::sync::atomic::Ordering::Relaxed)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the writer still runs; if it does not, nothing can be recorded any more.
    pub fn is_alive(&self) -> bool {
        !self.ops.is_closed()
    }

    /// Commits what is queued and closes the database. Blocks. Other hands on this outbox get errors from then on.
    pub fn close(self) -> Result<(), OutboxError> {
        let thread = self
            .threads
            .writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(thread) = thread else { return Ok(()) };
        // If the writer has ended by itself, its thread says why.
        let _ = self.ops.blocking_send(Op::Close);
        thread.join().unwrap_or_else(|_| {
            Err(OutboxError::Io {
                path: self.path.clone(),
                why: "the writer panicked".into(),
            })
        })
    }

    async fn ask<T>(&self, op: impl FnOnce(Reply<T>) -> Op) -> Result<T, OutboxError> {
        let (reply, answer) = oneshot::channel();
        self.ops.send(op(reply)).await.map_err(|_| self.closed())?;
        answer.await.map_err(|_| self.closed())?
    }

    fn closed(&self) -> OutboxError {
        OutboxError::Closed {
            path: self.path.clone(),
        }
    }
}

/// What the uplink asks.
impl Outbox {
    /// Waiting messages after `after`: by priority, within a priority oldest first; at most `messages` of them, and
    /// no more than `bytes` of payload (but at least one). Only those of the given priorities.
    pub async fn fetch(
        &self,
        after: Cursor,
        priorities: &[Priority],
        messages: usize,
        bytes: usize,
    ) -> Result<Vec<Committed>, OutboxError> {
        let (reply, answer) = oneshot::channel();
        let ask = Ask::Fetch {
            after,
            lanes: priorities.to_vec(),
            messages,
            bytes,
            reply,
        };
        self.asks.send(ask).await.map_err(|_| self.closed())?;
        answer.await.map_err(|_| self.closed())?
    }

    /// The broker has it. Waits while the writer's queue is full; never drops.
    pub async fn acked(&self, sequence: u64) -> Result<(), OutboxError> {
        self.ops
            .send(Op::Acked(vec![sequence]))
            .await
            .map_err(|_| self.closed())
    }

    /// Takes a message out of the line without giving it up.
    pub async fn hold(&self, sequence: u64, reason: Held, why: String) -> Result<(), OutboxError> {
        self.ops
            .send(Op::Hold {
                sequence,
                reason,
                why,
            })
            .await
            .map_err(|_| self.closed())
    }

    /// Puts at most `most` messages held for this reason back in line, oldest first; returns how many it were.
    pub async fn release(&self, reason: Held, most: usize) -> Result<usize, OutboxError> {
        self.ask(|reply| Op::Release {
            reason: Some(reason),
            most,
            reply,
        })
        .await
    }

    /// Returns when everything said before is in the database.
    pub async fn settle(&self) -> Result<(), OutboxError> {
        self.ask(Op::Settle).await
    }

    /// Changes whenever messages were committed or released: one counter per priority.
    pub fn committed(&self) -> watch::Receiver<[u64; 4]> {
        self.shared.committed.subscribe()
    }
}

/// The others first: what there is to free can wait, they cannot.
fn told(appended: Appended) -> Vec<u64> {
    drop(appended.others);
    appended.numbers
}

/// Makes the folder if it is not there, for its owner alone, and takes its lock.
pub(super) fn lock(folder: &Path) -> Result<File, OutboxError> {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    let path = folder.join(LOCK);
    let fault = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
            OutboxError::ReadOnly {
                path: folder.to_path_buf(),
                why: e.to_string(),
            }
        }
        _ => OutboxError::Open {
            path: folder.to_path_buf(),
            why: e.to_string(),
        },
    };
    if !folder.is_dir() {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o750)
            .create(folder)
            .map_err(fault)?;
    }
    let file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o640)
        .open(&path)
        .map_err(fault)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)
        .map_err(|_| OutboxError::InUse { path })?;
    Ok(file)
}

/// Two agents with one outbox would mix their records under one name.
fn belongs_to(db: &mut Db, site: &Id, agent: &Id, first_start: bool) -> Result<(), OutboxError> {
    use base64::Engine;
    let wanted = format!("{site}/{agent}");
    let found = upkeep::setting(db, "agent").map_err(|e| db.fault(&e))?;
    match found {
        Some(found) if found != wanted => Err(OutboxError::Foreign {
            path: db.path.clone(),
            found,
            wanted,
        }),
        Some(_) if !first_start => Ok(()),
        // Also after a first start that was interrupted: nothing was signed with the key that it had.
        _ => {
            let key = base64::engine::general_purpose::STANDARD.encode(db.public_key().as_bytes());
            db.transact(|batch| {
                batch.run(
                    "INSERT OR REPLACE INTO setting (key, value) VALUES ('agent', ?)",
                    params![wanted],
                )?;
                batch.run(
                    "INSERT OR REPLACE INTO setting (key, value) VALUES ('public_key', ?)",
                    params![key],
                )
            })
        }
    }
}

/// No message was ever committed to it.
fn is_unused(path: &Path) -> bool {
    let read = || {
        let conn = rusqlite::Connection::open_with_flags(
            path,
            rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY,
        )?;
        // Without tables: interrupted before they were made.
        let tables: u64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get(0))?;
        if tables == 0 {
            return Ok(true);
        }
        conn.query_row(
            "SELECT NOT EXISTS (SELECT 1 FROM head) AND NOT EXISTS (SELECT 1 FROM message)",
            [],
            |r| r.get(0),
        )
    };
    rusqlite::Result::unwrap_or(read(), false)
}
