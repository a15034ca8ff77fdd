//! `kakou check-config`: is this config one the agent would run with?

use std::path::PathBuf;
use std::process::ExitCode;

use super::common::print_line;
use crate::config::Config;

/// Check a config file without starting anything. A fault is named with file, line and key; exit code 1.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Config file (TOML). Every key is described in configs/reference.toml.
    file: PathBuf,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let c = Config::read(&args.file)?;
    print_line(&format!("{}: right", args.file.display()))?;
    for warning in &c.warnings {
        print_line(&format!("  warning: {warning}"))?;
    }
    print_line(&format!("  site {}, agent {}", c.site, c.agent))?;
    // Shown without its password.
    let broker = c.broker.as_ref().map_or_else(
        || "none: nothing is published".to_owned(),
        ToString::to_string,
    );
    print_line(&format!("  broker {broker}"))?;
    print_line(&format!(
        "  models {} on {}",
        c.models.location.manifest.display(),
        c.models.provider
    ))?;
    for camera in &c.cameras {
        let lanes: Vec<&str> = camera.lanes.iter().map(|l| l.id.as_str()).collect();
        let lanes = if lanes.is_empty() {
            "none: the whole picture counts".to_owned()
        } else {
            lanes.join(", ")
        };
        print_line(&format!(
            "  camera {}: lanes {lanes}; {} masks",
            camera.id,
            camera.masks.len()
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
