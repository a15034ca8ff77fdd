//! A list that is in use, and what is found in it.

use chrono::{DateTime, FixedOffset};
use kakou_contract::{Level, PlateColour, PlateKind, VehicleClass};

use super::codes::{self, unpack};
use super::exact::Exact;
use super::patterns::Patterns;
use super::rules::Rules;
use super::store::{Meta, OFFICE_O, Shared};

/// The entries of one list. What is done with it says its [`super::Policy`].
#[derive(Debug, Clone, Default)]
pub struct List {
    pub name: String,
    /// Who answers for entries that name nobody.
    pub authority: Option<String>,
    pub basis: Option<String>,
    /// As the list says, else the first 12 digits of `sha256`.
    pub version: String,
    /// Of the list's bytes, in hexadecimal digits.
    pub sha256: String,
    /// Rows that are not used.
    pub refused: u64,
    pub(super) exact: Exact,
    pub(super) patterns: Patterns,
    pub(super) shared: Shared,
}

/// One entry, as it stands in the list.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry<'a> {
    pub plate: String,
    /// Plates of two kinds may have the same text: they are two vehicles. `None`: a plate of any
    /// kind.
    pub kind: Option<PlateKind>,
    pub colour: Option<PlateColour>,
    pub class: Option<VehicleClass>,
    pub level: Level,
    pub category: &'a str,
    pub reason: &'a str,
    pub authority: Option<&'a str>,
    pub basis: Option<&'a str>,
    pub valid_from: Option<DateTime<FixedOffset>>,
    pub valid_until: Option<DateTime<FixedOffset>>,
    pub rules: Option<&'a Rules>,
    pub line: u64,
}

impl List {
    pub fn len(&self) -> usize {
        self.exact.len() + self.patterns.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// About how much memory it takes.
    pub fn bytes(&self) -> usize {
        self.exact.bytes() + self.patterns.bytes() + self.shared.bytes()
    }

    /// Whole plates in the order of their characters, then patterns in the order of the list.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        let whole = self
            .exact
            .sorted()
            .map(|(key, meta)| self.entry(&unpack(key).collect::<Vec<u8>>(), meta));
        let patterns = self.patterns.iter();
        whole.chain(patterns.map(|(pattern, meta)| self.entry(pattern, meta)))
    }

    /// Every entry that names just this plate, whether or not it holds now, the most severe first.
    pub fn named(&self, plate: &str) -> Vec<Entry<'_>> {
        let Some(text) = codes::codes(&super::plates::normalised(plate)) else {
            return Vec::new();
        };
        let Some(key) = codes::pack(&text) else {
            return Vec::new();
        };
        let metas = self.exact.get(key);
        metas.map(|meta| self.entry(&text, meta)).collect()
    }

    pub(super) fn entry(&self, plate: &[u8], meta: &Meta) -> Entry<'_> {
        let office = |(at, c)| match (at, c) {
            (1, '0') if meta.level & OFFICE_O != 0 => 'O',
            (_, c) => c,
        };
        let chars = plate.iter().map(|c| codes::char_of(*c));
        let shared = &self.shared;
        // An entry without an authority or a basis of its own has the list's.
        let authority = shared.said(meta.authority).or(self.authority.as_deref());
        let basis = shared.said(meta.basis).or(self.basis.as_deref());
        Entry {
            plate: chars.enumerate().map(office).collect(),
            kind: meta.kind(),
            colour: meta.colour(),
            class: meta.class(),
            level: meta.level(),
            category: self.shared.text(meta.category),
            reason: self.shared.text(meta.reason),
            authority,
            basis,
            valid_from: self.shared.time(meta.from),
            valid_until: self.shared.time(meta.until),
            rules: self.shared.rules(meta.rules),
            line: meta.line.into(),
        }
    }
}

impl Entry<'_> {
    /// Whether it is within its validity. `at`: now, by a clock that is right.
    pub fn is_valid(&self, at: Option<DateTime<FixedOffset>>) -> bool {
        at.is_none_or(|at| {
            let seconds = at.timestamp();
            self.valid_from
                .is_none_or(|from| from.timestamp() <= seconds)
                && self
                    .valid_until
                    .is_none_or(|until| seconds <= until.timestamp())
        })
    }
}
