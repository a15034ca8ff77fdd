//! The watchlist: which plates are looked for. Pure: knows nothing of files or MQTT.
//!
//! A list is CSV in UTF-8 with the header `plate,level,category,reason,valid_until`, in any order. A bad line is refused
//! by its number and the rest is used. For now a plate matches character by character or not at all.

use std::collections::HashMap;

use chrono::{DateTime, FixedOffset, NaiveDate};
use kakou_contract::{
    Doubt, HitMessage, Level, ListEntry, MatchKind, PassageMessage, SchemaVersion, WeakCharacter,
};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// A plate that is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub plate: String,
    pub level: Level,
    pub category: String,
    pub reason: String,
    pub valid_until: Option<DateTime<FixedOffset>>,
}

/// A line that could not be used, or not as it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct BadLine {
    pub line: u64,
    pub why: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct List {
    pub name: String,
    /// The first 12 digits of the SHA-256 of its bytes.
    pub version: String,
    entries: HashMap<String, (u64, Entry)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    plate: String,
    level: String,
    category: String,
    reason: String,
    valid_until: Option<String>,
}

impl List {
    /// Reads a list. Without a usable header there is no list, and the one fault says so.
    pub fn parse(name: &str, bytes: &[u8]) -> (Self, Vec<BadLine>) {
        let digest = Sha256::digest(bytes);
        let version: String = digest.iter().take(6).map(|b| format!("{b:02x}")).collect();
        let mut list = Self {
            name: name.to_owned(),
            version,
            entries: HashMap::new(),
        };
        let mut bad = Vec::new();
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .flexible(false)
            .from_reader(bytes);
        const HEADER: &str = "plate,level,category,reason,valid_until";
        let headers = match reader.headers() {
            Ok(headers) => headers.clone(),
            Err(e) => {
                bad.push(BadLine {
                    line: 1,
                    why: format!("no header ({e}); write {HEADER} in UTF-8"),
                });
                return (list, bad);
            }
        };
        let known: Vec<&str> = HEADER.split(',').collect();
        let wrong = headers.iter().find(|h| !known.contains(h));
        let missing = known
            .iter()
            .find(|k| **k != "valid_until" && !headers.iter().any(|h| h == **k));
        if let Some(why) = wrong
            .map(|h| format!("unknown column {h:?}"))
            .or(missing.map(|k| format!("column {k:?} is missing")))
        {
            bad.push(BadLine {
                line: 1,
                why: format!("{why}; the header is {HEADER}"),
            });
            return (list, bad);
        }
        let mut record = csv::ByteRecord::new();
        loop {
            let line = reader.position().line();
            match reader.read_byte_record(&mut record) {
                Ok(false) => break,
                Ok(true) => {
                    let at = record.position().map_or(line, csv::Position::line);
                    let taken = csv::StringRecord::from_byte_record(record.clone())
                        .map_err(|_| "not UTF-8; save the list as UTF-8".to_owned())
                        .and_then(|r| {
                            r.deserialize::<Row>(Some(&headers))
                                .map_err(|e| e.to_string())
                        })
                        .and_then(|row| entry(&row))
                        .and_then(|entry| list.add(at, entry));
                    if let Err(why) = taken {
                        bad.push(BadLine { line: at, why });
                    }
                }
                Err(e) => {
                    let at = e.position().map_or(line, csv::Position::line);
                    bad.push(BadLine {
                        line: at,
                        why: e.to_string(),
                    });
                }
            }
        }
        (list, bad)
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Of two entries for one plate the more severe one holds.
    fn add(&mut self, line: u64, entry: Entry) -> Result<(), String> {
        let before = self.entries.get(&entry.plate).map(|(l, e)| (*l, e.level));
        match before {
            Some((other, level)) => {
                let plate = entry.plate.clone();
                let kept = if severity(entry.level) < severity(level) {
                    line
                } else {
                    other
                };
                if kept == line {
                    self.entries.insert(plate.clone(), (line, entry));
                }
                Err(format!(
                    "{plate} stands in line {other} too; line {kept} holds, the more severe or the first"
                ))
            }
            None => {
                self.entries.insert(entry.plate.clone(), (line, entry));
                Ok(())
            }
        }
    }

    /// The entry of exactly this plate, if it still holds at this time.
    pub fn matches(&self, plate: &str, at: DateTime<FixedOffset>) -> Option<&Entry> {
        let (_, entry) = self.entries.get(plate)?;
        entry
            .valid_until
            .is_none_or(|until| at <= until)
            .then_some(entry)
    }

    /// The hit that a passage is, if it is one.
    pub fn hit(&self, passage: &PassageMessage, id: Uuid) -> Option<HitMessage> {
        let plate = passage.plate.as_ref()?;
        let entry = self.matches(&plate.text, passage.time)?;
        let weakest = plate
            .characters
            .iter()
            .enumerate()
            .min_by(|(_, a), (_, b)| {
                let of = |c: &kakou_contract::Character| c.confidence.get();
                of(a).total_cmp(&of(b))
            });
        Some(HitMessage {
            is_late: false,
            schema_version: SchemaVersion::CURRENT,
            id,
            sequence: None,
            site: passage.site.clone(),
            agent: passage.agent.clone(),
            camera: passage.camera.clone(),
            passage_id: passage.id,
            time: passage.time,
            level: entry.level,
            category: entry.category.clone(),
            reason: entry.reason.clone(),
            entry: ListEntry {
                plate: entry.plate.clone(),
                list: self.name.clone(),
                list_version: Some(self.version.clone()),
                valid_until: entry.valid_until,
            },
            doubt: Doubt {
                kind: MatchKind::Exact,
                confidence: plate.confidence,
                differences: Vec::new(),
                weakest: weakest.map(|(at, c)| WeakCharacter {
                    position: u8::try_from(at).unwrap_or(u8::MAX),
                    char: c.char,
                    confidence: c.confidence,
                }),
            },
            lane: passage.lane.clone(),
            direction: passage.direction,
            picture: passage.picture,
            vehicle: passage.vehicle.clone(),
            plate: plate.clone(),
            evidence: passage.evidence.clone(),
            clock: passage.clock,
        })
    }
}

/// 0 is the worst.
fn severity(level: Level) -> usize {
    Level::ALL
        .iter()
        .position(|l| *l == level)
        .unwrap_or(usize::MAX)
}

fn entry(row: &Row) -> Result<Entry, String> {
    let plate = normalised(&row.plate);
    let length = plate.chars().count();
    let strange = plate
        .chars()
        .find(|c| !(c.is_ascii_alphanumeric() || ('\u{4e00}'..='\u{9fff}').contains(c)));
    if let Some(c) = strange {
        return Err(format!("plate {plate:?} has {c:?} in it"));
    }
    if !(4..=9).contains(&length) {
        return Err(format!(
            "plate {plate:?} has {length} characters; 4 to 9 are possible"
        ));
    }
    let level = row
        .level
        .to_lowercase()
        .parse()
        .map_err(|e: kakou_contract::codes::UnknownWord| e.to_string())?;
    let valid_until = match row.valid_until.as_deref().unwrap_or("") {
        "" => None,
        text => Some(end(text)?),
    };
    Ok(Entry {
        plate,
        level,
        category: row.category.clone(),
        reason: row.reason.clone(),
        valid_until,
    })
}

/// Without the dots, spaces and small letters that people write.
fn normalised(plate: &str) -> String {
    plate
        .chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, '·' | '•' | '・' | '-' | '.'))
        // Full-width letters and digits.
        .map(|c| {
            if ('！'..='～').contains(&c) {
                char::from_u32(c as u32 - 0xfee0).unwrap_or(c)
            } else {
                c
            }
        })
        .flat_map(char::to_uppercase)
        .collect()
}

