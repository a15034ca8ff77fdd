//! The bounds of a schema, ready to be checked: every message passes here, at thousands a second.
//!
//! [`Rules::of`] takes out of a schema what bounds a value, and resolves its references once. What
//! bounds nothing is left out, so that a check does not look at it.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;

use serde_json::{Number, Value};

use crate::message::MessageError;

mod text;

pub(crate) use text::TextFault;

/// The rules of a message, and of the definitions that they refer to.
#[derive(Debug)]
pub(crate) struct Rules {
    root: Rule,
    defined: Vec<Rule>,
    /// The same, for a text; `None`: they need the whole value.
    nodes: Option<text::Nodes>,
}

#[derive(Debug, Default, PartialEq)]
struct Rule {
    /// Index into the definitions.
    refers: Option<usize>,
    /// Of several schemas those that are meant: all of whose constant fields fit.
    branches: Vec<(Vec<(String, Value)>, Rule)>,
    number: [Option<Number>; 2],
    length: [Option<u64>; 2],
    entries: [Option<u64>; 2],
    first: Vec<Rule>,
    items: Option<Box<Rule>>,
    fields: Vec<(String, Rule)>,
}

impl Rules {
    pub(crate) fn of(root: &Value) -> Self {
        let definitions = root.get("$defs").and_then(Value::as_object);
        let names: HashMap<String, usize> = definitions
            .into_iter()
            .flatten()
            .enumerate()
            .map(|(index, (name, _))| (format!("#/$defs/{name}"), index))
            .collect();
        let defined = definitions.into_iter().flatten();
        let mut rules = Self {
            root: rule(root, root, &names),
            defined: defined.map(|(_, one)| rule(one, root, &names)).collect(),
            nodes: None,
        };
        rules.nodes = text::Nodes::of(&rules);
        rules
    }

    /// Whether a JSON text keeps every bound. The error names the field, what it has and the bound.
    pub(crate) fn check_text(&self, text: &[u8]) -> Result<(), TextFault> {
        match &self.nodes {
            Some(nodes) => nodes.check(text),
            None => {
                let value = serde_json::from_slice(text).map_err(TextFault::Json)?;
                self.check(&value).map_err(TextFault::Bound)
            }
        }
    }

    /// The same of a value.
    fn check(&self, value: &Value) -> Result<(), MessageError> {
        self.walk(value, &self.root, &Place::Top)
    }

    fn walk(&self, value: &Value, rule: &Rule, at: &Place) -> Result<(), MessageError> {
        if let Some(other) = rule.refers.and_then(|index| self.defined.get(index)) {
            self.walk(value, other, at)?;
        }
        for (constants, branch) in &rule.branches {
            let mut all = constants.iter();
            if all.all(|(name, word)| value.get(name) == Some(word)) {
                self.walk(value, branch, at)?;
            }
        }
        match value {
            Value::Number(number) => within(number, &rule.number, at),
            Value::String(_) if rule.length == [None, None] => Ok(()),
            Value::String(text) => sized(text.chars().count(), "characters", rule.length, at),
            Value::Array(items) => {
                sized(items.len(), "entries", rule.entries, at)?;
                for (index, item) in items.iter().enumerate() {
                    let own = rule.first.get(index).or(rule.items.as_deref());
                    if let Some(rule) = own {
                        self.walk(item, rule, &Place::Entry(at, index))?;
                    }
                }
                Ok(())
            }
            Value::Object(fields) => {
                for (name, rule) in &rule.fields {
                    if let Some(field) = fields.get(name) {
                        self.walk(field, rule, &Place::Field(at, name))?;
                    }
                }
                Ok(())
            }
            Value::Null | Value::Bool(_) => Ok(()),
        }
    }
}

impl Rule {
    /// It bounds a value by itself, and not by what it refers to alone.
    fn is_own(&self) -> bool {
        self.number != [None, None]
            || self.length != [None, None]
            || self.entries != [None, None]
            || !self.first.is_empty()
            || self.items.is_some()
            || !self.fields.is_empty()
    }
}

fn rule(schema: &Value, root: &Value, names: &HashMap<String, usize>) -> Rule {
    let Value::Object(told) = schema else {
        return Rule::default();
    };
    let whole = |key: &str| told.get(key).and_then(Value::as_u64);
    let number = |key: &str| told.get(key).and_then(Value::as_number).cloned();
    let several = |key: &str| {
        told.get(key)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    };
    let bounds_something = |rule: &Rule| *rule != Rule::default();
    let branches = ["anyOf", "oneOf", "allOf"].into_iter().flat_map(several);
    let fields = told.get("properties").and_then(Value::as_object);
    Rule {
        refers: told
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|name| names.get(name).copied()),
        branches: branches
            .map(|branch| (constants(branch, root), rule(branch, root, names)))
            .filter(|(_, rule)| bounds_something(rule))
            .collect(),
        number: [number("minimum"), number("maximum")],
        length: [whole("minLength"), whole("maxLength")],
        entries: [whole("minItems"), whole("maxItems")],
        first: several("prefixItems")
            .map(|one| rule(one, root, names))
            .collect(),
        items: told
            .get("items")
            .map(|one| rule(one, root, names))
            .filter(bounds_something)
            .map(Box::new),
        fields: fields
            .into_iter()
            .flatten()
            .map(|(name, one)| (name.clone(), rule(one, root, names)))
            .filter(|(_, rule)| bounds_something(rule))
            .collect(),
    }
}

/// The fields of a branch that have one value only, as `kind` has in an audit message.
fn constants(branch: &Value, root: &Value) -> Vec<(String, Value)> {
    let branch = branch
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|name| root.pointer(name.strip_prefix('#')?))
        .unwrap_or(branch);
    let fields = branch.get("properties").and_then(Value::as_object);
    fields
        .into_iter()
        .flatten()
        .filter_map(|(name, schema)| Some((name.clone(), schema.get("const")?.clone())))
        .collect()
}

/// Where in the message. Only an error writes it out.
enum Place<'a> {
    Top,
    Field(&'a Place<'a>, &'a str),
    Entry(&'a Place<'a>, usize),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Top => Ok(()),
            Self::Field(Self::Top, name) => f.write_str(name),
            Self::Field(above, name) => write!(f, "{above}.{name}"),
            Self::Entry(above, index) => write!(f, "{above}[{index}]"),
        }
    }
}

fn sized(
    has: usize,
    what: &str,
    [least, most]: [Option<u64>; 2],
    at: &Place,
) -> Result<(), MessageError> {
    let has = has as u64;
    if let Some(most) = most.filter(|most| has > *most) {
        return Err(MessageError::invalid(
            at.to_string(),
            format!("{has} {what}; at most {most} are allowed"),
        ));
    }
    if let Some(least) = least.filter(|least| has < *least) {
        return Err(MessageError::invalid(
            at.to_string(),
            format!("{has} {what}; at least {least} are needed"),
        ));
    }
    Ok(())
}

fn within(
    number: &Number,
    [min, max]: &[Option<Number>; 2],
    at: &Place,
) -> Result<(), MessageError> {
    let beyond = |limit: &Option<Number>, side: Ordering| {
        let limit = limit.as_ref();
        limit.is_some_and(|limit| compared(number, limit) == Some(side))
    };
    if !beyond(min, Ordering::Less) && !beyond(max, Ordering::Greater) {
        return Ok(());
    }
    let shown = |limit: &Option<Number>| match limit {
        Some(limit) => limit.to_string(),
        None => "any".to_owned(),
    };
    Err(MessageError::invalid(
        at.to_string(),
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
