//! Reading the watchlist's file. A list is taken as a whole or not at all, and not while it is
//! still being written.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, FixedOffset};
use kakou_contract::Sha256Hex;
use kakou_time::Clock;
use kakou_traffic::watchlist::List;
use sha2::{Digest, Sha256};

/// A file that changed this recently may still be written to.
const REST: Duration = Duration::from_secs(1);
/// How many of the lines that cannot be used are logged one by one.
const LINES_LOGGED: usize = 20;

/// Why a list is not used.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    #[error("{path}: {why}", path = path.display())]
    Read { path: PathBuf, why: String },
    #[error("{path}: {why}; no line of it can be used", path = path.display())]
    Unusable { path: PathBuf, why: String },
    #[error("{path} is still being written", path = path.display())]
    Unrested { path: PathBuf },
}

/// What tells one version of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    modified: SystemTime,
    bytes: u64,
}

impl Stamp {
    pub fn of(path: &Path) -> Result<Self, ListError> {
        let fault = |e: std::io::Error| ListError::Read {
            path: path.into(),
            why: e.to_string(),
        };
        let data = std::fs::metadata(path).map_err(fault)?;
        Ok(Self {
            modified: data.modified().map_err(fault)?,
            bytes: data.len(),
        })
    }

    pub fn modified(&self) -> DateTime<FixedOffset> {
        DateTime::<chrono::Local>::from(self.modified).fixed_offset()
    }

    /// Whether the wall clock says that the file has been at rest. A clock that is behind the
    /// file's time says no.
    fn is_old(&self, clock: &dyn Clock) -> bool {
        (clock.wall() - self.modified())
            .to_std()
            .is_ok_and(|age| age >= REST)
    }
}

/// Says when a file is at rest: by its own time, or since it has been seen unchanged for long
/// enough.
#[derive(Debug, Default)]
pub struct Rest(Option<(Stamp, Duration)>);

impl Rest {
    pub fn is_at_rest(&mut self, stamp: Stamp, clock: &dyn Clock) -> bool {
        let now = clock.mono();
        let since = match self.0 {
            Some((seen, since)) if seen == stamp => since,
            _ => now,
        };
        self.0 = Some((stamp, since));
        stamp.is_old(clock) || now.saturating_sub(since) >= REST
    }
}

/// A list as it was read.
#[derive(Debug, Clone)]
pub struct ReadList {
    pub list: Arc<List>,
    pub sha256: Sha256Hex,
    pub stamp: Stamp,
    /// Lines that could not be used.
    pub refused: u64,
}

/// Reads a list that is at rest.
pub fn read(path: &Path) -> Result<ReadList, ListError> {
    let stamp = Stamp::of(path)?;
    let bytes = std::fs::read(path).map_err(|e| ListError::Read {
        path: path.into(),
        why: e.to_string(),
    })?;
    if Stamp::of(path)? != stamp || bytes.len() as u64 != stamp.bytes {
        return Err(ListError::Unrested { path: path.into() });
    }
    let name = path
        .file_stem()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default();
    let unusable = |why: String| ListError::Unusable {
        path: path.into(),
        why,
    };
    let parsed = List::parse(&name, &bytes).map_err(|e| unusable(e.to_string()))?;
    if let (true, Some(first)) = (parsed.list.is_empty(), parsed.refused.first()) {
        return Err(unusable(first.to_string()));
    }
    for line in parsed.refused.iter().take(LINES_LOGGED) {
        tracing::warn!(file = %path.display(), "{line}");
    }
    for line in parsed.notes.iter().take(LINES_LOGGED) {
        tracing::info!(file = %path.display(), "{line}");
    }
    Ok(ReadList {
        list: Arc::new(parsed.list),
        sha256: Sha256Hex(Sha256::digest(&bytes).into()),
        stamp,
        refused: parsed.refused.len() as u64,
    })
}

/// Reads a list, and waits for at most `within` until nobody writes to it any more. Blocks.
pub fn read_at_rest(
    path: &Path,
    within: Duration,
    clock: &dyn Clock,
) -> Result<ReadList, ListError> {
    let (until, mut rest) = (clock.mono() + within, Rest::default());
    loop {
        let outcome = match rest.is_at_rest(Stamp::of(path)?, clock) {
            true => read(path),
            false => Err(ListError::Unrested { path: path.into() }),
        };
        match outcome {
            Err(ListError::Unrested { .. }) if clock.mono() < until => {
                std::thread::sleep(Duration::from_millis(100));
            }
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use chrono::TimeDelta;
    use kakou_time::SimulatedClock;

    use super::*;

    const HEAD: &str = "plate,level,category,reason,valid_until\n";

    #[test]
    fn a_file_is_left_to_rest_while_it_changes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list.csv");
        std::fs::write(&path, HEAD).unwrap();
        let modified = Stamp::of(&path).unwrap().modified();
        let clock = SimulatedClock::new(modified, Duration::from_secs(5));
        let mut rest = Rest::default();
        assert!(!rest.is_at_rest(Stamp::of(&path).unwrap(), &clock));
        // A clock that stands before the file's time does not keep it from being read for ever.
        clock.step(TimeDelta::days(-1));
        clock.advance(Duration::from_millis(900));
        assert!(!rest.is_at_rest(Stamp::of(&path).unwrap(), &clock));
        std::fs::write(&path, format!("{HEAD}鲁E6K829,red,stolen,x,\n")).unwrap();
        clock.advance(Duration::from_millis(900));
        assert!(!rest.is_at_rest(Stamp::of(&path).unwrap(), &clock));
        clock.advance(Duration::from_secs(1));
        assert!(rest.is_at_rest(Stamp::of(&path).unwrap(), &clock));
        // One that was written long ago is read at once.
        clock.step(TimeDelta::days(2));
        assert!(Rest::default().is_at_rest(Stamp::of(&path).unwrap(), &clock));
    }

    #[test]
    fn a_list_without_a_usable_line_is_no_list() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list.csv");
        std::fs::write(&path, format!("{HEAD}no plate at all,red,a,b,\n")).unwrap();
        let why = read(&path).unwrap_err().to_string();
        assert!(
            why.contains("list.csv: line 2") && why.contains("no line of it can be used"),
            "{why}"
        );
        // A list that is empty on purpose is one.
        std::fs::write(&path, HEAD).unwrap();
        assert!(read(&path).unwrap().list.is_empty());
    }
}
