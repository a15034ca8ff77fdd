//! The rules of a message checked along its text. No value is made of it: that took a quarter of the
//! time that a message takes to be read.
//!
//! Several rules may hold for one value, as those of a reference and of the place that refers to it. A
//! [`Node`] is all of them together; which nodes there are is found once.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

use super::{Place, Rule, Rules, sized, within};
use crate::message::MessageError;

/// The node of a value that nothing bounds, nor anything within it.
const FREE: usize = 0;

/// All that bounds a value at one place.
#[derive(Debug, Default)]
struct Node {
    numbers: Vec<[Option<Number>; 2]>,
    lengths: Vec<[Option<u64>; 2]>,
    entries: Vec<[Option<u64>; 2]>,
    /// Of entries at their own place, and of those behind them.
    first: Vec<usize>,
    items: usize,
    fields: Vec<(String, usize)>,
}

/// Why a text does not pass.
pub(crate) enum TextFault {
    Json(serde_json::Error),
    Bound(MessageError),
}

#[derive(Debug)]
pub(super) struct Nodes {
    all: Vec<Node>,
    root: usize,
}

impl Nodes {
    /// `None`: which rules hold depends on a field that may come after what they are for.
    pub fn of(rules: &Rules) -> Option<Self> {
        let mut making = Making {
            rules,
            all: vec![Node::default()],
            known: HashMap::new(),
        };
        let root = making.node(&[&rules.root])?;
        Some(Self {
            all: making.all,
            root,
        })
    }

    pub fn check(&self, text: &[u8]) -> Result<(), TextFault> {
        let fault = RefCell::new(None);
        let walk = Walk {
            nodes: &self.all,
            node: self.root,
            at: &Place::Top,
            fault: &fault,
        };
        let mut json = serde_json::Deserializer::from_slice(text);
        let walked = walk.deserialize(&mut json).and_then(|()| json.end());
        match (fault.into_inner(), walked) {
            (Some(bound), _) => Err(TextFault::Bound(bound)),
            (None, Err(error)) => Err(TextFault::Json(error)),
            (None, Ok(())) => Ok(()),
        }
    }
}

struct Making<'r> {
    rules: &'r Rules,
    all: Vec<Node>,
    /// By the places of their rules in memory.
    known: HashMap<Vec<*const Rule>, usize>,
}

impl<'r> Making<'r> {
    /// All rules that hold where these do.
    fn closure(&mut self, rule: &'r Rule, into: &mut Vec<&'r Rule>) -> Option<()> {
        if into.iter().any(|one| std::ptr::eq(*one, rule)) {
            return Some(());
        }
        into.push(rule);
        if let Some(other) = rule.refers.and_then(|index| self.rules.defined.get(index)) {
            self.closure(other, into)?;
        }
        for (constants, branch) in &rule.branches {
            if constants.is_empty() {
                self.closure(branch, into)?;
            } else if self.node(&[branch])? != FREE {
                return None;
            }
        }
        Some(())
    }

    fn node(&mut self, rules: &[&'r Rule]) -> Option<usize> {
        let mut all = Vec::new();
        for rule in rules {
            self.closure(rule, &mut all)?;
        }
        all.retain(|rule| rule.is_own());
        if all.is_empty() {
            return Some(FREE);
        }
        let mut key: Vec<*const Rule> = all.iter().map(|rule| std::ptr::from_ref(*rule)).collect();
        key.sort_unstable();
        if let Some(node) = self.known.get(&key) {
            return Some(*node);
        }
        // Known before what is within it: a definition may hold itself.
        let index = self.all.len();
        self.known.insert(key, index);
        self.all.push(Node::default());
        let node = self.filled(&all)?;
        if let Some(place) = self.all.get_mut(index) {
            *place = node;
        }
        Some(index)
    }

    fn filled(&mut self, rules: &[&'r Rule]) -> Option<Node> {
        let mut node = Node::default();
        for rule in rules {
            if rule.number != [None, None] {
                node.numbers.push(rule.number.clone());
            }
            if rule.length != [None, None] {
                node.lengths.push(rule.length);
            }
            if rule.entries != [None, None] {
                node.entries.push(rule.entries);
            }
        }
        let own = rules.iter().map(|rule| rule.first.len()).max();
        for index in 0..own.unwrap_or(0) {
            let here = |rule: &&'r Rule| rule.first.get(index).or(rule.items.as_deref());
            let here: Vec<&Rule> = rules.iter().filter_map(here).collect();
            node.first.push(self.node(&here)?);
        }
        let items = rules.iter().filter_map(|rule| rule.items.as_deref());
        node.items = self.node(&items.collect::<Vec<_>>())?;
        let mut names: Vec<&String> = rules
            .iter()
            .flat_map(|rule| rule.fields.iter().map(|(name, _)| name))
            .collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let here = |rule: &&'r Rule| {
                let mut fields = rule.fields.iter();
                fields
                    .find(|(field, _)| field == name)
                    .map(|(_, rule)| rule)
            };
            let here: Vec<&Rule> = rules.iter().filter_map(here).collect();
            let below = self.node(&here)?;
            if below != FREE {
                node.fields.push((name.clone(), below));
            }
        }
        Some(node)
    }
}

/// One value, at its place.
#[derive(Clone, Copy)]
struct Walk<'a> {
    nodes: &'a [Node],
    node: usize,
    at: &'a Place<'a>,
    /// What a bound has to say: an error of JSON cannot carry it.
    fault: &'a RefCell<Option<MessageError>>,
}

