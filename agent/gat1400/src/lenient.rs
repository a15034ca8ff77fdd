//! Numbers that one library writes as numbers and the next as texts.

use serde::{Deserialize, Deserializer, de};

#[derive(Deserialize)]
#[serde(untagged)]
enum Either {
    Whole(i64),
    Text(String),
}

impl Either {
    fn text(self) -> String {
        match self {
            Self::Whole(n) => n.to_string(),
            Self::Text(text) => text,
        }
    }
}

/// A whole number, or the same in quotation marks; an empty text counts as missing.
pub(crate) fn whole<'de, D: Deserializer<'de>>(d: D) -> Result<Option<i64>, D::Error> {
    let Some(given) = Option::<Either>::deserialize(d)? else {
        return Ok(None);
    };
    let text = given.text();
    match text.trim() {
        "" => Ok(None),
        digits => digits.parse().map(Some).map_err(|_| {
            let shown = crate::fault::shown(digits);
            de::Error::custom(format_args!("{shown:?} is no whole number"))
        }),
    }
}

/// A text, or a whole number that was written without quotation marks.
pub(crate) fn text<'de, D: Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    Ok(Option::<Either>::deserialize(d)?.map_or_else(String::new, Either::text))
}

/// The same for a text that may be missing.
pub(crate) fn some_text<'de, D: Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<Either>::deserialize(d)?.map(Either::text))
}
