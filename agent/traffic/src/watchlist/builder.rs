//! From rows to a list, with what was wrong in them. A row that can never match or cannot be
//! understood is refused by its line, and the rest is used.

use std::fmt;

use kakou_contract::{Level, PlateColour, PlateKind, TEXT_MAX, VehicleClass, clip};

use super::codes::pack;
use super::dates::{Side, time};
use super::exact::Exact;
use super::list::List;
use super::patterns::Patterns;
use super::plates::{Looked, looked, normalised};
use super::rules::Rules;
use super::store::{Meta, OFFICE_O, Sharing, place, severity};
use super::words::{self, Column};
use crate::plate::possible_kinds;

/// The most entries of a list.
pub const ENTRIES_MAX: usize = 1_500_000;
/// The most patterns among them.
pub const PATTERNS_MAX: usize = 200_000;
/// How many lines a report names, of those refused and of those noted; the others are counted.
pub const LINES_TOLD: usize = 1_000;

/// What an entry must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Require {
    pub authority: bool,
    pub basis: bool,
    pub end: bool,
}

/// What holds for the rows of a list that do not say it themselves.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListOptions {
    pub name: String,
    pub authority: Option<String>,
    pub basis: Option<String>,
    pub level: Option<Level>,
    pub category: Option<String>,
    pub require: Require,
    /// Takes what was probably meant for a mistaken plate, and says so.
    pub mend: bool,
}

/// A line that could not be used, or not as it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct BadLine {
    pub line: u64,
    pub why: String,
}

/// Lines that a list's author should know of: the first of them, and how many there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BadLines {
    pub told: Vec<BadLine>,
    pub count: u64,
}

impl BadLines {
    fn push(&mut self, line: u64, why: impl Into<String>) {
        self.count += 1;
        if self.told.len() < LINES_TOLD {
            let why = clip(&why.into(), TEXT_MAX).into_owned();
            self.told.push(BadLine { line, why });
        }
    }
}

/// A list, and what its author should know of it.
#[derive(Debug, Clone)]
pub struct Parsed {
    pub list: List,
    /// Rows that are not used; as many as `list.refused` says.
    pub refused: BadLines,
    /// Rows that are used, but perhaps not as they were meant.
    pub notes: BadLines,
}

/// Why no row of a list can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    #[error(
        "unknown column {name:?}; {meant:?} was probably meant. Known are plate, level, category, reason, \
         valid_until, valid_from, kind, colour, class, authority, basis, days, hours, cameras, lanes, direction"
    )]
    Misspelt { name: String, meant: &'static str },
    #[error("the column {} stands there twice", .0.name())]
    Twice(Column),
    #[error("the column {:?} is missing; the header is plate,level,category,reason,valid_until", .0.name())]
    Missing(Column),
    #[error("the list has more than {ENTRIES_MAX} entries")]
    TooMany,
}

/// Takes rows one by one.
pub struct Builder {
    options: ListOptions,
    columns: Vec<Column>,
    whole: Vec<(u64, Meta)>,
    patterns: Vec<(Box<[u8]>, Meta)>,
    sharing: Sharing,
    refused: BadLines,
    notes: BadLines,
}

impl Builder {
    pub fn new(options: ListOptions) -> Self {
        Self {
            options,
            columns: Vec::new(),
            whole: Vec::new(),
            patterns: Vec::new(),
            sharing: Sharing::default(),
            refused: BadLines::default(),
            notes: BadLines::default(),
        }
    }

    /// The names of the columns, before any row. A name that is no column's is left out with a
    /// note, unless it looks like a mistake: a column that is misspelt must not be lost.
    pub fn header(&mut self, line: u64, names: &[&str]) -> Result<(), HeaderError> {
        let mut columns = Vec::new();
        for name in names {
            let column = match Column::by_name(name) {
                Some(column) => column,
                None => match Column::meant(name) {
                    Some(meant) => {
                        return Err(HeaderError::Misspelt {
                            name: (*name).to_owned(),
                            meant,
                        });
                    }
                    None => {
                        if !name.trim().is_empty() {
                            let why = format!("the column {name:?} is not known and is not used");
                            self.notes.push(line, why);
                        }
                        Column::Other
                    }
                },
            };
            if column != Column::Other && columns.contains(&column) {
                return Err(HeaderError::Twice(column));
            }
            columns.push(column);
        }
        for (column, needed) in [
            (Column::Plate, true),
            (Column::Level, self.options.level.is_none()),
            (Column::Category, self.options.category.is_none()),
        ] {
            if needed && !columns.contains(&column) {
                return Err(HeaderError::Missing(column));
            }
        }
        self.columns = columns;
        Ok(())
    }

