//! The votes over the reads of each vehicle of a recording, read by read: what an early hit rests
//! on. Lanes play no part in it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::early::{Story, Word};
use super::score::align;
use crate::measure::truth::KnownPassage;
use kakou_sight::camera::{Assumed, Frame, Next, SourceError, open};
use kakou_sight::vision::{LookArea, LookConfig, LookError, ModelSet, Vision};
use kakou_traffic::attention::Attention;
use kakou_traffic::geometry::Rect;
use kakou_traffic::plate::{Ballot, VoteConfig};
use kakou_traffic::track::{TrackConfig, TrackId, Tracker, Updates};

/// The times of the truth were taken down by eye.
const SLACK_S: f64 = 1.0;
/// A text that shares more than this part of its characters with a plate of the truth was read from it.
const SHARED: f32 = 0.5;

#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("{recording}, frame {frame}: {source}")]
    Look {
        recording: PathBuf,
        frame: String,
        source: LookError,
    },
}

/// A recording with what is known to pass in it.
#[derive(Debug, Clone)]
pub struct Recording {
    pub path: PathBuf,
    pub passages: Vec<KnownPassage>,
}

#[derive(Deserialize)]
struct Line {
    footage: String,
    #[serde(default)]
    passages: Option<Vec<KnownPassage>>,
}

/// The recordings of a `truth.jsonl` whose lines name footage, without those in which no plate is
/// known; `None` if its lines are of another kind.
pub fn recordings(set: &Path) -> Option<Vec<Recording>> {
    let file = if set.is_dir() {
        set.join("truth.jsonl")
    } else {
        set.to_path_buf()
    };
    let text = std::fs::read_to_string(&file).ok()?;
    let folder = file.parent().unwrap_or(Path::new("."));
    let own = folder.canonicalize().ok();
    let own = own.as_deref().and_then(Path::file_name);
    let lines: Vec<Line> = text
        .lines()
        .filter(|l| !l.trim().is_empty())
        .map(|l| serde_json::from_str(l).ok())
        .collect::<Option<_>>()?;
    let known = |line: Line| {
        let passages = line.passages.unwrap_or_default();
        // The footage of a sample is the folder that the truth lies in.
        let inside = folder.join(&line.footage);
        let path = if !inside.exists() && own.is_some_and(|o| o == line.footage.as_str()) {
            folder.to_path_buf()
        } else {
            inside
        };
        passages
            .iter()
            .any(|p| p.text.is_some())
            .then_some(Recording { path, passages })
    };
    Some(lines.into_iter().filter_map(known).collect())
}

#[derive(Debug)]
struct Followed {
    ballot: Ballot,
    story: Story,
    last: Duration,
}

/// Looks at a recording as the agent does, and returns the story of each vehicle whose plate was
/// read.
pub fn stories(
    models: &mut ModelSet,
    config: &LookConfig,
    recording: &Recording,
    fps: f64,
) -> Result<Vec<Story>, RecordingError> {
    let assumed = Assumed {
        start: chrono::DateTime::UNIX_EPOCH.fixed_offset(),
        fps,
    };
    let mut source = open(&recording.path, assumed)?;
    let mut vision = Vision::new(config.clone());
    let mut attention = Attention::new(config.enough_reads);
    let mut tracker = Tracker::new(TrackConfig::default());
    let mut open: BTreeMap<TrackId, Followed> = BTreeMap::new();
    let mut done = Vec::new();
    let mut begun = None;
    loop {
        let frame = match source.next()? {
            Next::End => break,
            Next::Broken { .. } => continue,
            Next::Frame(frame) => frame,
        };
        let now = frame.time.mono;
        let since = now.saturating_sub(*begun.get_or_insert(now));
        let expected = attention.expected(now);
        let Some(due) = vision.due(now, &expected) else {
            continue;
        };
        let seen = vision
            .look(models, &frame, due, &everything(&frame), &expected)
            .map_err(|source| RecordingError::Look {
                recording: recording.path.clone(),
                frame: frame.name.to_string(),
                source,
            })?;
        let updates = tracker.update(now, frame.size(), &seen);
        vision.update(now, &seen, &updates);
        attention.update(now, &seen, &updates);
        close(&updates, &mut open, &mut done);
        for view in &updates.tracks {
            let Some(find) = view.plate_find.and_then(|i| seen.plates.get(i)) else {
                continue;
            };
            let followed = open.entry(view.id).or_insert_with(|| Followed {
                ballot: Ballot::new(VoteConfig::default()),
                story: Story::default(),
                last: since,
            });
            if let Some((colour, sure)) = find.colour {
                followed.ballot.add_colour(colour, sure, find.legibility);
            }
            if let Some(read) = &find.read {
                followed.ballot.add(read, find.legibility);
                followed.hear(since);
            }
        }
    }
    done.extend(open.into_values());
    Ok(done
        .into_iter()
        .filter(|f| !f.story.words.is_empty())
        .map(|f| Story {
            truth: truth(&f, &recording.passages),
            ..f.story
        })
        .collect())
}

