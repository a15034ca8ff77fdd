//! Secrets, in files of their own or given by systemd.

use std::path::Path;

use super::note::Report;
use super::readable::{fault, open_to_others};
use super::unit::Unit;

/// Where systemd puts what it gives to the service.
const GIVEN: &str = "/run/credentials";

/// What was found of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Readable,
    /// Told as an error.
    Missing,
    /// Only the service has it.
    Unseen,
}

/// A file that the config names and that may be secret. `secret`: others must not read it.
pub(super) fn look(
    report: &mut Report,
    key: &str,
    file: &Path,
    secret: bool,
    unit: Option<&Unit>,
) -> Found {
    let in_service = std::env::var_os("CREDENTIALS_DIRECTORY").map(std::path::PathBuf::from);
    if let Some(folder) = &in_service
        && file.starts_with(folder)
    {
        return given(report, key, file);
    }
    if in_service.is_none() && file.starts_with(GIVEN) {
        return from_outside(report, key, file, unit);
    }
    if let Some((message, mend)) = fault(file) {
        report.error(key, &message, &mend);
        return Found::Missing;
    }
    if secret && let Some((message, mend)) = open_to_others(file) {
        report.warning(key, &message, &mend);
    }
    Found::Readable
}

fn name(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn how(name: &str) -> String {
    format!(
        "write LoadCredential={name}:/etc/kakou/secrets/{name} by `systemctl edit kakou`, and the \
         secret into that file (root's, mode 0600)"
    )
}

/// Within the service: it is there, or the unit does not give it.
fn given(report: &mut Report, key: &str, file: &Path) -> Found {
    if fault(file).is_none() {
        return Found::Readable;
    }
    let name = name(file);
    report.error(
        key,
        &format!("the service has no credential `{name}`"),
        &how(&name),
    );
    Found::Missing
}

/// From outside of the service the unit says what it will be given.
fn from_outside(report: &mut Report, key: &str, file: &Path, unit: Option<&Unit>) -> Found {
    // Root sees what the running service has.
    if fault(file).is_none() {
        return Found::Readable;
    }
    let name = name(file);
    let Some(unit) = unit else {
        return Found::Unseen;
    };
    match unit.credential(&name) {
        None if unit.imports => Found::Unseen,
        None => {
            let message = format!("kakou.service has no LoadCredential= for `{name}`");
            report.error(key, &message, &how(&name));
            Found::Missing
        }
        Some(credential) => match &credential.path {
            Some(path) if is_missing(path) => {
                let message = format!(
                    "kakou.service loads `{name}` from {}, and there is no such file",
                    path.display()
                );
                report.error(
                    key,
                    &message,
                    "write the secret into that file (root's, mode 0600)",
                );
                Found::Missing
            }
            _ => Found::Unseen,
        },
    }
}

/// A folder that may not be looked into says nothing.
fn is_missing(file: &Path) -> bool {
    std::fs::metadata(file).is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound)
}
