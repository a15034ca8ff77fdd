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
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32)
        .open(&path)
        .map_err(fault)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)
        .map_err(|_| OutboxError::InUse { path })?;
    Ok(file)
}

/// The database's files hold plates and pictures: they are made for owner and group alone, and made
/// so again where an older version or a careless copy left them open.
pub(crate) fn close_to_others(database: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    let opened = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o640)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32)
        .open(database)?;
    // SQLite gives its other files the mode of this one, when it makes them.
    let name = database.file_name().unwrap_or_default();
    for suffix in ["", "-wal", "-shm"] {
        let mut name = name.to_os_string();
        name.push(suffix);
        let file = database.with_file_name(name);
        let Ok(about) = std::fs::symlink_metadata(&file) else {
            continue;
        };
        let mode = about.permissions().mode() & 0o7777;
        if about.is_file() && mode & 0o137 != 0 {
            let closed = std::fs::Permissions::from_mode(mode & 0o640);
            if let Err(e) = std::fs::set_permissions(&file, closed) {
                tracing::warn!("{}: others can read it: {e}", file.display());
            }
        }
    }
    drop(opened);
    Ok(())
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn the_database_is_for_owner_and_group() {
        let dir = tempfile::tempdir().unwrap();
        let mode = |name: &str| {
            let about = std::fs::metadata(dir.path().join(name)).unwrap();
            about.permissions().mode() & 0o777
        };
        let db = dir.path().join("outbox.db");
        close_to_others(&db).unwrap();
        assert_eq!(mode("outbox.db") & !0o640, 0);
        std::fs::write(dir.path().join("outbox.db-wal"), "x").unwrap();
        for name in ["outbox.db", "outbox.db-wal"] {
            let open = std::fs::Permissions::from_mode(0o666);
            std::fs::set_permissions(dir.path().join(name), open).unwrap();
        }
        close_to_others(&db).unwrap();
        assert_eq!((mode("outbox.db"), mode("outbox.db-wal")), (0o640, 0o640));
    }

    #[test]
    fn a_link_in_the_place_of_a_file_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("precious");
        std::fs::write(&target, "precious").unwrap();
        symlink(&target, dir.path().join("outbox.db")).unwrap();
        symlink(&target, dir.path().join(LOCK)).unwrap();
        assert!(close_to_others(&dir.path().join("outbox.db")).is_err());
        assert!(lock(dir.path()).is_err());
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "precious");
    }
}
