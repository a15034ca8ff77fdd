//! Reading a watchlist's file. A list is taken as a whole or not at all, and not while it is still
//! being written.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, FixedOffset};
use kakou_contract::{EditionError, Sha256Hex};
use kakou_delivery::{SealingKey, Vault, VaultError};
use kakou_sheet::{BYTES_MAX, SheetError, Take, Told};
use kakou_time::Clock;
use kakou_traffic::watchlist::{Builder, Column, List, ListOptions, Parsed};
use sha2::{Digest, Sha256};

use crate::config::{DeliveredConfig, ListConfig};

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
    #[error("nothing was delivered yet; the platform has been asked for it")]
    Undelivered,
    #[error("{0}")]
    Vault(String),
    /// No key of the config signed it: what was read before under such a key is used no more.
    #[error("{0}")]
    Untrusted(String),
}

/// What tells one version of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    modified: SystemTime,
    bytes: u64,
}

impl Stamp {
    /// Of a file that can be a list: a pipe would be waited for, a device never ends.
    pub fn of(path: &Path) -> Result<Self, ListError> {
        let fault = |why: String| ListError::Read {
            path: path.into(),
            why,
        };
        let data = std::fs::metadata(path).map_err(|e| fault(e.to_string()))?;
        if !data.is_file() {
            return Err(fault("is no file".to_owned()));
        }
        if data.len() > BYTES_MAX {
            let (bytes, most) = (data.len(), BYTES_MAX);
            return Err(fault(SheetError::TooLarge { bytes, most }.to_string()));
        }
        Ok(Self {
            modified: data.modified().map_err(|e| fault(e.to_string()))?,
            bytes: data.len(),
        })
    }

