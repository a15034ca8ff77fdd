//! `kakou run`: the agent in service.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use kakou_contract::Priority;
use kakou_time::SystemClock;

use super::common::{ConfigArgs, print_line};
use crate::app::{Load, OnCommitted, RunOptions, run as run_agent};
use crate::config::{Config, is_example};

/// Run the agent: cameras in, passages and hits out, until SIGTERM or SIGINT.
///
/// Reads the cameras of the config, recognises vehicles and plates, commits each passage to the
/// outbox in the state folder, and sends what waits there to the broker. SIGHUP reads config and
/// watchlist again.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// State folder with outbox and signing key; overrides the config's `[outbox] state`.
    #[arg(long, value_name = "DIR", env = "KAKOU_STATE")]
    state: Option<PathBuf>,
    /// Print `committed SEQUENCE LANE ID` for each message of a passage that is on disk.
    #[arg(long)]
    print: bool,
}

/// `EX_CONFIG` of sysexits.h. The unit does not start the agent again after it.
const CONFIG_IS_NOT_EDITED: u8 = 78;

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let state = args.state.clone();
    let config = loaded(&args.config, state.as_deref())?;
    if is_example(&config.site, &config.agent) {
        eprintln!("kakou: {}", refusal(&args.config, &config));
        return Ok(ExitCode::from(CONFIG_IS_NOT_EDITED));
    }
    let again = args.config.config.clone().map(|path| {
        let load: Load = Arc::new(move || loaded(&args.config, state.as_deref()));
        (path, load)
    });
    let options = RunOptions {
        state: args.state,
        on_committed: args.print.then(|| Arc::new(print_committed) as OnCommitted),
        config: again,
    };
    run_agent(config, options, Arc::new(SystemClock::new()))?;
    Ok(ExitCode::SUCCESS)
}

/// Nothing has been opened yet: the state folder belongs to the first ids that it is used with.
fn refusal(args: &ConfigArgs, config: &Config) -> String {
    let file = args.config.as_deref().unwrap_or(Path::new("the config"));
    format!(
        "{}: site `{}` and agent `{}` are those of an example, so this box is not set up yet; write \
         the ids of this checkpoint and this box there, and broker and cameras, then start again",
        file.display(),
        config.site,
        config.agent
    )
}

/// The config, with what is doubtful about it in the log.
fn loaded(args: &ConfigArgs, state: Option<&Path>) -> anyhow::Result<Config> {
    let mut config = args.load()?;
    if let Some(state) = state {
        config.keep_lists_in(state);
    }
    for warning in &config.warnings {
        tracing::warn!(file = ?args.config, "{warning}");
    }
    Ok(config)
}

fn print_committed(number: u64, priority: Priority, id: &str) {
    if let Err(e) = print_line(&format!("committed {number} {priority} {id}")) {
        tracing::warn!("stdout cannot be written: {e}");
    }
}
