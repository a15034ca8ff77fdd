//! Looking ahead in a text without passing over it twice.

use std::ops::Range;

/// Finds what stands ahead. It is asked from places that only go forward, and passes over the text
/// once however often it is asked: a text of others may be long, and made to be slow.
pub(crate) struct Ahead<'a, F> {
    text: &'a str,
    wanted: F,
    /// What was found, and from where on it is the first.
    known: Option<Range<usize>>,
}

impl<'a, F: Fn(&'a str) -> bool> Ahead<'a, F> {
    /// `wanted` sees the text from a character on.
    pub(crate) fn new(text: &'a str, wanted: F) -> Self {
        Self {
            text,
            wanted,
            known: None,
        }
    }

    /// The first place from `start` on; the end of the text if there is none.
    pub(crate) fn from(&mut self, start: usize) -> usize {
        if let Some(known) = &self.known
            && (known.start..=known.end).contains(&start)
        {
            return known.end;
        }
        let rest = self.text.get(start..).unwrap_or_default();
        let found = rest
            .char_indices()
            .map(|(at, _)| start + at)
            .find(|at| self.text.get(*at..).is_some_and(&self.wanted));
        let found = found.unwrap_or(self.text.len());
        self.known = Some(start..found);
        found
    }
}
