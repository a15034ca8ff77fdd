//! The bounds of a message: how large each number, how long each text and list may be.
//!
//! A bound stands once, in the schema that is made from the types: as an attribute of the field,
//! in the type of the value, or as the rule for all fields of its kind ([`complete`]). A receiver
//! checks a payload against that same schema ([`crate::rules`]), so schema and code cannot drift apart.
//!
//! Only bounds are checked here. Whether a value has the right type is serde's to say.

use serde_json::{Map, Value, json};

use crate::sequence::WHOLE_MAX;
use crate::text::TEXT_MAX;

/// The longest list in a message where its field has no bound of its own.
pub const LIST_MAX: usize = 1_000;

/// Gives every number, text and list of a schema that has no bound yet the one of its kind.
pub(crate) fn complete(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            bound(map);
            for (key, value) in map.iter_mut() {
                // Values, not schemas.
                if !matches!(key.as_str(), "enum" | "const" | "default" | "required") {
                    complete(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(complete),
        _ => {}
    }
}

fn bound(schema: &mut Map<String, Value>) {
    let is = |kind: &str| match schema.get("type") {
        Some(Value::String(only)) => only == kind,
        Some(Value::Array(several)) => several.iter().any(|one| one == kind),
        _ => false,
    };
    let format = schema.get("format").and_then(Value::as_str);
    let mut add: Vec<(&str, Value)> = Vec::new();
    let mut drop_format = is("number");
    if is("integer") {
        let small = format == Some("uint32");
        let max = if small {
            u64::from(u32::MAX)
        } else {
            WHOLE_MAX
        };
        add.push(("maximum", max.into()));
        add.push(("minimum", json!(-(WHOLE_MAX as i64))));
        // Rust's names of number types are no formats of JSON Schema, and validators refuse them; the
        // bounds say what they mean.
        drop_format = true;
    }
    let has = |key: &str| schema.contains_key(key);
    if is("string") && !["pattern", "format", "enum", "const"].into_iter().any(has) {
        add.push(("maxLength", TEXT_MAX.into()));
    }
    if is("array") {
        add.push(("maxItems", LIST_MAX.into()));
    }
    for (key, value) in add {
        schema.entry(key).or_insert(value);
    }
    if drop_format {
        schema.remove("format");
    }
}
