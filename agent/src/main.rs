//! Arguments, logging, exit code.

use std::process::ExitCode;

use clap::Parser;
use kakou::cli::Cli;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = match EnvFilter::try_new(&cli.log) {
        Ok(f) => f,
        Err(e) => {
            eprintln!("kakou: --log {}: {e}", cli.log);
            return ExitCode::from(2);
        }
    };
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match cli.run() {
        Ok(code) => code,
        Err(e) => {
            eprintln!("kakou: {e:#}");
            ExitCode::FAILURE
        }
    }
}