    /// A row's cells, in the order of the header.
    pub fn row(&mut self, line: u64, cells: &[&str]) -> Result<(), HeaderError> {
        if self.whole.len() + self.patterns.len() >= ENTRIES_MAX {
            return Err(HeaderError::TooMany);
        }
        let mut fields = [""; FIELDS];
        for (column, cell) in self.columns.iter().zip(cells) {
            if let Some(field) = fields.get_mut(*column as usize) {
                *field = cell.trim();
            }
        }
        if let Err(why) = self.take(line, &Fields(fields)) {
            self.refused.push(line, why);
        }
        Ok(())
    }

    /// A row that could not even be taken apart.
    pub fn bad_row(&mut self, line: u64, why: impl Into<String>) {
        self.refused.push(line, why);
    }

    pub fn note(&mut self, line: u64, why: impl Into<String>) {
        self.notes.push(line, why);
    }

    fn take(&mut self, line: u64, fields: &Fields<'_>) -> Result<(), String> {
        let plate = self.plate(line, fields.of(Column::Plate))?;
        let kind = fields.parsed(Column::Kind, words::kind)?;
        let text: String = plate
            .codes
            .iter()
            .map(|c| super::codes::char_of(*c))
            .collect();
        if let (Some(kind), Some(possible)) = (kind, possible_kinds(&text))
            && !plate.is_pattern()
            && !possible.contains(&kind)
        {
            let codes: Vec<&str> = possible.iter().map(|k| k.code()).collect();
            return Err(format!(
                "plate {text:?} can never match as kind {}: plates like it are of kind {}",
                kind.code(),
                codes.join(", ")
            ));
        }
        let level = match (fields.of(Column::Level), self.options.level) {
            ("", Some(level)) => level,
            (text, _) => words::level(text)?,
        };
        let category = match (fields.of(Column::Category), &self.options.category) {
            ("", Some(category)) => category.clone(),
            (text, _) => words::category(text).to_owned(),
        };
        let colour = fields.parsed(Column::Colour, words::colour)?;
        let class = fields.parsed(Column::Class, words::class)?;
        if plate.is_everything() && kind.is_none() && colour.is_none() && class.is_none() {
            return Err("the pattern fits every vehicle; name some of its characters, a kind, a colour or a class".to_owned());
        }
        let from = time("valid_from", fields.of(Column::From), Side::From)?;
        let until = time("valid_until", fields.of(Column::Until), Side::Until)?;
        if let (Some(from), Some(until)) = (from, until)
            && from > until
        {
            return Err(format!("valid_from {from} is after valid_until {until}"));
        }
        self.required(fields, until.is_some())?;
        let rules = rules(fields)?;
        let mut text = |column: Column| self.sharing.text(&clip(fields.of(column), TEXT_MAX));
        let full = || "the list holds more text than 4 GiB".to_owned();
        let meta = Meta {
            reason: text(Column::Reason).ok_or_else(full)?,
            authority: text(Column::Authority).ok_or_else(full)?,
            basis: text(Column::Basis).ok_or_else(full)?,
            category: self
                .sharing
                .text(&clip(&category, TEXT_MAX))
                .ok_or_else(full)?,
            from: self.sharing.time(from),
            until: self.sharing.time(until),
            rules: self.sharing.rules(rules),
            line: u32::try_from(line).unwrap_or(u32::MAX),
            kind: place(PlateKind::ALL, kind),
            colour: place(PlateColour::ALL, colour),
            class: place(VehicleClass::ALL, class),
            level: severity(level) | if plate.office_o { OFFICE_O } else { 0 },
        };
        if plate.is_pattern() {
            if self.patterns.len() >= PATTERNS_MAX {
                return Err(format!(
                    "the list has more than {PATTERNS_MAX} patterns already"
                ));
            }
            self.patterns.push((plate.codes.into_boxed_slice(), meta));
        } else {
            let key = pack(&plate.codes).ok_or("the plate is longer than any")?;
            self.whole.push((key, meta));
        }
        if let Some(note) = plate.note {
            self.notes.push(line, note);
        }
        Ok(())
    }