/// A time, or the end of a day in China.
fn end(text: &str) -> Result<DateTime<FixedOffset>, String> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time);
    }
    let wrong = || {
        format!(
            "valid_until {text:?} is neither a date (2031-05-04) nor a time (2031-05-04T08:00:00+08:00)"
        )
    };
    let day: NaiveDate = text.parse().map_err(|_| wrong())?;
    let last = day.and_hms_opt(23, 59, 59).ok_or_else(wrong)?;
    let china = FixedOffset::east_opt(8 * 3600).ok_or_else(wrong)?;
    last.and_local_timezone(china).single().ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const HEADER: &str = "plate,level,category,reason,valid_until\n";

    fn list(text: &str) -> (List, Vec<String>) {
        let (list, bad) = List::parse("test", text.as_bytes());
        (list, bad.iter().map(ToString::to_string).collect())
    }

    fn at(text: &str) -> DateTime<FixedOffset> {
        DateTime::parse_from_rfc3339(text).unwrap()
    }

    #[test]
    fn a_bad_line_is_refused_by_number_and_the_rest_is_used() {
        let text = format!(
            "\u{feff}{HEADER}鲁E·6k829,red,stolen,\"reported, twice\",\n鲁E6K82,purple,stolen,x,\nx,red,a,b,\n京Ａ12345,blue,tax,unpaid,2031-05-04\n苏A1,red\n鲁B88888,orange,a,b,tomorrow\n"
        );
        let (list, bad) = list(&text);
        assert_eq!(list.len(), 2);
        assert_eq!(
            list.matches("鲁E6K829", at("2040-01-01T00:00:00Z"))
                .unwrap()
                .reason,
            "reported, twice"
        );
        assert!(
            list.matches("京A12345", at("2031-05-04T23:59:59+08:00"))
                .is_some()
        );
        assert!(
            list.matches("京A12345", at("2031-05-05T00:00:00+08:00"))
                .is_none()
        );
        assert_eq!(bad.len(), 4, "{bad:?}");
        assert!(
            bad[0].starts_with("line 3: ") && bad[0].contains("purple"),
            "{bad:?}"
        );
        assert!(
            bad[1].contains("4 to 9") && bad[3].contains("tomorrow"),
            "{bad:?}"
        );
    }

    #[test]
    fn near_is_not_enough() {
        let (list, _) = list(&format!("{HEADER}鲁E6K829,red,a,b,\n"));
        for other in ["鲁E6K82", "鲁E6K82B", "鲁E6K8290", "鲁F6K829"] {
            assert!(
                list.matches(other, at("2031-01-01T00:00:00Z")).is_none(),
                "{other}"
            );
        }
    }

    #[test]
    fn the_more_severe_of_two_holds_and_is_told() {
        let (list, bad) = list(&format!("{HEADER}鲁E6K829,blue,a,b,\n鲁E6K829,red,c,d,\n"));
        assert_eq!(
            list.matches("鲁E6K829", at("2031-01-01T00:00:00Z"))
                .unwrap()
                .level,
            Level::Red
        );
        assert!(bad[0].contains("line 2 too; line 3 holds"), "{bad:?}");
    }

    #[test]
    fn a_wrong_header_is_told() {
        assert!(list("plate,level\n").1[0].contains("\"category\" is missing"));
        assert!(
            list("plate,level,category,reason,colour\n").1[0].contains("unknown column \"colour\"")
        );
        assert!(
            List::parse(
                "gbk",
                b"plate,level,category,reason\n\xbe\xa9A12345,red,a,b\n"
            )
            .1[0]
                .why
                .contains("UTF-8")
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = List::parse("any", &bytes);
            let _ = List::parse("any", &[HEADER.as_bytes(), &bytes].concat());
        }
    }
}
