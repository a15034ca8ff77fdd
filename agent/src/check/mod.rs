//! What can be found wrong with a config before anything is started: in its text, in the files it
//! names, and in the folders that are written to. `kakou check-config` shows it, `kakou doctor`
//! begins with it.
//!
//! Nothing is made, changed or connected to. Each note has a place (file, and where it can line and
//! key) and says what to do. Values that may be secret are never repeated.
//!
//! | file | what it looks at |
//! | --- | --- |
//! | `note` | what is said, and where |
//! | `ids` | site and agent of an example; a config that only `kakou replay` can use |
//! | `readable` | whether the service's user can read the config; whether a file can be read |
//! | `broker`, `cameras`, `lists`, `models` | the files of each section |
//! | `panel` | the page's certificate, and whether anybody may use it |
//! | `folders` | the state folder and the metrics file's |
//! | `credentials`, `unit` | whether the service is given the secrets that it asks for |

mod broker;
mod cameras;
mod credentials;
mod folders;
mod ids;
mod lists;
mod models;
mod note;
mod panel;
mod readable;
mod unit;

use std::path::Path;

use kakou_time::Clock;

use crate::config::{Config, ConfigError, Places};

pub(crate) use folders::nearest;
pub use note::{Kind, Note, Report};
pub(crate) use unit::Unit;

/// How far to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// The text alone, for a config that is written on another machine.
    Text,
    /// The files that it names too.
    Files,
    /// All but the models: they are opened by somebody else.
    FilesWithoutModels,
}

/// Reads a config and looks at it. The config, if it can be used.
pub fn check(file: &Path, depth: Depth, clock: &dyn Clock) -> (Report, Option<Config>) {
    let (config, places) = match Config::read_with_places(file) {
        Ok(read) => read,
        Err(e) => return (refused(file, e), None),
    };
    let mut report = Report::new(file, places);
    for warning in &config.warnings {
        report.told(Kind::Warning, warning);
    }
    ids::check(&mut report, &config);
    if depth == Depth::Text {
        report.seen_text(&config);
    } else {
        let unit = Unit::installed();
        readable::config(&mut report, &config, unit.as_ref());
        broker::check(&mut report, &config, unit.as_ref(), clock);
        if depth == Depth::Files {
            models::check(&mut report, &config);
        }
        panel::check(&mut report, &config, unit.as_ref());
        lists::check(&mut report, &config, unit.as_ref(), clock);
        folders::check(&mut report, &config);
        cameras::check(&mut report, &config, unit.as_ref());
    }
    report.in_order();
    (report, Some(config))
}

/// Why models cannot be opened: the key that it is about, and what to do after a semicolon.
pub(crate) fn model_fault(error: &anyhow::Error) -> (&'static str, String) {
    models::told(error, true)
}

/// A config that cannot be used.
fn refused(file: &Path, error: ConfigError) -> Report {
    let mut report = Report::new(file, Places::default());
    match error {
        ConfigError::Wrong {
            findings, warnings, ..
        } => {
            for finding in &findings {
                report.told(Kind::Error, finding);
            }
            for warning in &warnings {
                report.told(Kind::Warning, warning);
            }
            report.in_order();
        }
        ConfigError::Syntax { line, reason, .. } => report.at_line(line, &reason),
        ConfigError::Read { reason, .. } => {
            report.of_file(Kind::Error, &reason, &readable::mend_of_config(file));
        }
    }
    report
}
