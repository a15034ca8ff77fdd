//! The config: a TOML file in, checked settings out.
//!
//! A setting is written once, in [`keys`]. From that definition come the checks ([`part`]), the
//! typed settings ([`resolve`]), `configs/reference.toml` and `docs/config.md` ([`write`]).
//!
//! A config is used whole or not at all. An error names the file, and for each fault the line, the
//! key, and what to write instead; all faults are told at once. What can be used but is probably
//! not meant is a warning in [`Config::warnings`]. Nothing is opened here but the config file
//! itself: whether models, certificates and other files can be read is asked by whoever uses them.

mod at;
mod define;
mod examples;
mod keys;
mod kinds;
mod layout;
mod masked;
mod part;
mod places;
mod resolve;
mod settings;
mod syntax;
#[cfg(test)]
mod tests;
pub mod write;

use std::path::Path;

use kakou_guard::file::read_bounded;

pub use at::{ConfigError, Finding, message_and_mend};
pub use define::Language;
pub use examples::is_example;
pub use masked::masked;
pub use places::{Places, without_numbers};
pub use settings::{
    AgentConfig, BrokerConfig, CameraConfig, CameraSource, Config, DeliveredConfig, HitConfig,
    LaneConfig, ListConfig, MetricsConfig, NonHits, OutboxConfig, PanelConfig, PassageTimes,
    PrivacyConfig, Watching, scaled,
};

use at::At;
use part::Part;

/// A config of hundred cameras has some hundred KiB.
pub(crate) const LARGEST: u64 = 4 << 20;

impl Config {
    /// The config that holds where none is given.
    pub fn without_file() -> Result<Self, ConfigError> {
        Ok(Self {
            warnings: Vec::new(),
            ..Self::parse("", Path::new("(no config file)"))?
        })
    }

    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        Self::from_bytes(&Self::bytes(path)?, path)
    }

    /// The same, with where its keys stand.
    pub fn read_with_places(path: &Path) -> Result<(Self, Places), ConfigError> {
        let bytes = Self::bytes(path)?;
        let text = syntax::decode(&bytes, path)?;
        Ok((Self::parse(text, path)?, Places::of(text)))
    }

    fn bytes(path: &Path) -> Result<Vec<u8>, ConfigError> {
        read_bounded(path, LARGEST).map_err(|e| ConfigError::Read {
            path: path.into(),
            reason: e.why,
        })
    }

    /// Whatever the bytes are: what is no text is told as such.
    pub fn from_bytes(bytes: &[u8], path: &Path) -> Result<Self, ConfigError> {
        Self::parse(syntax::decode(bytes, path)?, path)
    }

    /// Relative paths in the config count from the config file's folder.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let table = syntax::parse(text, path)?;
        let at = At::new(text);
        let base = path.parent().unwrap_or(Path::new("."));
        let mut config = resolve::config(&Part::top(&at, table.get_ref()), base);
        // Where a value could not be read, `config` holds another one; but then this fails.
        config.warnings = at.finish(path)?;
        Ok(config)
    }
}
