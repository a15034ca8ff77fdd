//! Whether a workbook can be unpacked without harm: looked at before anything is kept of it.

use std::io::{self, Cursor, Read, Write};

use zip::ZipArchive;

use crate::SheetError;
use crate::xml_check::{Fault, Xml};

/// The most files in a workbook.
const FILES_MAX: u16 = 5_000;
/// The most that all files unpack to.
const ALL_MAX: u64 = 2 << 30;
/// Texts of all cells: they are held in memory.
pub(crate) const TEXTS_MAX: u64 = 64 << 20;
/// Styles, names of sheets and the like.
const OTHER_MAX: u64 = 16 << 20;

/// Here other programs keep what they like, Power Query its queries in UTF-16. No sheet and no book
/// may lie here, so that the reader does not look at it either.
pub(crate) const UNREAD: &str = "customxml/";

/// Counts what goes in, looks at it where it is XML, and stops at a bound.
struct Count {
    bytes: u64,
    most: u64,
    /// Pictures have none.
    xml: Option<Xml>,
    fault: Option<Fault>,
}

impl Write for Count {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        self.bytes += part.len() as u64;
        let looked = match &mut self.xml {
            Some(xml) => xml.take(part),
            None => Ok(()),
        };
        self.fault = looked.err();
        match self.bytes > self.most || self.fault.is_some() {
            true => Err(io::Error::other("too large")),
            false => Ok(part.len()),
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A part's name as the reader compares it.
pub(crate) fn normal(name: &str) -> String {
    name.replace('\\', "/").to_ascii_lowercase()
}

pub(crate) fn check(bytes: &[u8]) -> Result<(), SheetError> {
    check_directory(bytes)?;
    let unreadable = |e: &dyn std::fmt::Display| SheetError::Workbook(e.to_string());
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|e| unreadable(&e))?;
    let mut all = 0;
    for at in 0..archive.len() {
        let file = archive.by_index(at).map_err(|e| unreadable(&e))?;
        let name = normal(&file.name().map_err(|e| unreadable(&e))?);
        let sheet = name.contains("worksheets/");
        let texts = name.ends_with("sharedstrings.xml");
        // The reader takes nothing else for XML: relations to sheets with another ending are refused.
        let read = name.ends_with(".xml") || name.ends_with(".rels");
        // Texts are held wherever they lie.
        let most = match (sheet, texts, read) {
            (_, true, _) => TEXTS_MAX,
            (false, false, true) => OTHER_MAX,
            _ => ALL_MAX,
        };
        let mut count = Count {
            bytes: 0,
            most: most.min(ALL_MAX - all),
            xml: (read && !name.contains(UNREAD)).then(Xml::default),
            fault: None,
        };
        let copied = io::copy(&mut file.take(ALL_MAX + 1), &mut count);
        if count.bytes > count.most {
            let most = count.most;
            return Err(SheetError::Bomb { part: name, most });
        }
        match count.fault {
            Some(Fault::TooMuch(most)) => return Err(SheetError::Bomb { part: name, most }),
            Some(Fault::Other(why)) => return Err(SheetError::Workbook(format!("{name}: {why}"))),
            None => {}
        }
        copied.map_err(|e| unreadable(&e))?;
        all += count.bytes;
    }
    Ok(())
}

/// Looks at the end of the archive, where it says how many files it has: reading the directory
/// takes memory for each.
fn check_directory(bytes: &[u8]) -> Result<(), SheetError> {
    let tail = bytes
        .get(bytes.len().saturating_sub(66_000)..)
        .unwrap_or(bytes);
    for window in tail.windows(22) {
        let files = match window {
            [b'P', b'K', 5, 6, ..] => u16::from_le_bytes([window[10], window[11]]),
            // More than 65,535 files, or more than 4 GiB.
            [b'P', b'K', 6, 6, ..] | [b'P', b'K', 6, 7, ..] => u16::MAX,
            _ => continue,
        };
        if files > FILES_MAX {
            return Err(SheetError::Workbook(format!(
                "it has more than {FILES_MAX} files in it"
            )));
        }
    }
    Ok(())
}
