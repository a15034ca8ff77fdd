//! Who can read what. Checks run as whoever calls them, mostly root; the service runs as a user of
//! its own.

use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::note::{Kind, Report};
use super::unit::Unit;
use crate::config::Config;

/// What to do about a config file that cannot be read.
pub(super) fn mend_of_config(file: &Path) -> String {
    match std::fs::metadata(file).map_err(|e| e.kind()) {
        Err(ErrorKind::NotFound) => "name the config file such as /etc/kakou/kakou.toml".to_owned(),
        Ok(about) if about.is_dir() => {
            format!(
                "name the file itself, as {}",
                file.join("kakou.toml").display()
            )
        }
        _ => "call it as root, or give the file to your group".to_owned(),
    }
}

/// Whether the service's user can read the config, and who else can.
pub(super) fn config(report: &mut Report, config: &Config, unit: Option<&Unit>) {
    let file = report.file().to_path_buf();
    let Ok(about) = std::fs::metadata(&file) else {
        return;
    };
    let mode = about.permissions().mode();
    let runs_as = unit.and_then(|unit| unit.user.as_deref());
    if let Some(user) = runs_as
        && user != "root"
        && unit.and_then(Unit::uid) != Some(about.uid())
        && mode & 0o004 == 0
        && (mode & 0o040 == 0 || about.gid() == 0)
    {
        let shown = file.display();
        report.of_file(
            Kind::Error,
            &format!(
                "the service runs as `{user}`, who cannot read this file (mode {:04o})",
                mode & 0o7777
            ),
            &format!("run: chown root:{user} {shown} && chmod 0640 {shown}"),
        );
    }
    let has_password = config.broker.as_ref().is_some_and(|broker| {
        let users = broker.addresses.iter().filter_map(|a| a.user.as_ref());
        users.into_iter().any(|user| !user.password.is_empty())
    });
    if has_password && mode & 0o004 != 0 {
        let key = if report.is_written("broker.urls") {
            "broker.urls"
        } else {
            "broker.url"
        };
        report.warning(
            key,
            &format!(
                "a password stands in a file that everybody on this machine can read (mode {:04o})",
                mode & 0o7777
            ),
            "write `user` and `password_file` instead, or take the right to read from others",
        );
    }
}

/// Why a file that the config names cannot be read, and what to do.
pub(super) fn fault(file: &Path) -> Option<(String, String)> {
    let shown = file.display();
    match std::fs::metadata(file) {
        Ok(about) if about.is_dir() => Some((
            format!("{shown} is a folder"),
            "name the file itself".to_owned(),
        )),
        Ok(_) => match std::fs::File::open(file) {
            Ok(_) => None,
            Err(e) => Some((
                format!("{shown} cannot be read: {}", plain(&e)),
                "give it to the user who asks, or call this as root".to_owned(),
            )),
        },
        Err(e) if e.kind() == ErrorKind::NotFound => Some((
            format!("{shown}: there is no such file"),
            "put it there, or write its whole path: a relative one counts from the config's folder"
                .to_owned(),
        )),
        Err(e) => Some((
            format!("{shown} cannot be looked at: {}", plain(&e)),
            "call this as root, or mend the rights of the folders above it".to_owned(),
        )),
    }
}

/// A secret that others can read is none.
pub(super) fn open_to_others(file: &Path) -> Option<(String, String)> {
    let mode = std::fs::metadata(file).ok()?.permissions().mode();
    (mode & 0o007 != 0).then(|| {
        (
            format!(
                "{} is open to everybody on this machine (mode {:04o})",
                file.display(),
                mode & 0o7777
            ),
            format!("run: chmod o= {}", file.display()),
        )
    })
}

/// The system's words without its number.
pub(super) fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}
