//! Texts that the agent writes but did not choose: an error's words, a lane's name, a list's
//! reason. They are cut to the bound when they are written, so that a receiver never has to refuse
//! a message for the length of a text in it.

use std::borrow::Cow;

use serde::{Serialize, Serializer};

/// The longest text in a message, in characters, where its field has no bound of its own.
pub const TEXT_MAX: usize = 1_000;

/// `text` with at most `max` characters; where it was cut, `…` is the last of them.
pub fn clip(text: &str, max: usize) -> Cow<'_, str> {
    if max == 0 {
        return Cow::Borrowed("");
    }
    let mut starts = text.char_indices().map(|(at, _)| at);
    let Some(cut) = starts.by_ref().nth(max - 1) else {
        return Cow::Borrowed(text);
    };
    if starts.next().is_none() {
        return Cow::Borrowed(text);
    }
    let kept = text.get(..cut).unwrap_or_default();
    Cow::Owned(format!("{kept}…"))
}

/// For `serialize_with`: a text, or one that may be missing, cut to [`TEXT_MAX`].
pub(crate) fn clipped<T: Clipped, S: Serializer>(text: &T, s: S) -> Result<S::Ok, S::Error> {
    text.clipped().serialize(s)
}

pub(crate) trait Clipped {
    fn clipped(&self) -> Option<Cow<'_, str>>;
}

impl Clipped for String {
    fn clipped(&self) -> Option<Cow<'_, str>> {
        Some(clip(self, TEXT_MAX))
    }
}

impl Clipped for Option<String> {
    fn clipped(&self) -> Option<Cow<'_, str>> {
        self.as_deref().map(|text| clip(text, TEXT_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_cut_text_shows_that_it_was_cut() {
        assert_eq!(clip("卡口一二", 4), "卡口一二");
        assert_eq!(clip("卡口一二三", 4), "卡口一…");
        assert_eq!(clip("ab", 1), "…");
        assert_eq!(clip("a", 0), "");
        assert_eq!(clip("", 0), "");
    }

    proptest! {
        #[test]
        fn no_text_is_longer_than_its_bound(text in ".{0,40}", max in 0_usize..40) {
            let cut = clip(&text, max);
            prop_assert!(cut.chars().count() <= max);
            if text.chars().count() <= max {
                prop_assert_eq!(&cut, &text);
            }
        }
    }
}
