//! The state folder: who owns it, and what lies in it.
//!
//! Whoever has `outbox.lock` locked owns the folder; the lock ends with its holder, also when that
//! is killed.

use std::fs::File;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use crate::error::OutboxError;

const LOCK: &str = "outbox.lock";

/// Makes the folder if it is not there, for its owner alone, and takes its lock.
pub(crate) fn lock(folder: &Path) -> Result<File, OutboxError> {
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

/// Whether an agent has the outbox of this folder open.
pub fn in_use(folder: &Path) -> bool {
    let Ok(file) = File::open(folder.join(LOCK)) else {
        return false;
    };
    flock(&file, FlockOperation::NonBlockingLockShared).is_err()
}

/// Has names that were made, changed or removed in the folder on disk.
pub(crate) fn sync(folder: &Path) -> Result<(), OutboxError> {
    File::open(folder)
        .and_then(|f| f.sync_all())
        .map_err(|e| OutboxError::file(folder, &e))
}
