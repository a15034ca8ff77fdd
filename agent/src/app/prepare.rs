//! Everything about a config that can fail, done before anything is taken into use: the watchlist
//! is read, the models are opened, certificates, passwords and recordings are looked at. A reload goes
//! this way; `crate::check` looks further, and says what to do.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use kakou_sight::vision::ModelPool;
use kakou_time::Clock;

use super::cameras::with_source;
use super::models::Wanted;
use super::watchfile::{ListError, ReadList, read_at_rest};
use crate::config::{BrokerConfig, CameraConfig, CameraSource, Config, ListConfig};

/// How long a list that is still being written is waited for.
const LIST_RESTS_WITHIN: Duration = Duration::from_secs(5);

/// The models of a config, and how many sets of them.
pub fn wanted_models(config: &Config) -> Wanted {
    // More sets than cameras would never be used.
    Wanted {
        choice: config.models.clone(),
        sets: config.workers.min(with_source(config).count()).max(1),
    }
}

/// Opens one set of the models, to see that they can be.
pub fn try_models(config: &Config) -> anyhow::Result<Arc<ModelPool>> {
    let wanted = Wanted {
        sets: 1,
        ..wanted_models(config)
    };
    wanted.open().context("models")
}

/// A watchlist's config with what its file gave.
pub type Tried = (ListConfig, Result<ReadList, ListError>);

/// Reads the watchlists. Blocks for some seconds where one is still being written. One that the
/// platform sends is no reason to refuse a config: it comes, or is asked for.
pub fn watchlist(config: &Config, clock: &dyn Clock) -> anyhow::Result<Vec<Tried>> {
    let read = |l: &ListConfig| match read_at_rest(l, LIST_RESTS_WITHIN, clock) {
        Err(e) if l.delivered.is_none() => Err(e).context("watchlist"),
        read => Ok((l.clone(), read)),
    };
    config.watchlist.iter().map(read).collect()
}

/// Reads one of them.
pub fn list(list: &ListConfig, clock: &dyn Clock) -> anyhow::Result<ReadList> {
    read_at_rest(list, LIST_RESTS_WITHIN, clock).context("watchlist")
}

/// Reads what a connection to the broker needs: certificates, key and password. Returns the files
/// that only the service manager can show.
pub fn broker(broker: &BrokerConfig) -> anyhow::Result<Vec<&Path>> {
    let tls = &broker.tls;
    let (certificate, key) = match &tls.client {
        Some((certificate, key)) => (Some(certificate), Some(key)),
        None => (None, None),
    };
    let of_tls: Vec<&Path> = [tls.ca.as_ref(), certificate, key]
        .into_iter()
        .flatten()
        .map(|p| p.as_path())
        .collect();
    let password = broker
        .login
        .as_ref()
        .and_then(|l| l.password_file.as_deref());
    let mut unseen: Vec<&Path> = of_tls
        .iter()
        .copied()
        .filter(|p| is_credential(p))
        .collect();
    if unseen.is_empty() && broker.addresses.iter().any(|a| a.tls) {
        tls.client_config().context("broker")?;
    }
    match password {
        Some(file) if is_credential(file) => unseen.push(file),
        Some(file) => can_be_read(file).context("broker.password_file")?,
        None => {}
    }
    Ok(unseen)
}

/// Looks whether a camera's files are there. Returns those that only the service manager can show.
pub fn camera(camera: &CameraConfig) -> anyhow::Result<Vec<&Path>> {
    let context = |key: &str| format!("camera {}: {key}", camera.id);
    match &camera.source {
        Some(CameraSource::Recording { path, .. }) => {
            ensure!(
                path.exists(),
                "{}: {}: there is no such file or folder",
                context("url"),
                path.display()
            );
        }
        Some(CameraSource::Live(live)) => match live.password_file.as_deref() {
            Some(file) if is_credential(file) => return Ok(vec![file]),
            Some(file) => can_be_read(file).with_context(|| context("password_file"))?,
            None => {}
        },
        None => {}
    }
    Ok(Vec::new())
}

/// A systemd credential, looked at from outside of the service.
fn is_credential(file: &Path) -> bool {
    std::env::var_os("CREDENTIALS_DIRECTORY").is_none() && file.starts_with("/run/credentials")
}

fn can_be_read(file: &Path) -> anyhow::Result<()> {
    // A pipe or a device is refused before anything is read from it.
    kakou_guard::Secret::from_file(file)?;
    Ok(())
}