    fn plate(&mut self, line: u64, text: &str) -> Result<Looked, String> {
        let plate = normalised(text);
        match looked(&plate) {
            Ok(looked) => Ok(looked),
            Err(fault) => match &fault.meant {
                Some(meant) if self.options.mend => {
                    let taken = looked(meant).map_err(|e| e.to_string())?;
                    self.notes
                        .push(line, format!("{}; taken as {meant}", fault.why));
                    Ok(taken)
                }
                _ => Err(fault.to_string()),
            },
        }
    }

    fn required(&self, fields: &Fields<'_>, has_end: bool) -> Result<(), String> {
        let (require, options) = (self.options.require, &self.options);
        let said =
            |column, fallback: &Option<String>| !fields.of(column).is_empty() || fallback.is_some();
        for (wanted, there, what) in [
            (
                require.authority,
                said(Column::Authority, &options.authority),
                "authority",
            ),
            (require.basis, said(Column::Basis, &options.basis), "basis"),
            (require.end, has_end, "end (valid_until)"),
        ] {
            if wanted && !there {
                return Err(format!(
                    "it has no {what}, which [watchlist] require asks for"
                ));
            }
        }
        Ok(())
    }

    /// `sha256`: of the list's bytes. `version`: as the list says it.
    pub fn finish(self, sha256: String, version: Option<&str>) -> Parsed {
        let Self {
            options,
            whole,
            patterns,
            sharing,
            refused,
            mut notes,
            ..
        } = self;
        let version = match version.map(str::trim).filter(|v| !v.is_empty()) {
            Some(said) => clip(said, VERSION_MAX).into_owned(),
            None => sha256.chars().take(12).collect(),
        };
        let list = List {
            name: options.name,
            authority: options.authority,
            basis: options.basis,
            version,
            sha256,
            refused: refused.count,
            exact: Exact::new(whole),
            patterns: Patterns::new(patterns),
            shared: sharing.done(),
        };
        tell_doubles(&list, &mut notes);
        notes.told.sort_by_key(|l| l.line);
        Parsed {
            list,
            refused,
            notes,
        }
    }
}

/// The longest version that a list gives itself.
const VERSION_MAX: usize = 64;
const FIELDS: usize = Column::Other as usize;

/// A row's cells by their columns.
struct Fields<'a>([&'a str; FIELDS]);

impl<'a> Fields<'a> {
    fn of(&self, column: Column) -> &'a str {
        self.0.get(column as usize).copied().unwrap_or("")
    }

    fn parsed<T>(
        &self,
        column: Column,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, String> {
        match self.of(column) {
            "" => Ok(None),
            text => parse(text).map(Some),
        }
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.whole.len() + self.patterns.len();
        write!(f, "Builder({}, {entries} entries)", self.options.name)
    }
}

fn rules(fields: &Fields<'_>) -> Result<Rules, String> {
    let mut rules = Rules {
        cameras: names(fields.of(Column::Cameras)),
        lanes: names(fields.of(Column::Lanes)),
        direction: fields.parsed(Column::Direction, words::direction)?,
        ..Rules::default()
    };
    rules.set_times(fields.of(Column::Days), fields.of(Column::Hours))?;
    Ok(rules)
}

fn names(text: &str) -> Vec<String> {
    let names = text.split([',', ';', '，', '；', '、', ' ', '|']);
    names.filter(|n| !n.is_empty()).map(str::to_owned).collect()
}

/// Notes plates that stand there twice. Two kinds of one text are two vehicles, and two entries of
/// other times or places are no mistake.
fn tell_doubles(list: &List, notes: &mut BadLines) {
    let mut before: Option<(u64, Meta)> = None;
    for (key, meta) in list.exact.iter() {
        if let Some((other, earlier)) = before
            && other == key
            && (earlier.kind, earlier.rules) == (meta.kind, meta.rules)
        {
            let (first, second) = (earlier.line.min(meta.line), earlier.line.max(meta.line));
            let text: String = super::codes::unpack(key)
                .map(super::codes::char_of)
                .collect();
            let why = format!(
                "{text} stands in line {first} too; of those that hold the more severe or the first counts"
            );
            notes.push(second.into(), why);
        }
        before = Some((key, *meta));
    }
}
