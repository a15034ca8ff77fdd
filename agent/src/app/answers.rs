//! What officers answered to hits, and what follows from it.
//!
//! Each answer is an audit record in the outbox's chain, so it is stored and sent on. Beside that a
//! small file in the state folder keeps what is counted, over restarts: per entry, camera and
//! confused character. Entries that were wrong three times have to be surer before they alarm
//! again while the vehicle is in sight; a vehicle that has passed is told all the same.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

use chrono::{DateTime, FixedOffset, TimeDelta};
use kakou_contract::{AuditEvent, HitMessage, Id, Level, PlateKind, Verdict};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

/// The file in the state folder.
const FILE: &str = "answers.json";
/// Hits that can be answered with their entry known; of more, the oldest are forgotten.
const TOLD: usize = 4096;
/// Answers that are counted; of more, and of older ones, the oldest are forgotten.
const ANSWERS: usize = 10_000;
const COUNTED_FOR: TimeDelta = TimeDelta::days(90);
/// So many wrong plates raise an entry's threshold, and so many more raise it again.
const WRONG: usize = 3;
/// What is left of the doubt that may remain, each time.
const RAISE: f32 = 0.25;

/// An entry of a list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Entry {
    list: String,
    plate: String,
    kind: Option<String>,
}

impl Entry {
    fn of(hit: &HitMessage) -> Self {
        Self {
            list: hit.entry.list.clone(),
            plate: hit.entry.plate.clone(),
            kind: hit.entry.kind.map(PlateKind::code).map(str::to_owned),
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct About {
    entry: Entry,
    level: Level,
    camera: Id,
    /// What was read where something else is listed; of an exact match the least sure character.
    confused: Vec<String>,
}

impl About {
    fn of(hit: &HitMessage) -> Self {
        let shown = |c: Option<char>| c.map_or("-".to_owned(), String::from);
        let differences = hit.doubt.differences.iter();
        let mut confused: Vec<String> = differences
            .map(|d| format!("{}/{}", shown(d.read), shown(d.listed)))
            .collect();
        if confused.is_empty() {
            confused.extend(hit.doubt.weakest.map(|weak| weak.char.to_string()));
        }
        Self {
            entry: Entry::of(hit),
            level: hit.level,
            camera: hit.camera.clone(),
            confused,
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Answered {
    hit: Uuid,
    at: DateTime<FixedOffset>,
    verdict: Verdict,
    about: About,
}

/// An answer as it was given.
#[derive(Debug, Clone)]
pub struct Answer {
    pub hit: Uuid,
    pub verdict: Verdict,
    pub by: String,
    pub note: Option<String>,
}

pub struct Answers {
    file: PathBuf,
    told: VecDeque<(Uuid, About)>,
    answered: VecDeque<Answered>,
}

impl Answers {
    /// With those that an earlier run counted. A file that cannot be read is named and left where
    /// it is until the next answer: what was counted is lost, and no answer.
    pub fn open(state: &Path) -> Self {
        let file = state.join(FILE);
        let answered = match std::fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|e| {
                tracing::error!(file = %file.display(), "answers are counted anew: {e}");
                VecDeque::new()
            }),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => VecDeque::new(),
            Err(e) => {
                tracing::error!(file = %file.display(), "answers are counted anew: {e}");
                VecDeque::new()
            }
        };
        Self {
            file,
            told: VecDeque::new(),
            answered,
        }
    }

    /// A hit was told, and may be answered.
    pub fn told(&mut self, hit: &HitMessage) {
        if self.told.iter().rev().any(|(id, _)| *id == hit.id) {
            return;
        }
        self.told.push_back((hit.id, About::of(hit)));
        if self.told.len() > TOLD {
            self.told.pop_front();
        }
    }

    /// Counts an answer; a later one to the same hit takes the place of the earlier. `sure`: what
    /// the level asks for. Returns what is to be recorded, and the counts for who answered.
    pub fn answer(
        &mut self,
        answer: Answer,
        at: DateTime<FixedOffset>,
        sure: impl Fn(Level) -> f32,
    ) -> (AuditEvent, Value) {
        let Answer {
            hit,
            verdict,
            by,
            note,
        } = answer;
        let before = self.answered.iter().position(|a| a.hit == hit);
        let before = before.and_then(|i| self.answered.remove(i));
        let about = self
            .told
            .iter()
            .find(|(id, _)| *id == hit)
            .map(|(_, about)| about.clone())
            .or(before.map(|a| a.about));
        let event = |about: Option<&About>, raised| AuditEvent::Answer {
            hit,
            verdict,
            by: by.clone(),
            note: note.clone(),
            list: about.map(|a| a.entry.list.clone()),
            plate: about.map(|a| a.entry.plate.clone()),
            camera: about.map(|a| a.camera.clone()),
            raised,
        };
        let Some(about) = about else {
            let why = "told before the last start or by another agent: recorded, not counted";
            return (
                event(None, None),
                json!({ "counted": false, "detail": why }),
            );
        };
        let raises_before = self.raises(&about.entry);
        self.answered.push_back(Answered {
            hit,
            at,
            verdict,
            about: about.clone(),
        });
        self.forget(at);
        let raises = self.raises(&about.entry);
        let raised = (raises > raises_before)
            .then(|| raise(sure(about.level), raises))
            .map(kakou_contract::Confidence::new);
        if let Some(raised) = raised {
            tracing::warn!(
                list = about.entry.list,
                "{} wrong plates for one entry: it is told in sight from {raised} on",
                self.wrong(&about.entry)
            );
        }
        (
            event(Some(&about), raised),
            self.counts(&about, raised.is_some()),
        )
    }

    /// What an entry's probability must be, where its level asks for `sure`.
    pub fn sure_of(&self, hit: &HitMessage, sure: f32) -> f32 {
        match self.answered.is_empty() {
            true => sure,
            false => raise(sure, self.raises(&Entry::of(hit))),
        }
    }

    fn raises(&self, entry: &Entry) -> usize {
        self.wrong(entry) / WRONG
    }

    fn wrong(&self, entry: &Entry) -> usize {
        let of_entry = self.answered.iter().filter(|a| a.about.entry == *entry);
        of_entry
            .filter(|a| a.verdict == Verdict::WrongPlate)
            .count()
    }

    fn counts(&self, about: &About, raised: bool) -> Value {
        let count = |of: &dyn Fn(&About) -> bool| {
            let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
            for answered in self.answered.iter().filter(|a| of(&a.about)) {
                *counts.entry(answered.verdict.as_str()).or_default() += 1;
            }
            counts
        };
        let confused: BTreeMap<&String, _> = about
            .confused
            .iter()
            .map(|c| (c, count(&|a| a.confused.contains(c))))
            .collect();
        json!({
            "counted": true,
            "entry": count(&|a| a.entry == about.entry),
            "camera": count(&|a| a.camera == about.camera),
            "confused": confused,
            "raised": raised,
        })
    }

    fn forget(&mut self, now: DateTime<FixedOffset>) {
        self.answered.retain(|a| now - a.at < COUNTED_FOR);
        while self.answered.len() > ANSWERS {
            self.answered.pop_front();
        }
    }

    /// What is counted, to be saved when nobody waits for it.
    pub fn counted(&self) -> Counted {
        Counted {
            file: self.file.clone(),
            answered: self.answered.clone(),
        }
    }
}

/// The counts of answers as they stood.
pub struct Counted {
    file: PathBuf,
    answered: VecDeque<Answered>,
}

impl Counted {
    /// As a whole or not at all. The audit record has the answer; what fails here is the count.
    pub fn save(&self) {
        let write = || -> std::io::Result<()> {
            let folder = self.file.parent().unwrap_or(Path::new("."));
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            serde_json::to_writer(&mut file, &self.answered)?;
            file.as_file().sync_all()?;
            file.persist(&self.file)?;
            Ok(())
        };
        if let Err(e) = write() {
            tracing::error!(file = %self.file.display(), "the counts of answers are not kept: {e}");
        }
    }
}

fn raise(sure: f32, times: usize) -> f32 {
    let times = i32::try_from(times).unwrap_or(i32::MAX);
    1.0 - (1.0 - sure) * RAISE.powi(times)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use kakou_contract::Message;

    use super::*;

    fn hit(n: u128, plate: &str) -> HitMessage {
        let mut hit =
            HitMessage::from_json(include_bytes!("../../contract/golden/hit.json")).unwrap();
        (hit.id, hit.entry.plate) = (Uuid::from_u128(n), plate.to_owned());
        hit
    }

    fn say(answers: &mut Answers, n: u128, verdict: Verdict) -> (AuditEvent, Value) {
        let at = hit(1, "x").time + TimeDelta::minutes(n as i64);
        let answer = Answer {
            hit: Uuid::from_u128(n),
            verdict,
            by: "officer 7".into(),
            note: None,
        };
        let told = answers.answer(answer, at, |_| 0.9);
        answers.counted().save();
        told
    }

    fn raised(event: &AuditEvent) -> Option<f32> {
        match event {
            AuditEvent::Answer { raised, .. } => raised.map(|r| r.get()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn three_wrong_plates_raise_an_entrys_threshold_and_hold_over_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let mut answers = Answers::open(folder.path());
        (1..=4).for_each(|n| answers.told(&hit(n, "皖A12345")));
        answers.told(&hit(9, "皖A99999"));
        for n in 1..=2 {
            assert_eq!(raised(&say(&mut answers, n, Verdict::WrongPlate).0), None);
        }
        // The same hit answered twice counts once.
        assert_eq!(raised(&say(&mut answers, 2, Verdict::WrongPlate).0), None);
        assert_eq!(raised(&say(&mut answers, 3, Verdict::Confirmed).0), None);
        let (event, counts) = say(&mut answers, 4, Verdict::WrongPlate);
        assert_eq!(raised(&event), Some(0.975));
        assert_eq!(counts["entry"], json!({ "confirmed": 1, "wrong_plate": 3 }));
        assert_eq!(counts["camera"], counts["entry"]);
        assert_eq!(counts["confused"]["0"]["wrong_plate"], 3);

        let again = Answers::open(folder.path());
        assert_eq!(again.sure_of(&hit(5, "皖A12345"), 0.9), 0.975);
        assert_eq!(again.sure_of(&hit(5, "皖A99999"), 0.9), 0.9);
    }

    #[test]
    fn an_answer_to_a_hit_that_nobody_remembers_is_recorded() {
        let folder = tempfile::tempdir().unwrap();
        let mut answers = Answers::open(folder.path());
        let (event, counts) = say(&mut answers, 1, Verdict::Released);
        assert!(matches!(event, AuditEvent::Answer { plate: None, .. }));
        assert_eq!(counts["counted"], false);
        // A file that is damaged loses counts, and nothing else.
        std::fs::write(folder.path().join(FILE), b"[{").unwrap();
        let mut answers = Answers::open(folder.path());
        answers.told(&hit(2, "皖A12345"));
        assert_eq!(say(&mut answers, 2, Verdict::Released).1["counted"], true);
    }
}
