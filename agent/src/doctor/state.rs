//! The state folder: whether the service can write there, whose outbox lies in it, and whether an
//! agent has it open.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use kakou_outbox::{Inspection, in_use};
use rustix::fs::{Access, access};

use super::finding::{Area, Finding};
use crate::check::{Unit, nearest};
use crate::config::Config;

pub(super) fn examine(config: &Config, unit: Option<&Unit>, tell: &mut dyn FnMut(Finding)) {
    let folder = config.outbox.state.as_path();
    let of = |finding: Finding| finding.about(folder.display().to_string());
    let Ok(about) = std::fs::metadata(folder) else {
        return tell(of(not_there(folder)));
    };
    tell(of(rights(folder, &about, unit)));
    let outbox = folder.join("outbox.db");
    if !outbox.exists() {
        return;
    }
    match Inspection::open(folder).and_then(|inspection| inspection.overview()) {
        Ok(overview) => {
            let own = format!("{}/{}", config.site, config.agent);
            if let Some(other) = overview.agent.filter(|other| *other != own) {
                tell(of(Finding::fault(
                    Area::State,
                    format!("the outbox belongs to {other}, and the config is of {own}"),
                )
                .mend("name another state folder, or correct site and agent")));
            }
            let waiting: u64 = overview.counts.iter().map(|count| count.waiting).sum();
            let held: u64 = overview.held.iter().map(|(_, number, _)| number).sum();
            let running = match in_use(folder) {
                true => "an agent runs with it; ",
                false => "no agent runs with it; ",
            };
            let message = format!("{running}{waiting} messages wait, {held} are held");
            tell(of(match held {
                0 => Finding::ok(Area::State, message),
                _ => Finding::warning(Area::State, message)
                    .mend("see why: kakou outbox status; put them back: kakou outbox requeue"),
            }));
        }
        Err(e) => tell(of(Finding::fault(Area::State, e.to_string())
            .mend("call this as root; a damaged outbox: kakou outbox repair"))),
    }
}

fn not_there(folder: &Path) -> Finding {
    let above = nearest(folder);
    let message = "there is no such folder yet; the first start makes it";
    match access(&above, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => Finding::ok(Area::State, message),
        Err(_) => Finding::warning(
            Area::State,
            format!("{message}, but this user may not write in {}", above.display()),
        )
        .mend("systemd makes it by StateDirectory=; otherwise make it and give it to the agent's user"),
    }
}

fn rights(folder: &Path, about: &std::fs::Metadata, unit: Option<&Unit>) -> Finding {
    let mode = about.permissions().mode() & 0o7777;
    if !about.is_dir() {
        return Finding::fault(Area::State, "it is a file").mend("name a folder in [outbox] state");
    }
    let service = unit.and_then(|unit| Some((unit.user.as_deref()?, unit.uid()?)));
    if let Some((user, uid)) = service
        && about.uid() != uid
    {
        return Finding::fault(
            Area::State,
            format!(
                "the service runs as `{user}`, and the folder belongs to user {}",
                about.uid()
            ),
        )
        .mend(format!("run: chown -R {user}: {}", folder.display()));
    }
    if access(folder, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK).is_err() {
        return Finding::warning(
            Area::State,
            "this user may not write here, so it is not tried",
        )
        .mend("call this as root, or as the agent's user");
    }
    if mode & 0o007 != 0 {
        return Finding::warning(
            Area::State,
            format!("it is open to everybody on this machine (mode {mode:04o}): plates, pictures"),
        )
        .mend(format!("run: chmod 0750 {}", folder.display()));
    }
    Finding::ok(
        Area::State,
        format!("can be written to, and others cannot look in (mode {mode:04o})"),
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::finding::State;
    use super::*;

    #[test]
    fn a_folder_that_others_can_look_into_is_a_warning() {
        let dir = tempfile::tempdir().unwrap();
        let of = |mode| {
            std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            let about = std::fs::metadata(dir.path()).unwrap();
            rights(dir.path(), &about, None)
        };
        assert_eq!(of(0o750).state, State::Ok);
        let open = of(0o755);
        assert_eq!(open.state, State::Warning);
        assert!(open.mend.unwrap().contains("chmod 0750"));
    }

    #[test]
    fn a_folder_of_another_user_than_the_service_is_a_fault() {
        let dir = tempfile::tempdir().unwrap();
        let about = std::fs::metadata(dir.path()).unwrap();
        // Whoever runs this is not both of them.
        let of = |user: &str| Unit {
            user: Some(user.to_owned()),
            ..Unit::default()
        };
        let other = match of("root").uid() == Some(about.uid()) {
            true => "nobody",
            false => "root",
        };
        let unit = of(other);
        let found = rights(dir.path(), &about, Some(&unit));
        assert_eq!(found.state, State::Fault);
        assert!(found.mend.unwrap().contains(&format!("chown -R {other}:")));
    }
}
