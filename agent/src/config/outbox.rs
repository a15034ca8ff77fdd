//! `[outbox]`, `[watchlist]` and `[timing]`: what is kept where and how long, what is looked for, how the agent behaves.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::ConfigError;
use super::resolve::At;
use kakou_outbox::{OutboxLimits, PriorityLimit, Retention};

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawOutbox {
    pub state: Option<PathBuf>,
    pub max_mib: Option<Spanned<u64>>,
    pub min_free_mib: Option<Spanned<u64>>,
    pub keep_passages_h: Option<Spanned<u32>>,
    pub keep_hits_h: Option<Spanned<u32>>,
    pub keep_control_h: Option<Spanned<u32>>,
    pub hits: RawLane,
    pub control: RawLane,
    pub passages: RawLane,
    pub pictures: RawLane,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawLane {
    pub max_mib: Option<Spanned<u64>>,
    pub max_age_h: Option<Spanned<u32>>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct OutboxConfig {
    pub state: PathBuf,
    pub limits: OutboxLimits,
    pub retention: Retention,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawAgent {
    pub status_s: Option<Spanned<u32>>,
    pub shutdown_s: Option<Spanned<u32>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgentConfig {
    /// Between two statuses while nothing changes.
    pub status_every: Duration,
    /// For an ordered end, all in all.
    pub shutdown: Duration,
}

pub(super) fn agent(raw: &RawAgent, at: &At<'_>) -> Result<AgentConfig, ConfigError> {
    let seconds = |v: u32| Duration::from_secs(v.into());
    Ok(AgentConfig {
        status_every: seconds(at.within(
            "timing.status_s",
            raw.status_s.as_ref(),
            5..=86_400,
            60,
        )?),
        shutdown: seconds(at.within("timing.shutdown_s", raw.shutdown_s.as_ref(), 1..=600, 15)?),
    })
}

pub(super) fn outbox(
    raw: &RawOutbox,
    at: &At<'_>,
    base: &Path,
) -> Result<OutboxConfig, ConfigError> {
    const MOST_MIB: u64 = 1 << 34;
    let default = OutboxLimits::default();
    let mib = |key: &str, value: Option<&Spanned<u64>>, least: u64, default: u64| {
        at.within(key, value, least..=MOST_MIB, default >> 20)
            .map(|v| v << 20)
    };
    let hours = |key: &str, value: Option<&Spanned<u32>>, most: u32, default: Duration| {
        at.within(key, value, 1..=most, (default.as_secs() / 3600) as u32)
            .map(|h| Duration::from_secs(u64::from(h) * 3600))
    };
    let mut by_priority = default.by_priority;
    let names = [
        ("hits", &raw.hits),
        ("control", &raw.control),
        ("passages", &raw.passages),
        ("pictures", &raw.pictures),
    ];
    for (limit, (name, given)) in by_priority.iter_mut().zip(names) {
        *limit = PriorityLimit {
            bytes: mib(
                &format!("outbox.{name}.max_mib"),
                given.max_mib.as_ref(),
                1,
                limit.bytes,
            )?,
            age: hours(
                &format!("outbox.{name}.max_age_h"),
                given.max_age_h.as_ref(),
                87_600,
                limit.age,
            )?,
        };
    }
    let kept = Retention::default();
    Ok(OutboxConfig {
        state: raw
            .state
            .as_ref()
            .map_or_else(|| PathBuf::from("/var/lib/kakou"), |s| base.join(s)),
        limits: OutboxLimits {
            bytes: mib("outbox.max_mib", raw.max_mib.as_ref(), 16, default.bytes)?,
            free_disk: mib(
                "outbox.min_free_mib",
                raw.min_free_mib.as_ref(),
                0,
                default.free_disk,
            )?,
            by_priority,
        },
        retention: Retention {
            passage: hours(
                "outbox.keep_passages_h",
                raw.keep_passages_h.as_ref(),
                8760,
                kept.passage,
            )?,
            hit: hours(
                "outbox.keep_hits_h",
                raw.keep_hits_h.as_ref(),
                8760,
                kept.hit,
            )?,
            control: hours(
                "outbox.keep_control_h",
                raw.keep_control_h.as_ref(),
                8760,
                kept.control,
            )?,
        },
    })
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawWatchlist {
    pub file: PathBuf,
}
