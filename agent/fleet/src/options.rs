//! What a fleet is made of.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, FixedOffset};
use kakou_contract::Id;
use kakou_uplink::{Login, TlsFiles};

use crate::city::BETWEEN;

/// The most agents of a fleet: so many sites have four digits.
pub const AGENTS_MAX: u32 = 9_999;
/// The most sightings of a history: they are kept, about 40 bytes each, until they are told.
const BACKLOG_MAX: f64 = 10_000_000.0;
/// The most vehicles on the road.
const VEHICLES_MAX: f64 = 5_000_000.0;

/// Why there is no fleet, or no record of it.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    #[error("{option}: {why}")]
    Option { option: &'static str, why: String },
    #[error("the made-up pictures: {0}")]
    Picture(String),
    #[error("the record of what was sent, {path}: {why}")]
    Truth { path: PathBuf, why: String },
    #[error("{what} ended unexpectedly")]
    Ended { what: &'static str },
}

impl FleetError {
    fn option(option: &'static str, why: impl Into<String>) -> Self {
        let why = why.into();
        Self::Option { option, why }
    }
}

/// What a made-up agent, or somebody who speaks in its place, does that a platform must notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Evil {
    /// A passage in the agent's name and under one of its numbers, signed with another key.
    ForgedSignature,
    /// A birth with another public key, and a passage signed with that key.
    ChangedKey,
    /// A picture with other bytes than were sealed, before the true one.
    AlteredPicture,
    /// A message of the agent's own that does not follow the one before it.
    BrokenChain,
    /// A passage, well signed, on the topic of another agent.
    ForeignTopic,
}

impl Evil {
    pub const ALL: [Self; 5] = [
        Self::ForgedSignature,
        Self::ChangedKey,
        Self::AlteredPicture,
        Self::BrokenChain,
        Self::ForeignTopic,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ForgedSignature => "forged-signature",
            Self::ChangedKey => "changed-key",
            Self::AlteredPicture => "altered-picture",
            Self::BrokenChain => "broken-chain",
            Self::ForeignTopic => "foreign-topic",
        }
    }
}

impl fmt::Display for Evil {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Evil {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == word);
        found.ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            format!("{word:?} is none of {known}")
        })
    }
}

/// What goes wrong, each as a share from 0 to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Troubles {
    /// Of the time that an agent is without a connection.
    pub outages: f64,
    /// How long an outage lasts on the average; each lasts between half of it and one and a half.
    pub outage: Duration,
    /// Of the agents whose clock is wrong or not disciplined.
    pub wrong_clocks: f64,
    /// Of the messages that are sent once more.
    pub repeats: f64,
    /// Of the sightings at which an agent begins to give up what waits.
    pub evictions: f64,
    /// Of the sightings at which one of these happens.
    pub evil_share: f64,
    pub evil: BTreeSet<Evil>,
}

impl Default for Troubles {
    fn default() -> Self {
        Self {
            outages: 0.0,
            outage: Duration::from_secs(40),
            wrong_clocks: 0.0,
            repeats: 0.0,
            evictions: 0.0,
            evil_share: 0.0,
            evil: BTreeSet::new(),
        }
    }
}

/// Where the record of what was sent goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum TruthTo {
    #[default]
    Nowhere,
    /// Into [`crate::Truth::rows`].
    Memory,
    /// JSON lines.
    File(PathBuf),
}

/// A fleet.
#[derive(Debug, Clone)]
pub struct FleetOptions {
    pub agents: u32,
    /// Everything made up follows from it.
    pub seed: u64,
    /// Sites are called by it and a number, `site-0001`.
    pub prefix: String,
    /// Passages a second of all agents together; 0: as fast as it goes, each passage with the time
    /// at which it was made.
    pub rate: f64,
    /// No more passages than these, the history not counted.
    pub count: Option<u64>,
    /// The time of the first passage, from which all others are counted; missing: now. With a rate
    /// of 0 no wall clock has a part in any message then.
    pub start: Option<DateTime<FixedOffset>>,
    /// Pictures of a passage, 0 to 3.
    pub pictures: u8,
    /// Bytes of a picture.
    pub picture_size: usize,
    /// The share of vehicles that are on a list.
    pub hits: f64,
    /// The share of vehicles whose plate is not read.
    pub no_plate: f64,
    /// The share of passages of which something does not fit.
    pub signals: f64,
    /// How often an agent sends its status.
    pub status_every: Duration,
    /// How long before the start the history begins that waits in each agent.
    pub backlog: Duration,
    /// Passages a second of that history, of all agents together; missing: as `rate`.
    pub backlog_rate: Option<f64>,
    pub troubles: Troubles,
    pub truth: TruthTo,
    /// Bytes of messages that all agents together keep in memory.
    pub memory: usize,
    /// How long what waits at the end may take.
    pub drain: Duration,
    pub tls: TlsFiles,
    pub login: Option<Login>,
}

impl FleetOptions {
    pub fn new(agents: u32) -> Self {
        Self {
            agents,
            seed: 1,
            prefix: "site".to_owned(),
            rate: 0.0,
            count: None,
            start: None,
            pictures: 0,
            picture_size: 6_000,
            hits: 0.01,
            no_plate: 0.04,
            signals: 0.005,
            status_every: Duration::from_secs(60),
            backlog: Duration::ZERO,
            backlog_rate: None,
            troubles: Troubles::default(),
            truth: TruthTo::default(),
            memory: 512 << 20,
            drain: Duration::from_secs(60),
            tls: TlsFiles::default(),
            login: None,
        }
    }

