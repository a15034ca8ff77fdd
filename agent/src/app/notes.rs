//! What people did on the box beside the agent, into the agent's chain: look-ups of plates and
//! exports.
//!
//! Only the agent writes its chain. A tool leaves a note in the folder `notes` of the state folder
//! before it shows anything, and the agent records it as an audit message within seconds, or at its
//! next start, and removes it. A note is a file of JSON whose name is the id of the message, so one
//! that is recorded twice, for a kill came between, is known as a repeat.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, chown, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use chrono::{DateTime, FixedOffset};
use kakou_contract::command::BY_MAX;
use kakou_contract::{
    AuditEvent, AuditMessage, Envelope, Id, Keep, Message, Priority, SchemaVersion, clip, live_id,
};
use kakou_guard::file::{read_inside, replace_durably};
use kakou_outbox::Outbox;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::status::Identity;
use super::supervise::{Pulse, TaskPart};

const FOLDER: &str = "notes";
/// How often the folder is looked at.
const EVERY: Duration = Duration::from_secs(2);
/// Notes that are taken in one look.
const AT_ONCE: usize = 100;
const LARGEST: u64 = 16 << 10;

#[derive(Debug, Serialize, Deserialize)]
struct Note {
    time: DateTime<FixedOffset>,
    event: AuditEvent,
}

/// Who sits at the keyboard, where nobody says it.
pub fn user() -> String {
    let named = ["SUDO_USER", "USER", "LOGNAME"]
        .into_iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|name| !name.is_empty());
    let name = named.unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()));
    clip(&kakou_guard::clean_line(&name), BY_MAX).into_owned()
}

/// Leaves a note for the agent of this state folder, on the disk when it returns.
pub fn leave(state: &Path, event: AuditEvent, time: DateTime<FixedOffset>) -> anyhow::Result<()> {
    let folder = state.join(FOLDER);
    let owner = std::fs::metadata(state).with_context(|| state.display().to_string())?;
    let write = || -> std::io::Result<()> {
        let is_new = !folder.exists();
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)?;
        let path = folder.join(format!("{}.json", live_id(time)));
        let note = serde_json::to_vec(&Note { time, event })?;
        // The agent reads and removes them, whoever left them: they are its own before it sees them.
        let is_root = rustix::process::geteuid().is_root();
        let (uid, gid) = (Some(owner.uid()), Some(owner.gid()));
        if is_root && is_new {
            chown(&folder, uid, gid)?;
        }
        replace_durably(&path, 0o600, |file| {
            file.write_all(&note)?;
            match is_root {
                true => fchown(file, uid, gid),
                false => Ok(()),
            }
        })
    };
    write().with_context(|| folder.display().to_string())
}

/// Takes notes into the chain.
pub struct NotesPart {
    pub state: PathBuf,
    pub outbox: Outbox,
    pub identity: Identity,
}

impl NotesPart {
    /// The oldest notes that are there, with their files.
    fn found(&self) -> Vec<(PathBuf, Option<Envelope>)> {
        let folder = self.state.join(FOLDER);
        let mut names: Vec<PathBuf> = std::fs::read_dir(&folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| PathBuf::from(entry.file_name()))
            .filter(|name| name.extension().is_some_and(|e| e == "json"))
            .collect();
        names.sort_unstable();
        names.truncate(AT_ONCE);
        let read = |name: PathBuf| {
            let taken = self.take(&folder, &name);
            let told = taken.inspect_err(|e| {
                tracing::error!(note = %name.display(), "a note cannot be recorded: {e:#}");
            });
            (folder.join(&name), told.ok())
        };
        names.into_iter().map(read).collect()
    }

    fn take(&self, folder: &Path, name: &Path) -> anyhow::Result<Envelope> {
        let stem = name.file_stem().and_then(|s| s.to_str());
        let id: Uuid = stem.context("its name is no id")?.parse()?;
        let note: Note = serde_json::from_slice(&read_inside(folder, name, LARGEST)?)?;
        let by_a_person = matches!(
            note.event,
            AuditEvent::Lookup { .. } | AuditEvent::Export { .. }
        );
        anyhow::ensure!(by_a_person, "{} is none of a person's", note.event.kind());
        let (site, agent): (Id, Id) = (self.identity.site.clone(), self.identity.agent.clone());
        let message = AuditMessage {
            schema_version: SchemaVersion::CURRENT,
            id,
            site,
            agent,
            time: note.time,
            event: note.event,
            sequence: None,
        };
        // What a receiver would refuse is not sent.
        AuditMessage::from_json(&message.to_json()?)?;
        Ok(Envelope::of(&message, Priority::Control, Keep::Control)?)
    }
}

impl TaskPart for NotesPart {
    async fn run_once(&mut self, pulse: &Pulse) -> anyhow::Result<()> {
        loop {
            for (file, envelope) in tokio::task::block_in_place(|| self.found()) {
                if let Some(envelope) = envelope {
                    self.outbox.append_async(vec![envelope]).await?;
                    std::fs::remove_file(&file).with_context(|| file.display().to_string())?;
                } else {
                    // Kept for whoever wonders, out of the way.
                    let aside = file.with_extension("refused");
                    std::fs::rename(&file, aside).with_context(|| file.display().to_string())?;
                }
            }
            pulse.working();
            tokio::time::sleep(EVERY).await;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_note_is_a_file_for_the_agent_alone() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let now = DateTime::parse_from_rfc3339("2031-05-04T08:15:30+08:00").unwrap();
        let event = AuditEvent::Lookup {
            by: user(),
            reason: "case 7".to_owned(),
            plate: "鲁E6K829".to_owned(),
            found: true,
        };
        leave(dir.path(), event.clone(), now).unwrap();
        let folder = dir.path().join(FOLDER);
        let files: Vec<_> = std::fs::read_dir(folder).unwrap().flatten().collect();
        assert_eq!(files.len(), 1);
        let mode = files[0].metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let note: Note = serde_json::from_slice(&std::fs::read(files[0].path()).unwrap()).unwrap();
        assert_eq!((note.event, note.time), (event, now));
    }
}
