//! `kakou config`: what can stand in a config.

use std::process::ExitCode;

use super::common::print_line;
use crate::config::{Language, write};

/// Print what can stand in a config. To check one, use `kakou check-config`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Print a config with every key, its meaning, its range and its default
    /// (configs/reference.toml).
    Reference(Args),
    /// Print the same as a page in Markdown (docs/config.md).
    Docs(Args),
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
    };
    print_line(text.trim_end())?;
    Ok(ExitCode::SUCCESS)
}
