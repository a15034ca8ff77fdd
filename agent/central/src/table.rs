//! Tables in CSV, as people have them: read by the names of the columns, and told by line.

use std::collections::HashMap;
use std::fmt;

use kakou_contract::Id;
use kakou_guard::presentable;

/// Larger than the list of a country's checkpoints.
pub const LARGEST: u64 = 16 << 20;
/// Lines that are told; of more only the number.
const TOLD_MOST: usize = 50;
const TEXT_MOST: usize = 200;

/// What is wrong, by line.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Wrong {
    pub lines: Vec<(u64, String)>,
    /// Beyond those.
    pub more: usize,
}

impl Wrong {
    pub fn add(&mut self, line: u64, why: impl Into<String>) {
        match self.lines.len() < TOLD_MOST {
            true => self.lines.push((line, why.into())),
            false => self.more += 1,
        }
    }

    pub fn or<T>(self, read: T) -> Result<T, Self> {
        match self.lines.is_empty() {
            true => Ok(read),
            false => Err(self),
        }
    }
}

impl std::error::Error for Wrong {}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (line, why)) in self.lines.iter().enumerate() {
            let end = if at == 0 { "" } else { "\n" };
            write!(f, "{end}line {line}: {why}")?;
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, "\nand {more} more lines"),
        }
    }
}

/// A line by its columns; an empty field is missing.
pub type Line = HashMap<&'static str, String>;

/// The lines of a file, each with its number. The first of `columns` are its key.
pub fn read(
    csv: &[u8],
    columns: &[&'static str],
    needed: &[&str],
    keys: usize,
    check: impl Fn(&Line) -> Result<(), String>,
) -> Result<Vec<(u64, Line)>, Wrong> {
    let mut wrong = Wrong::default();
    if csv.len() as u64 > LARGEST {
        wrong.add(1, format!("the file has more than {} MiB", LARGEST >> 20));
        return wrong.or(Vec::new());
    }
    // Spreadsheets put it before UTF-8.
    let csv = csv.strip_prefix(b"\xef\xbb\xbf").unwrap_or(csv);
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .flexible(true)
        .from_reader(csv);
    let header = match reader.headers() {
        Ok(header) => header.clone(),
        Err(e) => {
            wrong.add(1, format!("{e}; save the file as CSV in UTF-8"));
            return wrong.or(Vec::new());
        }
    };
    let known = columns.join(", ");
    let mut order = Vec::new();
    for name in &header {
        let found = columns.iter().find(|column| **column == name);
        match found {
            Some(column) if order.contains(column) => {
                wrong.add(
                    1,
                    format!("the column {column} stands twice; leave one out"),
                );
            }
            Some(column) => order.push(*column),
            None => {
                let name = presentable(name);
                wrong.add(1, format!("no column `{name}` is known; there are {known}"));
            }
        }
    }
    for name in needed {
        if !order.contains(name) {
            wrong.add(
                1,
                format!("the column {name} is missing; add it to the first line"),
            );
        }
    }
    if !wrong.lines.is_empty() {
        return wrong.or(Vec::new());
    }
    let mut lines = Vec::new();
    let mut first: HashMap<Vec<String>, u64> = HashMap::new();
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(e) => {
                let at = e.position().map_or(0, csv::Position::line);
                wrong.add(at, format!("{e}; save the file as CSV in UTF-8"));
                continue;
            }
        };
        let at = record.position().map_or(0, csv::Position::line);
        if record.len() != order.len() {
            let (has, wants) = (record.len(), order.len());
            let mend = "put a text with a comma into quotes";
            wrong.add(at, format!("{has} fields, and {wants} columns; {mend}"));
            continue;
        }
        let line: Line = order
            .iter()
            .zip(&record)
            .filter(|(_, text)| !text.is_empty())
            .map(|(column, text)| (*column, text.to_owned()))
            .collect();
        let is_long =
            |text: &String| text.chars().count() > TEXT_MOST || text.chars().any(char::is_control);
        let fault = needed
            .iter()
            .find(|name| !line.contains_key(*name))
            .map(|name| format!("{name} is empty; fill it in"))
            .or_else(|| {
                let (name, _) = line.iter().find(|(_, text)| is_long(text))?;
                Some(format!(
                    "{name}: at most {TEXT_MOST} characters, none of them a control character"
                ))
            })
            .or_else(|| check(&line).err());
        if let Some(fault) = fault {
            wrong.add(at, fault);
            continue;
        }
        let key: Vec<String> = columns
            .iter()
            .take(keys)
            .map(|column| line.get(column).cloned().unwrap_or_default())
            .collect();
        if let Some(before) = first.insert(key.clone(), at) {
            let what = key.join(", ");
            wrong.add(
                at,
                format!("{what} stands in line {before} already; leave one out"),
            );
            continue;
        }
        lines.push((at, line));
    }
    wrong.or(lines)
}

/// Whether this field is an id of the contract.
pub fn id(line: &Line, name: &'static str) -> Result<(), String> {
    let text = line.get(name).cloned().unwrap_or_default();
    Id::new(name, text).map(|_| ()).map_err(|e| e.to_string())
}
