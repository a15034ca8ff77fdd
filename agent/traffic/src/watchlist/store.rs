//! The entries of a list, held in little memory: 44 bytes each, and each text once.

use std::collections::HashMap;

use chrono::{DateTime, FixedOffset, TimeZone};
use hashbrown::HashTable;
use kakou_contract::{Level, PlateColour, PlateKind, VehicleClass};

use super::codes::hash;
use super::rules::Rules;

/// A text of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TextId(u32);

/// What an entry says beside its plate. `0` stands for "nothing".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meta {
    pub category: TextId,
    pub reason: TextId,
    pub authority: TextId,
    pub basis: TextId,
    pub from: u32,
    pub until: u32,
    pub rules: u32,
    pub line: u32,
    pub kind: u8,
    pub colour: u8,
    pub class: u8,
    pub level: u8,
}

/// In [`Meta::level`]: the plate was listed with the letter O as its office, which is kept as 0.
pub(super) const OFFICE_O: u8 = 0x80;

impl Meta {
    pub fn level(&self) -> Level {
        let at = usize::from(self.level & !OFFICE_O);
        Level::ALL.get(at).copied().unwrap_or(Level::Blue)
    }

    pub fn kind(&self) -> Option<PlateKind> {
        from_place(PlateKind::ALL, self.kind)
    }

    pub fn colour(&self) -> Option<PlateColour> {
        from_place(PlateColour::ALL, self.colour)
    }

    pub fn class(&self) -> Option<VehicleClass> {
        from_place(VehicleClass::ALL, self.class)
    }
}

fn from_place<T: Copy>(all: &[T], place: u8) -> Option<T> {
    all.get(usize::from(place).checked_sub(1)?).copied()
}

/// The place of a value in its list, from 1; 0: none.
pub(super) fn place<T: PartialEq>(all: &[T], value: Option<T>) -> u8 {
    let at = value.and_then(|v| all.iter().position(|a| *a == v));
    at.and_then(|at| u8::try_from(at + 1).ok()).unwrap_or(0)
}

/// 0 is the worst.
pub(super) fn severity(level: Level) -> u8 {
    place(Level::ALL, Some(level)).saturating_sub(1)
}

/// Texts, times and rules that entries share.
#[derive(Debug, Clone, Default)]
pub(super) struct Shared {
    texts: String,
    /// Where each text ends; it begins where the one before ends.
    ends: Vec<u32>,
    times: Vec<(i64, i32)>,
    rules: Vec<Rules>,
}

impl Shared {
    pub fn text(&self, id: TextId) -> &str {
        let Some(at) = (id.0 as usize).checked_sub(1) else {
            return "";
        };
        let begin = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        let end = self.ends.get(at).copied().unwrap_or(begin);
        self.texts.get(begin as usize..end as usize).unwrap_or("")
    }

    /// `None` for an empty text.
    pub fn said(&self, id: TextId) -> Option<&str> {
        Some(self.text(id)).filter(|text| !text.is_empty())
    }

    pub fn time(&self, id: u32) -> Option<DateTime<FixedOffset>> {
        let (seconds, offset) = *self.times.get((id as usize).checked_sub(1)?)?;
        FixedOffset::east_opt(offset)?
            .timestamp_opt(seconds, 0)
            .single()
    }

    /// Seconds since 1970.
    pub fn seconds(&self, id: u32) -> Option<i64> {
        Some(self.times.get((id as usize).checked_sub(1)?)?.0)
    }

    pub fn rules(&self, id: u32) -> Option<&Rules> {
        self.rules.get((id as usize).checked_sub(1)?)
    }

    pub fn bytes(&self) -> usize {
        self.texts.capacity() + self.ends.capacity() * 4 + self.times.capacity() * 16
    }
}

/// Adds to what entries share, each value once.
#[derive(Debug, Default)]
pub(super) struct Sharing {
    shared: Shared,
    texts: HashTable<u32>,
    times: HashMap<(i64, i32), u32>,
    rules: HashMap<String, u32>,
}

impl Sharing {
    /// `None`: the list holds too much text.
    pub fn text(&mut self, text: &str) -> Option<TextId> {
        if text.is_empty() {
            return Some(TextId(0));
        }
        let digest = digest(text);
        let shared = &self.shared;
        if let Some(id) = self
            .texts
            .find(digest, |id| shared.text(TextId(*id)) == text)
        {
            return Some(TextId(*id));
        }
        let end = u32::try_from(self.shared.texts.len() + text.len()).ok()?;
        let id = u32::try_from(self.shared.ends.len() + 1).ok()?;
        self.shared.texts.push_str(text);
        self.shared.ends.push(end);
        let shared = &self.shared;
        self.texts
            .insert_unique(digest, id, |id| self::digest(shared.text(TextId(*id))));
        Some(TextId(id))
    }

    pub fn time(&mut self, time: Option<DateTime<FixedOffset>>) -> u32 {
        let Some(time) = time else {
            return 0;
        };
        let key = (time.timestamp(), time.offset().local_minus_utc());
        let next = self.shared.times.len() as u32 + 1;
        let id = *self.times.entry(key).or_insert(next);
        if id == next {
            self.shared.times.push(key);
        }
        id
    }

    pub fn rules(&mut self, rules: Rules) -> u32 {
        if rules.is_empty() {
            return 0;
        }
        let next = self.shared.rules.len() as u32 + 1;
        let id = *self.rules.entry(format!("{rules:?}")).or_insert(next);
        if id == next {
            self.shared.rules.push(rules);
        }
        id
    }

    pub fn done(mut self) -> Shared {
        self.shared.texts.shrink_to_fit();
        self.shared.ends.shrink_to_fit();
        self.shared.times.shrink_to_fit();
        self.shared
    }
}

fn digest(text: &str) -> u64 {
    text.as_bytes()
        .chunks(8)
        .fold(text.len() as u64, |sum, chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            hash(sum ^ u64::from_le_bytes(word))
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_shared_is_kept_once_and_comes_back() {
        let mut sharing = Sharing::default();
        let texts = ["stolen", "被盗车辆", "stolen", "", "第九个字"];
        let ids: Vec<TextId> = texts.iter().map(|t| sharing.text(t).unwrap()).collect();
        let time = DateTime::parse_from_rfc3339("2031-05-04T23:59:59+08:00").unwrap();
        let times = [
            sharing.time(Some(time)),
            sharing.time(None),
            sharing.time(Some(time)),
        ];
        let here = Rules {
            cameras: vec!["cam-1".into()],
            ..Rules::default()
        };
        let rules = [
            sharing.rules(here.clone()),
            sharing.rules(Rules::default()),
            sharing.rules(here.clone()),
        ];
        let shared = sharing.done();
        assert_eq!(ids[0], ids[2]);
        for (text, id) in texts.iter().zip(ids) {
            assert_eq!(shared.text(id), *text);
        }
        assert_eq!((times, rules), ([1, 0, 1], [1, 0, 1]));
        assert_eq!((shared.time(1), shared.time(0)), (Some(time), None));
        assert_eq!((shared.rules(1), shared.rules(0)), (Some(&here), None));
        assert_eq!(shared.seconds(1), Some(time.timestamp()));
    }

    #[test]
    fn what_stands_in_a_byte_comes_back() {
        for kind in PlateKind::ALL {
            assert_eq!(
                from_place(PlateKind::ALL, place(PlateKind::ALL, Some(*kind))),
                Some(*kind)
            );
        }
        assert_eq!(place::<PlateKind>(PlateKind::ALL, None), 0);
        assert_eq!((severity(Level::Red), severity(Level::Blue)), (0, 3));
    }
}
