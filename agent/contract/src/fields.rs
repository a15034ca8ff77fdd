//! A JSON object read field by field, so that an error can name the field and the mend.

use std::fmt;

use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// The fields not yet taken, as they stand, repeats included.
#[derive(Debug, Default)]
pub(crate) struct Fields(Vec<(String, Value)>);

/// What is wrong with a field, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {what}; {mend}")]
pub struct FieldError {
    pub field: String,
    pub what: String,
    pub mend: String,
}

impl FieldError {
    pub(crate) fn value(field: &str, what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            field: field.to_owned(),
            what: what.into(),
            mend: mend.into(),
        }
    }
}

impl Fields {
    /// A field's value, if it is there and has this type; it stays.
    pub(crate) fn peek<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let (_, value) = self.0.iter().find(|(n, _)| n == name)?;
        T::deserialize(value).ok()
    }

    pub(crate) fn take<T: DeserializeOwned>(
        &mut self,
        name: &str,
        expected: &str,
    ) -> Result<T, FieldError> {
        let missing = || FieldError::value(name, "missing", format!("give {expected}"));
        self.take_if(name, expected)?.ok_or_else(missing)
    }

    /// `null` counts as missing.
    pub(crate) fn take_if<T: DeserializeOwned>(
        &mut self,
        name: &str,
        expected: &str,
    ) -> Result<Option<T>, FieldError> {
        let Some(at) = self.0.iter().position(|(n, _)| n == name) else {
            return Ok(None);
        };
        let (_, value) = self.0.remove(at);
        if self.0.iter().any(|(n, _)| n == name) {
            return Err(FieldError::value(name, "given twice", "give it once"));
        }
        if value.is_null() {
            return Ok(None);
        }
        let shown: String = value.to_string().chars().take(80).collect();
        T::deserialize(value).map(Some).map_err(|_| {
            FieldError::value(
                name,
                format!("{shown} does not fit"),
                format!("give {expected}"),
            )
        })
    }

    /// All fields that are known were taken.
    pub(crate) fn none_left(&self) -> Result<(), FieldError> {
        match self.0.first() {
            Some((name, _)) => {
                let shown: String = name.chars().take(80).collect();
                Err(FieldError::value(
                    &shown,
                    "not a field of this command",
                    "leave it out, or mend its name",
                ))
            }
            None => Ok(()),
        }
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        d.deserialize_map(Object)
    }
}