    /// The site of an agent, by its number from 0.
    pub fn site(&self, agent: u32) -> Result<Id, FleetError> {
        let name = format!("{}-{:04}", self.prefix, agent + 1);
        Id::new("site", name).map_err(|e| FleetError::option("prefix", e.to_string()))
    }

    pub(crate) fn check(&self) -> Result<(), FleetError> {
        if !(1..=AGENTS_MAX).contains(&self.agents) {
            let why = format!("{} is not from 1 to {AGENTS_MAX}", self.agents);
            return Err(FleetError::option("agents", why));
        }
        self.site(self.agents)?;
        for (option, rate) in [
            ("rate", self.rate),
            ("backlog rate", self.backlog_rate.unwrap_or(0.0)),
        ] {
            if !(0.0..=1e6).contains(&rate) {
                let why = format!("{rate} is not from 0 to 1000000 passages a second");
                return Err(FleetError::option(option, why));
            }
        }
        let troubles = &self.troubles;
        for (option, share) in [
            ("hits", self.hits),
            ("no plate", self.no_plate),
            ("signals", self.signals),
            ("wrong clocks", troubles.wrong_clocks),
            ("repeats", troubles.repeats),
            ("evictions", troubles.evictions),
            ("evil share", troubles.evil_share),
        ] {
            if !(0.0..=1.0).contains(&share) {
                let why = format!("{share} is no share from 0 to 1");
                return Err(FleetError::option(option, why));
            }
        }
        if !(0.0..=0.9).contains(&troubles.outages) {
            let why = format!("{} is no share from 0 to 0.9", troubles.outages);
            return Err(FleetError::option("outages", why));
        }
        if troubles.outages > 0.0 && troubles.outage < Duration::from_secs(1) {
            let why = "an outage lasts a second at least";
            return Err(FleetError::option("outage seconds", why));
        }
        if self.pictures > 3 {
            let why = format!("{} is not from 0 to 3", self.pictures);
            return Err(FleetError::option("pictures", why));
        }
        if !(2_000..=4 << 20).contains(&self.picture_size) {
            let why = format!("{} is not from 2000 to 4194304 bytes", self.picture_size);
            return Err(FleetError::option("picture size", why));
        }
        if self.status_every < Duration::from_secs(1) {
            return Err(FleetError::option("status every", "a second at least"));
        }
        if troubles.evil.contains(&Evil::AlteredPicture) && self.pictures == 0 {
            let why = "altered-picture needs pictures";
            return Err(FleetError::option("evil", why));
        }
        if troubles.evil.contains(&Evil::ForeignTopic) && self.agents < 2 {
            let why = "foreign-topic needs two agents";
            return Err(FleetError::option("evil", why));
        }
        let history = self.backlog.as_secs_f64() * self.history_rate();
        if history > BACKLOG_MAX {
            let why = format!(
                "{history:.0} passages of history, at most {BACKLOG_MAX:.0} are possible; give a \
                 lower backlog rate or fewer hours"
            );
            return Err(FleetError::option("backlog", why));
        }
        Ok(())
    }

    pub(crate) fn history_rate(&self) -> f64 {
        self.backlog_rate.unwrap_or(self.rate)
    }

    /// Vehicles on the road for so many passages a second.
    pub(crate) fn vehicles(&self, rate: f64) -> u32 {
        (rate * BETWEEN).ceil().clamp(1.0, VEHICLES_MAX) as u32
    }

    /// Vehicles of the fleet's own time. As fast as it goes, as many as a city of this size has.
    pub(crate) fn live_vehicles(&self) -> u32 {
        match self.rate {
            0.0 => self.vehicles(f64::from(self.agents) * 0.2).max(100),
            rate => self.vehicles(rate),
        }
    }

    /// Bytes that one agent may keep for what waits, and as many for what was acknowledged.
    pub(crate) fn bytes_each(&self) -> usize {
        let each = self.memory / 2 / self.agents.max(1) as usize;
        each.clamp(64 << 10, 64 << 20)
    }

    /// Messages on their way, of one agent.
    pub(crate) fn window(&self) -> u16 {
        (131_072 / self.agents.max(1)).clamp(16, 1_024) as u16
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_cannot_be_is_named_with_its_bound() {
        let wrong = |change: fn(&mut FleetOptions)| {
            let mut options = FleetOptions::new(3);
            change(&mut options);
            options.check().unwrap_err().to_string()
        };
        assert!(FleetOptions::new(3).check().is_ok());
        assert!(wrong(|o| o.agents = 0).contains("1 to 9999"));
        assert!(wrong(|o| o.prefix = "卡口".to_owned()).contains("prefix: "));
        assert!(wrong(|o| o.pictures = 4).contains("0 to 3"));
        assert!(wrong(|o| o.hits = 1.5).contains("share"));
        let evil = wrong(|o| o.troubles.evil = [Evil::AlteredPicture].into());
        assert!(evil.contains("needs pictures"), "{evil}");
        let long = wrong(|o| {
            o.rate = 1_000.0;
            o.backlog = Duration::from_secs(86_400);
        });
        assert!(long.contains("lower backlog rate"), "{long}");
    }

    #[test]
    fn kinds_of_evil_have_words() {
        for kind in Evil::ALL {
            assert_eq!(kind.as_str().parse::<Evil>().unwrap(), kind);
        }
        assert!("evil".parse::<Evil>().unwrap_err().contains("broken-chain"));
    }
}