impl<'a> Walk<'a> {
    fn own(&self) -> Option<&'a Node> {
        self.nodes.get(self.node)
    }

    fn told<E: Error>(&self, checked: Result<(), MessageError>) -> Result<(), E> {
        checked.map_err(|fault| {
            *self.fault.borrow_mut() = Some(fault);
            E::custom("beyond a bound")
        })
    }

    fn number<E: Error>(&self, number: &Number) -> Result<(), E> {
        let bounds = self.own().into_iter().flat_map(|node| &node.numbers);
        for bound in bounds {
            self.told(within(number, bound, self.at))?;
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.number(&value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.number(&value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        match Number::from_f64(value) {
            Some(number) => self.number(&number),
            None => Ok(()),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        let bounds = self.own().into_iter().flat_map(|node| &node.lengths);
        for bound in bounds {
            self.told(sized(text.chars().count(), "characters", *bound, self.at))?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let own = self.own();
        let mut index = 0;
        loop {
            let below = own.map_or(FREE, |node| {
                let first = node.first.get(index).copied();
                first.unwrap_or(node.items)
            });
            let place = Place::Entry(self.at, index);
            let walk = Walk {
                nodes: self.nodes,
                node: below,
                at: &place,
                fault: self.fault,
            };
            if entries.next_element_seed(walk)?.is_none() {
                break;
            }
            index += 1;
        }
        for bound in own.into_iter().flat_map(|node| &node.entries) {
            self.told(sized(index, "entries", *bound, self.at))?;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let own = self.own().map_or(&[][..], |node| &node.fields);
        while let Some(found) = fields.next_key_seed(Name(own))? {
            // Nothing below a field without a rule says where it is.
            let (name, below) = found.map_or(("", FREE), |(name, node)| (name.as_str(), *node));
            let place = Place::Field(self.at, name);
            fields.next_value_seed(Walk {
                nodes: self.nodes,
                node: below,
                at: &place,
                fault: self.fault,
            })?;
        }
        Ok(())
    }
}

/// Finds a field by its name.
struct Name<'a>(&'a [(String, usize)]);

impl<'a, 'de> DeserializeSeed<'de> for Name<'a> {
    type Value = Option<&'a (String, usize)>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_str(self)
    }
}

impl<'a, 'de> Visitor<'de> for Name<'a> {
    type Value = Option<&'a (String, usize)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().find(|(field, _)| field == name))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use serde_json::{Value, json};

    use super::*;
    use crate::{MessageKind, schema};

    /// Each value of a message, by its pointer.
    fn places(value: &Value, at: &str, into: &mut Vec<String>) {
        into.push(at.to_owned());
        match value {
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    places(item, &format!("{at}/{index}"), into);
                }
            }
            Value::Object(fields) => {
                for (name, field) in fields {
                    places(field, &format!("{at}/{name}"), into);
                }
            }
            _ => {}
        }
    }

    fn told(checked: Result<(), TextFault>) -> String {
        match checked {
            Ok(()) => "passes".to_owned(),
            Err(TextFault::Bound(error)) => error.to_string(),
            Err(TextFault::Json(error)) => format!("JSON: {error}"),
        }
    }

    #[test]
    fn a_text_passes_where_its_value_does_and_the_fault_is_the_same() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/golden");
        let (mut tried, mut refused) = (0, 0);
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let is_of = |kind: &MessageKind| name.starts_with(kind.as_str());
            let Some(kind) = MessageKind::ALL.into_iter().find(is_of) else {
                continue;
            };
            let Some(rules) = schema::rules(kind) else {
                continue;
            };
            let Ok(message) = serde_json::from_slice::<Value>(&std::fs::read(&path).unwrap())
            else {
                continue;
            };
            let mut all = Vec::new();
            places(&message, "", &mut all);
            for place in all {
                let was = message.pointer(&place).unwrap();
                let many = Value::Array(vec![was.clone(); 300]);
                let long = "长".repeat(70_000);
                for other in [
                    json!(-1e300),
                    json!(u64::MAX),
                    json!(i64::MIN),
                    json!(0.5),
                    json!(""),
                    json!(long),
                    json!([]),
                    many,
                ] {
                    // Of an array that is too long, the text tells first what is wrong within it.
                    let has_several = other.as_array().is_some_and(|items| items.len() > 1);
                    let mut altered = message.clone();
                    *altered.pointer_mut(&place).unwrap() = other;
                    let by_value = rules.check(&altered).map_err(TextFault::Bound);
                    let by_text = rules.check_text(altered.to_string().as_bytes());
                    refused += u32::from(by_value.is_err());
                    assert_eq!(by_text.is_err(), by_value.is_err(), "{name} {place}");
                    if !has_several {
                        assert_eq!(told(by_text), told(by_value), "{name} {place}");
                    }
                    tried += 1;
                }
            }
        }
        assert!(tried > 1_000 && refused > 100, "{tried} {refused}");
    }

    #[test]
    fn only_audits_need_the_whole_value() {
        for kind in MessageKind::ALL {
            if let Some(rules) = schema::rules(kind) {
                let is_audit = kind == MessageKind::Audit;
                assert_eq!(rules.nodes.is_none(), is_audit, "{kind:?}");
            }
        }
    }

    #[test]
    fn what_is_no_json_is_told_as_json() {
        let rules = schema::rules(MessageKind::Passage).unwrap();
        for text in ["", "{", "{} x", "{\"a\":\"\\ud800\"}", "nul"] {
            let told = told(rules.check_text(text.as_bytes()));
            let error = serde_json::from_str::<Value>(text).unwrap_err();
            assert_eq!(told, format!("JSON: {error}"));
        }
    }
}
