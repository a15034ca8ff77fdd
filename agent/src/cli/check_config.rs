//! `kakou check-config`: is this config one the agent would run with?

use std::path::PathBuf;
use std::process::ExitCode;

use kakou_time::SystemClock;
use serde::Serialize;

use super::common::print_line;
use crate::check::{Depth, Kind, Note, Report, check};

/// Check a config file without starting anything.
///
/// A fault in the text is told with file, line, key and what to write instead. Then the files that
/// it names are opened as the agent would open them: models, watchlists, certificates, passwords,
/// recordings; and the folders that it would write to are looked at. The outbox is left alone, and
/// no connection is made: `kakou doctor` tries those.
///
/// Exit code 0: the agent would run with it. 1: it would not, or with --strict there are warnings.
/// 2: wrong arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Config file (TOML). Every key is described in configs/reference.toml.
    file: PathBuf,
    /// Check the text alone, for a config that is written on another machine.
    #[arg(long)]
    no_files: bool,
    /// A warning is an error too, for the exit code.
    #[arg(long)]
    strict: bool,
    /// Print one JSON object, and nothing else.
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Told<'a> {
    file: String,
    /// Whether the agent would run with it.
    usable: bool,
    errors: usize,
    warnings: usize,
    findings: &'a [Note],
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let depth = match args.no_files {
        true => Depth::Text,
        false => Depth::Files,
    };
    let (report, _) = check(&args.file, depth, &SystemClock::new());
    let (errors, warnings) = (report.count(Kind::Error), report.count(Kind::Warning));
    if args.json {
        print_line(&serde_json::to_string(&Told {
            file: args.file.display().to_string(),
            usable: report.is_usable(),
            errors,
            warnings,
            findings: &report.notes,
        })?)?;
    } else {
        show(&report, errors, warnings)?;
    }
    Ok(match errors > 0 || (args.strict && warnings > 0) {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}

fn show(report: &Report, errors: usize, warnings: usize) -> anyhow::Result<()> {
    let file = report.file().display();
    let of = |kind: Kind| report.notes.iter().filter(move |note| note.kind == kind);
    let outcome = match (errors, warnings) {
        (0, 0) => "right".to_owned(),
        (0, n) => format!("right, with {}", counted(n, "warning")),
        (n, 0) => counted(n, "error"),
        (n, m) => format!("{}, {}", counted(n, "error"), counted(m, "warning")),
    };
    print_line(&format!("{file}: {outcome}"))?;
    for line in &report.seen {
        print_line(&format!("  {line}"))?;
    }
    for warning in of(Kind::Warning) {
        print_line(&format!("  warning: {warning}"))?;
    }
    for error in of(Kind::Error) {
        eprintln!("kakou: {file}: {error}");
    }
    Ok(())
}

fn counted(n: usize, what: &str) -> String {
    match n {
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    }
}
