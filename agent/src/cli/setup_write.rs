//! The files that `kakou setup` writes: the config, and beside it a file for each secret.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use chrono::{DateTime, FixedOffset};
use kakou_contract::Id;
use kakou_guard::Secret;

use super::setup_camera::{Account, Camera};
use crate::config::{Config, is_example};

/// Whose service reads the files.
const GROUP: &str = "kakou";

/// All that was asked for.
pub struct Plan {
    pub site: Id,
    pub agent: Id,
    /// Without user and password.
    pub broker: String,
    pub ca: Option<PathBuf>,
    pub account: Option<Account>,
    pub state: PathBuf,
    pub cameras: Vec<Planned>,
}

pub struct Planned {
    pub camera: Camera,
    /// What was seen of it when it was tried; with a fault, what to do.
    pub seen: Option<Result<String, String>>,
}

/// The name of a secret's file, beside the config.
fn secret_of(camera: &Id) -> String {
    format!("{camera}-password")
}

const BROKER_SECRET: &str = "broker-password";

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

impl Plan {
    /// The config's text.
    pub fn config(&self, file: &Path, now: &DateTime<FixedOffset>) -> String {
        let shown = file.display();
        let mut text = format!(
            "# Made by `kakou setup` on {}. Change what you like; this says whether it is right:\n\
             #   kakou check-config {shown}\n\
             # Every key is described in reference.toml and in docs/config.md.\n\n\
             # The checkpoint and this box, as they stand in the MQTT topics. The state folder\n\
             # belongs to them from the first start on.\n\
             site = {}\nagent = {}\n\n[broker]\nurl = {}\n",
            now.format("%Y-%m-%d"),
            quoted(self.site.as_str()),
            quoted(self.agent.as_str()),
            quoted(&self.broker)
        );
        if let Some(ca) = &self.ca {
            text += &format!("ca = {}\n", quoted(&ca.display().to_string()));
        }
        if let Some(account) = &self.account {
            text += &account_lines(account, BROKER_SECRET);
        }
        text += &format!(
            "\n# What waits for the broker, and the key that signs it.\n[outbox]\nstate = {}\n",
            quoted(&self.state.display().to_string())
        );
        for planned in &self.cameras {
            text += &camera(planned, &format!("{shown}"));
        }
        text
    }

    /// Each secret with the name of its file.
    fn secrets(&self) -> Vec<(String, &Secret)> {
        let broker = self
            .account
            .iter()
            .map(|a| (BROKER_SECRET.to_owned(), &a.password));
        let cameras = self.cameras.iter().filter_map(|planned| {
            let account = planned.camera.account.as_ref()?;
            Some((secret_of(&planned.camera.id), &account.password))
        });
        broker.chain(cameras).collect()
    }

    /// Writes secrets and config; the config last, so that it names nothing that is not there.
    /// Returns what was written, a line each.
    pub fn write(&self, file: &Path, now: &DateTime<FixedOffset>) -> anyhow::Result<Vec<String>> {
        let text = self.config(file, now);
        // A text that the agent would refuse is a fault of this program, told before it is written.
        Config::parse(&text, file)?;
        let folder = file
            .parent()
            .filter(|f| *f != Path::new(""))
            .unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let mut told = Vec::new();
        if let Some(old) = keep_old(file, now)? {
            told.push(format!("kept      {}: the config before", old.display()));
        }
        let group = group(GROUP);
        for (name, secret) in self.secrets() {
            let path = folder.join(name);
            let mode = write_file(&path, secret.reveal().as_bytes(), group)?;
            told.push(format!("written   {} (mode {mode:04o})", path.display()));
        }
        let mode = write_file(file, text.as_bytes(), group)?;
        told.push(format!("written   {} (mode {mode:04o})", file.display()));
        Ok(told)
    }
}

fn account_lines(account: &Account, secret: &str) -> String {
    let user = quoted(&account.user);
    let secret = quoted(secret);
    format!(
        "user = {user}\n# Beside this file; read at each connection.\npassword_file = {secret}\n"
    )
}

