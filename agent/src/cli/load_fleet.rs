//! `kakou load --agents N`: a made-up fleet, to try a platform with.

use std::convert::Infallible;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use chrono::{DateTime, FixedOffset};
use kakou_fleet::{AGENTS_MAX, Evil, Fleet, FleetOptions, Summary, Troubles, TruthTo};
use kakou_uplink::BrokerAddress;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use super::broker::{Access, BrokerUrl};
use super::load::Common;

/// How often it is told how it goes.
const TOLD_EVERY: Duration = Duration::from_secs(10);
/// Open files beside the connections.
const FILES: u64 = 256;

/// One broker or several.
#[derive(Debug, Clone)]
pub struct BrokerUrls(Vec<BrokerUrl>);

impl FromStr for BrokerUrls {
    type Err = Infallible;

    /// A password may have a comma: only one before the next `mqtt` separates.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        let mut all: Vec<String> = Vec::new();
        for part in text.split(',') {
            let is_url = part.starts_with("mqtt://") || part.starts_with("mqtts://");
            match all.last_mut().filter(|_| !is_url) {
                Some(before) => *before = format!("{before},{part}"),
                None => all.push(part.to_owned()),
            }
        }
        let urls = all.iter().map(|url| url.parse());
        Ok(Self(urls.collect::<Result<_, Infallible>>()?))
    }
}

impl BrokerUrls {
    /// With the user of the options.
    pub fn addresses(&self, access: &Access) -> anyhow::Result<Vec<BrokerAddress>> {
        let all = self.0.iter().map(|url| access.of(url.address()?));
        let all = all.collect::<anyhow::Result<Vec<_>>>()?;
        let (tls, plain) = (access.tls(), all.iter().any(|address| !address.tls));
        ensure!(
            !plain || (tls.ca.is_none() && tls.client.is_none()),
            "--ca, --cert and --key are for TLS; write mqtts:// in --broker"
        );
        Ok(all)
    }
}

/// A fleet instead of one agent.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "A made-up fleet (--agents)")]
pub struct FleetArgs {
    /// So many made-up agents, instead of one with an outbox.
    #[arg(long, value_name = "N", requires = "broker", value_parser = clap::value_parser!(u32).range(1..=i64::from(AGENTS_MAX)))]
    agents: Option<u32>,
    /// All that is made up follows from it.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "agents")]
    seed: u64,
    /// Sites are called by it and a number, as site-0001.
    #[arg(long, value_name = "NAME", default_value = "site", requires = "agents")]
    prefix: String,
    /// End after this time: seconds, or with m or h, as 90, 15m, 2h.
    #[arg(long = "for", value_name = "TIME", value_parser = span, requires = "agents")]
    time: Option<Duration>,
    /// Count the times of messages from this one instead of now, as 2031-05-04T08:00:00+08:00.
    #[arg(long, value_name = "TIME", value_parser = DateTime::parse_from_rfc3339, requires = "agents")]
    start: Option<DateTime<FixedOffset>>,
    /// The share of vehicles that are on a list.
    #[arg(
        long,
        value_name = "SHARE",
        default_value_t = 0.01,
        requires = "agents"
    )]
    hits: f64,
    /// The share of vehicles whose plate is not read.
    #[arg(
        long,
        value_name = "SHARE",
        default_value_t = 0.04,
        requires = "agents"
    )]
    no_plate: f64,
    /// The share of passages of which something does not fit.
    #[arg(
        long,
        value_name = "SHARE",
        default_value_t = 0.005,
        requires = "agents"
    )]
    signals: f64,
    /// How often each agent sends its status.
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 60,
        requires = "agents"
    )]
    status_every: u64,
    /// So much history waits in the agents at the start, as after that time without a network.
    #[arg(long, value_name = "HOURS", default_value_t = 0.0, requires = "agents")]
    backlog_hours: f64,
    /// Passages a second of that history, of the whole fleet. [default: as --rate]
    #[arg(long, value_name = "N", requires = "agents")]
    backlog_rate: Option<f64>,
    /// The share of time that an agent is without its connection.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, requires = "agents")]
    outages: f64,
    /// How long that lasts each time, on the average.
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 40,
        requires = "agents"
    )]
    outage_seconds: u64,
    /// The share of agents whose clock is wrong and not disciplined.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, requires = "agents")]
    wrong_clocks: f64,
    /// The share of messages that are sent once more.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, requires = "agents")]
    repeats: f64,
    /// The share of passages at which an agent begins to give up messages: their numbers are never
    /// sent, and an audit message tells so.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, requires = "agents")]
    evictions: f64,
    /// What a platform must not take: forged-signature, changed-key, altered-picture, broken-chain,
    /// foreign-topic.
    #[arg(long, value_name = "KIND", value_delimiter = ',', requires = "agents")]
    evil: Vec<Evil>,
    /// The share of passages at which one of these happens.
    #[arg(long, value_name = "SHARE", default_value_t = 0.001, requires = "evil")]
    evil_share: f64,
    /// Write a line of JSON for each message that the broker acknowledged, that was never sent on
    /// purpose, that is evil, or that was not acknowledged at the end; last a line with the counts.
    #[arg(long, value_name = "FILE", requires = "agents")]
    truth: Option<PathBuf>,
    /// Messages that wait, and are kept to be sent again, of the whole fleet.
    #[arg(long, value_name = "MIB", default_value_t = 512, requires = "agents")]
    memory: usize,
    /// At the end, send what waits for so long.
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 60,
        requires = "agents"
    )]
    drain: u64,
}

