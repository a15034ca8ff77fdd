//! What a track's plate has been read as, as evidence that a plate is or is not the track's.

use crate::plate::{PlateRead, similarity};

use super::TrackConfig;

/// Texts remembered per track.
const KEEP: usize = 6;

/// What a read says about a track.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Verdict {
    Same,
    /// No read, no text yet, or neither near nor far.
    Unknown,
    Other,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Texts {
    /// Best supported first.
    known: Vec<(String, f32)>,
    /// The text that lately contradicted the track, and how often in a row.
    contrary: Option<(String, u32)>,
}

impl Texts {
    pub(crate) fn judge(&self, read: Option<&PlateRead>, c: &TrackConfig) -> Verdict {
        let Some(read) = read.filter(|r| r.chars.len() >= c.min_plate_chars) else {
            return Verdict::Unknown;
        };
        let text = read.text();
        let best = self
            .known
            .iter()
            .map(|(t, _)| similarity(t, &text))
            .fold(None, |m: Option<f32>, s| Some(m.map_or(s, |m| m.max(s))));
        match best {
            Some(s) if s >= c.same_text => Verdict::Same,
            Some(s) if s <= c.other_text && read.mean_conf() >= c.sure_read => Verdict::Other,
            _ => Verdict::Unknown,
        }
    }

    /// Whether the track was read as exactly this.
    pub(crate) fn knows(&self, text: &str) -> bool {
        self.known.iter().any(|(t, _)| t == text)
    }

    /// Takes a read that belongs to the track.
    pub(crate) fn agree(&mut self, read: &PlateRead, c: &TrackConfig) {
        if read.chars.len() < c.min_plate_chars {
            return;
        }
        self.contrary = None;
        self.support(read.text(), read.mean_conf());
    }

    fn support(&mut self, text: String, weight: f32) {
        match self.known.iter_mut().find(|(t, _)| *t == text) {
            Some((_, w)) => *w += weight,
            None => {
                // The weakest makes room, so that a text that comes often gets in.
                if self.known.len() == KEEP {
                    self.known.pop();
                }
                self.known.push((text, weight));
            }
        }
        self.known
            .sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    }

    pub(crate) fn merge(&mut self, other: Self) {
        for (t, w) in other.known {
            self.support(t, w);
        }
    }

    /// Counts a read that contradicts the track; true once so many agreed that it is another vehicle.
    pub(crate) fn contradict(&mut self, read: &PlateRead, c: &TrackConfig) -> bool {
        let text = read.text();
        let n = match self.contrary.take() {
            Some((t, n)) if similarity(&t, &text) >= c.same_text => n + 1,
            _ => 1,
        };
        self.contrary = Some((text, n));
        n >= c.contrary_reads
    }
}
