//! One thing that is wrong or doubtful, its place, and what to do about it.

use std::fmt;
use std::path::{Path, PathBuf};

use kakou_guard::presentable;
use serde::Serialize;

use crate::config::{Config, Finding, Places, message_and_mend, without_numbers};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It cannot be used so.
    Error,
    /// It can be used, and is probably not meant.
    Warning,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    pub kind: Kind,
    /// The config file.
    pub file: String,
    pub line: Option<usize>,
    /// With the sections round it: `camera.lane.polygon`.
    pub key: Option<String>,
    pub message: String,
    /// What to do. Missing where the message says it already.
    pub mend: Option<String>,
}

/// Without the file: whoever prints several names it once.
impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        f.write_str(&self.message)?;
        match &self.mend {
            Some(mend) => write!(f, "; {mend}"),
            None => Ok(()),
        }
    }
}

/// All that is said of a config.
#[derive(Debug)]
pub struct Report {
    file: PathBuf,
    places: Places,
    pub notes: Vec<Note>,
    /// What the config asks for and what was found of it, a line each.
    pub seen: Vec<String>,
}

impl Report {
    pub(super) fn new(file: &Path, places: Places) -> Self {
        Self {
            file: file.into(),
            places,
            notes: Vec::new(),
            seen: Vec::new(),
        }
    }

    pub fn file(&self) -> &Path {
        &self.file
    }

    pub fn count(&self, kind: Kind) -> usize {
        self.notes.iter().filter(|note| note.kind == kind).count()
    }

    /// Whether the agent could run with it.
    pub fn is_usable(&self) -> bool {
        self.count(Kind::Error) == 0
    }

    pub(super) fn error(&mut self, key: &str, message: &str, mend: &str) {
        self.note(Kind::Error, key, message, mend);
    }

    pub(super) fn warning(&mut self, key: &str, message: &str, mend: &str) {
        self.note(Kind::Warning, key, message, mend);
    }

    /// `key` may pick one of several sections by its number: `camera.0.url`.
    pub(super) fn note(&mut self, kind: Kind, key: &str, message: &str, mend: &str) {
        self.notes.push(Note {
            kind,
            file: self.file.display().to_string(),
            line: self.places.line(key),
            key: Some(without_numbers(key)),
            // A library's words may repeat what a file holds.
            message: presentable(message),
            mend: (!mend.is_empty()).then(|| presentable(mend)),
        });
    }

    /// An error that says itself what to do, after its first semicolon.
    pub(super) fn failed(&mut self, key: &str, error: &str) {
        let (message, mend) = message_and_mend(error);
        self.error(key, message, mend.unwrap_or_default());
    }

    pub(super) fn told(&mut self, kind: Kind, finding: &Finding) {
        let (message, mend) = finding.message_and_mend();
        self.notes.push(Note {
            kind,
            file: self.file.display().to_string(),
            line: Some(finding.line),
            key: Some(finding.key.clone()),
            message: message.to_owned(),
            mend: mend.map(str::to_owned),
        });
    }

    /// What is no text or no TOML has a line and no key.
    pub(super) fn at_line(&mut self, line: usize, reason: &str) {
        let (message, mend) = message_and_mend(reason);
        self.of_file(Kind::Error, message, mend.unwrap_or_default());
        if let Some(note) = self.notes.last_mut() {
            note.line = Some(line);
        }
    }

    /// Of the file as a whole.
    pub(super) fn of_file(&mut self, kind: Kind, message: &str, mend: &str) {
        self.notes.push(Note {
            kind,
            file: self.file.display().to_string(),
            line: None,
            key: None,
            message: presentable(message),
            mend: (!mend.is_empty()).then(|| presentable(mend)),
        });
    }

    /// A thing, and what was found of it where anything was looked for.
    pub(super) fn see(&mut self, what: impl fmt::Display, found: &str) {
        self.seen.push(match found.is_empty() {
            true => what.to_string(),
            false => format!("{what}: {found}"),
        });
    }

    pub(super) fn is_written(&self, key: &str) -> bool {
        self.places.is_written(key)
    }

    /// Errors first, each kind in the order of the file.
    pub(super) fn in_order(&mut self) {
        self.notes
            .sort_by_key(|note| (note.kind != Kind::Error, note.line));
    }

    /// What stands in a config of which no file is looked at.
    pub(super) fn seen_text(&mut self, config: &Config) {
        if let Some(broker) = &config.broker {
            self.see(format!("broker {broker}"), "");
        }
        let models = &config.models;
        let manifest = models.location.manifest.display();
        self.see(format!("models {manifest} on {}", models.provider), "");
        for list in &config.watchlist {
            self.see(format!("watchlist {}", list.file.display()), "");
        }
        for camera in &config.cameras {
            self.see(
                format!("camera {}", camera.id),
                &super::cameras::drawn(camera),
            );
        }
    }
}
