//! The passages a recording is known to hold, compared with those the agent found.
//!
//! A truth file has a JSON object a line: `{"footage": "day", "passages": [{"text": "鲁E6K829" or
//! null, "from_s": 0.0, "to_s": 5.0, "lane": "1", "class": "car"}]}`; times are seconds since the
//! recording's first frame. `lane` and `class` may be left out. `"passages": null` means that
//! nobody counted them.

use std::path::{Path, PathBuf};

use chrono::{DateTime, FixedOffset};
use kakou_contract::{PassageMessage, VehicleClass};
use serde::{Deserialize, Serialize};

#[derive(Debug, thiserror::Error)]
pub enum PassageTruthError {
    #[error("{path}: {reason}")]
    Read { path: PathBuf, reason: String },
    #[error("{path}: line {line}: {reason}")]
    Line {
        path: PathBuf,
        line: usize,
        reason: String,
    },
    #[error("{path} holds no truth for `{footage}`; it has {known}")]
    NotThere {
        path: PathBuf,
        footage: String,
        known: String,
    },
    #[error("{path}: the passages of `{footage}` were never counted (`passages` is null)")]
    NotCounted { path: PathBuf, footage: String },
}

#[derive(Debug, Clone, Deserialize)]
struct RawFootage {
    footage: String,
    #[serde(default)]
    passages: Option<Vec<KnownPassage>>,
}

/// A passage that really happened.
#[derive(Debug, Clone, Deserialize)]
pub struct KnownPassage {
    pub text: Option<String>,
    #[serde(default)]
    pub class: Option<VehicleClass>,
    #[serde(default)]
    pub lane: Option<String>,
    pub from_s: f64,
    pub to_s: f64,
}

/// Reads the truth for a recording: the line whose `footage` is its file or folder name, or the
/// only line.
pub fn read(path: &Path, recording: &Path) -> Result<Vec<KnownPassage>, PassageTruthError> {
    let text = std::fs::read_to_string(path).map_err(|e| PassageTruthError::Read {
        path: path.into(),
        reason: e.to_string(),
    })?;
    let mut all: Vec<RawFootage> = Vec::new();
    for (i, line) in text
        .lines()
        .enumerate()
        .filter(|(_, l)| !l.trim().is_empty())
    {
        let raw = serde_json::from_str(line).map_err(|e| PassageTruthError::Line {
            path: path.into(),
            line: i + 1,
            reason: e.to_string(),
        })?;
        all.push(raw);
    }
    let full = recording
        .canonicalize()
        .unwrap_or_else(|_| recording.to_path_buf());
    let name = full
        .file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default();
    let known = all
        .iter()
        .map(|f| f.footage.as_str())
        .collect::<Vec<_>>()
        .join(", ");
    let index = all
        .iter()
        .position(|f| f.footage == name)
        .or((all.len() == 1).then_some(0));
    let Some(found) = index.map(|i| all.swap_remove(i)) else {
        return Err(PassageTruthError::NotThere {
            path: path.into(),
            footage: name,
            known,
        });
    };
    found.passages.ok_or(PassageTruthError::NotCounted {
        path: path.into(),
        footage: name,
    })
}

/// The comparison; also what is printed for `--json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Comparison {
    pub passages: usize,
    pub matched: usize,
    /// Matched ones whose lane (where the truth has one) or class group differs.
    pub wrong_lane: Vec<String>,
    pub wrong_class: Vec<String>,
    /// KnownPassage passages without a record of the right text.
    pub missed: Vec<String>,
    /// Records of no known passage.
    pub extra: Vec<String>,
    /// Further records of a passage that has one.
    pub duplicate: Vec<String>,
}

impl Comparison {
    pub fn is_perfect(&self) -> bool {
        self.missed.is_empty() && self.extra.is_empty() && self.duplicate.is_empty()
    }
}

/// Seconds by which a record may lie outside the known time.
const SLACK_S: f64 = 1.0;

