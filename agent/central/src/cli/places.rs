//! `kakou-central places`: what the centre has to be told beside the messages.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;

use crate::analysis;
use crate::store::Store;
use crate::table::LARGEST;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Take in organisations, a CSV file with the columns code, name, parent.
    Organisations { file: PathBuf },
    /// Take in sites, a CSV file with the columns site, name, organisation, grid, prefecture,
    /// longitude, latitude.
    Sites { file: PathBuf },
    /// Take in cameras, a CSV file with the columns site, agent, camera, name, device, tollgate.
    Cameras { file: PathBuf },
}

pub async fn run(store: &Store, command: &Command) -> anyhow::Result<ExitCode> {
    let read = |path: &Path| {
        let bytes = kakou_guard::file::read_bounded(path, LARGEST);
        bytes.with_context(|| path.display().to_string())
    };
    let (file, count) = match command {
        Command::Organisations { file } => {
            let done = analysis::organisations(store, &read(file)?).await;
            (file, done.with_context(|| file.display().to_string())?)
        }
        Command::Sites { file } => {
            let done = analysis::sites(store, &read(file)?).await;
            (file, done.with_context(|| file.display().to_string())?)
        }
        Command::Cameras { file } => {
            let done = analysis::cameras(store, &read(file)?).await;
            (file, done.with_context(|| file.display().to_string())?)
        }
    };
    super::say(&format!("{}: {count} taken in", file.display()))?;
    Ok(ExitCode::SUCCESS)
}
