//! Arguments, logging, exit code.

use std::process::ExitCode;

use clap::Parser;
use kakou::cli::Cli;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

fn main() -> ExitCode {
    no_core();
    let cli = Cli::parse();
    if let Err(e) = kakou::log::begin(&cli.log) {
        eprintln!("kakou: --log {}: {e}", cli.log);
        return ExitCode::from(2);
    }
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
