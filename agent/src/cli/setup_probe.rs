//! A camera that is not in a config yet, tried as the agent would.

use std::io::Write;

use anyhow::Context;
use kakou_sight::camera::LiveConfig;
use kakou_time::SharedClock;

use super::setup_camera::Camera;
use crate::doctor::{Finding, Limits, live_camera};

/// What came of it, in the doctor's words.
pub fn try_camera(
    camera: &Camera,
    limits: Limits,
    clock: &SharedClock,
) -> anyhow::Result<Vec<Finding>> {
    let mut config = LiveConfig::new(camera.url.parse()?);
    // The password is read from a file at each connection; nobody else can read this one, and it is
    // gone afterwards.
    let mut secret = tempfile::NamedTempFile::new().context("a file for the password")?;
    if let Some(account) = &camera.account {
        secret
            .write_all(account.password.reveal().as_bytes())
            .and_then(|()| secret.flush())
            .context("a file for the password")?;
        config.user = Some(account.user.clone());
        config.password_file = Some(secret.path().to_path_buf());
    }
    Ok(live_camera(camera.id.as_str(), &config, limits, clock))
}
