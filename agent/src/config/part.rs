//! Reading one section: unknown keys, missing keys and wrong values are told with their place.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::at::At;
use super::define::{Fallback, Header, Kind, Section, Setting, Written};
use super::keys;

/// Names at least this alike are meant (Jaro-Winkler, 0 to 1).
const ALIKE: f64 = 0.82;

/// A section as it stands in the file; empty where it is left out.
pub(super) struct Part<'a> {
    pub at: &'a At<'a>,
    section: &'static Section,
    table: Option<&'a DeTable<'a>>,
    /// Its header, or the file's first line.
    pub span: Range<usize>,
    /// Keys that are probably there under a wrong name, which has been told.
    misspelt: Vec<&'static str>,
}

impl<'a> Part<'a> {
    pub(super) fn top(at: &'a At<'a>, table: &'a DeTable<'a>) -> Self {
        Self::open(at, &keys::TOP, table, 0..0)
    }

    /// Tells of every name in the table that means nothing.
    fn open(
        at: &'a At<'a>,
        section: &'static Section,
        table: &'a DeTable<'a>,
        span: Range<usize>,
    ) -> Self {
        let mut misspelt = Vec::new();
        for name in table.keys() {
            let known = section.settings.iter().any(|s| s.name() == name.as_ref())
                || section.sections.iter().any(|s| s.name() == name.as_ref());
            if !known {
                misspelt.extend(nearest(section, name.as_ref()));
                at.wrong(
                    &name.span(),
                    section.key(name.as_ref()),
                    unknown(section, name.as_ref()),
                );
            }
        }
        Self {
            at,
            section,
            table: Some(table),
            span,
            misspelt,
        }
    }

    fn empty(&self, section: &'static Section) -> Self {
        Self {
            at: self.at,
            section,
            table: None,
            span: self.span.clone(),
            misspelt: Vec::new(),
        }
    }

    pub(super) fn is_given(&self) -> bool {
        self.table.is_some()
    }

    /// The value of a key, or what holds without it. A value that cannot be taken is told.
    pub(super) fn get<K: Kind, F: Fallback<K>>(&self, setting: &Setting<K, F>) -> F::Out {
        let value = match self.written(setting.name) {
            Some(written) => match setting.kind.read(written) {
                Ok(value) => Some(value),
                Err(refused) => {
                    self.at.wrong(
                        &refused.span,
                        self.section.key(setting.name),
                        refused.reason,
                    );
                    None
                }
            },
            None => {
                if F::REQUIRED && !self.misspelt.contains(&setting.name) {
                    let reason = match setting.example {
                        Some(example) => {
                            format!("is missing; write {} = {example}", setting.name)
                        }
                        None => "is missing".to_owned(),
                    };
                    self.at
                        .wrong(&self.span, self.section.key(setting.name), reason);
                }
                None
            }
        };
        setting.fallback.fill(value)
    }

    /// Where a key is written, if it is.
    pub(super) fn place<K, F>(&self, setting: &Setting<K, F>) -> Option<Range<usize>> {
        self.written(setting.name).map(|written| written.span())
    }

    /// A key as it is written, unchecked.
    pub(super) fn raw<K, F>(&self, setting: &Setting<K, F>) -> Option<&'a DeValue<'a>> {
        self.written(setting.name).map(Written::get_ref)
    }

    /// Where a key is written, else where its section is.
    pub(super) fn place_or_header<K, F>(&self, setting: &Setting<K, F>) -> Range<usize> {
        self.place(setting).unwrap_or_else(|| self.span.clone())
    }

    /// A key of this section cannot be used as it stands.
    pub(super) fn wrong<K, F>(&self, setting: &Setting<K, F>, reason: impl Into<String>) {
        let span = self.place_or_header(setting);
        self.at.wrong(&span, self.section.key(setting.name), reason);
    }

    /// A key of this section is probably not meant as it stands.
    pub(super) fn doubtful<K, F>(&self, setting: &Setting<K, F>, reason: impl Into<String>) {
        let span = self.place_or_header(setting);
        self.at
            .doubtful(&span, self.section.key(setting.name), reason);
    }