fn camera(planned: &Planned, config: &str) -> String {
    let camera = &planned.camera;
    let id = camera.id.as_str();
    let mut text = format!(
        "\n[[camera]]\nid = {}\n# {}",
        quoted(id),
        line(&camera.about)
    );
    text += &match &planned.seen {
        None => ", not tried yet: kakou doctor\n".to_owned(),
        Some(Ok(seen)) => format!(".\n# {}\n", line(seen)),
        Some(Err(fault)) => format!(
            ".\n# NOTE: no picture came when this was written:\n# {}\n",
            line(fault)
        ),
    };
    text += &format!("url = {}\n", quoted(&camera.url));
    if let Some(account) = &camera.account {
        text += &account_lines(account, &secret_of(&camera.id));
    }
    text + &format!(
        "# Without lanes the whole picture counts. To add one, look at the picture\n\
         #   kakou camera snapshot {id} --config {config} --out {id}.jpg\n\
         # and write for each lane, in parts of the picture's width and height:\n\
         # [[camera.lane]]\n\
         # id = \"1\"\n\
         # polygon = [[0.25, 0.25], [0.75, 0.25], [0.95, 1.0], [0.05, 1.0]]   # where vehicles pass\n\
         # trigger = [[0.05, 0.75], [0.95, 0.75]]   # crossing it is the time of the passage\n\
         # direction = \"approaching\"                # or \"leaving\"\n"
    )
}

/// On one line, whatever a camera says of itself.
fn line(text: &str) -> String {
    kakou_guard::presentable(text)
}

/// Whether a config may be written there. One that somebody set up is left alone without `force`;
/// the example of the package is not set up yet.
pub fn may_write(file: &Path, force: bool) -> anyhow::Result<()> {
    let about = match std::fs::symlink_metadata(file) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        other => other.with_context(|| file.display().to_string())?,
    };
    let shown = file.display();
    if !about.is_file() {
        bail!("{shown}: it is no regular file; name another file by --out");
    }
    let is_untouched = Config::read(file).is_ok_and(|c| is_example(&c.site, &c.agent));
    if !force && !is_untouched {
        bail!(
            "{shown}: there is a config already; --force writes a new one and keeps the old one \
             beside it"
        );
    }
    Ok(())
}

/// Keeps what stands there under a name of its own.
fn keep_old(file: &Path, now: &DateTime<FixedOffset>) -> anyhow::Result<Option<PathBuf>> {
    let mut name = file.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".old-{}", now.format("%Y%m%d-%H%M%S")));
    let old = file.with_file_name(name);
    // The new one takes the first name of it afterwards, in one step.
    match std::fs::hard_link(file, &old) {
        Ok(()) => Ok(Some(old)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => {
            Err(e).with_context(|| format!("{}: the config before cannot be kept", old.display()))
        }
    }
}

/// The number of a group of this machine.
fn group(name: &str) -> Option<u32> {
    let groups = std::fs::read_to_string("/etc/group").ok()?;
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let is_it = fields.next() == Some(name);
        is_it.then(|| fields.nth(1)?.parse().ok())?
    })
}

