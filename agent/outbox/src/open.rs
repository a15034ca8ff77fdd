//! Opening an outbox: the folder with its lock, the key, the database, the two threads.
//!
//! A folder belongs to one agent and one process. Numbers are never given twice: a database that is
//! gone while its key is there is an error, not a new start.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use kakou_contract::Id;
use kakou_time::{SharedClock, SystemClock};
use tokio::sync::mpsc;

use crate::error::OutboxError;
use crate::folder;
use crate::outbox::{Outbox, Threads};
use crate::policy::{OutboxLimits, Retention};
use crate::rescue::{self, Repair, RepairOptions, Repaired};
use crate::store::audit::Author;
use crate::store::{Db, FILE, key, settings};
use crate::worker::{Reader, Shared, Writer, WriterSetup};

/// Requests that wait for the writer; whoever comes then waits.
const QUEUE: usize = 1024;

/// What an outbox needs to know.
pub struct OutboxOptions {
    /// The state folder: database, key and reserve.
    pub folder: PathBuf,
    pub site: Id,
    pub agent: Id,
    pub limits: OutboxLimits,
    /// Holds until the platform sets another.
    pub retention: Retention,
    /// Nothing is given up or deleted by its age beyond what this clock proves: see
    /// `policy/age.rs`.
    pub clock: SharedClock,
}

impl OutboxOptions {
    /// With the limits, the retention and the clock that hold if nothing else is said.
    pub fn new(folder: impl Into<PathBuf>, site: Id, agent: Id) -> Self {
        Self {
            folder: folder.into(),
            site,
            agent,
            limits: OutboxLimits::default(),
            retention: Retention::default(),
            clock: Arc::new(SystemClock::new()),
        }
    }
}

impl Outbox {
    /// Opens the outbox of a folder; makes it, and the signing key, where there is none.
    pub fn open(options: OutboxOptions) -> Result<Self, OutboxError> {
        let folder = options.folder.clone();
        let lock = folder::lock(&folder)?;
        let path = folder.join(FILE);
        rescue::finish(&folder)?;
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
        let retention = settings::retention(db.conn())
            .map_err(|e| db.fault(&e))?
            .unwrap_or(options.retention);
        let shared = Arc::new(Shared::new());
        let public_key = db.public_key();
        let (ops, op_queue) = mpsc::channel(QUEUE);
        let (asks, ask_queue) = mpsc::channel(64);
        let reader = Reader::open(&path, key, Arc::clone(&shared), ops.downgrade())?;
        let setup = WriterSetup {
            folder,
            author: Author {
                site: options.site,
                agent: options.agent,
            },
            limits: options.limits,
            retention,
            clock: options.clock,
            shared: Arc::clone(&shared),
        };
        let writer = Writer::new(db, setup)?;
        let started = |e: std::io::Error| OutboxError::Io {
            path: path.clone(),
            why: format!("starting a thread: {e}"),
        };
        let writer = std::thread::Builder::new()
            .name("outbox-write".into())
            .spawn(move || writer.run(op_queue))
            .map_err(started)?;
        let reader = std::thread::Builder::new()
            .name("outbox-read".into())
            .spawn(move || reader.run(ask_queue))
            .map_err(started)?;
        Ok(Self {
            ops,
            asks,
            shared,
            public_key,
            path,
            threads: Arc::new(Threads {
                writer: Mutex::new(Some(writer)),
                reader: Mutex::new(Some(reader)),
                _lock: lock,
            }),
        })
    }

    /// As `open`; a database that is so damaged that it cannot be opened is repaired first
    /// (`repair`), so that a box records again without a person. Nothing is lost by that: the
    /// damaged files stay under a name with the date, and numbers go on above all that may have
    /// been given. What was repaired, if anything was.
    pub fn open_or_repair(options: OutboxOptions) -> Result<(Self, Option<Repaired>), OutboxError> {
        let repair_options = RepairOptions {
            agent: Some(format!("{}/{}", options.site, options.agent)),
            above: 0,
        };
        let (folder, clock) = (options.folder.clone(), Arc::clone(&options.clock));
        let again = OutboxOptions {
            folder: folder.clone(),
            site: options.site.clone(),
            agent: options.agent.clone(),
            clock: Arc::clone(&clock),
            ..options
        };
        match Self::open(options) {
            // A value of no form, too: SQLite reads it without an error, and no start gets past it.
            // Where the repair finds all whole, nothing was changed, and the error stands.
            Err(e) if e.is_damage() => {
                tracing::error!("{e}; repairing it now");
                let repaired = match rescue::repair_by(&folder, &repair_options, &*clock, |_| ())? {
                    Repair::Done(repaired) => repaired,
                    Repair::NotNeeded { .. } => return Err(e),
                };
                Ok((Self::open(again)?, Some(repaired)))
            }
            opened => opened.map(|outbox| (outbox, None)),
        }
    }
}

/// Two agents with one outbox would mix their records under one name.
fn belongs_to(db: &mut Db, site: &Id, agent: &Id, first_start: bool) -> Result<(), OutboxError> {
    use base64::Engine;
    let wanted = format!("{site}/{agent}");
    let found = settings::read(db.conn(), settings::AGENT).map_err(|e| db.fault(&e))?;
    match found {
        Some(found) if found != wanted => Err(OutboxError::Foreign {
            path: db.path.clone(),
            found,
            wanted,
        }),
        Some(_) if !first_start => Ok(()),
        // Also after a first start that was interrupted: nothing was signed with the key that it
        // had.
        _ => {
            let key = base64::engine::general_purpose::STANDARD.encode(db.public_key().as_bytes());
            db.transact(|tx| {
                settings::write(tx, settings::AGENT, &wanted)?;
                settings::write(tx, settings::PUBLIC_KEY, &key)
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
