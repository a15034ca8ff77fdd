//! A config that the page changed, where the agent may not write it: the agent lays it into its state
//! folder, and a helper of the system, which runs as root and does nothing else, takes it (`kakou
//! config take`, systemd/helper/kakou-config.path). The helper believes the agent nothing: it takes
//! only what differs in lanes, masks and `plate_side`, and only what the agent would run with.

use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use kakou_guard::file::{read_bounded, read_inside, replace_durably};
use kakou_time::Stopwatch;
use toml::{Table, Value};

use crate::config::{Config, LARGEST};

const PROPOSAL: &str = "config.proposed.toml";
const REFUSED: &str = "config.refused";
/// The unit says by this that the helper is there.
const HELPER: &str = "KAKOU_CONFIG_HELPER";
/// The helper starts within moments.
const WITHIN: Duration = Duration::from_secs(20);

/// Whether there is a helper that takes proposals.
pub fn is_helped() -> bool {
    std::env::var_os(HELPER).is_some_and(|set| set == "1")
}

/// Lays a config down and waits until it is taken. `Err`: why it was not.
pub fn propose(state: &Path, config: &Path, text: &str) -> anyhow::Result<()> {
    let (proposal, refused) = (state.join(PROPOSAL), state.join(REFUSED));
    // A word on an earlier one.
    let _ = std::fs::remove_file(&refused);
    replace_durably(&proposal, 0o640, |file| file.write_all(text.as_bytes()))
        .with_context(|| proposal.display().to_string())?;
    let began = Stopwatch::start();
    while began.elapsed() < WITHIN {
        if read_bounded(config, LARGEST).is_ok_and(|now| now == text.as_bytes()) {
            return Ok(());
        }
        if let Ok(why) = read_inside(state, Path::new(REFUSED), LARGEST) {
            anyhow::bail!(
                "{}",
                kakou_guard::presentable(&String::from_utf8_lossy(&why))
            );
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let _ = std::fs::remove_file(&proposal);
    anyhow::bail!("the system's helper did not take it; see: journalctl -u kakou-config")
}

/// The helper's work. What lies in the state folder is gone after it, taken or not.
pub fn take(state: &Path, config: &Path) -> anyhow::Result<PathBuf> {
    let taken = read_inside(state, Path::new(PROPOSAL), LARGEST)
        .map_err(anyhow::Error::from)
        .and_then(|new| taken(config, &new));
    let gone = std::fs::remove_file(state.join(PROPOSAL));
    if let Err(e) = &taken {
        let owner = std::fs::metadata(state)?;
        replace_durably(&state.join(REFUSED), 0o640, |file| {
            file.write_all(format!("{e:#}").as_bytes())?;
            given(file, &owner)
        })?;
    }
    gone.with_context(|| state.join(PROPOSAL).display().to_string())?;
    taken
}

fn taken(path: &Path, new: &[u8]) -> anyhow::Result<PathBuf> {
    let old = read_bounded(path, LARGEST)?;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).context("it is not UTF-8");
    let (old, new) = (text(&old)?, text(new)?);
    ensure!(
        rest_of(&old)? == rest_of(&new)?,
        "it changes more than lanes, masks and plate_side"
    );
    Config::parse(&new, path)?;
    let metadata = std::fs::metadata(path).with_context(|| path.display().to_string())?;
    let kept = path.with_file_name(backup_name(path)?);
    let put = |to: &Path, text: &str| {
        replace_durably(to, metadata.permissions().mode() & 0o777, |file| {
            file.write_all(text.as_bytes())?;
            given(file, &metadata)
        })
        .with_context(|| to.display().to_string())
    };
    put(&kept, &old)?;
    put(path, &new)?;
    Ok(kept)
}

/// Who is root gives a file to whom it belongs; others can give nothing away.
fn given(file: &std::fs::File, owner: &std::fs::Metadata) -> std::io::Result<()> {
    match rustix::process::geteuid().is_root() {
        true => fchown(file, Some(owner.uid()), Some(owner.gid())),
        false => Ok(()),
    }
}

/// The name under which a config is kept: its own, with the time of its last change.
pub fn backup_name(path: &Path) -> anyhow::Result<String> {
    let metadata = std::fs::metadata(path).with_context(|| path.display().to_string())?;
    let changed: chrono::DateTime<chrono::Utc> = metadata.modified()?.into();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(format!("{name}.{}", changed.format("%Y%m%dT%H%M%S%.3fZ")))
}

/// A config without what the page may change.
fn rest_of(text: &str) -> anyhow::Result<Table> {
    let mut table: Table = text
        .parse()
        .map_err(|e: toml::de::Error| anyhow::anyhow!("{}", e.message()))?;
    if let Some(Value::Table(vision)) = table.get_mut("vision") {
        vision.remove("plate_side");
        // A section that was made for it alone.
        if vision.is_empty() {
            table.remove("vision");
        }
    }
    if let Some(Value::Array(cameras)) = table.get_mut("camera") {
        for camera in cameras.iter_mut().filter_map(Value::as_table_mut) {
            camera.remove("lane");
            camera.remove("masks");
        }
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const BEFORE: &str = "site = \"n\"\nagent = \"b\"\n[broker]\nurl = \"mqtts://a.example\"\n\
                          [[camera]]\nid = \"entry\"\nurl = \"rtsp://10.0.0.1/a\"\n";
    const LANE: &str =
        "[[camera.lane]]\nid = \"1\"\npolygon = [[0.1, 0.2], [0.5, 0.2], [0.5, 1.0]]\n";

    struct Rig {
        folder: tempfile::TempDir,
    }

    impl Rig {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            std::fs::create_dir(folder.path().join("state")).unwrap();
            std::fs::write(folder.path().join("kakou.toml"), BEFORE).unwrap();
            Self { folder }
        }

        fn config(&self) -> PathBuf {
            self.folder.path().join("kakou.toml")
        }

        fn state(&self) -> PathBuf {
            self.folder.path().join("state")
        }

        /// What becomes of a proposal with a helper beside it.
        fn propose(&self, text: &str) -> Result<(), String> {
            let (state, config) = (self.state(), self.config());
            let helper = std::thread::spawn(move || {
                while !state.join(PROPOSAL).exists() {
                    std::thread::sleep(Duration::from_millis(5));
                }
                take(&state, &config).map_err(|e| format!("{e:#}"))
            });
            let proposed = propose(&self.state(), &self.config(), text);
            let _ = helper.join();
            assert!(!self.state().join(PROPOSAL).exists());
            proposed.map_err(|e| e.to_string())
        }

        fn now(&self) -> String {
            std::fs::read_to_string(self.config()).unwrap()
        }
    }

    #[test]
    fn lanes_are_taken_and_the_old_config_is_kept() {
        let rig = Rig::new();
        let new = format!("{BEFORE}{LANE}\n[vision]\nplate_side = 960\n");
        let kept = rig.folder.path().join(backup_name(&rig.config()).unwrap());
        rig.propose(&new).unwrap();
        assert_eq!(rig.now(), new);
        assert_eq!(std::fs::read_to_string(kept).unwrap(), BEFORE);
        rig.propose(BEFORE).unwrap();
        assert_eq!(rig.now(), BEFORE);
    }

    #[test]
    fn nothing_else_is_taken_whoever_proposes_it() {
        let rig = Rig::new();
        for (from, to) in [
            ("mqtts://a.example", "mqtts://b.example"),
            ("rtsp://10.0.0.1/a", "rtsp://10.0.0.2/a"),
            ("site = \"n\"", "site = \"m\""),
            ("id = \"entry\"", "id = \"entry\"\nffmpeg_args = [\"-y\"]"),
            ("[broker]", "[metrics]\nlisten = \"0.0.0.0:80\"\n[broker]"),
        ] {
            let new = BEFORE.replace(from, to);
            assert_ne!(new, BEFORE);
            let why = rig.propose(&new).unwrap_err();
            assert!(why.contains("more than lanes"), "{why}");
            assert_eq!(rig.now(), BEFORE);
        }
        let why = rig
            .propose(&format!("{BEFORE}[[camera.lane]]\nid = \"1\"\n"))
            .unwrap_err();
        assert!(why.contains("camera.lane.polygon"), "{why}");
        assert!(rig.propose("site = ").is_err());
        assert_eq!(rig.now(), BEFORE);
    }

    #[test]
    fn a_link_is_not_followed() {
        let rig = Rig::new();
        let secret = rig.folder.path().join("secret");
        std::fs::write(&secret, BEFORE).unwrap();
        std::os::unix::fs::symlink(&secret, rig.state().join(PROPOSAL)).unwrap();
        assert!(take(&rig.state(), &rig.config()).is_err());
        assert!(secret.exists() && !rig.state().join(PROPOSAL).is_symlink());
    }
}
