//! `kakou check-config`: is this config one the agent would run with?

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use kakou_time::{Clock, SystemClock};

use super::common::print_line;
use crate::app::prepare;
use crate::app::watchfile::ListError;
use crate::config::{BrokerConfig, CameraConfig, Config};

/// Check a config file without starting anything. Exit code 1 if it has a fault.
///
/// A fault in the text is named with file, line and key. Then the files that it names are opened as
/// the agent would open them: models, watchlist, certificates, passwords, recordings. The outbox is
/// left alone, and no connection is made.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Config file (TOML). Every key is described in configs/reference.toml.
    file: PathBuf,
    /// Check the text alone, for a config that is written on another machine.
    #[arg(long)]
    no_files: bool,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let config = Config::read(&args.file)?;
    let report = Report::of(&config, args.no_files, &SystemClock::new());
    let file = args.file.display();
    if report.faults.is_empty() {
        print_line(&format!("{file}: right"))?;
    } else {
        print_line(&format!(
            "{file}: the text is right, and what it names is not"
        ))?;
    }
    for warning in &config.warnings {
        print_line(&format!("  warning: {warning}"))?;
    }
    for line in &report.lines {
        print_line(&format!("  {line}"))?;
    }
    for fault in &report.faults {
        eprintln!("kakou: {file}: {fault}");
    }
    Ok(match report.faults.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// What is said of a config: each thing with what was found of it, and what cannot be used.
#[derive(Default)]
struct Report {
    lines: Vec<String>,
    faults: Vec<String>,
}

impl Report {
    fn of(config: &Config, no_files: bool, clock: &dyn Clock) -> Self {
        let mut report = Self::default();
        report.line(format!("site {}, agent {}", config.site, config.agent), "");
        match &config.broker {
            Some(broker) => report.broker(broker, no_files),
            None => report.line("broker none: nothing is published", ""),
        }
        report.models(config, no_files);
        report.watchlist(config, no_files, clock);
        for camera in &config.cameras {
            report.camera(camera, no_files);
        }
        report
    }

    /// A thing, and what was found of it where anything was looked for.
    fn line(&mut self, what: impl Display, found: &str) {
        self.lines.push(match found.is_empty() {
            true => what.to_string(),
            false => format!("{what}: {found}"),
        });
    }

    fn fault(&mut self, error: &anyhow::Error) -> String {
        self.faults.push(format!("{error:#}"));
        "cannot be used".to_owned()
    }

    fn broker(&mut self, broker: &BrokerConfig, no_files: bool) {
        let found = match no_files {
            true => String::new(),
            false => match prepare::broker(broker) {
                Ok(unseen) => files(&unseen),
                Err(e) => self.fault(&e),
            },
        };
        // Shown without its password.
        self.line(format!("broker {broker}"), &found);
    }

    fn models(&mut self, config: &Config, no_files: bool) {
        let choice = &config.models;
        let found = match no_files {
            true => String::new(),
            false => match prepare::try_models(config) {
                Ok(pool) => {
                    let used = pool.used().iter();
                    let named: Vec<_> = used.map(|(name, v)| format!("{name} {v}")).collect();
                    format!("opened {}", named.join(", "))
                }
                Err(e) => self.fault(&e),
            },
        };
        let manifest = choice.location.manifest.display();
        self.line(format!("models {manifest} on {}", choice.provider), &found);
    }

    fn watchlist(&mut self, config: &Config, no_files: bool, clock: &dyn Clock) {
        for list in &config.watchlist {
            let found = match no_files {
                true => String::new(),
                false => match prepare::list(list, clock) {
                    Ok(read) => {
                        let (plates, refused) = (read.list.len(), read.refused);
                        format!(
                            "{plates} plates; lines that cannot be used: {refused}; {}",
                            read.told
                        )
                    }
                    Err(e) if matches!(e.downcast_ref(), Some(ListError::Undelivered)) => {
                        "the platform sends it; nothing is here yet".to_owned()
                    }
                    Err(e) => self.fault(&e),
                },
            };
            self.line(format!("watchlist {}", list.file.display()), &found);
        }
    }

    fn camera(&mut self, camera: &CameraConfig, no_files: bool) {
        let lanes: Vec<&str> = camera.lanes.iter().map(|l| l.id.as_str()).collect();
        let lanes = match lanes.is_empty() {
            true => "none: the whole picture counts".to_owned(),
            false => lanes.join(", "),
        };
        let mut found = format!("lanes {lanes}; {} masks", camera.masks.len());
        if !no_files {
            match prepare::camera(camera) {
                Ok(unseen) if unseen.is_empty() => {}
                Ok(unseen) => found = format!("{found}; {}", files(&unseen)),
                Err(e) => found = format!("{found}; {}", self.fault(&e)),
            }
        }
        self.line(format!("camera {}", camera.id), &found);
    }
}

fn files(unseen: &[&Path]) -> String {
    if unseen.is_empty() {
        return "its files can be read".to_owned();
    }
    let names: Vec<_> = unseen.iter().map(|p| p.display().to_string()).collect();
    format!(
        "not looked at, for only the service has them: {}",
        names.join(", ")
    )
}
