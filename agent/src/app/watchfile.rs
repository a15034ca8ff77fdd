//! The watchlist's file: read again when it changes. A list that cannot be read leaves the last good one in place.

use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::SystemTime;

use kakou_traffic::watchlist::List;

/// The list in use; cameras look at it, the watch task replaces it.
pub type Current = Arc<RwLock<Arc<List>>>;

pub struct WatchFile {
    path: PathBuf,
    seen: Option<(SystemTime, u64)>,
    /// What was told last, so that it is told once.
    told: Option<String>,
}

/// What came of a look at the file.
#[derive(Debug)]
pub enum Look {
    Same,
    /// Read anew; how many lines could not be used.
    New {
        list: Arc<List>,
        refused: u64,
    },
}

impl WatchFile {
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_path_buf(),
            seen: None,
            told: None,
        }
    }

    pub fn look(&mut self) -> Look {
        let stamp = match stamp_of(&self.path) {
            Ok(stamp) => stamp,
            Err(e) => {
                return self.fault(format!(
                    "{}: {e}; the last list stays in use",
                    self.path.display()
                ));
            }
        };
        if self.seen == Some(stamp) {
            return Look::Same;
        }
        let bytes = match std::fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(e) => {
                return self.fault(format!(
                    "{}: {e}; the last list stays in use",
                    self.path.display()
                ));
            }
        };
        // What changed while it was read is left alone until it rests.
        if stamp_of(&self.path).ok() != Some(stamp) {
            return Look::Same;
        }
        self.seen = Some(stamp);
        let name = self
            .path
            .file_stem()
            .map(|n| n.to_string_lossy().into_owned())
            .unwrap_or_default();
        let parsed = match List::parse(&name, &bytes) {
            Ok(parsed) => parsed,
            Err(e) => {
                return self.fault(format!(
                    "{}: {e}; the last list stays in use",
                    self.path.display()
                ));
            }
        };
        for line in parsed.refused.iter().chain(&parsed.notes).take(20) {
            tracing::warn!(file = %self.path.display(), "{line}");
        }
        let list = parsed.list;
        if let (true, Some(first)) = (list.is_empty(), parsed.refused.first()) {
            return self.fault(format!(
                "{}: {first}; no line can be used, the last list stays",
                self.path.display()
            ));
        }
        self.told = None;
        tracing::info!(file = %self.path.display(), plates = list.len(), refused = list.refused, version = list.version, "watchlist");
        let refused = list.refused;
        Look::New {
            list: Arc::new(list),
            refused,
        }
    }

    fn fault(&mut self, why: String) -> Look {
        if self.told.as_ref() == Some(&why) {
            return Look::Same;
        }
        tracing::error!("watchlist: {why}");
        self.told = Some(why);
        Look::Same
    }
}

fn stamp_of(path: &Path) -> std::io::Result<(SystemTime, u64)> {
    let meta = std::fs::metadata(path)?;
    Ok((meta.modified()?, meta.len()))
}
