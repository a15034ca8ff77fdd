//! Whether the XML in a workbook can be read without harm: what its reader would hold at once is
//! counted before it gets the part.
//!
//! Where texts, tags and comments end is told exactly as the reader's parser (quick-xml) tells it.
//! The reader does not mind an end tag that fits nowhere, and holds a cell until the end it waits
//! for. Here every end must fit: then no cell is longer for the reader than by this count.

use crate::xml_kept::{Kept, cut};

/// A text, a tag, a comment: each is held in one piece.
const PIECE_MAX: u64 = 1 << 20;
/// A whole cell, in however many pieces. Each letter of a long text may have a style of its own.
const CELL_XML_MAX: u64 = 4 << 20;
/// How deep elements lie in each other, and the bytes of a name: the names of all of them are held.
const DEPTH_MAX: usize = 256;
const NAME_MAX: usize = 256;
/// No more of a tag is looked at.
const TAG_MAX: usize = 64 << 10;

/// Why a part is not read.
#[derive(Debug)]
pub(crate) enum Fault {
    /// It takes more than so many bytes at once.
    TooMuch(u64),
    Other(String),
}

pub(crate) fn other(why: &str) -> Fault {
    Fault::Other(why.to_owned())
}

/// Where the next byte stands.
#[derive(Debug, Default, Clone, Copy)]
enum At {
    #[default]
    Text,
    /// Behind a `<`.
    Open,
    Tag,
    /// Within a tag, until this quote.
    Quoted(u8),
    /// Behind a `<!`, until it is clear what begins.
    Bang,
    /// Until a `>` behind this byte, so often.
    Until(u8, usize),
}

/// A part that is looked at, in any pieces.
#[derive(Debug, Default)]
pub(crate) struct Xml {
    at: At,
    /// The tag that is read, without its `<`.
    tag: Vec<u8>,
    /// The tag is longer than what is kept of it.
    is_cut: bool,
    /// The two bytes before the next one, within a tag or a comment.
    last: [u8; 2],
    /// Bytes of the text, tag or comment that is read.
    piece: u64,
    /// How deep the cell lies that is read, and its bytes.
    cell: Option<(usize, u64)>,
    /// The names of elements that have not ended, and where each begins.
    names: Vec<u8>,
    starts: Vec<usize>,
    kept: Kept,
}

impl Xml {
    pub(crate) fn take(&mut self, part: &[u8]) -> Result<(), Fault> {
        // In UTF-16 no name would be found.
        if part.contains(&0) {
            return Err(other("it is not in UTF-8"));
        }
        let mut rest = part;
        while let Some(first) = rest.first() {
            let used = self.step(*first, rest)?;
            rest = rest.get(used..).unwrap_or_default();
        }
        Ok(())
    }

    /// Returns how many bytes were used: none where it only became clear what they are.
    fn step(&mut self, first: u8, rest: &[u8]) -> Result<usize, Fault> {
        match self.at {
            At::Text => {
                let Some(text) = rest.iter().position(|b| *b == b'<') else {
                    return self.add(rest.len());
                };
                self.add(text)?;
                self.ends(At::Open);
                self.tag.clear();
                self.is_cut = false;
                self.last = [0; 2];
                self.add(1)?;
                Ok(text + 1)
            }
            At::Open => match first {
                b'!' => {
                    self.at = At::Bang;
                    self.add(1)
                }
                b'?' => {
                    self.at = At::Until(b'?', 1);
                    self.last = [0, b'?'];
                    self.add(1)
                }
                _ => {
                    self.at = At::Tag;
                    Ok(0)
                }
            },
            At::Tag => {
                let end = rest.iter().position(|b| matches!(b, b'>' | b'"' | b'\''));
                let within = rest.get(..end.unwrap_or(rest.len())).unwrap_or(rest);
                self.keep(within);
                self.add(within.len())?;
                match end.and_then(|at| rest.get(at)) {
                    None => return Ok(within.len()),
                    Some(b'>') => {
                        self.add(1)?;
                        self.tag_ends()?;
                        self.ends(At::Text);
                    }
                    Some(quote) => {
                        self.keep(&[*quote]);
                        self.add(1)?;
                        self.at = At::Quoted(*quote);
                    }
                }
                Ok(within.len() + 1)
            }
            At::Quoted(quote) => {
                let end = rest.iter().position(|b| *b == quote);
                let used = end.map_or(rest.len(), |at| at + 1);
                self.keep(rest.get(..used).unwrap_or(rest));
                if end.is_some() {
                    self.at = At::Tag;
                }
                self.add(used)
            }
            At::Bang => {
                self.keep(&[first]);
                self.bang()?;
                self.add(1)
            }
            At::Until(mark, often) => {
                let mut marks = self.last.iter().rev().take(often);
                let is_end = first == b'>' && marks.all(|b| *b == mark);
                let [_, before] = self.last;
                self.last = [before, first];
                self.add(1)?;
                if is_end {
                    self.ends(At::Text);
                }
                Ok(1)
            }
        }
    }

