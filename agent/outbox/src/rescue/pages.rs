//! Messages by the pages they lie on, without the tree that leads there: one damaged page near its
//! root hides most of a database from SQLite. Read-only, for repairs. The format is
//! <https://www.sqlite.org/fileformat2.html>; what does not fit it is passed over, and what fits it
//! by chance has not the hash of a message.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use kakou_contract::Priority;

use super::salvage::Row;
use crate::store::{LARGEST_PAYLOAD, LARGEST_SEQUENCE};

/// As `schema::AT_CREATION` has it; nothing of a page is reserved.
const PAGE: usize = 8192;
const LEAF: u8 = 0x0d;
const COLUMNS: usize = 15;

/// Where in the file each number's cell begins.
pub(super) struct Pages {
    file: File,
    cells: BTreeMap<u64, (u64, usize)>,
}

enum Value {
    Null,
    Integer(i64),
    Bytes(Vec<u8>),
}

impl Pages {
    pub(super) fn scan(path: &Path) -> std::io::Result<Self> {
        let mut pages = Self {
            file: File::open(path)?,
            cells: BTreeMap::new(),
        };
        let count = pages.file.metadata()?.len() / PAGE as u64;
        // The first page is the schema's.
        for page in 1..count {
            let Some(bytes) = pages.page(page) else {
                continue;
            };
            if bytes.first() != Some(&LEAF) {
                continue;
            }
            let cells = bytes
                .get(3..5)
                .map_or(0, |b| usize::from(b[0]) << 8 | usize::from(b[1]));
            for cell in 0..cells.min(PAGE / 6) {
                let pointer = bytes
                    .get(8 + 2 * cell..10 + 2 * cell)
                    .map(|b| usize::from(b[0]) << 8 | usize::from(b[1]));
                let Some(at) = pointer.filter(|at| *at < PAGE) else {
                    continue;
                };
                let cell = cell_of(&bytes, at).filter(Cell::is_message);
                if let Some(Cell { rowid, .. }) = cell {
                    pages.cells.insert(rowid, (page, at));
                }
            }
        }
        Ok(pages)
    }

    pub(super) fn next_from(&self, n: u64) -> Option<u64> {
        self.cells.range(n..).next().map(|(n, _)| *n)
    }

    pub(super) fn row(&self, n: u64) -> Option<Row> {
        let (page, at) = *self.cells.get(&n)?;
        let bytes = self.page(page)?;
        let cell = cell_of(&bytes, at)?;
        let mut record = cell.local.to_vec();
        let mut next = cell.overflow;
        while record.len() < cell.size {
            let bytes = self.page(u64::from(next?).checked_sub(1)?)?;
            let (link, content) = bytes.split_at_checked(4)?;
            record.extend_from_slice(content.get(..content.len().min(cell.size - record.len()))?);
            next = Some(be(link) as u32).filter(|n| *n != 0);
        }
        row(n, values(&record)?)
    }

    fn page(&self, index: u64) -> Option<Vec<u8>> {
        let mut bytes = vec![0; PAGE];
        self.file
            .read_exact_at(&mut bytes, index * PAGE as u64)
            .ok()?;
        Some(bytes)
    }
}

struct Cell<'a> {
    rowid: u64,
    /// Of the whole record.
    size: usize,
    local: &'a [u8],
    overflow: Option<u32>,
}

impl Cell<'_> {
    /// A record with as many columns as a message has, the first of which is the row's own number;
    /// and that is one that can have been given.
    fn is_message(&self) -> bool {
        (1..LARGEST_SEQUENCE).contains(&self.rowid)
            && types(self.local)
                .is_some_and(|(types, _)| types.len() == COLUMNS && types.first() == Some(&0))
    }
}

fn cell_of(page: &[u8], at: usize) -> Option<Cell<'_>> {
    let rest = page.get(at..)?;
    let (size, rest) = varint(rest)?;
    let (rowid, rest) = varint(rest)?;
    let size = usize::try_from(size)
        .ok()
        .filter(|s| *s < LARGEST_PAYLOAD + PAGE * 8)?;
    let (most, least) = (PAGE - 35, (PAGE - 12) * 32 / 255 - 23);
    if size <= most {
        return Some(Cell {
            rowid,
            size,
            local: rest.get(..size)?,
            overflow: None,
        });
    }
    let wanted = least + (size - least) % (PAGE - 4);
    let local = if wanted <= most { wanted } else { least };
    let (local, rest) = rest.split_at_checked(local)?;
    Some(Cell {
        rowid,
        size,
        local,
        overflow: Some(be(rest.get(..4)?) as u32),
    })
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (at, byte) in bytes.iter().take(9).enumerate() {
        if at == 8 {
            return Some((value << 8 | u64::from(*byte), bytes.get(9..)?));
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(at + 1..)?));
        }
    }
    None
}

