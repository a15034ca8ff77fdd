//! What a track's plate has been read as, as evidence that a plate is or is not the track's.

use crate::plate::{PlateRead, similarity};

use super::TrackConfig;

/// Texts remembered per track.
const KEEP: usize = 6;
/// A text with less than this share of the best one's support is a slip of the reader.
const SLIP: f32 = 0.3;

/// What a read says about a track.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Verdict {
    /// Read as this before.
    Same,
    /// Like what was read before, as far as the reader is sure of it.
    Alike,
    /// As sure as what was read before, and one or two characters apart: a misread, or the next
    /// vehicle of a fleet.
    Neighbour,
    /// No read, no text yet, or neither near nor far.
    Unknown,
    Other,
}

/// A text that a track was read as.
#[derive(Debug, Clone, PartialEq)]
struct Known {
    text: String,
    /// Sum of the reads' mean confidences.
    weight: f32,
    /// Whether one of the reads was sure of each character.
    sure: bool,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Texts {
    /// Best supported first.
    known: Vec<Known>,
    /// The text that lately contradicted the track, and how often in a row.
    contrary: Option<(String, u32)>,
}

impl Texts {
    pub(crate) fn judge(&self, read: Option<&PlateRead>, c: &TrackConfig) -> Verdict {
        let Some(read) = read.filter(|r| r.chars.len() >= c.min_plate_chars) else {
            return Verdict::Unknown;
        };
        let text = read.text();
        if self.knows(&text) {
            return Verdict::Same;
        }
        let best = self
            .known
            .iter()
            .map(|k| similarity(&k.text, &text))
            .fold(None, |m: Option<f32>, s| Some(m.map_or(s, |m| m.max(s))));
        // Readers drop and double characters without a doubt, so another length is no other plate.
        let as_sure = |k: &Known| k.sure && k.text.chars().count() == read.chars.len();
        match best {
            Some(s) if s >= c.same_text => {
                if is_sure(read, c) && self.known.first().is_some_and(as_sure) {
                    Verdict::Neighbour
                } else {
                    Verdict::Alike
                }
            }
            Some(s) if s <= c.other_text && read.mean_conf() >= c.sure_read => Verdict::Other,
            _ => Verdict::Unknown,
        }
    }

    /// Whether the track was read as exactly this, and not by a rare slip only.
    pub(crate) fn knows(&self, text: &str) -> bool {
        let most = self.known.first().map_or(0.0, |k| k.weight);
        self.known
            .iter()
            .any(|k| k.text == text && k.weight >= SLIP * most)
    }

    /// Takes a read that belongs to the track.
    pub(crate) fn agree(&mut self, read: &PlateRead, c: &TrackConfig) {
        if read.chars.len() < c.min_plate_chars {
            return;
        }
        self.contrary = None;
        self.support(Known {
            text: read.text(),
            weight: read.mean_conf(),
            sure: is_sure(read, c),
        });
    }

    fn support(&mut self, read: Known) {
        match self.known.iter_mut().find(|k| k.text == read.text) {
            Some(k) => {
                k.weight += read.weight;
                k.sure |= read.sure;
            }
            None => {
                // The weakest makes room, so that a text that comes often gets in.
                if self.known.len() == KEEP {
                    self.known.pop();
                }
                self.known.push(read);
            }
        }
        self.known.sort_by(|a, b| {
            b.weight
                .total_cmp(&a.weight)
                .then_with(|| a.text.cmp(&b.text))
        });
    }

    pub(crate) fn merge(&mut self, other: Self) {
        for known in other.known {
            self.support(known);
        }
    }

    /// Counts a read that contradicts the track; true once so many agreed that it is another
    /// vehicle.
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

/// Whether the reader was sure of the whole and of each character.
fn is_sure(read: &PlateRead, c: &TrackConfig) -> bool {
    read.mean_conf() >= c.sure_read && read.min_conf() >= c.sure_character
}