    /// Comments and CDATA are rare in workbooks, and harmless when they are counted. A DOCTYPE is in
    /// none.
    fn bang(&mut self) -> Result<(), Fault> {
        const COMMENT: &[u8] = b"--";
        const DATA: &[u8] = b"[CDATA[";
        self.at = match self.tag.as_slice() {
            COMMENT => At::Until(b'-', 2),
            DATA => At::Until(b']', 2),
            start if COMMENT.starts_with(start) || DATA.starts_with(start) => return Ok(()),
            _ => return Err(other("it has a declaration that belongs in no workbook")),
        };
        // The dashes that begin a comment do not end it.
        self.last = [0; 2];
        Ok(())
    }

    /// A piece is over.
    fn ends(&mut self, next: At) {
        self.at = next;
        self.piece = 0;
    }

    fn add(&mut self, bytes: usize) -> Result<usize, Fault> {
        let more = bytes as u64;
        self.piece += more;
        if self.piece > PIECE_MAX {
            return Err(Fault::TooMuch(PIECE_MAX));
        }
        if let Some((_, cell)) = &mut self.cell {
            *cell += more;
            if *cell > CELL_XML_MAX {
                return Err(Fault::TooMuch(CELL_XML_MAX));
            }
        }
        Ok(bytes)
    }

    fn keep(&mut self, bytes: &[u8]) {
        if let Some(last) = bytes.last() {
            self.last = [0, *last];
        }
        let room = TAG_MAX.saturating_sub(self.tag.len());
        self.is_cut |= bytes.len() > room;
        let kept = bytes.get(..bytes.len().min(room)).unwrap_or_default();
        self.tag.extend_from_slice(kept);
    }

    fn tag_ends(&mut self) -> Result<(), Fault> {
        let tag = std::mem::take(&mut self.tag);
        let outcome = self.element(&tag);
        // Its memory is used again.
        self.tag = tag;
        outcome
    }

    /// An element begins or ends with this tag.
    fn element(&mut self, tag: &[u8]) -> Result<(), Fault> {
        if let Some(name) = tag.strip_prefix(b"/") {
            let end = name.iter().rposition(|b| !is_blank(*b));
            return self.close(name.get(..end.map_or(0, |at| at + 1)).unwrap_or_default());
        }
        let [_, last] = self.last;
        let is_empty = last == b'/';
        let content = match is_empty && !self.is_cut {
            true => tag.strip_suffix(b"/").unwrap_or(tag),
            false => tag,
        };
        let end = content.iter().position(|b| is_blank(*b));
        let end = end.unwrap_or(content.len());
        let name = content.get(..end).unwrap_or_default();
        if name.is_empty() || name.len() > NAME_MAX {
            return Err(other("a tag of it has no name, or a very long one"));
        }
        let local = cut(name, b':').map_or(name, |(_, local)| local);
        let attributes = content.get(end..).unwrap_or_default();
        self.kept
            .begin(local, attributes, self.piece, self.is_cut)?;
        if is_empty {
            return Ok(());
        }
        if self.cell.is_none() && matches!(local, b"c" | b"si" | b"definedName") {
            self.cell = Some((self.starts.len(), self.piece));
        }
        self.starts.push(self.names.len());
        self.names.extend_from_slice(name);
        match self.starts.len() > DEPTH_MAX {
            true => Err(other("its elements lie too deep in each other")),
            false => Ok(()),
        }
    }

    fn close(&mut self, name: &[u8]) -> Result<(), Fault> {
        let begun = self.starts.pop();
        let fits = begun.is_some_and(|start| self.names.get(start..) == Some(name));
        if self.is_cut || !fits {
            return Err(other("an end tag of it does not fit"));
        }
        self.names.truncate(begun.unwrap_or_default());
        if self
            .cell
            .is_some_and(|(depth, _)| depth == self.starts.len())
        {
            self.cell = None;
        }
        Ok(())
    }
}

/// As the parser has it: fewer bytes than are blank in ASCII.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}
