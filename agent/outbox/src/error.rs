//! What can go wrong with the outbox: each error names the file or the message it is about, says
//! whom it concerns, and, where a person can do something, what.

use std::path::{Path, PathBuf};

/// Whom an error concerns: how far it reaches, and what helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concern {
    /// This message or this request alone: it will fail again, others will not.
    Message,
    /// The outbox for now: the same request may succeed later.
    Now,
    /// The outbox as a whole: nothing succeeds until a person or a restart changes something.
    Database,
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum OutboxError {
    #[error("{path}: {why}")]
    Open { path: PathBuf, why: String },

    #[error(
        "{path} is read-only for this user: {why}; make it writable for the user that runs kakou"
    )]
    ReadOnly { path: PathBuf, why: String },

    #[error(
        "{path} is damaged: {why}; nothing was changed. See how far by `kakou outbox verify --state {state}`; `kakou outbox repair --state {state}` makes a new one of all that can be read, and keeps this one aside", state = .path.parent().unwrap_or(.path).display()
    )]
    Damaged { path: PathBuf, why: String },

    #[error(
        "{path} is gone or empty, and the key of its agent is there: numbers would be given twice. Restore it, or run `kakou outbox repair --state {state} --agent SITE/AGENT`: a new one begins above all numbers that may have been given", state = .path.parent().unwrap_or(.path).display()
    )]
    Gone { path: PathBuf },

    #[error(
        "{path} was written by a newer kakou (schema {found}, this one knows {known}); install that version again"
    )]
    Newer {
        path: PathBuf,
        found: i64,
        known: i64,
    },

    #[error(
        "{path} belongs to {found}, the config says {wanted}; name another state folder, or correct site and agent"
    )]
    Foreign {
        path: PathBuf,
        found: String,
        wanted: String,
    },

    #[error("{path} is in use by another kakou; stop that one first")]
    InUse { path: PathBuf },

    #[error("{path}: {why}")]
    Key { path: PathBuf, why: String },

    #[error("{path}: no room on the disk: {why}")]
    Full { path: PathBuf, why: String },

    #[error("{path} is locked by another process: {why}")]
    Busy { path: PathBuf, why: String },

    #[error("{path}: {why}")]
    Io { path: PathBuf, why: String },

    #[error("a message of {size} bytes for {topic}: the outbox takes {limit}")]
    TooLarge {
        topic: String,
        size: usize,
        limit: usize,
    },

    #[error("a message for {topic}: {why}")]
    Envelope { topic: String, why: String },

    #[error("{what} {value} is no sequence number: these go from 1 to {largest}")]
    Sequence {
        what: &'static str,
        value: u64,
        largest: u64,
    },

    #[error("{path}: a row or a value is not of the expected form: {why}")]
    Form { path: PathBuf, why: String },

    #[error("{path}: the outbox is closed")]
    Closed { path: PathBuf },
}

impl OutboxError {
    pub fn concern(&self) -> Concern {
        match self {
            Self::TooLarge { .. }
            | Self::Envelope { .. }
            | Self::Sequence { .. }
            | Self::Form { .. } => Concern::Message,
            Self::Full { .. } | Self::Busy { .. } | Self::Io { .. } | Self::InUse { .. } => {
                Concern::Now
            }
            Self::Open { .. }
            | Self::ReadOnly { .. }
            | Self::Damaged { .. }
            | Self::Gone { .. }
            | Self::Newer { .. }
            | Self::Foreign { .. }
            | Self::Key { .. }
            | Self::Closed { .. } => Concern::Database,
        }
    }

    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }

    pub(crate) fn is_busy(&self) -> bool {
        matches!(self, Self::Busy { .. })
    }

    /// Something that lies in the database cannot be read. Other parts of it may be whole.
    pub(crate) fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::Form { .. })
    }

    /// What SQLite says, in the words above.
    pub(crate) fn sqlite(path: &Path, error: &rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as Code;
        let path = path.to_path_buf();
        let why = error.to_string();
        match error.sqlite_error_code() {
            Some(Code::DiskFull) => Self::Full { path, why },
            Some(Code::SystemIoFailure) if is_no_room(error) => Self::Full { path, why },
            Some(Code::DatabaseBusy | Code::DatabaseLocked) => Self::Busy { path, why },
            // Rows that contradict each other are damage as well: no request can bring that about.
            Some(Code::DatabaseCorrupt | Code::NotADatabase | Code::ConstraintViolation) => {
                Self::Damaged { path, why }
            }
            Some(Code::ReadOnly | Code::PermissionDenied) => Self::ReadOnly { path, why },
            Some(Code::CannotOpen) => Self::Open { path, why },
            // Not from SQLite, but from the conversion of a value on its way in or out.
            None => Self::Form { path, why },
            _ => Self::Io { path, why },
        }
    }

    /// What the file system says.
    pub(crate) fn file(path: &Path, error: &std::io::Error) -> Self {
        let (path, why) = (path.to_path_buf(), error.to_string());
        match error.kind() {
            std::io::ErrorKind::StorageFull
            | std::io::ErrorKind::QuotaExceeded
            | std::io::ErrorKind::FileTooLarge => Self::Full { path, why },
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
                Self::ReadOnly { path, why }
            }
            _ => Self::Io { path, why },
        }
    }
}

