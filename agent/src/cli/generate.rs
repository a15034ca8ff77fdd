//! `kakou generate`: what a package installs beside the program.
//!
//! Made by the program itself, so that pages and completions name the very commands and options
//! that it was built with.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;

use super::Cli;

/// Write man pages or shell completions into a folder.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// A man page for each command, `kakou.1`, `kakou-run.1` and so on.
    Man(Args),
    /// Completions for bash, zsh and fish.
    Completions(Args),
}

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder; it is made if it is missing.
    #[arg(value_name = "DIR")]
    into: PathBuf,
}

pub fn run(command: &Command) -> anyhow::Result<ExitCode> {
    let (args, write): (_, fn(&Path) -> std::io::Result<()>) = match command {
        Command::Man(args) => (args, man),
        Command::Completions(args) => (args, completions),
    };
    let into = &args.into;
    std::fs::create_dir_all(into)
        .and_then(|()| write(into))
        .with_context(|| format!("{} cannot be written", into.display()))?;
    Ok(ExitCode::SUCCESS)
}

fn man(into: &Path) -> std::io::Result<()> {
    clap_mangen::generate_to(Cli::command(), into)
}

fn completions(into: &Path) -> std::io::Result<()> {
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut Cli::command(), "kakou", into)?;
    }
    Ok(())
}
