//! The text of a list, in the one form in which two of the same entries are the same bytes, and the
//! changes between two.
//!
//! The first line names the columns. Each other line is an entry, as CSV; they are sorted by their
//! bytes and no two are the same. A line ends with a line feed and has none within. Changes are
//! lines too: `-` before one that goes, `+` before one that comes, in the same order.

use std::cmp::Ordering;
use std::io::Read;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

/// Why a text is none, or changes cannot be applied to one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    #[error("it cannot be unpacked: {0}")]
    Unpack(String),
    #[error("it unpacks to more than the {0} bytes that it says")]
    TooLarge(u64),
    #[error("a line of the changes begins with neither + nor -")]
    Change,
    #[error("the changes do not fit the list that they are made for")]
    Unfit,
}

/// The text of a list out of its columns' line and the lines of its entries.
pub fn whole<'a>(header: &str, lines: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
    let mut lines: Vec<&str> = lines.into_iter().filter(|line| !line.is_empty()).collect();
    lines.sort_unstable();
    lines.dedup();
    let mut text =
        Vec::with_capacity(header.len() + lines.iter().map(|l| l.len() + 1).sum::<usize>());
    for line in std::iter::once(header).chain(lines) {
        text.extend_from_slice(line.as_bytes());
        text.push(b'\n');
    }
    text
}

/// Header and entries of a text.
fn parts(text: &[u8]) -> (&[u8], impl Iterator<Item = &[u8]>) {
    let mut lines = text.split(|b| *b == b'\n');
    let header = lines.next().unwrap_or_default();
    (header, lines.filter(|line| !line.is_empty()))
}

/// How many entries a text has.
pub fn entries(text: &[u8]) -> u64 {
    parts(text).1.count() as u64
}

/// What makes `new` of `old`; `None` where their columns differ, so that only the whole will do.
pub fn changes(old: &[u8], new: &[u8]) -> Option<Vec<u8>> {
    let ((old_header, old), (new_header, new)) = (parts(old), parts(new));
    if old_header != new_header {
        return None;
    }
    let (mut old, mut new) = (old.peekable(), new.peekable());
    let mut changes = Vec::new();
    let mut put = |sign: u8, line: &[u8]| {
        changes.push(sign);
        changes.extend_from_slice(line);
        changes.push(b'\n');
    };
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return Some(changes),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => a.cmp(b),
        };
        match order {
            Ordering::Less => old.next().map_or((), |line| put(b'-', line)),
            Ordering::Greater => new.next().map_or((), |line| put(b'+', line)),
            Ordering::Equal => drop((old.next(), new.next())),
        }
    }
}

/// `old` with the changes; every line that goes must be there, and none that comes.
pub fn apply(old: &[u8], changes: &[u8]) -> Result<Vec<u8>, ContentError> {
    let (header, old) = parts(old);
    let mut old = old.peekable();
    let mut new = Vec::with_capacity(changes.len() + header.len());
    let mut put = |line: &[u8]| {
        new.extend_from_slice(line);
        new.push(b'\n');
    };
    put(header);
    for change in changes.split(|b| *b == b'\n').filter(|c| !c.is_empty()) {
        let (sign, line) = change.split_first().ok_or(ContentError::Change)?;
        while let Some(before) = old.next_if(|before| *before < line) {
            put(before);
        }
        let is_there = old.peek() == Some(&line);
        match sign {
            b'-' if is_there => drop(old.next()),
            b'+' if !is_there => put(line),
            b'-' | b'+' => return Err(ContentError::Unfit),
            _ => return Err(ContentError::Change),
        }
    }
    old.for_each(put);
    Ok(new)
}

pub(crate) fn pack(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    std::io::Write::write_all(&mut packer, bytes)?;
    packer.finish()
}

/// Unpacks to `most` bytes at most; no memory is taken for more.
pub(crate) fn unpack(packed: &[u8], most: u64) -> Result<Vec<u8>, ContentError> {
    let mut bytes = Vec::new();
    GzDecoder::new(packed)
        .take(most.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|e| ContentError::Unpack(e.to_string()))?;
    match bytes.len() as u64 > most {
        true => Err(ContentError::TooLarge(most)),
        false => Ok(bytes),
    }
}
