//! The config: as written ([`raw`]), then checked and resolved. A fault names file, line and key.

mod broker;
mod camera;
mod outbox;
pub mod raw;
mod resolve;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub use broker::BrokerConfig;
pub use outbox::{AgentConfig, OutboxConfig};

use kakou_contract::Direction;
use kakou_sight::camera::{ConditionConfig, GateConfig, LiveConfig, Schedule, SightConfig};
use kakou_sight::evidence::EvidenceConfig;
use kakou_sight::vision::{LookConfig, ModelChoice};
use kakou_traffic::geometry::{Line, Point, Polygon};

/// What the agent works with: everything checked, every default filled in.
#[derive(Debug, Clone)]
pub struct Config {
    pub site: String,
    pub agent: String,
    /// `None`: nothing is published.
    pub broker: Option<BrokerConfig>,
    pub outbox: OutboxConfig,
    /// How often the agent tells how it is, and how long its end may take.
    pub agent_times: AgentConfig,
    /// The watchlist's file.
    pub watchlist: Option<PathBuf>,
    /// A file in Prometheus' text form, written every few seconds.
    pub metrics: Option<PathBuf>,
    /// Cameras that may compute at the same time.
    pub workers: usize,
    pub models: ModelChoice,
    pub look: LookConfig,
    pub passage: PassageTimes,
    pub evidence: EvidenceConfig,
    pub cameras: Vec<CameraConfig>,
}

/// How long a vehicle may be out of sight, in seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct PassageTimes {
    pub lost_after_s: f32,
    pub standing_lost_after_s: f32,
    pub rejoin_s: f32,
}

/// One camera. Lanes and masks are in parts of the picture's width and height (0 to 1), so that they hold for any
/// resolution the camera is switched to.
#[derive(Debug, Clone, PartialEq)]
pub struct CameraConfig {
    pub id: String,
    /// Where its frames come from, for `kakou run`.
    pub source: Option<CameraSource>,
    pub lanes: Vec<LaneConfig>,
    pub masks: Vec<Polygon>,
    pub watching: Watching,
}

/// When a live camera is looked at, and by what it counts as well.
#[derive(Debug, Clone, PartialEq)]
pub struct Watching {
    pub schedule: Schedule,
    /// Frames a second that are taken of a live camera, at most; `None`: its share of what the processor can do.
    pub rate: Option<f32>,
    pub gate_enabled: bool,
    pub gate: GateConfig,
    pub sight: SightConfig,
    pub condition: ConditionConfig,
}

impl Default for Watching {
    fn default() -> Self {
        Self {
            schedule: Schedule::default(),
            rate: None,
            gate_enabled: true,
            gate: GateConfig::default(),
            sight: SightConfig::default(),
            condition: ConditionConfig::default(),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct LaneConfig {
    pub id: String,
    pub name: Option<String>,
    pub polygon: Polygon,
    pub trigger: Option<Line>,
    pub direction: Option<Direction>,
}

/// Where a camera's frames come from.
#[derive(Debug, Clone, PartialEq)]
pub enum CameraSource {
    Recording {
        /// A folder of frames or a video file.
        path: PathBuf,
        /// Begin again at its end.
        again: bool,
    },
    Live(Box<LiveConfig>),
}

impl CameraConfig {
    /// A camera nobody described: one lane-less picture.
    pub fn plain(id: &str) -> Self {
        Self {
            id: id.into(),
            source: None,
            lanes: Vec::new(),
            masks: Vec::new(),
            watching: Watching::default(),
        }
    }
}

/// A polygon given in parts of the picture, in pixels of a picture of this size.
pub fn scaled(polygon: &Polygon, width: u32, height: u32) -> Polygon {
    Polygon(
        polygon
            .0
            .iter()
            .map(|p| Point::new(p.x * width as f32, p.y * height as f32))
            .collect(),
    )
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{path}: {reason}")]
    Read { path: PathBuf, reason: String },
    #[error("{path}: {reason}")]
    Syntax { path: PathBuf, reason: String },
    #[error("{path}: line {line}: {key}: {reason}")]
    Value {
        path: PathBuf,
        line: usize,
        key: String,
        reason: String,
    },
}

impl Config {
    /// The config that holds where none is given.
    pub fn without_file() -> Result<Self, ConfigError> {
        Self::parse("", Path::new("(no config file)"))
    }

    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|e| ConfigError::Read {
            path: path.into(),
            reason: e.to_string(),
        })?;
        Self::parse(&text, path)
    }

    /// Relative paths in the config count from the config file's folder.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let raw: raw::RawConfig = toml::from_str(text).map_err(|e| ConfigError::Syntax {
            path: path.into(),
            reason: e.to_string().trim_end().to_owned(),
        })?;
        resolve::resolve(raw, text, path)
    }

    /// The camera of this id; of an unknown id, a plain one.
    pub fn camera(&self, id: &str) -> CameraConfig {
        self.cameras
            .iter()
            .find(|c| c.id == id)
            .cloned()
            .unwrap_or_else(|| CameraConfig::plain(id))
    }
}
