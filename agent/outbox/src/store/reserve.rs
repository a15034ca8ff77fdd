//! A file that only takes up room. On a disk without any, it is deleted: what must be written to
//! make room, the deletions themselves, then finds some.

use std::io::Write;
use std::path::{Path, PathBuf};

const FILE: &str = "reserve";
pub(crate) const RESERVE_BYTES: u64 = 8 << 20;

#[derive(Debug)]
pub(crate) struct Reserve {
    path: PathBuf,
}

impl Reserve {
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            path: folder.join(FILE),
        }
    }

    pub(crate) fn is_there(&self) -> bool {
        std::fs::symlink_metadata(&self.path).is_ok_and(|m| m.len() >= RESERVE_BYTES)
    }

    /// Written out, not merely sized: a sparse file holds no room.
    pub(crate) fn lay(&self) -> std::io::Result<()> {
        if self.is_there() {
            return Ok(());
        }
        let write = || {
            let mut file = kakou_guard::file::create(&self.path, 0o640)?;
            let block = [0x4b_u8; 1 << 16];
            for _ in 0..RESERVE_BYTES / block.len() as u64 {
                file.write_all(&block)?;
            }
            file.sync_all()
        };
        write().inspect_err(|_| self.give_up())
    }

    pub(crate) fn give_up(&self) {
        // If it was not there, there was no room to gain.
        let _ = std::fs::remove_file(&self.path);
    }
}
