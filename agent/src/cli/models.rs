//! `kakou models`: are the models there, and the right ones?

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use super::common::{manifest, print_line};
use kakou_sight::models::{FileState, Manifest, locate, verify};

/// Look after the models.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check that every file of the manifest is there, whole and unaltered. Exit code 1 if one is
    /// not.
    Verify {
        /// Model manifest, or the folder it lies in. [default: models/manifest.toml, looked for
        /// here and upwards]
        #[arg(long, value_name = "FILE")]
        models: Option<PathBuf>,
    },
}

pub fn run(command: Command) -> anyhow::Result<ExitCode> {
    let Command::Verify { models } = command;
    let location = models.map_or_else(|| locate(None), |m| manifest(&m));
    let m = Manifest::read(&location.manifest)?;
    let files = verify(&m, &location.cache)?;
    let mut faults = 0;
    for f in &files {
        let mark = match f.state {
            FileState::Right => "right    ",
            FileState::Unchecked => "unchecked",
            _ => "WRONG    ",
        };
        print_line(&format!("{mark}  {:28} {}", f.name, f.path.display()))?;
        if f.state.is_fault() {
            faults += 1;
            eprintln!("kakou: {}: {} {}", f.name, f.path.display(), f.state);
        }
    }
    if faults > 0 {
        eprintln!(
            "kakou: {faults} of {} files are not right; run `make models` to fetch them again",
            files.len()
        );
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