    /// Of a list's file; of one that the platform sends, that may not be there yet.
    pub fn of_list(config: &ListConfig) -> Result<Self, ListError> {
        match &config.delivered {
            Some(_) if !config.file.exists() => Err(ListError::Undelivered),
            _ => Self::of(&config.file),
        }
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
    /// Format and encoding, as the content told them.
    pub told: Told,
}

/// A list out of bytes, with its report.
#[derive(Debug)]
pub struct Decoded {
    pub parsed: Parsed,
    pub told: Told,
    pub sha256: Sha256Hex,
}

/// Hands rows on to the list.
struct Rows(Builder);

impl Take for Rows {
    fn knows(&self, name: &str) -> bool {
        Column::by_name(name).is_some_and(|column| column != Column::Other)
    }
    fn header(&mut self, line: u64, names: &[&str]) -> Result<(), String> {
        self.0.header(line, names).map_err(|e| e.to_string())
    }
    fn row(&mut self, line: u64, cells: &[&str]) -> Result<(), String> {
        self.0.row(line, cells).map_err(|e| e.to_string())
    }
    fn bad_row(&mut self, line: u64, why: String) {
        self.0.bad_row(line, why);
    }
}

/// A list out of bytes, whatever they are.
pub fn decode(options: &ListOptions, bytes: &[u8]) -> Result<Decoded, SheetError> {
    let sha256 = Sha256Hex(Sha256::digest(bytes).into());
    let mut rows = Rows(Builder::new(options.clone()));
    let told = kakou_sheet::read(bytes, &mut rows)?;
    let mut parsed = rows.0.finish(sha256.to_string(), told.version.as_deref());
    if let (None, Some(said)) = (&options.authority, &told.authority) {
        parsed.list.authority = Some(said.clone());
    }
    Ok(Decoded {
        parsed,
        told,
        sha256,
    })
}

/// A file's bytes; never more than a list may have.
pub fn bytes_of(path: &Path) -> Result<Vec<u8>, ListError> {
    let stamp = Stamp::of(path)?;
    let fault = |e: std::io::Error| ListError::Read {
        path: path.into(),
        why: e.to_string(),
    };
    let file = std::fs::File::open(path).map_err(fault)?;
    let mut bytes = Vec::new();
    file.take(BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(fault)?;
    if Stamp::of(path)? != stamp || bytes.len() as u64 != stamp.bytes {
        return Err(ListError::Unrested { path: path.into() });
    }
    Ok(bytes)
}

/// A list by its config, wherever it is kept.
pub fn decoded(config: &ListConfig) -> Result<Decoded, ListError> {
    let path = config.file.as_path();
    let unusable = |why: String| ListError::Unusable {
        path: path.into(),
        why,
    };
    let Some(delivered) = &config.delivered else {
        let bytes = bytes_of(path)?;
        return decode(&config.options, &bytes).map_err(|e| unusable(e.to_string()));
    };
    let stored = vault(path, delivered)?
        .load(&delivered.list, &delivered.trusted)
        .map_err(|e| unloadable(&e))?
        .ok_or(ListError::Undelivered)?;
    let mut decoded = decode(&config.options, &stored.text).map_err(|e| unusable(e.to_string()))?;
    let list = &mut decoded.parsed.list;
    list.version = stored.edition.version.to_string();
    if config.options.authority.is_none() {
        list.authority = stored.edition.authority.or(list.authority.take());
    }
    Ok(decoded)
}

fn unloadable(e: &VaultError) -> ListError {
    match e {
        VaultError::Edition {
            source: EditionError::Foreign(_),
            ..
        } => ListError::Untrusted(e.to_string()),
        _ => ListError::Vault(e.to_string()),
    }
}

/// Where lists that the platform sends are kept; `path`: that of one of them.
pub fn vault(path: &Path, delivered: &DeliveredConfig) -> Result<Vault, ListError> {
    let key = delivered
        .store_key_file
        .as_deref()
        .map(SealingKey::from_file);
    let key = key
        .transpose()
        .map_err(|e| ListError::Vault(e.to_string()))?;
    Ok(Vault::new(path.parent().unwrap_or(Path::new(".")), key))
}

/// Reads a list that is at rest.
pub fn read(config: &ListConfig) -> Result<ReadList, ListError> {
    let path = config.file.as_path();
    let stamp = Stamp::of_list(config)?;
    let unusable = |why: String| ListError::Unusable {
        path: path.into(),
        why,
    };
    let Decoded {
        parsed,
        told,
        sha256,
    } = decoded(config)?;
    if let (true, Some(first)) = (parsed.list.is_empty(), parsed.refused.told.first()) {
        return Err(unusable(first.to_string()));
    }
    for line in parsed.refused.told.iter().take(LINES_LOGGED) {
        tracing::warn!(file = %path.display(), "{line}");
    }
    for line in parsed.notes.told.iter().take(LINES_LOGGED) {
        tracing::info!(file = %path.display(), "{line}");
    }
    Ok(ReadList {
        list: Arc::new(parsed.list),
        sha256,
        stamp,
        refused: parsed.refused.count,
        told,
    })
}

/// Reads a list, and waits for at most `within` until nobody writes to it any more. Blocks.
pub fn read_at_rest(
    config: &ListConfig,
    within: Duration,
    clock: &dyn Clock,
) -> Result<ReadList, ListError> {
    let path = config.file.as_path();
    let (until, mut rest) = (clock.mono() + within, Rest::default());
    loop {
        // What the platform sent is renamed into its place as a whole.
        let stamp = Stamp::of_list(config)?;
        let outcome = match config.delivered.is_some() || rest.is_at_rest(stamp, clock) {
            true => read(config),
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
pub(super) mod tests {
    #![allow(clippy::unwrap_used)]
    use chrono::TimeDelta;
    use kakou_time::SimulatedClock;

    use super::*;

    const HEAD: &str = "plate,level,category,reason,valid_until\n";

    pub fn config(path: &Path) -> ListConfig {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        ListConfig {
            file: path.into(),
            delivered: None,
            options: ListOptions {
                name,
                ..ListOptions::default()
            },
            policy: kakou_traffic::watchlist::Policy::default(),
        }
    }

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
        let why = read(&config(&path)).unwrap_err().to_string();
        assert!(
            why.contains("list.csv: line 2") && why.contains("no line of it can be used"),
            "{why}"
        );
        // A list that is empty on purpose is one.
        std::fs::write(&path, HEAD).unwrap();
        assert!(read(&config(&path)).unwrap().list.is_empty());
    }

    #[test]
    fn what_is_no_file_is_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        let why = read(&config(dir.path())).unwrap_err().to_string();
        assert!(why.contains("is no file"), "{why}");
        let device = read(&config(Path::new("/dev/zero")))
            .unwrap_err()
            .to_string();
        assert!(device.contains("is no file"), "{device}");
        let large = dir.path().join("large.csv");
        std::fs::File::create(&large)
            .unwrap()
            .set_len(BYTES_MAX + 1)
            .unwrap();
        let why = read(&config(&large)).unwrap_err().to_string();
        assert!(why.contains("64 MiB"), "{why}");
    }

    #[test]
    fn a_list_says_its_version_and_its_authority() {
        let text = format!("# version 7/2031\n# authority PSB\n{HEAD}鲁E6K829,red,a,b,\n");
        let read = decode(&ListOptions::default(), text.as_bytes()).unwrap();
        let list = read.parsed.list;
        assert_eq!(list.version, "7/2031");
        assert_eq!(list.named("鲁E6K829")[0].authority, Some("PSB"));
        assert_eq!(list.sha256, read.sha256.to_string());
    }
}
