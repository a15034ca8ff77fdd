//! The config as it is written. Every key has its meaning in `configs/reference.toml`; an unknown key is an error.

use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::broker::RawBroker;
use super::camera::RawCamera;
use super::outbox::{RawAgent, RawOutbox, RawWatchlist};
use kakou_sight::vision::Provider;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawConfig {
    #[serde(default = "default_site")]
    pub site: Spanned<String>,
    #[serde(default = "default_agent")]
    pub agent: Spanned<String>,
    #[serde(default)]
    pub broker: Option<RawBroker>,
    #[serde(default)]
    pub outbox: RawOutbox,
    #[serde(default, rename = "timing")]
    pub agent_times: RawAgent,
    #[serde(default)]
    pub watchlist: Option<RawWatchlist>,
    #[serde(default)]
    pub metrics: Option<RawMetrics>,
    #[serde(default)]
    pub vision: RawVision,
    #[serde(default)]
    pub passage: RawPassage,
    #[serde(default)]
    pub evidence: RawEvidence,
    #[serde(default, rename = "camera")]
    pub cameras: Vec<RawCamera>,
}

fn default_site() -> Spanned<String> {
    Spanned::new(0..0, "site".into())
}

fn default_agent() -> Spanned<String> {
    Spanned::new(0..0, "kakou".into())
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawVision {
    pub manifest: Option<PathBuf>,
    pub runtime: Option<PathBuf>,
    pub provider: Option<Provider>,
    pub threads: Option<Spanned<usize>>,
    pub workers: Option<Spanned<usize>>,
    pub vehicles: Option<String>,
    pub plates: Option<String>,
    pub reader: Option<String>,
    pub vehicle_score: Option<Spanned<f32>>,
    pub plate_side: Option<Spanned<u32>>,
    pub vehicle_every_ms: Option<u32>,
    pub plate_every_ms: Option<u32>,
    pub enough_reads: Option<u32>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawPassage {
    pub lost_after_s: Option<Spanned<f32>>,
    pub standing_lost_after_s: Option<Spanned<f32>>,
    pub rejoin_s: Option<Spanned<f32>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawEvidence {
    pub quality: Option<Spanned<u8>>,
    pub thumbnail_width: Option<Spanned<u32>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawMetrics {
    pub file: PathBuf,
}
