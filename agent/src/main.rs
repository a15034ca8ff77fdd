//! Arguments, logging, exit code.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use kakou::cli::Cli;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    no_core();
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

/// A dump of this process would hold passwords, plates and pictures. One byte and not none: where
/// dumps go to a program, a limit of none is not looked at.
fn no_core() {
    let most = getrlimit(Resource::Core).maximum;
    let limit = Some(most.map_or(1, |most| most.min(1)));
    // It fails only where more is asked for than is allowed.
    let _ = setrlimit(
        Resource::Core,
        Rlimit {
            current: limit,
            maximum: limit,
        },
    );
}
