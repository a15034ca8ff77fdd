//! Flags, integers and numbers.

use std::fmt::Display;

use toml::de::DeValue;

use super::super::define::{Kind, Language, Refused, Shown, Written};
use super::{said, wrong_type};

/// `true` or `false`.
pub struct Flag;

impl Kind for Flag {
    type Value = bool;

    fn read(&self, written: &Written<'_>) -> Result<bool, Refused> {
        match written.get_ref() {
            DeValue::Boolean(flag) => Ok(*flag),
            other => Err(wrong_type(written, other, "true or false, without quotes")),
        }
    }

    fn words(&self, language: Language) -> String {
        said(language, "`true` or `false`", "`true` 或 `false`")
    }
}

impl Shown for Flag {
    fn toml(&self, value: &bool) -> String {
        value.to_string()
    }
}

/// A whole number within bounds.
pub struct Integer<T> {
    pub least: T,
    pub most: T,
    /// `px`, `ms`, or nothing.
    pub unit: &'static str,
}

/// Types of integers that settings have.
pub trait Whole: Copy + Display + PartialOrd + Into<i128> + TryFrom<i128> + Sync {}
impl<T: Copy + Display + PartialOrd + Into<i128> + TryFrom<i128> + Sync> Whole for T {}

impl<T: Whole> Kind for Integer<T> {
    type Value = T;

    fn read(&self, written: &Written<'_>) -> Result<T, Refused> {
        let range = self.range();
        let refused = |what: &str| Refused::new(written.span(), format!("{what} {range}"));
        match written.get_ref() {
            DeValue::Integer(given) => i128::from_str_radix(given.as_str(), given.radix())
                .ok()
                .and_then(|number| T::try_from(number).ok())
                .filter(|number| (self.least..=self.most).contains(number))
                .ok_or_else(|| refused(&format!("{given} is outside"))),
            DeValue::Float(given) => Err(refused(&format!(
                "{} is not a whole number; write one from",
                given.as_str()
            ))),
            DeValue::String(_) => Err(refused(
                "is text; without quotes, write a whole number from",
            )),
            other => Err(wrong_type(
                written,
                other,
                &format!("a whole number from {range}"),
            )),
        }
    }

    fn words(&self, language: Language) -> String {
        let range = format!("{} {} {}", self.least, to(language), self.most);
        with_unit(
            said(
                language,
                &format!("Integer, {range}"),
                &format!("整数，{range}"),
            ),
            self.unit,
        )
    }
}

impl<T: Whole> Integer<T> {
    fn range(&self) -> String {
        with_unit(format!("{} to {}", self.least, self.most), self.unit)
    }
}

impl<T: Whole> Shown for Integer<T> {
    fn toml(&self, value: &T) -> String {
        value.to_string()
    }
}

/// A number with or without a fraction, within bounds. Infinity and NaN are outside of every range.
pub struct Number {
    pub least: f32,
    pub most: f32,
    pub unit: &'static str,
}

impl Number {
    fn range(&self) -> String {
        with_unit(format!("{} to {}", self.least, self.most), self.unit)
    }
}

impl Kind for Number {
    type Value = f32;

    fn read(&self, written: &Written<'_>) -> Result<f32, Refused> {
        let range = self.range();
        let given = match written.get_ref() {
            DeValue::Integer(given) => i128::from_str_radix(given.as_str(), given.radix())
                .map(|number| number as f32)
                .ok()
                .map(|number| (number, given.to_string())),
            DeValue::Float(given) => given
                .as_str()
                .parse()
                .ok()
                .map(|number: f32| (number, given.as_str().to_owned())),
            DeValue::String(_) => {
                let reason = format!("is text; without quotes, write a number from {range}");
                return Err(Refused::new(written.span(), reason));
            }
            other => {
                return Err(wrong_type(
                    written,
                    other,
                    &format!("a number from {range}"),
                ));
            }
        };
        match given {
            Some((number, _)) if (self.least..=self.most).contains(&number) => Ok(number),
            Some((_, text)) => Err(Refused::new(
                written.span(),
                format!("{text} is outside {range}"),
            )),
            None => Err(Refused::new(
                written.span(),
                format!("is no number; write one from {range}"),
            )),
        }
    }

    fn words(&self, language: Language) -> String {
        let range = format!("{} {} {}", self.least, to(language), self.most);
        with_unit(
            said(
                language,
                &format!("Number, {range}"),
                &format!("数值，{range}"),
            ),
            self.unit,
        )
    }
}

impl Shown for Number {
    fn toml(&self, value: &f32) -> String {
        format!("{value:?}")
    }
}

fn to(language: Language) -> &'static str {
    match language {
        Language::En => "to",
        Language::Zh => "至",
    }
}

fn with_unit(text: String, unit: &str) -> String {
    if unit.is_empty() {
        text
    } else {
        format!("{text} {unit}")
    }
}
