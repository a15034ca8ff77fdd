//! From the bytes of a file to a list, with what was wrong in it.

use sha2::{Digest, Sha256};

use super::List;
use super::row::{Row, entry};

const HEADER: &str = "plate,level,category,reason,valid_until,kind";
const OPTIONAL: [&str; 2] = ["valid_until", "kind"];
/// A comment that says how many rows the list has.
const COUNT: &str = "entries";

/// Why no row of a list can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    #[error("line 1: no header ({0}); write {HEADER} in UTF-8")]
    NoHeader(String),
    #[error("line 1: {0}; the header is {HEADER}")]
    Header(String),
    #[error(
        "the last line does not end: the list is cut off or still being copied. Each row, the last one too, ends with a line end"
    )]
    CutOff,
    #[error(
        "\"# {COUNT} {said}\" stands in the list, but it has {found} rows: it is cut off or still being copied"
    )]
    Count { said: u64, found: u64 },
    #[error("line {line}: \"# {COUNT}\" is followed by no number")]
    NoCount { line: u64 },
}

/// A line that could not be used, or not as it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct BadLine {
    pub line: u64,
    pub why: String,
}

/// A list, and what its author should know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    pub list: List,
    /// Rows that are not used; as many as `list.refused` says.
    pub refused: Vec<BadLine>,
    /// Rows that are used, but perhaps not as they were meant.
    pub notes: Vec<BadLine>,
}

impl List {
    /// Reads a list. It is used as a whole but for its bad rows, or, where it is cut off or has no
    /// usable header, not at all.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Parsed, ListError> {
        let sha256: String = Sha256::digest(bytes)
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        let mut parsed = Parsed {
            list: Self::new(name, sha256),
            refused: Vec::new(),
            notes: Vec::new(),
        };
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .flexible(false)
            .comment(Some(b'#'))
            .from_reader(bytes);
        let headers = reader
            .headers()
            .map_err(|e| ListError::NoHeader(e.to_string()))?
            .clone();
        check_header(&headers)?;
        let said = said_count(bytes)?;
        let ends = bytes.last().is_some_and(|b| matches!(b, b'\n' | b'\r'));
        if said.is_none() && !ends {
            return Err(ListError::CutOff);
        }
        let found = parsed.read_rows(&mut reader, &headers);
        match said {
            Some(said) if said != found => Err(ListError::Count { said, found }),
            _ => {
                parsed.list.refused = parsed.refused.len() as u64;
                Ok(parsed)
            }
        }
    }
}

impl Parsed {
    /// Returns how many rows there are, used or not.
    fn read_rows(&mut self, reader: &mut csv::Reader<&[u8]>, headers: &csv::StringRecord) -> u64 {
        let mut record = csv::ByteRecord::new();
        let mut rows = 0;
        loop {
            let line = reader.position().line();
            let at = match reader.read_byte_record(&mut record) {
                Ok(false) => return rows,
                Ok(true) => record.position().map_or(line, csv::Position::line),
                Err(e) => {
                    rows += 1;
                    self.refused.push(BadLine {
                        line: e.position().map_or(line, csv::Position::line),
                        why: e.to_string(),
                    });
                    continue;
                }
            };
            // Spreadsheets leave rows of commas behind.
            if record.iter().all(<[u8]>::is_empty) {
                continue;
            }
            rows += 1;
            let taken = csv::StringRecord::from_byte_record(record.clone())
                .map_err(|_| "not UTF-8; save the list as UTF-8".to_owned())
                .and_then(|r| {
                    r.deserialize::<Row>(Some(headers))
                        .map_err(|e| e.to_string())
                })
                .and_then(|row| entry(&row));
            match taken {
                Ok(entry) => self.take(at, entry),
                Err(why) => self.refused.push(BadLine { line: at, why }),
            }
        }
    }

    fn take(&mut self, line: u64, entry: super::Entry) {
        let plate = entry.plate.clone();
        if let Some(other) = self.list.add(line, entry) {
            self.notes.push(BadLine {
                line,
                why: format!(
                    "{plate} stands in line {other} too; of the two that are valid the more severe or the first holds"
                ),
            });
        }
    }
}

fn check_header(headers: &csv::StringRecord) -> Result<(), ListError> {
    let known: Vec<&str> = HEADER.split(',').collect();
    let unknown = headers.iter().find(|h| !known.contains(h));
    let missing = known
        .iter()
        .find(|k| !OPTIONAL.contains(k) && !headers.iter().any(|h| h == **k));
    match (unknown, missing) {
        (Some(h), _) => Err(ListError::Header(format!("unknown column {h:?}"))),
        (None, Some(k)) => Err(ListError::Header(format!("column {k:?} is missing"))),
        (None, None) => Ok(()),
    }
}

/// The number of the line `# entries N`, if there is one.
fn said_count(bytes: &[u8]) -> Result<Option<u64>, ListError> {
    for (at, line) in (1..).zip(bytes.split(|b| *b == b'\n')) {
        let Ok(line) = std::str::from_utf8(line) else {
            continue;
        };
        let words = line.trim().strip_prefix('#').map(str::trim);
        let Some(number) = words.and_then(|w| w.strip_prefix(COUNT)) else {
            continue;
        };
        // Spreadsheets put commas behind.
        let number = number.trim_matches([' ', '\t', ',', ':', '=']);
        return match number.parse() {
            Ok(n) => Ok(Some(n)),
            Err(_) => Err(ListError::NoCount { line: at }),
        };
    }
    Ok(None)
}