fn span(text: &str) -> Result<Duration, String> {
    let (number, seconds) = match text.strip_suffix(['s', 'm', 'h']) {
        Some(number) if text.ends_with('m') => (number, 60.0),
        Some(number) if text.ends_with('h') => (number, 3_600.0),
        Some(number) => (number, 1.0),
        None => (text, 1.0),
    };
    let wrong = || format!("{text:?} is no time; give seconds, or a number with m or h, as 15m");
    let seconds = number.parse::<f64>().map_err(|_| wrong())? * seconds;
    Duration::try_from_secs_f64(seconds).map_err(|_| wrong())
}

impl FleetArgs {
    pub(super) fn run(
        self,
        common: Common,
        brokers: Vec<BrokerAddress>,
    ) -> anyhow::Result<ExitCode> {
        let (time, options) = (self.time, self.options(common)?);
        room_for(options.agents)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .max_blocking_threads(16)
            .enable_all()
            .build()?;
        let summary = runtime.block_on(drive(options, brokers, time))?;
        let left = summary.unacknowledged + summary.untold + summary.held;
        eprintln!("{}", told(&summary));
        Ok(if left == 0 {
            ExitCode::SUCCESS
        } else {
            eprintln!(
                "kakou: {left} were not acknowledged; give a longer --drain, or look at the broker"
            );
            ExitCode::FAILURE
        })
    }

    fn options(self, common: Common) -> anyhow::Result<FleetOptions> {
        let agents = self.agents.context("give --agents N, or --state DIR")?;
        let hours = self.backlog_hours;
        let backlog = Duration::try_from_secs_f64(hours * 3_600.0)
            .with_context(|| format!("--backlog-hours: {hours} is no number of hours"))?;
        ensure!(
            backlog.is_zero() || common.rate > 0.0 || self.backlog_rate.is_some(),
            "--backlog-hours needs --rate or --backlog-rate: how much passed in that time?"
        );
        let troubles = Troubles {
            outages: self.outages,
            outage: Duration::from_secs(self.outage_seconds),
            wrong_clocks: self.wrong_clocks,
            repeats: self.repeats,
            evictions: self.evictions,
            evil_share: if self.evil.is_empty() {
                0.0
            } else {
                self.evil_share
            },
            evil: self.evil.into_iter().collect(),
        };
        let of_fleet = FleetOptions::new(agents);
        Ok(FleetOptions {
            seed: self.seed,
            prefix: self.prefix,
            rate: common.rate,
            count: common.count,
            start: self.start,
            pictures: u8::try_from(common.pictures).unwrap_or(u8::MAX),
            picture_size: common.picture_size.unwrap_or(of_fleet.picture_size),
            hits: self.hits,
            no_plate: self.no_plate,
            signals: self.signals,
            status_every: Duration::from_secs(self.status_every),
            backlog,
            backlog_rate: self.backlog_rate,
            troubles,
            truth: self.truth.map_or(TruthTo::Nowhere, TruthTo::File),
            memory: self.memory.saturating_mul(1 << 20),
            drain: Duration::from_secs(self.drain),
            tls: common.tls,
            ..of_fleet
        })
    }
}

