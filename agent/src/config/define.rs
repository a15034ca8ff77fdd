//! What a setting is. Each key of the config is defined once, in [`super::keys`]; from that one
//! definition come the checks and their errors ([`super::part`]), `configs/reference.toml` and
//! `docs/config.md` ([`super::write`]).

use std::ops::Range;

use toml::Spanned;
use toml::de::DeValue;

/// A value as it stands in the file, with its place.
pub(super) type Written<'a> = Spanned<DeValue<'a>>;

/// The languages in which the config is described.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Language {
    #[default]
    En,
    Zh,
}

/// A sentence in both languages.
#[derive(Clone, Copy)]
pub struct Words {
    pub en: &'static str,
    pub zh: &'static str,
}

impl Words {
    pub fn of(&self, language: Language) -> &'static str {
        match language {
            Language::En => self.en,
            Language::Zh => self.zh,
        }
    }
}

/// How a change comes into use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakenUp {
    /// By a reload.
    Reload,
    /// By a restart only; a reload refuses the change, or leaves it for the next start.
    Restart,
}

/// One key: what it is called, what it may be, and what it means.
pub struct Setting<K, F> {
    pub name: &'static str,
    /// What may be written.
    pub kind: K,
    /// What holds if nothing is written.
    pub fallback: F,
    /// A value in TOML, for keys without a default or with one that explains little.
    pub example: Option<&'static str>,
    pub taken_up: TakenUp,
    pub doc: Words,
}

/// Why a value cannot be taken, and which part of it.
pub struct Refused {
    pub span: Range<usize>,
    pub reason: String,
}

impl Refused {
    pub fn new(span: Range<usize>, reason: impl Into<String>) -> Self {
        Self {
            span,
            reason: reason.into(),
        }
    }
}

/// What may be written for a key.
pub trait Kind: Sync {
    type Value;
    fn read(&self, written: &Written<'_>) -> Result<Self::Value, Refused>;
    /// Type and range, as a phrase: `Integer, 1 to 64`.
    fn words(&self, language: Language) -> String;
}

/// A kind whose values can be written as TOML: what a default needs.
pub trait Shown: Kind {
    fn toml(&self, value: &Self::Value) -> String;
}

/// What holds where a key is not written.
pub trait Fallback<K: Kind>: Sync {
    type Out;
    const REQUIRED: bool = false;
    /// `None`: not written, or refused (which is told).
    fn fill(&self, value: Option<K::Value>) -> Self::Out;
    fn shown(&self, kind: &K) -> DefaultShown;
}

/// The default as the reference and the docs show it.
pub enum DefaultShown {
    Required,
    /// This value, in TOML.
    Value(String),
    /// No fixed value; these words say what holds.
    Said(Words),
}

/// This value.
pub struct Is<V>(pub fn() -> V);
/// This value, which depends on the machine; the words stand in its place.
pub struct IsHere<V>(pub fn() -> V, pub Words);
/// None; the words say what holds then.
pub struct Absent(pub Words);
/// It must be written.
pub struct Required;

impl<K: Shown> Fallback<K> for Is<K::Value> {
    type Out = K::Value;
    fn fill(&self, value: Option<K::Value>) -> K::Value {
        value.unwrap_or_else(self.0)
    }
    fn shown(&self, kind: &K) -> DefaultShown {
        DefaultShown::Value(kind.toml(&(self.0)()))
    }
}

impl<K: Kind> Fallback<K> for IsHere<K::Value> {
    type Out = K::Value;
    fn fill(&self, value: Option<K::Value>) -> K::Value {
        value.unwrap_or_else(self.0)
    }
    fn shown(&self, _: &K) -> DefaultShown {
        DefaultShown::Said(self.1)
    }
}

impl<K: Kind> Fallback<K> for Absent {
    type Out = Option<K::Value>;
    fn fill(&self, value: Option<K::Value>) -> Self::Out {
        value
    }
    fn shown(&self, _: &K) -> DefaultShown {
        DefaultShown::Said(self.0)
    }
}

impl<K: Kind> Fallback<K> for Required {
    type Out = Option<K::Value>;
    const REQUIRED: bool = true;
    fn fill(&self, value: Option<K::Value>) -> Self::Out {
        value
    }
    fn shown(&self, _: &K) -> DefaultShown {
        DefaultShown::Required
    }
}

/// A setting whatever its type: what the lists of keys hold.
pub trait Described: Sync {
    fn name(&self) -> &'static str;
    fn kind_words(&self, language: Language) -> String;
    fn default(&self) -> DefaultShown;
    fn example(&self) -> Option<&'static str>;
    fn taken_up(&self) -> TakenUp;
    fn doc(&self) -> Words;
    /// Whether a value of this text would be taken.
    #[cfg(test)]
    fn refuses(&self, written: &Written<'_>) -> Option<String>;
}

impl<K: Kind, F: Fallback<K>> Described for Setting<K, F> {
    fn name(&self) -> &'static str {
        self.name
    }
    fn kind_words(&self, language: Language) -> String {
        self.kind.words(language)
    }
    fn default(&self) -> DefaultShown {
        self.fallback.shown(&self.kind)
    }
    fn example(&self) -> Option<&'static str> {
        self.example
    }
    fn taken_up(&self) -> TakenUp {
        self.taken_up
    }
    fn doc(&self) -> Words {
        self.doc
    }
    #[cfg(test)]
    fn refuses(&self, written: &Written<'_>) -> Option<String> {
        self.kind.read(written).err().map(|refused| refused.reason)
    }
}

/// How a section stands in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// The keys before the first header.
    Top,
    /// `[name]`.
    Once,
    /// `[[name]]`, as often as wanted.
    Repeated,
    /// The same; commented out in the reference, where it would name what is not there.
    Example,
    /// `name = { ... }` within its parent, written so in the reference.
    Inline,
}

/// A group of settings.
pub struct Section {
    /// With the sections around it: `camera.gate`. Empty for the top.
    pub path: &'static str,
    pub header: Header,
    pub doc: Words,
    pub settings: &'static [&'static dyn Described],
    pub sections: &'static [&'static Section],
    /// Names that people write though they are no keys, and what to do instead.
    pub mistaken: &'static [(&'static str, &'static str)],
}

impl Section {
    pub fn name(&self) -> &'static str {
        self.path.rsplit('.').next().unwrap_or(self.path)
    }

    /// A key's full name.
    pub fn key(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    /// `[broker]`, `[[camera]]`.
    pub fn written_as(&self) -> String {
        match self.header {
            Header::Repeated | Header::Example => format!("[[{}]]", self.path),
            Header::Top | Header::Once | Header::Inline => format!("[{}]", self.path),
        }
    }
}
