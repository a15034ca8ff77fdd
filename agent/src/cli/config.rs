//! `kakou config`: what can stand in a config.

use std::path::PathBuf;
use std::process::ExitCode;

use super::common::print_line;
use crate::app::panel::proposal::take;
use crate::config::{Language, write};

/// Print what can stand in a config. To check one, use `kakou check-config`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Print a config with every key, its meaning, its range and its default
    /// (configs/reference.toml).
    Reference(Args),
    /// Print the same as a page in Markdown (docs/config.md).
    Docs(Args),
    /// Take a config that the box's own page has changed: the work of the unit kakou-config.
    ///
    /// Takes what lies as config.proposed.toml in the state folder, if it differs from the config
    /// in lanes, masks and plate_side alone and the agent would run with it. The old config is kept
    /// beside the new one.
    Take(Take),
}

#[derive(Debug, clap::Args)]
pub struct Take {
    /// Config file (TOML).
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// State folder.
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
}

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Language of the descriptions.
    #[arg(long, value_enum, default_value_t)]
    lang: Language,
}

pub fn run(command: &Command) -> anyhow::Result<ExitCode> {
    let text = match command {
        Command::Reference(args) => write::reference(args.lang),
        Command::Docs(args) => write::page(args.lang),
        Command::Take(Take { config, state }) => {
            let kept = take(state, config)?;
            format!(
                "{} is new; the old one is {}",
                config.display(),
                kept.display()
            )
        }
    };
    print_line(text.trim_end())?;
    Ok(ExitCode::SUCCESS)
}
