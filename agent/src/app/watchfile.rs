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
        let stamp = match std::fs::metadata(&self.path).and_then(|m| Ok((m.modified()?, m.len()))) {
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
        self.seen = Some(stamp);
        let name = self
            .path
            .file_stem()
            .map(|n| n.to_string_lossy().into_owned())
            .unwrap_or_default();
        let (list, bad) = List::parse(&name, &bytes);
        for line in bad.iter().take(20) {
            tracing::warn!(file = %self.path.display(), "{line}");
        }
        if let (true, Some(first)) = (list.is_empty(), bad.first()) {
            return self.fault(format!(
                "{}: {first}; no line can be used, the last list stays",
                self.path.display()
            ));
        }
        self.told = None;
        tracing::info!(file = %self.path.display(), plates = list.len(), refused = bad.len(), version = list.version, "watchlist");
        Look::New {
            list: Arc::new(list),
            refused: bad.len() as u64,
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
