//! What the agent works with: everything checked, every default filled in.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kakou_contract::{Direction, Id, Level, VerifyingKey};
use kakou_outbox::{OutboxLimits, Retention};
use kakou_sight::camera::{ConditionConfig, GateConfig, LiveConfig, Schedule, SightConfig};
use kakou_sight::evidence::EvidenceConfig;
use kakou_sight::vision::{LookConfig, ModelChoice};
use kakou_traffic::geometry::{Line, Point, Polygon};
use kakou_traffic::signals::SignalRules;
use kakou_traffic::watchlist::{ListOptions, Policy};
use kakou_uplink::{BrokerAddress, Login, TlsFiles, UplinkConfig};

use super::at::Finding;

#[derive(Debug, Clone)]
pub struct Config {
    pub site: String,
    pub agent: String,
    /// `None`: nothing is published.
    pub broker: Option<BrokerConfig>,
    pub outbox: OutboxConfig,
    /// How often the agent reports, and how long it may take to stop.
    pub agent_times: AgentConfig,
    /// The watchlists, in the order in which they are written; none: there are no hits.
    pub watchlist: Vec<ListConfig>,
    pub hits: HitConfig,
    pub signals: SignalRules,
    pub privacy: PrivacyConfig,
    pub metrics: MetricsConfig,
    /// The box's own page; `None`: there is none.
    pub panel: Option<PanelConfig>,
    /// Cameras that may compute at the same time.
    pub workers: usize,
    /// As it is written; `models.threads` is what holds.
    pub threads: Option<usize>,
    pub models: ModelChoice,
    pub look: LookConfig,
    pub passage: PassageTimes,
    pub evidence: EvidenceConfig,
    pub cameras: Vec<CameraConfig>,
    /// What can be used but is probably not meant. For the log and for `check-config`.
    pub warnings: Vec<Finding>,
}

impl Config {
    /// The camera of this id; of an unknown id, a plain one.
    pub fn camera(&self, id: &str) -> CameraConfig {
        self.cameras
            .iter()
            .find(|c| c.id == id)
            .cloned()
            .unwrap_or_else(|| CameraConfig::plain(id))
    }
}

/// Where figures for Prometheus are to be had; nowhere by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetricsConfig {
    /// Written every few seconds, in the Prometheus text format.
    pub file: Option<PathBuf>,
    /// Answers `/metrics` and `/health` over HTTP.
    pub listen: Option<SocketAddr>,
}

/// Where the box's own page is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PanelConfig {
    pub listen: SocketAddr,
    /// Certificate and key; `None`: beyond loopback one is made.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

/// The brokers, in the order in which they are tried, and how to speak to them.
#[derive(Debug, Clone, PartialEq)]
pub struct BrokerConfig {
    pub addresses: Vec<BrokerAddress>,
    pub tls: TlsFiles,
    pub login: Option<Login>,
    /// `None`: `kakou-SITE-AGENT`.
    pub client_id: Option<String>,
    pub window: u16,
    pub window_bytes: usize,
    pub bandwidth: Option<u64>,
    pub keep_alive: Duration,
    pub answer_timeout: Duration,
    pub session_expiry: Duration,
}

impl BrokerConfig {
    /// As the uplink takes it. `client_id` holds where the config names none.
    pub fn uplink(&self, client_id: impl Into<String>) -> UplinkConfig {
        let client_id = self.client_id.clone().unwrap_or_else(|| client_id.into());
        UplinkConfig {
            tls: self.tls.clone(),
            login: self.login.clone(),
            window: self.window,
            window_bytes: self.window_bytes,
            bandwidth: self.bandwidth,
            keep_alive: self.keep_alive,
            answer_timeout: self.answer_timeout,
            session_expiry: self.session_expiry,
            ..UplinkConfig::new(self.addresses.clone(), client_id)
        }
    }
}

/// Shows no password.
impl std::fmt::Display for BrokerConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all: Vec<String> = self.addresses.iter().map(ToString::to_string).collect();
        f.write_str(&all.join(", "))
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct OutboxConfig {
    pub state: PathBuf,
    pub limits: OutboxLimits,
    pub retention: Retention,
}

