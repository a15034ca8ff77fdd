//! Lists as text: for another program, and for people.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use clap::ValueEnum;
use kakou_contract::{Direction, Level};
use kakou_traffic::watchlist::{Column, Entry, List};
use serde_json::{Map, Value, json};

use super::common::print_line;
use super::table::{clean, grouped};
use crate::app::watchfile::Decoded;

/// A form that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Written {
    /// In UTF-8, with a line `# entries N`.
    #[default]
    Csv,
    /// CSV that Chinese Excel opens with a double click: in UTF-8 with a byte order mark.
    Excel,
    /// An array of objects, one for each entry, with the names of the columns.
    Json,
}

/// In the order in which an export writes them.
pub const COLUMNS: [Column; 16] = [
    Column::Plate,
    Column::Level,
    Column::Category,
    Column::Reason,
    Column::Until,
    Column::From,
    Column::Kind,
    Column::Colour,
    Column::Class,
    Column::Authority,
    Column::Basis,
    Column::Days,
    Column::Hours,
    Column::Cameras,
    Column::Lanes,
    Column::Direction,
];

/// What a cell of an entry says; empty: nothing.
pub fn cell<'a>(entry: &'a Entry<'_>, column: Column) -> Cow<'a, str> {
    let word = |word: Option<&'static str>| Cow::Borrowed(word.unwrap_or(""));
    let rules = entry.rules;
    let time = |time: Option<chrono::DateTime<chrono::FixedOffset>>| {
        time.map_or(Cow::Borrowed(""), |t| t.to_rfc3339().into())
    };
    match column {
        Column::Plate => entry.plate.as_str().into(),
        Column::Level => entry.level.as_str().into(),
        Column::Category => entry.category.into(),
        Column::Reason => entry.reason.into(),
        Column::From => time(entry.valid_from),
        Column::Until => time(entry.valid_until),
        Column::Kind => word(entry.kind.map(|k| k.code())),
        Column::Colour => word(entry.colour.map(|c| c.as_str())),
        Column::Class => word(entry.class.map(|c| c.as_str())),
        Column::Authority => entry.authority.unwrap_or("").into(),
        Column::Basis => entry.basis.unwrap_or("").into(),
        Column::Days => rules.map_or("", |r| &r.days).into(),
        Column::Hours => rules.map_or("", |r| &r.hours).into(),
        Column::Cameras => rules.map_or(String::new(), |r| r.cameras.join(" ")).into(),
        Column::Lanes => rules.map_or(String::new(), |r| r.lanes.join(" ")).into(),
        Column::Direction => word(rules.and_then(|r| r.direction).map(Direction::as_str)),
        Column::Other => "".into(),
    }
}

/// Only the columns that some entry uses, and those that each list has.
fn used(list: &List) -> Vec<Column> {
    let mut used = [false; COLUMNS.len()];
    for entry in list.entries() {
        for (used, column) in used.iter_mut().zip(COLUMNS) {
            *used |= !cell(&entry, column).is_empty();
        }
    }
    let always = [true, true, true, true, true];
    for (used, always) in used.iter_mut().zip(always) {
        *used |= always;
    }
    let all = COLUMNS.into_iter().zip(used);
    all.filter(|(_, used)| *used)
        .map(|(column, _)| column)
        .collect()
}

pub fn text(list: &List, form: Written) -> anyhow::Result<String> {
    let columns = used(list);
    if form == Written::Json {
        let entry = |entry: Entry<'_>| {
            let cells = columns.iter().map(|c| (c.name(), cell(&entry, *c)));
            let said = cells.filter(|(_, text)| !text.is_empty());
            said.map(|(name, text)| (name.to_owned(), Value::from(text)))
                .collect::<Map<String, Value>>()
        };
        let all: Vec<_> = list.entries().map(entry).collect();
        let whole = json!({ "version": list.version, "authority": list.authority, "entries": all });
        return Ok(serde_json::to_string_pretty(&whole)? + "\n");
    }
    let mut text = String::new();
    if form == Written::Excel {
        text.push('\u{feff}');
    }
    let header = columns.iter().map(|c| Cow::Borrowed(c.name())).collect();
    let entries: Vec<Entry<'_>> = list.entries().collect();
    let rows = entries
        .iter()
        .map(|entry| columns.iter().map(|c| cell(entry, *c)).collect());
    text.push_str(&kakou_sheet::write_csv(std::iter::once(header).chain(rows)));
    if form == Written::Csv {
        text.push_str(&format!(
            "# version {}\n# entries {}\n",
            list.version,
            list.len()
        ));
    }
    Ok(text)
}

/// Writes a file beside its place and renames it: an agent that watches it never reads half.
pub fn aside(path: &Path, text: &str) -> anyhow::Result<()> {
    kakou_guard::file::replace_durably(path, 0o644, |file| file.write_all(text.as_bytes()))
        .with_context(|| path.display().to_string())
}

pub fn print(text: &str) -> anyhow::Result<()> {
    print_line(text.trim_end_matches('\n'))
}

/// What a list holds, for people.
pub fn show(read: &Decoded, limit: usize) -> anyhow::Result<()> {
    let list = &read.parsed.list;
    let mut levels: BTreeMap<Level, u64> = BTreeMap::new();
    let mut categories: BTreeMap<&str, u64> = BTreeMap::new();
    let mut next: Option<chrono::DateTime<chrono::FixedOffset>> = None;
    for entry in list.entries() {
        *levels.entry(entry.level).or_default() += 1;
        *categories.entry(entry.category).or_default() += 1;
        next = [next, entry.valid_until].into_iter().flatten().min();
    }
    let counts = |all: Vec<(String, u64)>| {
        let all: Vec<String> = all.iter().map(|(name, n)| format!("{name} {n}")).collect();
        clean(&all.join(", "))
    };
    print_line(&format!(
        "{}: {} entries, version {}, {}, {:.1} MiB in memory",
        clean(&list.name),
        list.len(),
        clean(&list.version),
        read.told,
        list.bytes() as f64 / f64::from(1 << 20)
    ))?;
    print_line(&format!("refused lines: {}", read.parsed.refused.count))?;
    let levels = levels.into_iter().map(|(l, n)| (l.to_string(), n));
    print_line(&format!("levels: {}", counts(levels.collect())))?;
    let mut most: Vec<(String, u64)> = categories
        .into_iter()
        .map(|(c, n)| (c.to_owned(), n))
        .collect();
    most.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    most.truncate(20);
    print_line(&format!("categories: {}", counts(most)))?;
    if let Some(next) = next {
        print_line(&format!("the first entry ends {next}"))?;
    }
    for entry in list.entries().take(limit) {
        print_line(&line(&entry))?;
    }
    let more = list.len().saturating_sub(limit);
    if limit > 0 && more > 0 {
        print_line(&format!("and {more} more (--limit)"))?;
    }
    Ok(())
}

/// An entry in one line, for people.
pub fn line(entry: &Entry<'_>) -> String {
    let mut line = format!(
        "{}  {}  {}",
        grouped(&entry.plate),
        entry.level,
        entry.category
    );
    for column in COLUMNS {
        if matches!(column, Column::Plate | Column::Level | Column::Category) {
            continue;
        }
        let text = cell(entry, column);
        if !text.is_empty() {
            line.push_str(&format!("  {} {text}", column.name()));
        }
    }
    clean(&line)
}