/// Each agent has a connection, and many systems allow a program a thousand.
fn room_for(agents: u32) -> anyhow::Result<()> {
    let wanted = u64::from(agents) + FILES;
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|now| now >= wanted) {
        return Ok(());
    }
    if let Some(most) = limit.maximum.filter(|most| *most < wanted) {
        bail!(
            "{agents} agents need {wanted} open files, and {most} are allowed; raise the limit \
             (ulimit -Hn {wanted}), or start several fleets with prefixes of their own"
        );
    }
    limit.current = Some(wanted);
    setrlimit(Resource::Nofile, limit)
        .with_context(|| format!("allowing {wanted} open files; try ulimit -n {wanted}"))
}

async fn drive(
    options: FleetOptions,
    brokers: Vec<BrokerAddress>,
    time: Option<Duration>,
) -> anyhow::Result<Summary> {
    let mut term = signal(SignalKind::terminate())?;
    let agents = options.agents;
    let fleet = Fleet::start(options, brokers)?;
    let over = async {
        match time {
            Some(time) => tokio::time::sleep(time).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(over);
    let mut tell = tokio::time::interval(TOLD_EVERY);
    tell.tick().await;
    loop {
        tokio::select! {
            () = fleet.made() => break,
            () = &mut over => break,
            _ = term.recv() => break,
            _ = tokio::signal::ctrl_c() => break,
            _ = tell.tick() => {
                let now = fleet.progress();
                eprintln!(
                    "kakou: {} of {agents} agents connected; {} messages acknowledged, {} of them \
                     passages; {} made; {} sightings wait",
                    now.connected, now.acknowledged, now.passages, now.made, now.untold
                );
            }
        }
    }
    Ok(fleet.stop_and_drain().await?.summary)
}

fn told(s: &Summary) -> String {
    format!(
        "kakou: {} agents, {:.1} s: {} passages, {} hits, {} signals, {} pictures, {} statuses, {} \
         audits, {} answers\n\
         kakou: {} messages acknowledged ({:.0} a second, {:.0} passages), each within {:.1} ms \
         (median) and {:.1} ms (99 of 100); {} repeats\n\
         kakou: {} not acknowledged, {} refused, {} given up on purpose, {} evil, {} outages, {} \
         sightings not told",
        s.agents,
        s.seconds,
        s.passages,
        s.hits,
        s.signals,
        s.pictures,
        s.statuses,
        s.audits,
        s.results,
        s.acknowledged,
        s.messages_per_second,
        s.passages_per_second,
        s.acknowledged_median_ms,
        s.acknowledged_p99_ms,
        s.repeats,
        s.unacknowledged,
        s.held,
        s.evicted,
        s.evil,
        s.outages,
        s.untold,
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn times_are_seconds_minutes_or_hours() {
        for (text, seconds) in [("90", 90), ("90s", 90), ("15m", 900), ("2h", 7_200)] {
            assert_eq!(span(text).unwrap().as_secs(), seconds);
        }
        for text in ["", "m", "-1", "soon", "1d"] {
            assert!(span(text).unwrap_err().contains("15m"), "{text}");
        }
    }

    #[test]
    fn several_brokers_are_separated_by_commas_that_no_password_needs() {
        let hosts = |text: &str| {
            let urls: BrokerUrls = text.parse().unwrap();
            let all = urls.addresses(&Access::default()).unwrap();
            all.into_iter().map(|a| a.host).collect::<Vec<_>>()
        };
        assert_eq!(hosts("mqtt://a"), ["a"]);
        assert_eq!(hosts("mqtt://a,mqtt://b:1884"), ["a", "b"]);
        assert_eq!(hosts("mqtt://u:x,y@a,mqtts://b"), ["a", "b"]);
    }
}
