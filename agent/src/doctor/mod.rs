//! `kakou doctor`: what of this box works, tried out, with one line for each finding.
//!
//! It begins with all that [`crate::check`] finds in the config and goes on to what only a trial
//! can tell. Every trial has a time limit, and none disturbs an agent that runs: the broker is
//! asked under another client id, nothing is published, the outbox is read and not opened, and in
//! the state folder one small file is written and removed.
//!
//! | file | what it tries |
//! | --- | --- |
//! | `finding` | what is said of a thing, and how bad it is |
//! | `machine` | processor and clock |
//! | `speed` | the models, and how many looks a second they make |
//! | `state` | the state folder: whose it is, whether an agent has it open |
//! | `disk` | room, the time that a commit takes, how worn the disk is |
//! | `broker` | connection, certificate, rights on each family of topics |
//! | `camera` | codec, size, rate, key pictures, time stamps; or a recording |

mod broker;
mod camera;
mod disk;
mod finding;
mod machine;
mod speed;
mod state;

use std::path::{Path, PathBuf};
use std::time::Duration;

use kakou_time::SharedClock;

use crate::check::{Depth, Kind, Note, Unit, check};
use crate::config::Config;

pub use camera::live_camera;
pub use finding::{Area, Finding, State};

/// How long trials may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For the first picture of a camera.
    pub picture: Duration,
    /// How long a camera is listened to after that.
    pub listen: Duration,
    /// For all that is asked of one broker.
    pub broker: Duration,
}

/// What is examined.
pub struct Patient {
    pub config: PathBuf,
    /// In place of the config's own, as `kakou run --state` has it.
    pub state: Option<PathBuf>,
    pub brokers: bool,
    pub cameras: bool,
    pub limits: Limits,
}

/// Examines a box; each finding is handed on as soon as it is known.
pub fn examine(patient: &Patient, clock: &SharedClock, tell: &mut dyn FnMut(Finding)) {
    let (report, config) = check(&patient.config, Depth::FilesWithoutModels, &**clock);
    for note in &report.notes {
        tell(of_note(note));
    }
    let usable = report.is_usable();
    if usable {
        let file = patient.config.display();
        tell(Finding::ok(Area::Config, format!("{file} can be used")));
    }
    tell(machine::processor());
    tell(machine::clock(clock.status()));
    let Some(mut config) = config else {
        return;
    };
    if let Some(state) = &patient.state {
        config.keep_lists_in(state);
        config.outbox.state.clone_from(state);
    }
    trials(&config, clock, tell);
    connections(&config, patient, clock, tell);
}

/// What is tried on this machine alone.
fn trials(config: &Config, clock: &SharedClock, tell: &mut dyn FnMut(Finding)) {
    let unit = Unit::installed();
    // First, and alone: everything else takes time away from it.
    speed::examine(config, clock, tell);
    state::examine(config, unit.as_ref(), tell);
    disk::examine(config, tell);
}

fn connections(
    config: &Config,
    patient: &Patient,
    clock: &SharedClock,
    tell: &mut dyn FnMut(Finding),
) {
    let limits = patient.limits;
    // Their topics are tried at the broker all the same.
    let tried = match patient.cameras {
        true => config.cameras.as_slice(),
        false => &[],
    };
    std::thread::scope(|scope| {
        let cameras: Vec<_> = tried
            .iter()
            .map(|camera| scope.spawn(move || camera::examine(camera, limits, clock)))
            .collect();
        if patient.brokers {
            broker::examine(config, limits.broker, clock, tell);
        }
        for (camera, found) in tried.iter().zip(cameras) {
            match found.join() {
                Ok(findings) => findings.into_iter().for_each(&mut *tell),
                Err(_) => tell(
                    Finding::fault(Area::Camera, "the trial itself broke off")
                        .about(&camera.id)
                        .mend("report this with the lines above it"),
                ),
            }
        }
    });
}

/// What was found without a trial.
fn of_note(note: &Note) -> Finding {
    let place = match (note.line, &note.key) {
        (Some(line), Some(key)) => format!("line {line}: {key}: "),
        (Some(line), None) => format!("line {line}: "),
        (None, Some(key)) => format!("{key}: "),
        (None, None) => String::new(),
    };
    let message = format!("{place}{}", note.message);
    let finding = match note.kind {
        Kind::Error => Finding::fault(Area::Config, message),
        Kind::Warning => Finding::warning(Area::Config, message),
    };
    match &note.mend {
        Some(mend) => finding.about(&note.file).mend(mend),
        None => finding.about(&note.file),
    }
}

/// The config of an installed agent.
pub fn usual_config() -> &'static Path {
    Path::new("/etc/kakou/kakou.toml")
}
