//! The frames worth keeping of an open track: few, since each holds a whole picture.

use crate::plate::{Ballot, distance};

use super::Best;

#[derive(Debug, Clone)]
struct Candidate<F> {
    text: String,
    quality: f32,
    best: Best<F>,
}

#[derive(Debug, Clone)]
pub(crate) struct Candidates<F> {
    /// One per text.
    read: Vec<Candidate<F>>,
    /// The best view of the vehicle, as long as nothing was read.
    plain: Option<(f32, Best<F>)>,
    keep: usize,
}

impl<F: Clone> Candidates<F> {
    pub(crate) fn new(keep: usize) -> Self {
        Self {
            read: Vec::new(),
            plain: None,
            keep: keep.max(1),
        }
    }

    /// Offers a frame whose plate was read as `text`. `ballot` tells which texts are likely to win.
    pub(crate) fn offer_read(
        &mut self,
        text: String,
        quality: f32,
        ballot: &Ballot,
        best: impl FnOnce() -> Best<F>,
    ) {
        self.plain = None;
        if let Some(c) = self.read.iter_mut().find(|c| c.text == text) {
            if quality > c.quality {
                (c.quality, c.best) = (quality, best());
            }
            return;
        }
        if self.read.len() >= self.keep {
            let rank = |text: &str, quality: f32| (ballot.count(text), quality);
            let weakest = self.read.iter().enumerate().fold(
                None,
                |w: Option<(usize, (u32, f32))>, (i, c)| {
                    let r = rank(&c.text, c.quality);
                    match w {
                        Some((_, least)) if least <= r => w,
                        _ => Some((i, r)),
                    }
                },
            );
            match weakest {
                Some((i, least)) if least < rank(&text, quality) => {
                    self.read.remove(i);
                }
                _ => return,
            }
        }
        self.read.push(Candidate {
            text,
            quality,
            best: best(),
        });
    }

    /// Offers a frame that shows the vehicle but no text.
    pub(crate) fn offer_plain(&mut self, quality: f32, best: impl FnOnce() -> Best<F>) {
        if self.read.is_empty() && self.plain.as_ref().is_none_or(|p| quality > p.0) {
            self.plain = Some((quality, best()));
        }
    }

    pub(crate) fn absorb(&mut self, other: Self, ballot: &Ballot) {
        for c in other.read {
            self.offer_read(c.text, c.quality, ballot, || c.best);
        }
        if let Some((q, b)) = other.plain {
            self.offer_plain(q, || b);
        }
    }

    /// The frame that shows `text` best, else the text nearest to it; without a text the best view.
    pub(crate) fn showing(&self, text: Option<&str>) -> Option<&Best<F>> {
        let away = |c: &Candidate<F>| text.map_or(0.0, |t| distance(&c.text, t));
        let nearest = self.read.iter().min_by(|a, b| {
            away(a)
                .total_cmp(&away(b))
                .then(b.quality.total_cmp(&a.quality))
                .then_with(|| a.text.cmp(&b.text))
        });
        nearest
            .map(|c| &c.best)
            .or(self.plain.as_ref().map(|p| &p.1))
    }
}