/// Compares records with the truth. `tolerance`: how many characters a text may be off (for plates
/// outside the reader's training).
pub fn compare(
    known: &[KnownPassage],
    records: &[PassageMessage],
    start: DateTime<FixedOffset>,
    tolerance: usize,
) -> Comparison {
    let seconds = |t: DateTime<FixedOffset>| (t - start).as_seconds_f64();
    let fits = |k: &KnownPassage, r: &PassageMessage| -> Option<usize> {
        let (from, to) = (seconds(r.first_seen), seconds(r.last_seen));
        if to < k.from_s - SLACK_S || from > k.to_s + SLACK_S {
            return None;
        }
        match (&k.text, &r.plate) {
            (Some(want), Some(p)) => Some(distance(want, &p.text)).filter(|d| *d <= tolerance),
            (None, None) => {
                let lane_fits = k
                    .lane
                    .as_ref()
                    .is_none_or(|l| r.lane.as_ref().is_some_and(|m| m.id.as_str() == l));
                lane_fits.then_some(0)
            }
            _ => None,
        }
    };
    let mut c = Comparison {
        passages: known.len(),
        ..Comparison::default()
    };
    let mut owner: Vec<Option<usize>> = vec![None; records.len()];
    for (i, k) in known.iter().enumerate() {
        let best = (0..records.len())
            .filter(|r| owner[*r].is_none())
            .filter_map(|r| fits(k, &records[r]).map(|d| (d, r)))
            .min();
        let Some((_, r)) = best else {
            c.missed.push(describe(k));
            continue;
        };
        owner[r] = Some(i);
        c.matched += 1;
        let record = &records[r];
        let lane = record.lane.as_ref().map(|l| l.id.as_str());
        if k.lane.is_some() && k.lane.as_deref() != lane {
            c.wrong_lane.push(format!(
                "{} in lane {}",
                describe(k),
                lane.unwrap_or("none")
            ));
        }
        let class = record.vehicle.as_ref().map(|v| v.class);
        if let (Some(want), Some(got)) = (k.class, class)
            && want != got
        {
            c.wrong_class
                .push(format!("{}: {want} taken for {got}", describe(k)));
        }
    }
    for (r, record) in records
        .iter()
        .enumerate()
        .filter(|(r, _)| owner[*r].is_none())
    {
        let text = record
            .plate
            .as_ref()
            .map_or("no plate", |p| p.text.as_str());
        let named = format!("{text} at {:.1} s", seconds(record.first_seen));
        if known.iter().any(|k| fits(k, &records[r]).is_some()) {
            c.duplicate.push(named);
        } else {
            c.extra.push(named);
        }
    }
    c
}

fn describe(k: &KnownPassage) -> String {
    format!(
        "{} at {:.1} s",
        k.text.as_deref().unwrap_or("no plate"),
        k.from_s
    )
}

/// Levenshtein distance in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let next = (diagonal + usize::from(ca != *cb))
                .min(row[j] + 1)
                .min(row[j + 1] + 1);
            diagonal = row[j + 1];
            row[j + 1] = next;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn golden() -> PassageMessage {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("contract/golden");
        let file = std::fs::read_dir(path)
            .unwrap()
            .map(|e| e.unwrap().path())
            .filter(|p| p.to_string_lossy().contains("passage"))
            .find(|p| std::fs::read_to_string(p).unwrap().contains("\"plate\": {"))
            .unwrap();
        serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
    }

    fn record(text: Option<&str>, from: i64, to: i64) -> PassageMessage {
        let mut r = golden();
        let start = DateTime::<FixedOffset>::default();
        r.first_seen = start + chrono::TimeDelta::seconds(from);
        r.last_seen = start + chrono::TimeDelta::seconds(to);
        r.vehicle = None;
        match text {
            Some(t) => r.plate.as_mut().unwrap().text = t.into(),
            None => r.plate = None,
        }
        r
    }

    fn known(text: Option<&str>, from_s: f64, to_s: f64) -> KnownPassage {
        KnownPassage {
            text: text.map(Into::into),
            class: None,
            lane: None,
            from_s,
            to_s,
        }
    }

    #[test]
    fn matched_missed_extra_and_duplicate() {
        let truth = [
            known(Some("鲁E6K829"), 0.0, 4.0),
            known(Some("鲁B3F571"), 3.0, 8.0),
            known(None, 5.0, 9.0),
        ];
        let records = [
            record(Some("鲁E6K829"), 0, 3),
            record(Some("鲁E6K829"), 4, 5),
            record(Some("鲁B3F57T"), 3, 8),
            record(None, 6, 9),
            record(None, 20, 21),
        ];
        let c = compare(&truth, &records, DateTime::default(), 0);
        assert_eq!(
            (c.matched, c.missed.len(), c.extra.len(), c.duplicate.len()),
            (2, 1, 2, 1)
        );
        assert!(
            c.missed[0].contains("鲁B3F571")
                && c.duplicate[0].contains("鲁E6K829")
                && !c.is_perfect()
        );
        let c = compare(&truth, &records[2..4], DateTime::default(), 1);
        assert_eq!((c.matched, c.missed.len()), (2, 1));
    }

    #[test]
    fn the_right_line_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let truth = dir.path().join("truth.jsonl");
        let lines = "{\"footage\": \"a.mp4\", \"passages\": []}\n{\"footage\": \"b.mp4\", \"passages\": null}\n";
        std::fs::write(&truth, lines).unwrap();
        assert!(read(&truth, Path::new("x/a.mp4")).unwrap().is_empty());
        assert!(matches!(
            read(&truth, Path::new("b.mp4")),
            Err(PassageTruthError::NotCounted { .. })
        ));
        assert!(
            read(&truth, Path::new("c.mp4"))
                .unwrap_err()
                .to_string()
                .contains("it has a.mp4, b.mp4")
        );
        std::fs::write(&truth, "{\"footage\": 1}").unwrap();
        assert!(
            read(&truth, Path::new("c.mp4"))
                .unwrap_err()
                .to_string()
                .contains("line 1")
        );
    }
}
