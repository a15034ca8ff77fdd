//! Lists of values of one kind.

use std::ops::Range;

use toml::de::DeValue;

use super::super::define::{Kind, Language, Refused, Shown, Written};
use super::{said, wrong_type};

/// A list in brackets. Each member keeps its place, so that a fault names the right line.
pub struct List<K>(pub K);

impl<K: Kind> Kind for List<K> {
    type Value = Vec<(K::Value, Range<usize>)>;

    fn read(&self, written: &Written<'_>) -> Result<Self::Value, Refused> {
        match written.get_ref() {
            DeValue::Array(members) => members
                .iter()
                .map(|member| Ok((self.0.read(member)?, member.span())))
                .collect(),
            other => Err(wrong_type(written, other, "a list in brackets, [ ... ]")),
        }
    }

    fn words(&self, language: Language) -> String {
        let member = self.0.words(language);
        said(
            language,
            &format!("List of: {member}"),
            &format!("列表，元素为：{member}"),
        )
    }
}

impl<K: Shown> Shown for List<K> {
    fn toml(&self, value: &Self::Value) -> String {
        let members: Vec<String> = value
            .iter()
            .map(|(member, _)| self.0.toml(member))
            .collect();
        format!("[{}]", members.join(", "))
    }
}

/// `[width, height]` of a picture in pixels.
pub struct Size {
    pub least: u32,
    pub most: u32,
}

impl Kind for Size {
    type Value = (u32, u32);

    fn read(&self, written: &Written<'_>) -> Result<(u32, u32), Refused> {
        let side = |member: &Written<'_>| match member.get_ref() {
            DeValue::Integer(given) => u32::from_str_radix(given.as_str(), given.radix())
                .ok()
                .filter(|side| (self.least..=self.most).contains(side)),
            _ => None,
        };
        let sides = match written.get_ref() {
            DeValue::Array(members) if members.len() == 2 => {
                members.iter().map(side).collect::<Option<Vec<u32>>>()
            }
            _ => None,
        };
        match sides.as_deref() {
            Some([width, height]) => Ok((*width, *height)),
            _ => Err(Refused::new(
                written.span(),
                format!(
                    "write [width, height] in pixels, {} to {} each",
                    self.least, self.most
                ),
            )),
        }
    }

    fn words(&self, language: Language) -> String {
        let (least, most) = (self.least, self.most);
        said(
            language,
            &format!("`[width, height]`, integers, {least} to {most} px each"),
            &format!("`[宽, 高]`，整数，各 {least} 至 {most} px"),
        )
    }
}
