//! Options that several subcommands share.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::config::Config;
use kakou_sight::models::locate;

#[derive(Debug, Clone, Args)]
pub struct ConfigArgs {
    /// Config file (TOML); without it the defaults of configs/reference.toml hold.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Model manifest, or the folder it lies in; overrides the config. [default:
    /// models/manifest.toml, looked for here and upwards, then beside the program, then
    /// /usr/share/kakou]
    #[arg(long, value_name = "FILE")]
    pub models: Option<PathBuf>,
    /// Threads a model run may use; overrides the config.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub threads: Option<u16>,
}

impl ConfigArgs {
    pub fn load(&self) -> anyhow::Result<Config> {
        let mut config = match &self.config {
            Some(path) => Config::read(path)?,
            None => Config::without_file()?,
        };
        if let Some(m) = &self.models {
            config.models.location = manifest(m);
        }
        if let Some(n) = self.threads {
            config.models.threads = usize::from(n);
        }
        Ok(config)
    }
}

/// A manifest may be named by its folder.
pub fn manifest(given: &Path) -> kakou_sight::models::Location {
    let file = if given.is_dir() {
        given.join("manifest.toml")
    } else {
        given.to_path_buf()
    };
    locate(Some(&file))
}

/// Prints a line to stdout; a reader that has gone (`| head`) ends the program quietly.
pub fn print_line(line: &str) -> anyhow::Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{line}").and_then(|()| out.flush()) {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        other => Ok(other?),
    }
}