/// 0640 for the service's group where there is one and we may give it to it; else 0600.
fn write_file(path: &Path, bytes: &[u8], group: Option<u32>) -> anyhow::Result<u32> {
    let mut mode = 0o600;
    let write = |file: &mut File| {
        if let Some(gid) = group
            && (file.metadata()?.gid() == gid || fchown(&*file, None, Some(gid)).is_ok())
        {
            mode = 0o640;
            file.set_permissions(PermissionsExt::from_mode(mode))?;
        }
        file.write_all(bytes)
    };
    kakou_guard::file::replace_durably(path, 0o600, write)
        .with_context(|| path.display().to_string())?;
    Ok(mode)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use kakou_time::{Clock, SystemClock};

    use super::*;

    fn plan() -> Plan {
        let account = |user: &str| Account {
            user: user.to_owned(),
            password: Secret::new("S3CRET"),
        };
        let camera = |text: &str, account| Camera {
            account,
            ..Camera::parse(text).unwrap()
        };
        Plan {
            site: Id::new("site", "west").unwrap(),
            agent: Id::new("agent", "box-7").unwrap(),
            broker: "mqtts://broker.lan:8883".to_owned(),
            ca: Some("/etc/kakou/ca \"x\".pem".into()),
            account: Some(account("box\"7")),
            state: "/var/lib/kakou".into(),
            cameras: vec![
                Planned {
                    camera: camera("in=hikvision:10.0.0.5", Some(account("viewer"))),
                    seen: Some(Ok("h264, 1920x1080".to_owned())),
                },
                Planned {
                    camera: camera("out=rtsp://10.0.0.6/x", None),
                    seen: Some(Err("no\nurl = 3".to_owned())),
                },
            ],
        }
    }

    #[test]
    fn the_config_is_one_that_the_agent_takes_and_has_no_secret() {
        let now = SystemClock::new().wall();
        let file = Path::new("/etc/kakou/kakou.toml");
        let text = plan().config(file, &now);
        assert!(!text.contains("S3CRET"));
        let config = Config::parse(&text, file).unwrap();
        assert_eq!(config.warnings, []);
        assert_eq!(
            (config.site.as_str(), config.agent.as_str()),
            ("west", "box-7")
        );
        let broker = config.broker.unwrap();
        assert_eq!(broker.tls.ca.unwrap(), Path::new("/etc/kakou/ca \"x\".pem"));
        let login = broker.login.unwrap();
        assert_eq!(login.user, "box\"7");
        assert_eq!(
            login.password_file.unwrap(),
            Path::new("/etc/kakou/broker-password")
        );
        let ids: Vec<&str> = config.cameras.iter().map(|c| c.id.as_str()).collect();
        assert_eq!(ids, ["in", "out"]);
        assert!(config.cameras.iter().all(|c| c.lanes.is_empty()));
        assert!(
            text.contains("# h264, 1920x1080") && text.contains("# no\\nurl = 3"),
            "{text}"
        );
        // The lane that the comment shows is one.
        let with_lane = text.replace("# [[camera.lane]]", "[[camera.lane]]");
        let with_lane = ["id", "polygon", "trigger", "direction"]
            .iter()
            .fold(with_lane, |text, key| {
                text.replace(&format!("# {key} = "), &format!("{key} = "))
            });
        let config = Config::parse(&with_lane, file).unwrap();
        assert!(config.cameras.iter().all(|c| c.lanes.len() == 1));
    }

    #[test]
    fn what_is_written_is_for_few_and_the_old_config_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("new/kakou.toml");
        let now = SystemClock::new().wall();
        may_write(&file, false).unwrap();
        plan().write(&file, &now).unwrap();
        for name in ["kakou.toml", "broker-password", "in-password"] {
            let about = std::fs::metadata(file.with_file_name(name)).unwrap();
            let mode = about.permissions().mode() & 0o7777;
            let wanted = if group(GROUP).is_some() { 0o640 } else { 0o600 };
            assert_eq!(mode, wanted, "{name}");
        }
        let secret = std::fs::read_to_string(file.with_file_name("in-password")).unwrap();
        assert_eq!(secret, "S3CRET");
        let refused = may_write(&file, false).unwrap_err().to_string();
        assert!(refused.contains("--force"), "{refused}");
        may_write(&file, true).unwrap();
        std::fs::write(&file, "# mine").unwrap();
        plan().write(&file, &now).unwrap();
        let names = std::fs::read_dir(file.parent().unwrap()).unwrap();
        let old: Vec<_> = names
            .map(|e| e.unwrap().path())
            .filter(|p| p.to_string_lossy().contains("kakou.toml.old-"))
            .collect();
        assert_eq!(old.len(), 1);
        assert_eq!(std::fs::read_to_string(&old[0]).unwrap(), "# mine");
        // Where the service has a group, it may read; nobody else.
        let path = dir.path().join("secret");
        let own = std::fs::metadata(dir.path()).unwrap().gid();
        assert_eq!(write_file(&path, b"x", Some(own)).unwrap(), 0o640);
        let about = std::fs::metadata(&path).unwrap();
        assert_eq!(
            (about.gid(), about.permissions().mode() & 0o7777),
            (own, 0o640)
        );
        // A folder is no config.
        assert!(may_write(dir.path(), true).is_err());
    }
}