impl Followed {
    fn hear(&mut self, now: Duration) {
        if self.ballot.reads() == 1 {
            self.story.first_read = now;
        }
        self.last = now;
        if let Ok((plate, signs)) = self.ballot.result_with_signs(None) {
            self.story.words.push(Word {
                at: now,
                reads: plate.reads,
                text: plate.text,
                probability: plate.probability,
                signs,
            });
        }
    }
}

/// Ends what has ended, and joins what is one vehicle.
fn close(updates: &Updates, open: &mut BTreeMap<TrackId, Followed>, done: &mut Vec<Followed>) {
    for merge in &updates.merged {
        let Some(gone) = open.remove(&merge.gone) else {
            continue;
        };
        match open.get_mut(&merge.into) {
            Some(into) => {
                into.ballot.merge(gone.ballot);
                into.story.first_read = into.story.first_read.min(gone.story.first_read);
                into.story.words.extend(gone.story.words);
                into.story.words.sort_by_key(|w| w.at);
            }
            None => {
                open.insert(merge.into, gone);
            }
        }
    }
    for (id, _) in &updates.ended {
        done.extend(open.remove(id));
    }
}

fn everything(frame: &Frame) -> LookArea {
    let (w, h) = frame.size();
    LookArea {
        region: Rect::new(0.0, 0.0, w as f32, h as f32),
        masks: Vec::new(),
    }
}

/// The plate of the truth that is most like what was read, of those in sight at that time.
fn truth(followed: &Followed, passages: &[KnownPassage]) -> Option<String> {
    let (from, to) = (
        followed.story.first_read.as_secs_f64() - SLACK_S,
        followed.last.as_secs_f64() + SLACK_S,
    );
    passages
        .iter()
        .filter(|p| p.from_s <= to && p.to_s >= from)
        .filter_map(|p| p.text.as_ref())
        .filter_map(|text| {
            let shared = |w: &Word| {
                let pairs = align(text, &w.text);
                let same = pairs.iter().filter(|(a, b)| a == b).count();
                same as f32 / text.chars().count().max(1) as f32
            };
            let best = followed.story.words.iter().map(shared).fold(0.0, f32::max);
            (best > SHARED).then_some((best, text))
        })
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, text)| text.clone())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn footage_is_told_from_pictures() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("truth.jsonl");
        std::fs::write(&path, "{\"image\": \"a.jpg\", \"text\": \"x\"}\n").unwrap();
        assert!(recordings(dir.path()).is_none());
        std::fs::write(
            &path,
            concat!(
                "{\"footage\": \"a.mp4\", \"passages\": [{\"text\": \"x\", \"from_s\": 0, \"to_s\": 1}]}\n",
                "{\"footage\": \"b.mp4\", \"passages\": [{\"text\": null, \"from_s\": 0, \"to_s\": 1}]}\n",
                "{\"footage\": \"c.mp4\", \"passages\": null}\n",
            ),
        )
        .unwrap();
        let found = recordings(dir.path()).unwrap();
        assert_eq!(found.len(), 1, "no plate is known in the others");
        assert_eq!(found[0].path, dir.path().join("a.mp4"));
        assert!(recordings(&dir.path().join("none")).is_none());
    }
}
