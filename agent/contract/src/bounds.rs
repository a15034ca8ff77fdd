//! The bounds of a message: how large each number, how long each text and list may be.
//!
//! A bound stands once, in the schema that is made from the types: as an attribute of the field,
//! in the type of the value, or as the rule for all fields of its kind ([`complete`]). A receiver
//! checks a payload against that same schema ([`check`]), so schema and code cannot drift apart.
//!
//! Only bounds are checked here. Whether a value has the right type is serde's to say.

use std::cmp::Ordering;

use serde_json::{Map, Number, Value, json};

use crate::message::MessageError;
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

/// Whether `value` keeps every bound of the schema `root`. The error names the field, what it has
/// and the bound.
pub(crate) fn check(value: &Value, root: &Value) -> Result<(), MessageError> {
    walk(value, root, root, "")
}

fn walk(value: &Value, schema: &Value, root: &Value, at: &str) -> Result<(), MessageError> {
    let Value::Object(rules) = schema else {
        return Ok(());
    };
    if let Some(other) = rules.get("$ref").and_then(|name| resolve(name, root)) {
        walk(value, other, root, at)?;
    }
    for branch in ["anyOf", "oneOf", "allOf"]
        .into_iter()
        .filter_map(|key| rules.get(key).and_then(Value::as_array))
        .flatten()
    {
        if is_meant(value, branch, root) {
            walk(value, branch, root, at)?;
        }
    }
    match value {
        Value::Number(number) => within(number, rules, at),
        Value::String(text) => sized(text.chars().count(), "characters", LENGTH, rules, at),
        Value::Array(items) => {
            sized(items.len(), "entries", ITEMS, rules, at)?;
            let first = rules.get("prefixItems").and_then(Value::as_array);
            for (index, item) in items.iter().enumerate() {
                let own = first.and_then(|schemas| schemas.get(index));
                if let Some(schema) = own.or_else(|| rules.get("items")) {
                    walk(item, schema, root, &format!("{at}[{index}]"))?;
                }
            }
            Ok(())
        }
        Value::Object(fields) => {
            let known = rules.get("properties").and_then(Value::as_object);
            for (name, schema) in known.into_iter().flatten() {
                if let Some(field) = fields.get(name) {
                    let dot = if at.is_empty() { "" } else { "." };
                    walk(field, schema, root, &format!("{at}{dot}{name}"))?;
                }
            }
            Ok(())
        }
        Value::Null | Value::Bool(_) => Ok(()),
    }
}

fn resolve<'a>(name: &Value, root: &'a Value) -> Option<&'a Value> {
    root.pointer(name.as_str()?.strip_prefix('#')?)
}

/// Of several schemas, whether this is the one for `value`: the constant fields tell, as `kind`
/// does in an audit message.
fn is_meant(value: &Value, branch: &Value, root: &Value) -> bool {
    let branch = branch
        .get("$ref")
        .and_then(|name| resolve(name, root))
        .unwrap_or(branch);
    let fields = branch.get("properties").and_then(Value::as_object);
    fields.into_iter().flatten().all(|(name, schema)| {
        schema
            .get("const")
            .is_none_or(|word| value.get(name) == Some(word))
    })
}

const LENGTH: [&str; 2] = ["minLength", "maxLength"];
const ITEMS: [&str; 2] = ["minItems", "maxItems"];

fn sized(
    has: usize,
    what: &str,
    [least, most]: [&str; 2],
    rules: &Map<String, Value>,
    at: &str,
) -> Result<(), MessageError> {
    let limit = |key: &str| rules.get(key).and_then(Value::as_u64);
    let has = has as u64;
    if let Some(most) = limit(most).filter(|most| has > *most) {
        return Err(MessageError::invalid(
            at,
            format!("{has} {what}; at most {most} are allowed"),
        ));
    }
    if let Some(least) = limit(least).filter(|least| has < *least) {
        return Err(MessageError::invalid(
            at,
            format!("{has} {what}; at least {least} are needed"),
        ));
    }
    Ok(())
}

fn within(number: &Number, rules: &Map<String, Value>, at: &str) -> Result<(), MessageError> {
    let limit = |key: &str| rules.get(key).and_then(Value::as_number);
    let beyond = |limit: Option<&Number>, side: Ordering| {
        limit.is_some_and(|limit| compared(number, limit) == Some(side))
    };
    let (min, max) = (limit("minimum"), limit("maximum"));
    if !beyond(min, Ordering::Less) && !beyond(max, Ordering::Greater) {
        return Ok(());
    }
    let shown = |limit: Option<&Number>| limit.map_or("any".to_owned(), Number::to_string);
    Err(MessageError::invalid(
        at,
        format!("{number} is not within {} to {}", shown(min), shown(max)),
    ))
}

/// Exactly where both are whole numbers; `f64` cannot tell 2^53 from the number after it.
fn compared(a: &Number, b: &Number) -> Option<Ordering> {
    match (a.as_i128(), b.as_i128()) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}
