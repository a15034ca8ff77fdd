//! What the box still has of what has passed, read from the outbox beside the thread that writes it.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;

use bytes::Bytes;
use chrono::{DateTime, DurationRound, FixedOffset, TimeDelta};
use kakou_contract::{AuditEvent, AuditMessage, Message, PassageMessage, Priority, Sequence};
use kakou_guard::clean_line;
use kakou_outbox::{Inspection, OutboxError, Stored};
use kakou_panel::{
    Answered, Before, Hour, PassageQuery, PassageRow, Passages, Pictures, Quality, Refused, Report,
};
use serde_json::Value;
use uuid::Uuid;
use wildmatch::WildMatch;

use super::super::tally::plate_width;

/// Rows that one question looks at: a day of a busy checkpoint.
const LOOKED_AT: usize = 50_000;

/// Reads the outbox in a state folder.
#[derive(Clone)]
pub struct Records {
    pub state: PathBuf,
}

fn failed(e: OutboxError) -> Refused {
    Refused::Failed(e.to_string())
}

impl Records {
    fn open(&self) -> Result<Inspection, Refused> {
        Inspection::open(&self.state).map_err(failed)
    }

    pub fn passages(&self, wanted: &PassageQuery) -> Result<Passages, Refused> {
        let mut rows = Vec::new();
        let (mut looked, mut last) = (0, None);
        let mut more = false;
        self.each(wanted.before, |stored, passage| {
            looked += 1;
            if rows.len() >= wanted.limit || looked > LOOKED_AT {
                more = true;
                return ControlFlow::Break(());
            }
            last = Some(stored.sequence);
            if is_wanted(wanted, &passage)
                && let Ok(json) = serde_json::from_slice::<Value>(&stored.payload)
            {
                rows.push(PassageRow {
                    sequence: Some(stored.sequence),
                    pictures: Pictures::of(&json["evidence"], Some(stored.sequence)),
                    passage: json,
                    hit: false,
                });
            }
            ControlFlow::Continue(())
        })?;
        let hits = self.hit_passages(&rows)?;
        for row in &mut rows {
            let id = row.passage["id"].as_str().unwrap_or_default();
            row.hit = hits.iter().any(|hit| hit == id);
        }
        Ok(Passages {
            passages: rows,
            next: last.filter(|_| more),
        })
    }

    /// Of these passages, the ids of those that a hit is of: a hit is committed with its passage or
    /// shortly before.
    fn hit_passages(&self, rows: &[PassageRow]) -> Result<Vec<String>, Refused> {
        let numbers = || rows.iter().filter_map(|row| row.sequence);
        let (Some(first), Some(last)) = (numbers().min(), numbers().max()) else {
            return Ok(Vec::new());
        };
        let first = first.saturating_sub(2000);
        let mut found = Vec::new();
        self.open()?
            .newest(Priority::Hit, Some(last + 1), |stored| {
                if stored.sequence < first {
                    return ControlFlow::Break(());
                }
                if let Ok(hit) = serde_json::from_slice::<Value>(&stored.payload)
                    && let Some(passage) = hit["passage_id"].as_str()
                {
                    found.push(passage.to_owned());
                }
                ControlFlow::Continue(())
            })
            .map_err(failed)?;
        Ok(found)
    }

    pub fn hits(&self, most: usize) -> Result<Vec<Before>, Refused> {
        let mut found: Vec<Before> = Vec::new();
        self.open()?
            .newest(Priority::Hit, None, |stored| {
                if found.len() >= most {
                    return ControlFlow::Break(());
                }
                if let Ok(hit) = serde_json::from_slice::<Value>(&stored.payload) {
                    found.push(Before {
                        hit,
                        near: Some(stored.sequence),
                        answer: None,
                    });
                }
                ControlFlow::Continue(())
            })
            .map_err(failed)?;
        let answers = self.answers()?;
        for before in &mut found {
            let id = before.hit["id"].as_str().unwrap_or_default();
            before.answer = answers.get(id).cloned();
        }
        Ok(found)
    }