/// A write that found no room comes as an I/O error where SQLite had reckoned with room: in the
/// index of the write-ahead log, or under a limit on the size of files.
fn is_no_room(error: &rusqlite::Error) -> bool {
    const NO_ROOM: [i32; 3] = [
        rusqlite::ffi::SQLITE_IOERR_WRITE,
        rusqlite::ffi::SQLITE_IOERR_SHMSIZE,
        rusqlite::ffi::SQLITE_IOERR_SHMOPEN,
    ];
    matches!(error, rusqlite::Error::SqliteFailure(e, _) if NO_ROOM.contains(&e.extended_code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_says_whom_it_concerns() {
        let path = PathBuf::from("/state/outbox.db");
        let why = String::new;
        let topic = String::new;
        let all = [
            (
                Concern::Message,
                OutboxError::TooLarge {
                    topic: topic(),
                    size: 2,
                    limit: 1,
                },
            ),
            (
                Concern::Message,
                OutboxError::Envelope {
                    topic: topic(),
                    why: why(),
                },
            ),
            (
                Concern::Message,
                OutboxError::Sequence {
                    what: "first",
                    value: 0,
                    largest: 1,
                },
            ),
            (
                Concern::Message,
                OutboxError::Form {
                    path: path.clone(),
                    why: why(),
                },
            ),
            (
                Concern::Now,
                OutboxError::Full {
                    path: path.clone(),
                    why: why(),
                },
            ),
            (
                Concern::Now,
                OutboxError::Busy {
                    path: path.clone(),
                    why: why(),
                },
            ),
            (
                Concern::Now,
                OutboxError::Io {
                    path: path.clone(),
                    why: why(),
                },
            ),
            (Concern::Now, OutboxError::InUse { path: path.clone() }),
            (
                Concern::Database,
                OutboxError::Open {
                    path: path.clone(),
                    why: why(),
                },
            ),
            (
                Concern::Database,
                OutboxError::ReadOnly {
                    path: path.clone(),
                    why: why(),
                },
            ),
            (
                Concern::Database,
                OutboxError::Damaged {
                    path: path.clone(),
                    why: why(),
                },
            ),
            (Concern::Database, OutboxError::Gone { path: path.clone() }),
            (
                Concern::Database,
                OutboxError::Newer {
                    path: path.clone(),
                    found: 9,
                    known: 1,
                },
            ),
            (
                Concern::Database,
                OutboxError::Foreign {
                    path: path.clone(),
                    found: why(),
                    wanted: why(),
                },
            ),
            (
                Concern::Database,
                OutboxError::Key {
                    path: path.clone(),
                    why: why(),
                },
            ),
            (Concern::Database, OutboxError::Closed { path }),
        ];
        for (concern, error) in all {
            assert_eq!(error.concern(), concern, "{error:?}");
        }
    }

    #[test]
    fn what_sqlite_says_is_taken_for_what_it_is() {
        use rusqlite::ffi;
        let of = |code: i32| {
            let failure = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            OutboxError::sqlite(Path::new("/state/outbox.db"), &failure)
        };
        for code in [
            ffi::SQLITE_BUSY,
            ffi::SQLITE_BUSY_SNAPSHOT,
            ffi::SQLITE_LOCKED,
        ] {
            assert!(of(code).is_busy(), "{code}");
        }
        for code in [ffi::SQLITE_FULL, ffi::SQLITE_IOERR_WRITE] {
            assert!(of(code).is_full(), "{code}");
        }
        for code in [
            ffi::SQLITE_CORRUPT,
            ffi::SQLITE_NOTADB,
            ffi::SQLITE_CONSTRAINT,
        ] {
            assert!(of(code).is_damage(), "{code}");
        }
        assert_eq!(of(ffi::SQLITE_IOERR_READ).concern(), Concern::Now);
        assert_eq!(of(ffi::SQLITE_READONLY).concern(), Concern::Database);
        let conversion = rusqlite::Error::ToSqlConversionFailure("too large".into());
        let told = OutboxError::sqlite(Path::new("/state/outbox.db"), &conversion);
        assert_eq!(told.concern(), Concern::Message);
    }
}
