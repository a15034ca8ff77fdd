//! Where in the file a fault lies, and how it is told.

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Nobody mends more at once, and each is looked up in the whole text: all of four megabytes would
/// take hours.
const MOST: usize = 200;

/// One thing that is wrong or doubtful about a config, and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub line: usize,
    /// With the sections around it: `camera.lane.polygon`.
    pub key: String,
    pub reason: String,
}

impl Finding {
    /// What is wrong, and what to write instead. A reason names the mend after its first semicolon.
    pub fn message_and_mend(&self) -> (&str, Option<&str>) {
        message_and_mend(&self.reason)
    }
}

/// `what is wrong; what to do` in its two halves.
pub fn message_and_mend(text: &str) -> (&str, Option<&str>) {
    match text.split_once("; ") {
        Some((message, mend)) => (message, Some(mend)),
        None => (text, None),
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}: {}", self.line, self.key, self.reason)
    }
}

/// Why a config cannot be used. Each line names the file, and where it can the line and the key.
/// Values that may be secret are never repeated.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{}: {reason}", path.display())]
    Read { path: PathBuf, reason: String },
    #[error("{}: line {line}: {reason}", path.display())]
    Syntax {
        path: PathBuf,
        line: usize,
        reason: String,
    },
    /// All that is wrong, in the order of the file.
    #[error("{}", listed(path, findings))]
    Wrong {
        path: PathBuf,
        findings: Vec<Finding>,
        /// What would be doubtful about it if it could be used.
        warnings: Vec<Finding>,
    },
}

fn listed(path: &Path, findings: &[Finding]) -> String {
    let lines: Vec<String> = findings
        .iter()
        .map(|finding| format!("{}: {finding}", path.display()))
        .collect();
    lines.join("\n")
}

/// The text that is read, and what has been found in it so far. A fault does not end the reading:
/// whoever mends a config wants to hear of all faults at once.
pub(super) struct At<'a> {
    text: &'a str,
    errors: RefCell<Vec<Finding>>,
    warnings: RefCell<Vec<Finding>>,
}

impl<'a> At<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            errors: RefCell::default(),
            warnings: RefCell::default(),
        }
    }

    /// The config cannot be used.
    pub(super) fn wrong(
        &self,
        span: &Range<usize>,
        key: impl Into<String>,
        reason: impl Into<String>,
    ) {
        self.note(&self.errors, span, key, reason);
    }

    /// The config can be used, but probably does not do what its author wants.
    pub(super) fn doubtful(
        &self,
        span: &Range<usize>,
        key: impl Into<String>,
        reason: impl Into<String>,
    ) {
        self.note(&self.warnings, span, key, reason);
    }

    pub(super) fn line(&self, span: &Range<usize>) -> usize {
        line_of(self.text, span.start)
    }

    /// The warnings, if nothing is wrong.
    pub(super) fn finish(self, path: &Path) -> Result<Vec<Finding>, ConfigError> {
        let in_order = |mut findings: Vec<Finding>| {
            findings.sort_by_key(|finding| finding.line);
            findings
        };
        let findings = in_order(self.errors.into_inner());
        let warnings = in_order(self.warnings.into_inner());
        if findings.is_empty() {
            Ok(warnings)
        } else {
            Err(ConfigError::Wrong {
                path: path.into(),
                findings,
                warnings,
            })
        }
    }

    fn note(
        &self,
        all: &RefCell<Vec<Finding>>,
        span: &Range<usize>,
        key: impl Into<String>,
        reason: impl Into<String>,
    ) {
        if all.borrow().len() < MOST {
            let finding = self.finding(span, key.into(), reason.into());
            all.borrow_mut().push(finding);
        }
    }

    fn finding(&self, span: &Range<usize>, key: String, reason: String) -> Finding {
        // A name or a value that is repeated may hold anything: a URL with a password in a wrong
        // place, or what steers a terminal.
        Finding {
            line: self.line(span),
            key: kakou_guard::presentable(&key),
            reason: kakou_guard::clean_line(&reason),
        }
    }
}

pub(super) fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes().get(..offset).map_or(1, |before| {
        before.iter().filter(|b| **b == b'\n').count() + 1
    })
}