    /// The last answer to each hit, by its id.
    fn answers(&self) -> Result<BTreeMap<String, Answered>, Refused> {
        let mut found = BTreeMap::new();
        let mut looked = 0;
        self.open()?
            .newest(Priority::Control, None, |stored| {
                looked += 1;
                if looked > LOOKED_AT {
                    return ControlFlow::Break(());
                }
                if let Ok(AuditMessage { time, event, .. }) =
                    AuditMessage::from_json(&stored.payload)
                    && let AuditEvent::Answer {
                        hit,
                        verdict,
                        by,
                        note,
                        ..
                    } = event
                {
                    found.entry(hit.to_string()).or_insert(Answered {
                        verdict,
                        by,
                        note,
                        time,
                    });
                }
                ControlFlow::Continue(())
            })
            .map_err(failed)?;
        Ok(found)
    }

    pub fn picture(&self, owner: Uuid, role: &str, near: u64) -> Result<Bytes, Refused> {
        let ending = format!("/evidence/{owner}/{role}");
        let found = self.open()?.near(&ending, near).map_err(failed)?;
        let gone = || Refused::NotFound("this picture is no longer kept".into());
        found.map(Bytes::from).ok_or_else(gone)
    }

    pub fn quality(&self, hours: u32, now: DateTime<FixedOffset>) -> Result<Quality, Refused> {
        let since = now - TimeDelta::hours(i64::from(hours));
        let mut book: BTreeMap<(DateTime<FixedOffset>, String, Option<String>), Sums> =
            BTreeMap::new();
        let mut looked = 0;
        self.each(None, |stored, passage| {
            looked += 1;
            // Commits are in order; passages may be recorded some time after they passed.
            if stored.committed_ms < since.timestamp_millis() || looked > LOOKED_AT {
                return ControlFlow::Break(());
            }
            if let Ok(start) = passage.time.duration_trunc(TimeDelta::hours(1)) {
                let lane = passage.lane.as_ref().map(|lane| lane.id.to_string());
                let key = (start, passage.camera.to_string(), lane);
                book.entry(key).or_default().add(&passage);
            }
            ControlFlow::Continue(())
        })?;
        let hour = |((start, camera, lane), sums): (_, Sums)| Hour {
            start,
            camera,
            lane,
            passages: sums.passages,
            read: sums.read,
            confidence: mean(sums.confidence, sums.read),
            width: mean(sums.width, sums.read),
        };
        Ok(Quality {
            hours: book.into_iter().map(hour).collect(),
        })
    }

    pub fn report(&self, hours: u32, now: DateTime<FixedOffset>) -> Result<Report, Refused> {
        let since = now - TimeDelta::hours(i64::from(hours));
        // For a spreadsheet that guesses: it is UTF-8.
        let mut out = "\u{feff}sequence,time,camera,lane,direction,class,plate,kind,colour,confidence,unread\r\n".to_owned();
        let (mut first, mut last, mut looked) = (0, 0, 0);
        self.each(None, |stored, passage| {
            looked += 1;
            if stored.committed_ms < since.timestamp_millis() || looked > LOOKED_AT {
                return ControlFlow::Break(());
            }
            last = last.max(stored.sequence);
            first = stored.sequence;
            out.push_str(&line(stored.sequence, &passage));
            ControlFlow::Continue(())
        })?;
        let range = Sequence::new(first).ok().zip(Sequence::new(last).ok());
        Ok((Bytes::from(out), range))
    }

    /// Tells each passage, the newest first. What cannot be read is passed over.
    fn each(
        &self,
        before: Option<u64>,
        mut tell: impl FnMut(&Stored, PassageMessage) -> ControlFlow<()>,
    ) -> Result<(), Refused> {
        self.open()?
            .newest(Priority::Passage, before, |stored| {
                if !stored.topic.contains("/passage/") {
                    return ControlFlow::Continue(());
                }
                match PassageMessage::from_json(&stored.payload) {
                    Ok(passage) => tell(&stored, passage),
                    Err(_) => ControlFlow::Continue(()),
                }
            })
            .map_err(failed)
    }
}

#[derive(Default)]
struct Sums {
    passages: u64,
    read: u64,
    confidence: f64,
    width: f64,
}

impl Sums {
    fn add(&mut self, passage: &PassageMessage) {
        self.passages += 1;
        if let Some(plate) = &passage.plate {
            self.read += 1;
            self.confidence += f64::from(plate.confidence.get());
            self.width += f64::from(plate_width(plate));
        }
    }
}