fn be(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |n, b| n << 8 | u64::from(*b))
}

/// The serial types of a record, and what follows them.
fn types(record: &[u8]) -> Option<(Vec<u64>, &[u8])> {
    let (length, after) = varint(record)?;
    let length = usize::try_from(length).ok()?;
    let mut header = record.get(record.len() - after.len()..length)?;
    let mut all = Vec::with_capacity(COLUMNS);
    while !header.is_empty() {
        let (kind, rest) = varint(header)?;
        all.push(kind);
        header = rest;
    }
    Some((all, record.get(length..)?))
}

fn values(record: &[u8]) -> Option<Vec<Value>> {
    let (types, mut body) = types(record)?;
    let mut all = Vec::with_capacity(types.len());
    for kind in types {
        let length = match kind {
            0 | 8 | 9 => 0,
            1..=4 => kind as usize,
            5 => 6,
            6 => 8,
            12.. => usize::try_from((kind - 12) / 2).ok()?,
            _ => return None,
        };
        let (bytes, rest) = body.split_at_checked(length)?;
        body = rest;
        all.push(match kind {
            0 => Value::Null,
            8 => Value::Integer(0),
            9 => Value::Integer(1),
            // With the sign of its first byte.
            1..=6 => {
                let unused = 64 - 8 * length as u32;
                Value::Integer(((be(bytes) << unused) as i64) >> unused)
            }
            _ => Value::Bytes(bytes.to_vec()),
        });
    }
    Some(all)
}

fn row(sequence: u64, values: Vec<Value>) -> Option<Row> {
    let mut values = values.into_iter();
    let mut next = || values.next();
    let integer = |v: Option<Value>| {
        if let Some(Value::Integer(n)) = v {
            Some(n)
        } else {
            None
        }
    };
    let bytes = |v: Option<Value>| {
        if let Some(Value::Bytes(b)) = v {
            Some(b)
        } else {
            None
        }
    };
    let text = |v: Option<Value>| bytes(v).and_then(|b| String::from_utf8(b).ok());
    next()?;
    let priority = usize::try_from(integer(next())?)
        .ok()
        .and_then(Priority::at)
        .unwrap_or(Priority::Passage);
    let keep = usize::try_from(integer(next())?).ok()?;
    let committed = integer(next())?;
    let captured = integer(next());
    let retain = integer(next())? != 0;
    let _size = integer(next())?;
    Some(Row {
        sequence,
        priority,
        keep,
        committed,
        captured,
        retain,
        id: text(next())?,
        topic: text(next())?,
        content_type: text(next()),
        properties: text(next())?,
        correlation: bytes(next()),
        previous: bytes(next())?.try_into().ok()?,
        hash: bytes(next())?.try_into().ok()?,
        payload: bytes(next())?,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::Outbox;
    use crate::tests::{envelope, options};
    use kakou_contract::Keep;

    /// Payloads around every border of a page, and all that may be missing.
    #[test]
    fn every_message_is_found_by_its_page() {
        let dir = tempfile::tempdir().unwrap();
        let outbox = Outbox::open(options(dir.path())).unwrap();
        let drafts: Vec<_> = (0..60_usize)
            .map(|n| {
                let mut d = envelope(Priority::ORDER[n % 4], &n.to_string());
                d.numbered = false;
                d.payload = vec![n as u8; if n < 40 { 7600 + 20 * n } else { 1000 * n }].into();
                d.correlation = (n % 2 == 0).then(|| vec![1, 2, 3]);
                d.captured_ms = (n % 3 == 0).then_some(-5);
                d.content_type = (n % 5 != 0).then(|| "image/jpeg".to_owned());
                d.retain = n % 7 == 0;
                d.keep = if n % 2 == 0 { Keep::Hit } else { Keep::Passage };
                d
            })
            .collect();
        outbox.append(drafts.clone()).unwrap();
        outbox.close().unwrap();
        let pages = Pages::scan(&dir.path().join("outbox.db")).unwrap();
        assert_eq!(pages.cells.len(), 60);
        for (n, d) in (1_u64..).zip(drafts) {
            let row = pages.row(n).unwrap();
            assert!(row.is_whole(n), "{n}");
            assert_eq!(
                (row.priority, row.retain, row.captured, row.payload),
                (d.priority, d.retain, d.captured_ms, d.payload.to_vec())
            );
            assert_eq!(
                (row.correlation, row.content_type, row.id),
                (d.correlation, d.content_type, d.id)
            );
        }
    }
}
