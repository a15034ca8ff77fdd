//! Arguments, logging, exit code.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use kakou::cli::Cli;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // The demo's broker reports every client that leaves as an error.
    let filter = match EnvFilter::try_new(format!("{},rumqttd=off", cli.log)) {
        Ok(f) => f,
        Err(e) => {
            eprintln!("kakou: --log {}: {e}", cli.log);
            return ExitCode::from(2);
        }
    };
    let colours = std::io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colours)
        .with_writer(std::io::stderr)
        .init();
    match cli.run() {
        Ok(code) => code,
        Err(e) => {
            eprintln!("kakou: {e:#}");
            ExitCode::FAILURE
        }
    }
}
