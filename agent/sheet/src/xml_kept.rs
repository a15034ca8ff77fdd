//! What a workbook's reader keeps of a part, or takes memory for because the part says so.

use crate::xml_check::{Fault, other};
use crate::zip_check::{TEXTS_MAX, UNREAD, normal};

/// The most texts of cells. As many as this fill the bytes that texts may have, and the reader takes
/// memory for as many as it is promised.
const STRINGS_MAX: u64 = 4_000_000;
/// The most sheets.
const SHEETS_MAX: u64 = 4_096;
/// The most styles, names and relations of a part. Excel has no more than 65,490 kinds of cells.
const KINDS_MAX: u64 = 200_000;
/// Each kind of cell gets a copy of its font's name and of its format.
const COPIES_MAX: u64 = 64 << 20;
/// Where a sheet lies: each sheet gets a copy.
const TARGET_MAX: usize = 1_024;

/// What was counted, whatever part it stands in: the reader goes by names of elements alone.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    strings: u64,
    sheets: u64,
    kinds: u64,
    cell_kinds: u64,
    /// The longest tags that name a font and a format.
    font: u64,
    format: u64,
}

impl Kept {
    /// An element begins.
    ///
    /// `tag`: the bytes of its tag, of which the attributes are missing some where it `is_cut`.
    pub(crate) fn begin(
        &mut self,
        local: &[u8],
        attributes: &[u8],
        tag: u64,
        is_cut: bool,
    ) -> Result<(), Fault> {
        match local {
            b"sst" | b"Relationship" | b"name" | b"numFmt" if is_cut => {
                return Err(other("a tag of it is too long"));
            }
            b"sst" => return promised(attributes),
            b"si" => {
                self.strings += 1;
                return match self.strings > STRINGS_MAX {
                    true => Err(Fault::TooMuch(TEXTS_MAX)),
                    false => Ok(()),
                };
            }
            b"Relationship" => related(attributes)?,
            b"sheet" => self.sheets += 1,
            b"xf" => self.cell_kinds += 1,
            b"name" => self.font = self.font.max(tag),
            b"numFmt" => self.format = self.format.max(tag),
            b"font" | b"fill" | b"border" | b"definedName" => {}
            _ => return Ok(()),
        }
        self.kinds += u64::from(!matches!(local, b"sheet" | b"name"));
        let copies = self.cell_kinds * (self.font + self.format);
        for (count, most, what) in [
            (self.sheets, SHEETS_MAX, "sheets"),
            (self.kinds, KINDS_MAX, "styles, names and relations"),
            (copies, COPIES_MAX, "bytes of formats for its cells"),
        ] {
            if count > most {
                return Err(Fault::Other(format!("it has more than {most} {what}")));
            }
        }
        Ok(())
    }
}

/// The reader takes memory for as many texts as the part says that it has.
fn promised(raw: &[u8]) -> Result<(), Fault> {
    for (key, value) in attributes(raw) {
        let number = std::str::from_utf8(value).map(str::parse::<u64>);
        let is_fine = match number {
            Ok(Ok(number)) => number <= STRINGS_MAX,
            _ => value.is_empty(),
        };
        if key == b"uniqueCount" && !is_fine {
            let why = format!("it promises more than {STRINGS_MAX} texts");
            return Err(Fault::Other(why));
        }
    }
    Ok(())
}

/// What is read as XML must be looked at as XML, which its ending tells; and nothing but a sheet may
/// lie where sheets do, since they alone may be large.
fn related(raw: &[u8]) -> Result<(), Fault> {
    let (mut to_sheet, mut to_book) = (false, false);
    for (key, value) in attributes(raw) {
        if key == b"Type" {
            let kind = value.rsplit(|b| *b == b'/').next().unwrap_or_default();
            to_sheet |= matches!(kind, b"worksheet" | b"chartsheet" | b"dialogsheet");
            to_book |= value.ends_with(b"/relationships/officeDocument");
        }
    }
    for (key, value) in attributes(raw) {
        if key != b"Target" || !(to_sheet || to_book) {
            continue;
        }
        let target = normal(&String::from_utf8_lossy(value));
        // The reader resolves escapes in the book's target alone.
        let is_hidden = to_book && (target.contains('&') || target.contains("worksheets/"));
        let is_unseen = target.contains(UNREAD) || !target.ends_with(".xml");
        if is_hidden || is_unseen || target.len() > TARGET_MAX {
            return Err(other("it leads to a sheet or book in an unusual place"));
        }
    }
    Ok(())
}

/// The attributes of a tag, told apart as the reader does, up to the first that is none.
fn attributes(mut raw: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    std::iter::from_fn(move || {
        let (key, value) = cut(raw, b'=')?;
        let (quote, value) = value.trim_ascii_start().split_first()?;
        if !matches!(quote, b'"' | b'\'') {
            return None;
        }
        let (value, rest) = cut(value, *quote).unwrap_or((value, Default::default()));
        raw = rest;
        Some((key.trim_ascii(), value))
    })
}

/// What stands before the first such byte, and what behind it.
pub(crate) fn cut(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let place = bytes.iter().position(|b| *b == at)?;
    Some((bytes.get(..place)?, bytes.get(place + 1..)?))
}
