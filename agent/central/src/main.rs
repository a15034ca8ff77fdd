//! `kakou-central`: the command line.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    kakou_central::cli::main(kakou_central::cli::Args::parse())
}