    /// How another place names this key's value: `lost_after_s = 15 (line 7)`, or its default.
    pub(super) fn named<K, F>(
        &self,
        setting: &Setting<K, F>,
        value: impl std::fmt::Display,
    ) -> String {
        match self.place(setting) {
            Some(span) => format!(
                "`{}` = {value} (line {})",
                setting.name,
                self.at.line(&span)
            ),
            None => format!("`{}` = {value} (the default)", setting.name),
        }
    }

    /// A section within this one that may stand once.
    pub(super) fn part(&self, section: &'static Section) -> Part<'a> {
        let Some(written) = self.written(section.name()) else {
            return self.empty(section);
        };
        match written.get_ref() {
            DeValue::Table(table) => Part::open(self.at, section, table, written.span()),
            DeValue::Array(_) => {
                let reason = format!("stands once; write {}", section.written_as());
                self.at.wrong(&written.span(), section.path, reason);
                self.empty(section)
            }
            _ => {
                self.at
                    .wrong(&written.span(), section.path, is_section(section));
                self.empty(section)
            }
        }
    }

    /// A section within this one that may be repeated.
    pub(super) fn parts(&self, section: &'static Section) -> Vec<Part<'a>> {
        let Some(written) = self.written(section.name()) else {
            return Vec::new();
        };
        match written.get_ref() {
            DeValue::Array(all) => all
                .iter()
                .filter_map(|one| match one.get_ref() {
                    DeValue::Table(table) => Some(Part::open(self.at, section, table, one.span())),
                    _ => {
                        self.at
                            .wrong(&one.span(), section.path, is_section(section));
                        None
                    }
                })
                .collect(),
            DeValue::Table(table) => {
                let reason = format!(
                    "there may be several; write {} with two brackets on each side",
                    section.written_as()
                );
                self.at.wrong(&written.span(), section.path, reason);
                vec![Part::open(self.at, section, table, written.span())]
            }
            _ => {
                self.at
                    .wrong(&written.span(), section.path, is_section(section));
                Vec::new()
            }
        }
    }

    fn written(&self, name: &str) -> Option<&'a Written<'a>> {
        self.table.and_then(|table| table.get(name))
    }
}

fn is_section(section: &Section) -> String {
    match section.header {
        Header::Inline => format!("is a table; write {} = {{ ... }}", section.name()),
        Header::Top | Header::Once | Header::Repeated | Header::Example => {
            format!(
                "is a section; write {} and its keys below",
                section.written_as()
            )
        }
    }
}

/// What to say of a name that is no key: where it belongs, or what is known here.
fn unknown(section: &'static Section, name: &str) -> String {
    let no = "there is no such key";
    if let Some((_, instead)) = section.mistaken.iter().find(|(wrong, _)| *wrong == name) {
        return format!("{no}; {instead}");
    }
    if let Some(known) = nearest(section, name) {
        return format!("{no}; did you mean `{known}`?");
    }
    if let Some(home) = home_of(&keys::TOP, name) {
        return format!("{no} here; it belongs in {home}");
    }
    let all: Vec<&str> = names(section).collect();
    format!("{no}; known here: {}", all.join(", "))
}

fn names(section: &'static Section) -> impl Iterator<Item = &'static str> {
    let settings = section.settings.iter().map(|setting| setting.name());
    settings.chain(section.sections.iter().map(|child| child.name()))
}

/// The name that was probably meant.
fn nearest(section: &'static Section, name: &str) -> Option<&'static str> {
    let lower = name.to_lowercase();
    names(section)
        .map(|known| (strsim::jaro_winkler(&lower, known), known))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, known)| known)
}

/// The section in which a name means something, or its own header if it is a section.
fn home_of(section: &'static Section, name: &str) -> Option<String> {
    if !section.path.is_empty() && section.settings.iter().any(|s| s.name() == name) {
        return Some(section.written_as());
    }
    if let Some(found) = section.sections.iter().find(|s| s.name() == name) {
        return Some(found.written_as());
    }
    section.sections.iter().find_map(|s| home_of(s, name))
}
