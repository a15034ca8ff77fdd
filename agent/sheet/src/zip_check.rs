//! Whether a workbook can be unpacked without harm: looked at before anything is kept of it.

use std::io::{self, Cursor, Read, Write};

use zip::ZipArchive;

use crate::SheetError;

/// The most files in a workbook.
const FILES_MAX: u16 = 5_000;
/// The most that all files unpack to.
const ALL_MAX: u64 = 2 << 30;
/// Texts of all cells: they are held in memory.
const TEXTS_MAX: u64 = 64 << 20;
/// Each is a text at the most, and each text takes memory of its own.
const TAGS_MAX: u64 = 16_000_000;
/// Styles, names of sheets and the like.
const OTHER_MAX: u64 = 16 << 20;

/// Between two tags: a cell's text. The reader holds it in memory.
const BETWEEN_TAGS_MAX: u64 = 1 << 20;

/// Counts what goes in, and stops at a bound.
struct Count {
    bytes: u64,
    most: u64,
    tags: u64,
    since_tag: u64,
    /// Something without a tag was longer than [`BETWEEN_TAGS_MAX`].
    is_long: bool,
    /// Pictures have no tags.
    is_xml: bool,
}

impl Write for Count {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        self.bytes += part.len() as u64;
        let mut stretches = part.split(|b| *b == b'<');
        self.since_tag += stretches.next().unwrap_or_default().len() as u64;
        let mut longest = self.since_tag;
        for stretch in stretches {
            self.tags += 1;
            self.since_tag = stretch.len() as u64;
            longest = longest.max(self.since_tag);
        }
        self.is_long |= longest > BETWEEN_TAGS_MAX;
        match self.bytes > self.most || (self.is_xml && self.is_long) {
            true => Err(io::Error::other("too large")),
            false => Ok(part.len()),
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) fn check(bytes: &[u8]) -> Result<(), SheetError> {
    check_directory(bytes)?;
    let unreadable = |e: &dyn std::fmt::Display| SheetError::Workbook(e.to_string());
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|e| unreadable(&e))?;
    let mut all = 0;
    for at in 0..archive.len() {
        let file = archive.by_index(at).map_err(|e| unreadable(&e))?;
        let name = file.name().map_err(|e| unreadable(&e))?.to_lowercase();
        let sheet = name.contains("worksheets/");
        let texts = name.ends_with("sharedstrings.xml");
        let read = name.ends_with(".xml") || name.ends_with(".rels");
        let most = match (sheet, texts, read) {
            (false, true, _) => TEXTS_MAX,
            (false, false, true) => OTHER_MAX,
            _ => ALL_MAX,
        };
        let mut count = Count {
            bytes: 0,
            most: most.min(ALL_MAX - all),
            tags: 0,
            since_tag: 0,
            is_long: false,
            is_xml: read,
        };
        let copied = io::copy(&mut file.take(ALL_MAX + 1), &mut count);
        if count.bytes > count.most || (texts && count.tags > TAGS_MAX) {
            let most = count.most;
            return Err(SheetError::Bomb { part: name, most });
        }
        if count.is_xml && count.is_long {
            return Err(SheetError::Bomb {
                part: name,
                most: BETWEEN_TAGS_MAX,
            });
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
