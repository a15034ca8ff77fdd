//! `kakou doctor`: what of this box works, and what to do about the rest.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use kakou_time::{SharedClock, SystemClock};
use serde::Serialize;

use super::common::print_line;
use crate::doctor::{Finding, Limits, Patient, State, examine, usual_config};

/// Try out everything that the agent needs, one line for each finding.
///
/// Config and files, processor, clock, models and their speed, state folder, disk, broker with
/// certificate and rights, and each camera. A running agent is not disturbed: the broker is asked
/// under another client id, and nothing is published. A camera is opened once more meanwhile.
///
/// Exit code 0: no fault (there may be warnings). 1: a fault. 2: wrong arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Config file (TOML). [default: /etc/kakou/kakou.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// State folder; overrides the config's `[outbox] state`.
    #[arg(long, value_name = "DIR", env = "KAKOU_STATE")]
    state: Option<PathBuf>,
    /// How long to wait for a camera's first picture.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    wait: Duration,
    /// How long to listen to a camera after that.
    #[arg(long, value_name = "SECONDS", default_value = "4", value_parser = seconds)]
    seconds: Duration,
    /// Print one JSON object, and nothing else.
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Told {
    version: &'static str,
    config: String,
    faults: usize,
    warnings: usize,
    findings: Vec<Finding>,
}

/// For all that is asked of one broker.
const BROKER: Duration = Duration::from_secs(10);

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.1..=600.0).contains(&value) => Ok(Duration::from_secs_f64(value)),
        _ => Err(format!("`{text}` is outside 0.1 to 600 seconds")),
    }
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let patient = Patient {
        config: args.config.unwrap_or_else(|| usual_config().to_path_buf()),
        state: args.state,
        brokers: true,
        cameras: true,
        limits: Limits {
            picture: args.wait,
            listen: args.seconds,
            broker: BROKER,
        },
    };
    let clock: SharedClock = Arc::new(SystemClock::new());
    let mut findings = Vec::new();
    let mut printed = Ok(());
    examine(&patient, &clock, &mut |finding| {
        // Each line as soon as it is known: the whole takes some seconds.
        if !args.json && printed.is_ok() {
            printed = print_line(&line(&finding));
        }
        findings.push(finding);
    });
    printed?;
    let count = |state: State| findings.iter().filter(|f| f.state == state).count();
    let (faults, warnings) = (count(State::Fault), count(State::Warning));
    if args.json {
        print_line(&serde_json::to_string(&Told {
            version: env!("CARGO_PKG_VERSION"),
            config: patient.config.display().to_string(),
            faults,
            warnings,
            findings,
        })?)?;
    } else {
        print_line(&format!("faults: {faults}, warnings: {warnings}"))?;
    }
    Ok(match faults {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

pub(super) fn line(finding: &Finding) -> String {
    let about = match &finding.about {
        Some(about) => format!("{about}: "),
        None => String::new(),
    };
    let mend = match &finding.mend {
        Some(mend) => format!("; {mend}"),
        None => String::new(),
    };
    format!(
        "{:<8} {:<10} {about}{}{mend}",
        finding.state.word(),
        finding.area.word(),
        finding.message
    )
}
