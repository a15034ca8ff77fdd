//! `kakou support`: what somebody who helps from afar needs, in one file.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use kakou_time::{SharedClock, SystemClock};

use super::common::print_line;
use super::support_archive::pack;
use super::support_parts::{Patient, collect};
use crate::config::Config;
use crate::doctor::usual_config;

/// Pack what is known of this box into one file, for somebody who helps from afar.
///
/// In it are versions, the config without secrets, what check-config and doctor find, status and
/// figures of the running agent, how many messages wait, the service's journal, and which files
/// there are. No password, no plate, no picture and no list is in it: secrets and plates are found
/// by their form and replaced by `***`. Look into it all the same before you send it. Call it as
/// root: else some of it cannot be read, and the file says what.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Config file (TOML). [default: /etc/kakou/kakou.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// State folder; overrides the config's `[outbox] state`.
    #[arg(long, value_name = "DIR", env = "KAKOU_STATE")]
    state: Option<PathBuf>,
    /// The file that is made; what stands there is replaced. [default:
    /// kakou-support-SITE-AGENT-TIME.tar.gz in this folder]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Leave the broker and the cameras alone.
    #[arg(long)]
    no_network: bool,
    /// How much of the journal, in hours.
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=720))]
    hours: u32,
}

/// Where the agent's state lies if no config says it.
const STATE: &str = "/var/lib/kakou";

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let clock: SharedClock = Arc::new(SystemClock::new());
    let file = args.config.unwrap_or_else(|| usual_config().to_path_buf());
    // One that cannot be used is what somebody may need help with.
    let config = Config::read(&file).ok();
    let known = config.as_ref().map(|config| config.outbox.state.clone());
    let state = args.state.clone().or(known);
    let patient = Patient {
        config: file,
        state: state.unwrap_or_else(|| PathBuf::from(STATE)),
        given_state: args.state,
        network: !args.no_network,
        hours: args.hours,
    };
    let whose = config.map_or("unknown".to_owned(), |config| {
        format!("{}-{}", config.site, config.agent)
    });
    let now = clock.wall();
    let name = format!("kakou-support-{whose}-{}", now.format("%Y%m%d-%H%M%S"));
    let out = args
        .out
        .unwrap_or_else(|| Path::new(&name).with_extension("tar.gz"));
    eprintln!("kakou: this takes some seconds");
    let parts = collect(&patient, &clock);
    let bytes = pack(&out, &name, &parts, &now)
        .with_context(|| format!("{} cannot be written", out.display()))?;
    for part in &parts {
        match &part.content {
            Ok(text) => print_line(&format!(
                "{:<18} {:>9}  {}",
                part.name,
                size(text.len()),
                part.about
            ))?,
            Err(why) => print_line(&format!("{:<18} {:>9}  {why}", part.name, "-"))?,
        }
    }
    print_line(&format!(
        "{}: {}; look into it before you send it",
        out.display(),
        size(bytes)
    ))?;
    Ok(ExitCode::SUCCESS)
}

fn size(bytes: usize) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        _ => format!("{} KiB", bytes.div_ceil(1024)),
    }
}