/// One watchlist.
#[derive(Debug, Clone, PartialEq)]
pub struct ListConfig {
    pub file: PathBuf,
    /// The platform sends it, and `file` is where the box keeps it.
    pub delivered: Option<DeliveredConfig>,
    /// Its name, and what holds for rows that do not say it.
    pub options: ListOptions,
    /// What is done with it.
    pub policy: Policy,
}

/// Of a list that the platform sends.
#[derive(Debug, Clone, PartialEq)]
pub struct DeliveredConfig {
    pub list: Id,
    /// The platform's keys.
    pub trusted: Vec<VerifyingKey>,
    /// The key that lists are sealed with on the disk.
    pub store_key_file: Option<PathBuf>,
}

impl DeliveredConfig {
    /// Where lists are kept in a state folder.
    pub const FOLDER: &str = "lists";
}

impl Config {
    /// The state folder is another than the config says: so is the place of lists that the platform
    /// sends.
    pub fn keep_lists_in(&mut self, state: &Path) {
        for list in &mut self.watchlist {
            if let Some(delivered) = &list.delivered {
                let name = format!("{}.list", delivered.list);
                list.file = state.join(DeliveredConfig::FOLDER).join(name);
            }
        }
    }

    /// Whether the platform sends lists.
    pub fn hears_lists(&self) -> bool {
        self.watchlist.iter().any(|l| l.delivered.is_some())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgentConfig {
    /// Between two status messages while nothing changes.
    pub status_every: Duration,
    /// For an orderly stop, all in all.
    pub shutdown: Duration,
}

/// How long a vehicle may be out of sight, in seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct PassageTimes {
    pub lost_after_s: f32,
    pub standing_lost_after_s: f32,
    pub rejoin_s: f32,
    /// The plate of a vehicle in sight is told from this probability on.
    pub sure: f32,
}

/// What is kept and sent of a passage that hits nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NonHits {
    Whole,
    /// Without pictures, and with a keyed hash in place of the plate.
    Hash,
    Nothing,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrivacyConfig {
    pub non_hits: NonHits,
    /// There is one where plates are hashed.
    pub key_file: Option<PathBuf>,
}

/// When a hit is told, and what is the same story.
#[derive(Debug, Clone, PartialEq)]
pub struct HitConfig {
    /// The least probability by level, in the order of `Level::ALL`.
    pub sure: [f32; Level::ALL.len()],
    pub story: Duration,
}

impl HitConfig {
    pub fn sure_of(&self, level: Level) -> f32 {
        let at = Level::ALL.iter().position(|l| *l == level);
        at.and_then(|i| self.sure.get(i)).copied().unwrap_or(1.0)
    }
}

/// One camera. Lanes and masks are in parts of the picture's width and height (0 to 1), so that
/// they hold for any resolution the camera is switched to.
#[derive(Debug, Clone, PartialEq)]
pub struct CameraConfig {
    pub id: String,
    /// Where its frames come from, for `kakou run`.
    pub source: Option<CameraSource>,
    pub lanes: Vec<LaneConfig>,
    pub masks: Vec<Polygon>,
    pub watching: Watching,
}

impl CameraConfig {
    /// A camera that no config describes: the whole picture, without lanes.
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

/// When a live camera is looked at, and what counts as a fault of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Watching {
    pub schedule: Schedule,
    /// The most frames a second that are taken of a live camera; `None`: its share of what the
    /// processor can do.
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

/// A traffic lane as it lies in the picture.
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
        /// Start again at its end.
        again: bool,
    },
    Live(Box<LiveConfig>),
}

/// A polygon in pixels of a picture of this size.
pub fn scaled(polygon: &Polygon, width: u32, height: u32) -> Polygon {
    Polygon(
        polygon
            .0
            .iter()
            .map(|p| Point::new(p.x * width as f32, p.y * height as f32))
            .collect(),
    )
}
