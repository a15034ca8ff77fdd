//! The files of `[[camera]]`: recordings, passwords, certificates.

use std::path::Path;

use kakou_sight::camera::Trust;

use super::broker::found;
use super::credentials::{Found, look};
use super::note::Report;
use super::unit::Unit;
use crate::config::{CameraConfig, CameraSource, Config};

pub(super) fn check(report: &mut Report, config: &Config, unit: Option<&Unit>) {
    for (index, camera) in config.cameras.iter().enumerate() {
        let key = |name: &str| format!("camera.{index}.{name}");
        let mut what = drawn(camera);
        match &camera.source {
            Some(CameraSource::Recording { path, .. }) if !path.exists() => {
                report.error(
                    &key("url"),
                    &format!("{}: there is no such file or folder", path.display()),
                    "write rtsp:// before a camera's address; a path counts from the config's folder",
                );
                what += "; cannot be used";
            }
            Some(CameraSource::Recording { .. }) => {}
            Some(CameraSource::Live(live)) => {
                let mut files: Vec<(String, &Path, bool)> = Vec::new();
                if let Some(file) = &live.password_file {
                    files.push((key("password_file"), file, true));
                }
                if let Trust::Authorities(file) = &live.trust {
                    files.push((key("ca"), file, false));
                }
                let (mut unseen, mut is_whole) = (Vec::new(), true);
                for (key, file, secret) in files {
                    match look(report, &key, file, secret, unit) {
                        Found::Readable => {}
                        Found::Missing => is_whole = false,
                        Found::Unseen => unseen.push(file),
                    }
                }
                if !is_whole {
                    what += "; cannot be used";
                } else if !unseen.is_empty() {
                    what += &format!("; {}", found(&unseen));
                }
            }
            None => {}
        }
        report.see(format!("camera {}", camera.id), &what);
    }
}

/// Its lanes and masks.
pub(super) fn drawn(camera: &CameraConfig) -> String {
    let lanes: Vec<&str> = camera.lanes.iter().map(|l| l.id.as_str()).collect();
    let lanes = match lanes.is_empty() {
        true => "none: the whole picture counts".to_owned(),
        false => lanes.join(", "),
    };
    format!("lanes {lanes}; {} masks", camera.masks.len())
}
