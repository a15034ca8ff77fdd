//! The files of `[broker]`: certificates, key and password.

use std::path::Path;

use kakou_time::Clock;
use kakou_uplink::{TlsError, certificate};

use super::credentials::{Found, look};
use super::note::{Kind, Report};
use super::unit::Unit;
use crate::config::{BrokerConfig, Config};

/// A certificate that ends so soon should be renewed now.
const SOON_DAYS: i64 = 30;

pub(super) fn check(report: &mut Report, config: &Config, unit: Option<&Unit>, clock: &dyn Clock) {
    let Some(broker) = &config.broker else {
        return;
    };
    let files = files(broker);
    let (mut unseen, mut is_whole) = (Vec::new(), true);
    for (key, file, secret) in &files {
        match look(report, key, file, *secret, unit) {
            Found::Readable => {}
            Found::Missing => is_whole = false,
            Found::Unseen => unseen.push(*file),
        }
    }
    if is_whole
        && unseen.is_empty()
        && broker.addresses.iter().any(|a| a.tls)
        && let Err(e) = broker.tls.client_config()
    {
        is_whole = false;
        refused(report, broker, &e);
    }
    for (key, file, secret) in &files {
        if !secret && !unseen.contains(file) {
            dates(report, key, file, clock);
        }
    }
    if let Some(login) = &broker.login
        && let Some(file) = &login.password_file
        && std::fs::metadata(file).is_ok_and(|about| about.is_file() && about.len() == 0)
    {
        let message = format!("{} is empty", file.display());
        report.warning(
            "broker.password_file",
            &message,
            "write the password into it",
        );
    }
    let found = match is_whole {
        true => found(&unseen),
        false => "cannot be used".to_owned(),
    };
    // Shown without its password.
    report.see(format!("broker {broker}"), &found);
}

/// The key, the file, and whether it is secret.
fn files(broker: &BrokerConfig) -> Vec<(&'static str, &Path, bool)> {
    let mut files: Vec<(&'static str, &Path, bool)> = Vec::new();
    if let Some(ca) = &broker.tls.ca {
        files.push(("broker.ca", ca, false));
    }
    if let Some((certificate, key)) = &broker.tls.client {
        files.push(("broker.certificate", certificate, false));
        files.push(("broker.key", key, true));
    }
    if let Some(password) = broker.login.as_ref().and_then(|l| l.password_file.as_ref()) {
        files.push(("broker.password_file", password, true));
    }
    files
}

fn refused(report: &mut Report, broker: &BrokerConfig, error: &TlsError) {
    let key_file = broker.tls.client.as_ref().map(|(_, key)| key);
    let certificate = broker
        .tls
        .client
        .as_ref()
        .map(|(certificate, _)| certificate);
    let (key, mend) = match error {
        TlsError::File { path, .. } if Some(path) == key_file => (
            "broker.key",
            "name the private key in PEM that belongs to `certificate`",
        ),
        TlsError::File { path, .. } if Some(path) == certificate => {
            ("broker.certificate", "name the agent's certificate in PEM")
        }
        TlsError::File { .. } => (
            "broker.ca",
            "name a file of certificates in PEM; it begins with -----BEGIN CERTIFICATE-----",
        ),
        TlsError::NoRoots { .. } => ("broker.ca", ""),
        TlsError::Client { .. } => (
            "broker.certificate",
            "give a certificate and the key that belongs to it",
        ),
    };
    report.error(key, &error.to_string(), mend);
}

/// Until when the certificates of a file hold.
fn dates(report: &mut Report, key: &str, file: &Path, clock: &dyn Clock) {
    // A file that is no certificate has been told.
    let Ok(all) = certificate::of_file(file) else {
        return;
    };
    let Some(ends) = all.iter().map(|dates| dates.not_after).min() else {
        return;
    };
    let now = clock.wall();
    let day = ends.format("%Y-%m-%d");
    let left = ends.signed_duration_since(now);
    if left < chrono::TimeDelta::zero() {
        let message = format!("a certificate of {} ended on {day}", file.display());
        // Of a bundle the others may do.
        let kind = if all.len() == 1 {
            Kind::Error
        } else {
            Kind::Warning
        };
        report.note(
            kind,
            key,
            &message,
            "put a renewed one there, or set the clock right",
        );
    } else if left < chrono::TimeDelta::days(SOON_DAYS) {
        let message = format!("a certificate of {} ends on {day}", file.display());
        report.warning(
            key,
            &message,
            "put a renewed one there; no restart is needed",
        );
    }
}

pub(super) fn found(unseen: &[&Path]) -> String {
    if unseen.is_empty() {
        return "its files can be read".to_owned();
    }
    let names: Vec<_> = unseen.iter().map(|p| p.display().to_string()).collect();
    format!(
        "not looked at, for only the service has them, by LoadCredential= in its unit: {}",
        names.join(", ")
    )
}
