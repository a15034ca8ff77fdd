//! What can go wrong with the outbox, each with its file and the way out.

use std::path::PathBuf;

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

    #[error("{path}: the outbox is closed")]
    Closed { path: PathBuf },
}

impl OutboxError {
    /// What SQLite says, in the words above.
    pub(super) fn sqlite(path: &std::path::Path, error: &rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as Code;
        let path = path.to_path_buf();
        let why = error.to_string();
        match error.sqlite_error_code() {
            Some(Code::DiskFull) => Self::Full { path, why },
            // A write that found no room comes as an I/O error where SQLite had reckoned with room (the WAL index).
            Some(Code::SystemIoFailure) if is_no_room(error) => Self::Full { path, why },
            Some(Code::DatabaseCorrupt | Code::NotADatabase) => Self::Damaged { path, why },
            Some(Code::ReadOnly | Code::PermissionDenied) => Self::ReadOnly { path, why },
            Some(Code::CannotOpen) => Self::Open { path, why },
            _ => Self::Io { path, why },
        }
    }

    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }

    /// The database cannot be used any more by this process.
    pub fn is_fatal(&self) -> bool {
        matches!(
            self,
            Self::Damaged { .. } | Self::ReadOnly { .. } | Self::Closed { .. }
        )
    }
}

/// SQLITE_IOERR_WRITE, _SHMSIZE, _FSYNC and _TRUNCATE: the file system had no room or no file any more; which one is
/// told by asking for the free space.
fn is_no_room(error: &rusqlite::Error) -> bool {
    const NO_ROOM: [i32; 3] = [
        rusqlite::ffi::SQLITE_IOERR_WRITE,
        rusqlite::ffi::SQLITE_IOERR_SHMSIZE,
        rusqlite::ffi::SQLITE_IOERR_SHMOPEN,
    ];
    matches!(error, rusqlite::Error::SqliteFailure(e, _) if NO_ROOM.contains(&e.extended_code))
}
