//! What the command line adds to the config.

use std::path::PathBuf;
use std::sync::Arc;

use super::recorder::OnCommitted;
use crate::config::Config;

/// Reads the config again, with what the command line adds.
pub type Load = Arc<dyn Fn() -> anyhow::Result<Config> + Send + Sync>;

#[derive(Clone, Default)]
pub struct RunOptions {
    /// Overrides the config's state folder.
    pub state: Option<PathBuf>,
    /// Called for each message of a passage that is on disk.
    pub on_committed: Option<OnCommitted>,
    /// The config's file, and how to read it again; without them a reload reads the watchlist only.
    pub config: Option<(PathBuf, Load)>,
}

impl RunOptions {
    /// The config's file as people see it.
    pub fn file(&self) -> String {
        let file = self.config.as_ref().map(|(file, _)| file.display());
        file.map_or_else(|| "none".to_owned(), |file| file.to_string())
    }
}
