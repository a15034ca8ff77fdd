//! What may be written for a key: the types of values, their ranges, and what is said of a value
//! that does not fit.

mod list;
mod number;
mod scores;
mod shape;
mod text;

use toml::de::DeValue;

use super::define::{Language, Refused, Written};

pub(super) use list::{List, Size};
pub(super) use number::{Flag, Integer, Number};
pub(super) use scores::Scores;
pub(super) use shape::{Outline, Outlines, Segment};
pub(super) use text::{Choice, FilePath, Id, ListenAddress, Parsed, SecretFile, Text, TrustedKey};

/// The text of a value that must be one.
fn text_of<'a>(written: &'a Written<'_>) -> Result<&'a str, Refused> {
    match written.get_ref() {
        DeValue::String(text) => Ok(text.as_ref()),
        DeValue::Integer(number) => Err(Refused::new(
            written.span(),
            format!("is a number, but must be text; write \"{number}\""),
        )),
        other => Err(wrong_type(written, other, "text in quotes")),
    }
}

fn wrong_type(written: &Written<'_>, value: &DeValue<'_>, wanted: &str) -> Refused {
    let is = match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    Refused::new(written.span(), format!("is {is}, but must be {wanted}"))
}

fn said(language: Language, en: &str, zh: &str) -> String {
    match language {
        Language::En => en.to_owned(),
        Language::Zh => zh.to_owned(),
    }
}
