//! Rows from JSON: an array of objects, an object with such an array in it, or one object a line.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::{CELL_MAX, COLUMNS_MAX, Encoding, Format, ROWS_MAX, SheetError, Take, Told, is_header};

/// What the array of entries is called.
const ENTRIES: [&str; 8] = [
    "entries",
    "list",
    "plates",
    "watchlist",
    "data",
    "items",
    "rows",
    "名单",
];

/// A whole list, its rows unread.
#[derive(Default)]
struct Top<'a> {
    rows: Option<Vec<&'a RawValue>>,
    version: Option<String>,
    authority: Option<String>,
}

pub(crate) fn read(
    text: &str,
    encoding: Encoding,
    take: &mut dyn Take,
) -> Result<Told, SheetError> {
    let top = top(text)?;
    let rows = top.rows.ok_or_else(|| SheetError::Json {
        line: 1,
        why: format!("there is no array {:?} in it", ENTRIES[0]),
    })?;
    let places = Places::of(text, &rows);
    let names = names(&rows)?;
    let columns: Vec<&str> = names.iter().map(String::as_str).collect();
    if !rows.is_empty() && !is_header(take, &columns) {
        return Err(SheetError::NoHeader { line: 1 });
    }
    let refused = |line| move |why| SheetError::Refused { line, why };
    if !columns.is_empty() {
        take.header(1, &columns).map_err(refused(1))?;
    }
    for (row, line) in rows.iter().zip(places) {
        match cells(row, &columns) {
            Ok(cells) => {
                let cells: Vec<&str> = cells.iter().map(AsRef::as_ref).collect();
                take.row(line, &cells).map_err(refused(line))?;
            }
            Err(why) => take.bad_row(line, why),
        }
    }
    Ok(Told {
        format: Format::Json,
        encoding: Some(encoding),
        rows: rows.len() as u64,
        version: top.version,
        authority: top.authority,
    })
}

fn top(text: &str) -> Result<Top<'_>, SheetError> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    let fault = |e: &serde_json::Error| SheetError::Json {
        line: e.line() as u64,
        why: e.to_string(),
    };
    let mut lines: Vec<&RawValue> = Vec::new();
    for value in &mut values {
        lines.push(value.map_err(|e| fault(&e))?);
        if lines.len() as u64 > ROWS_MAX {
            return Err(SheetError::TooManyRows);
        }
    }
    match lines[..] {
        [one] => {
            let many = Top::deserialize(&mut serde_json::Deserializer::from_str(one.get()));
            many.map_err(|e| match e.to_string().starts_with(TOO_MANY) {
                true => SheetError::TooManyRows,
                false => fault(&e),
            })
        }
        _ => Ok(Top {
            rows: Some(lines),
            ..Top::default()
        }),
    }
}

const TOO_MANY: &str = "too many rows";

impl<'de> Deserialize<'de> for Top<'de> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct AnyTop;
        impl<'de> Visitor<'de> for AnyTop {
            type Value = Top<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of entries, or an object with one")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Top<'de>, A::Error> {
                Ok(Top {
                    rows: Some(Rows.visit_seq(seq)?),
                    ..Top::default()
                })
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Top<'de>, A::Error> {
                let mut top = Top::default();
                while let Some(key) = map.next_key::<Cow<'de, str>>()? {
                    match &*key {
                        "version" => top.version = short(map.next_value::<&'de RawValue>()?),
                        "authority" => top.authority = short(map.next_value::<&'de RawValue>()?),
                        key if ENTRIES.contains(&key) && top.rows.is_none() => {
                            top.rows = Some(map.next_value_seed(Rows)?);
                        }
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(top)
            }
        }
        d.deserialize_any(AnyTop)
    }
}

/// Stops at the bound, before more memory is taken.
struct Rows;

impl<'de> DeserializeSeed<'de> for Rows {
    type Value = Vec<&'de RawValue>;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        d.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Rows {
    type Value = Vec<&'de RawValue>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of entries")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut rows = Vec::new();
        while let Some(row) = seq.next_element::<&RawValue>()? {
            rows.push(row);
            if rows.len() as u64 > ROWS_MAX {
                return Err(A::Error::custom(TOO_MANY));
            }
        }
        Ok(rows)
    }
}

/// The line of each row, by where it lies in the text.
struct Places<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Places<'a> {
    fn of(text: &'a str, rows: &[&RawValue]) -> Self {
        let base = text.as_ptr() as usize;
        let start = |row: &&RawValue| (row.get().as_ptr() as usize).saturating_sub(base);
        Self {
            text,
            starts: rows.iter().map(start).collect(),
        }
    }
}

impl IntoIterator for Places<'_> {
    type Item = u64;
    type IntoIter = std::vec::IntoIter<u64>;
    fn into_iter(self) -> Self::IntoIter {
        let (mut line, mut at) = (1, 0);
        let mut lines = Vec::with_capacity(self.starts.len());
        for start in self.starts {
            let passed = self.text.as_bytes().get(at..start).unwrap_or(&[]);
            line += passed.iter().filter(|b| **b == b'\n').count() as u64;
            at = at.max(start);
            lines.push(line);
        }
        lines.into_iter()
    }
}

/// The most bytes of a row: taken apart, it takes up to fifty times as much.
const ROW_MAX: usize = 1 << 20;

fn object(row: &RawValue) -> Result<Map<String, Value>, String> {
    let bytes = row.get().len();
    if bytes > ROW_MAX {
        return Err(format!(
            "the row has {bytes} bytes; {ROW_MAX} are taken at most"
        ));
    }
    match serde_json::from_str(row.get()) {
        Ok(Value::Object(map)) => Ok(map),
        // A list of plates alone.
        Ok(plate @ Value::String(_)) => Ok(Map::from_iter([("plate".to_owned(), plate)])),
        Ok(_) => Err("it is neither an object nor a plate".to_owned()),
        Err(e) => Err(e.to_string()),
    }
}

/// The names that rows use, in the order in which they first do.
fn names(rows: &[&RawValue]) -> Result<Vec<String>, SheetError> {
    let mut names: Vec<String> = Vec::new();
    for row in rows {
        for (name, _) in object(row).unwrap_or_default() {
            if !names.contains(&name) {
                names.push(name);
                if names.len() > COLUMNS_MAX {
                    return Err(SheetError::TooManyColumns);
                }
            }
        }
    }
    Ok(names)
}

fn cells(row: &RawValue, columns: &[&str]) -> Result<Vec<String>, String> {
    let object = object(row)?;
    let cell = |name: &&str| match object.get(*name) {
        Some(value) => text(value).map_err(|why| format!("{name:?} {why}")),
        None => Ok(String::new()),
    };
    columns.iter().map(cell).collect()
}

/// What the list says of itself, unless it is longer than any cell.
fn short(value: &RawValue) -> Option<String> {
    let raw = Some(value.get()).filter(|raw| raw.len() <= CELL_MAX)?;
    let value: Value = serde_json::from_str(raw).ok()?;
    text(&value).ok()
}

/// A value as a cell has it.
fn text(value: &Value) -> Result<String, String> {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Array(all) => all
            .iter()
            .map(text)
            .collect::<Result<Vec<_>, _>>()?
            .join(","),
        // As messages carry a kind.
        Value::Object(map) => match map.get("code") {
            Some(Value::String(code)) => code.clone(),
            _ => return Err("is an object; write a text".to_owned()),
        },
    };
    match text.len() > CELL_MAX {
        true => Err(format!(
            "has {} bytes; {CELL_MAX} are taken at most",
            text.len()
        )),
        false => Ok(text),
    }
}