fn mean(sum: f64, count: u64) -> Option<f64> {
    (count > 0).then(|| sum / count as f64)
}

fn is_wanted(wanted: &PassageQuery, passage: &PassageMessage) -> bool {
    let fits = |wanted: &Option<String>, is: Option<&str>| match wanted {
        None => true,
        Some(wanted) => is == Some(wanted.as_str()),
    };
    let plate = passage.plate.as_ref();
    fits(&wanted.camera, Some(passage.camera.as_str()))
        && fits(
            &wanted.lane,
            passage.lane.as_ref().map(|lane| lane.id.as_str()),
        )
        && fits(
            &wanted.class,
            passage.vehicle.as_ref().map(|v| v.class.as_str()),
        )
        && (!wanted.unread || plate.is_none())
        && match (&wanted.plate, plate) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(pattern), Some(plate)) => WildMatch::new(pattern).matches(&plate.text),
        }
}

/// A cell that begins like a formula is text to a spreadsheet by an apostrophe (OWASP, "CSV
/// Injection"). Texts of this box hold no line breaks, but a config's names may hold anything else.
fn cell(text: &str) -> String {
    let text = clean_line(text);
    let text = match text.starts_with(['=', '+', '-', '@']) {
        true => format!("'{text}"),
        false => text,
    };
    match text.contains([',', '"']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

fn line(sequence: u64, passage: &PassageMessage) -> String {
    let plate = passage.plate.as_ref();
    let cells = [
        sequence.to_string(),
        kakou_contract::time::to_text(&passage.time),
        passage.camera.to_string(),
        passage
            .lane
            .as_ref()
            .map_or_else(String::new, |lane| lane.id.to_string()),
        passage.direction.to_string(),
        passage
            .vehicle
            .as_ref()
            .map_or_else(String::new, |v| v.class.to_string()),
        plate.map_or_else(String::new, |p| p.text.clone()),
        plate
            .and_then(|p| p.kind.as_ref())
            .map_or_else(String::new, |k| k.code().to_owned()),
        plate
            .and_then(|p| p.colour.as_ref())
            .map_or_else(String::new, |c| c.value.to_string()),
        plate.map_or_else(String::new, |p| p.confidence.to_string()),
        passage
            .no_plate_reason
            .map_or_else(String::new, |r| r.to_string()),
    ];
    let cells: Vec<String> = cells.iter().map(|text| cell(text)).collect();
    format!("{}\r\n", cells.join(","))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn passage() -> PassageMessage {
        let json = include_bytes!("../../../contract/golden/passage.json");
        PassageMessage::from_json(json).unwrap()
    }

    #[test]
    fn a_filter_takes_what_it_names_and_nothing_else() {
        let passage = passage();
        let wanted = |change: fn(&mut PassageQuery)| {
            let mut query = PassageQuery::default();
            change(&mut query);
            is_wanted(&query, &passage)
        };
        assert!(wanted(|_| {}));
        assert!(wanted(|q| q.camera = Some("cam-1".into())));
        assert!(!wanted(|q| q.camera = Some("cam-2".into())));
        assert!(wanted(|q| q.plate = Some("冀Z7*".into())));
        assert!(wanted(|q| q.plate = Some("冀Z?K0T9".into())));
        assert!(!wanted(|q| q.plate = Some("冀Z?K0T".into())));
        assert!(!wanted(|q| q.unread = true));
        assert!(wanted(|q| q.class = Some("car".into())));
    }

    #[test]
    fn a_line_of_the_report_is_what_a_spreadsheet_takes_for_text() {
        assert_eq!(cell("=cmd|' /C calc'!A0"), "'=cmd|' /C calc'!A0");
        assert!(!cell("a\r\nb").contains(['\r', '\n']));
        assert_eq!(cell("a,\"b\""), "\"a,\"\"b\"\"\"");
        let line = line(7, &passage());
        assert!(line.starts_with(
            "7,2031-05-04T08:15:30.250+08:00,cam-1,lane-1,approaching,car,冀Z7K0T9,02,blue,"
        ));
        assert!(line.ends_with("\r\n"));
    }
}
