//! RTSP's messages as bytes: where one ends and the next begins. Pure.
//!
//! More is taken than the standard allows, because cameras send it: bare line feeds, empty lines
//! between messages, texts that are no UTF-8. Bytes that are neither a message nor a packet are
//! passed over until one begins.

use std::ops::Range;

/// The largest message with its body: a description of a stream has a few KiB.
pub(crate) const LARGEST: usize = 512 << 10;

/// What stands at the beginning of the bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// Not enough yet.
    Nothing,
    /// A packet of so many bytes with its four bytes of head.
    Packet(usize),
    Message(Head),
    /// So many bytes mean nothing.
    Junk(usize),
}

/// A message's head, and where its body stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) first: String,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Range<usize>,
}

impl Head {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.fields
            .iter()
            .filter(move |(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Status and reason of an answer; `None` of a request.
    pub(crate) fn status(&self) -> Option<(u16, &str)> {
        let rest = self.first.strip_prefix("RTSP/")?;
        let (_, rest) = rest.split_once(' ')?;
        let rest = rest.trim_start();
        let (status, reason) = rest.split_once(' ').unwrap_or((rest, ""));
        Some((status.parse().ok()?, reason.trim()))
    }

    /// Method and URI of a request.
    pub(crate) fn request(&self) -> Option<(&str, &str)> {
        let mut words = self.first.split_ascii_whitespace();
        Some((words.next()?, words.next()?))
    }

    /// As bytes, with these fields in the place of those of the same name.
    pub(crate) fn bytes(
        &self,
        first: &str,
        instead: &[(&str, Option<&str>)],
        body: &[u8],
    ) -> Vec<u8> {
        let mut text = format!("{first}\r\n");
        for (name, value) in &self.fields {
            if !instead.iter().any(|(n, _)| n.eq_ignore_ascii_case(name)) {
                text += &format!("{name}: {value}\r\n");
            }
        }
        for (name, value) in instead {
            if let Some(value) = value {
                text += &format!("{name}: {value}\r\n");
            }
        }
        text += "\r\n";
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(body);
        bytes
    }
}

/// Looks at the beginning of what came.
pub(crate) fn item(bytes: &[u8]) -> Result<Item, &'static str> {
    match bytes {
        [] => return Ok(Item::Nothing),
        [b'$', _, high, low, ..] => {
            let whole = 4 + usize::from(u16::from_be_bytes([*high, *low]));
            return Ok(if bytes.len() >= whole {
                Item::Packet(whole)
            } else {
                Item::Nothing
            });
        }
        [b'$', ..] => return Ok(Item::Nothing),
        _ => {}
    }
    match begins_message(bytes) {
        None => return Ok(Item::Nothing),
        Some(false) => return Ok(Item::Junk(junk(bytes))),
        Some(true) => {}
    }
    let Some(head_end) = head_end(bytes) else {
        return if bytes.len() > LARGEST {
            Err("a head of more than 512 KiB")
        } else {
            Ok(Item::Nothing)
        };
    };
    let text = String::from_utf8_lossy(bytes.get(..head_end).unwrap_or_default());
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default().trim_end().to_owned();
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in lines {
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = fields.last_mut() {
                *value += " ";
                *value += line.trim();
            }
        } else if let Some((name, value)) = line.split_once(':') {
            fields.push((name.trim().to_owned(), value.trim().to_owned()));
        }
    }
    let mut head = Head {
        first,
        fields,
        body: head_end..head_end,
    };
    let length = match head.field("Content-Length") {
        None => 0,
        Some(text) => text
            .parse::<usize>()
            .map_err(|_| "a Content-Length that is no number")?,
    };
    if head_end + length.min(LARGEST) > LARGEST {
        return Err("a message of more than 512 KiB");
    }
    head.body = head_end..head_end + length;
    if bytes.len() < head.body.end {
        return Ok(Item::Nothing);
    }
    Ok(Item::Message(head))
}

/// Whether a request or an answer begins here; `None` while too little is there to tell.
fn begins_message(bytes: &[u8]) -> Option<bool> {
    const ANSWER: &[u8] = b"RTSP/";
    let start = bytes.get(..ANSWER.len().min(bytes.len()))?;
    if ANSWER.starts_with(start) {
        return (start.len() == ANSWER.len()).then_some(true);
    }
    let word = bytes
        .iter()
        .take(24)
        .take_while(|b| b.is_ascii_uppercase() || **b == b'_')
        .count();
    match bytes.get(word) {
        Some(b' ') => Some(word >= 3),
        Some(_) => Some(false),
        None if word >= 24 => Some(false),
        None => None,
    }
}

/// How many bytes to pass over until something may begin.
fn junk(bytes: &[u8]) -> usize {
    let after = bytes.get(1..).unwrap_or_default();
    let begins = after
        .iter()
        .position(|b| *b == b'$' || *b == b'R' || b.is_ascii_uppercase());
    1 + begins.unwrap_or(after.len())
}

fn head_end(bytes: &[u8]) -> Option<usize> {
    let bytes = bytes.get(..bytes.len().min(LARGEST)).unwrap_or_default();
    let mut from = 0;
    while let Some(at) = bytes.get(from..)?.iter().position(|b| *b == b'\n') {
        let next = from + at + 1;
        match bytes.get(next..)? {
            [b'\n', ..] => return Some(next + 1),
            [b'\r', b'\n', ..] => return Some(next + 2),
            _ => from = next,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    fn message(bytes: &[u8]) -> Head {
        match item(bytes) {
            Ok(Item::Message(head)) => head,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn messages_of_many_makers_are_read() {
        let usual = b"RTSP/1.0 200 OK\r\nCSeq: 2\r\nContent-Length: 3\r\n\r\nv=0rest";
        let head = message(usual);
        assert_eq!(head.status(), Some((200, "OK")));
        assert_eq!(
            (&usual[head.body.clone()], head.body.end),
            (&b"v=0"[..], usual.len() - 4)
        );
        let bare = message(b"RTSP/1.0 401 Unauthorized\nCSeq:7\nWWW-Authenticate: Basic\n\tx\n\n");
        assert_eq!(bare.field("cseq"), Some("7"));
        assert_eq!(bare.field("www-authenticate"), Some("Basic x"));
        let gbk = message(b"RTSP/1.0 453 \xd7\xca\xd4\xb4\r\n\r\n");
        assert_eq!(gbk.status().unwrap().0, 453);
        let request = message(b"DESCRIBE rtsp://h/x RTSP/1.0\r\n\r\n");
        assert_eq!(request.request(), Some(("DESCRIBE", "rtsp://h/x")));
        assert_eq!(item(b"$\0\0\x02ab!"), Ok(Item::Packet(6)));
        assert_eq!(item(b"$\0\0\x02a"), Ok(Item::Nothing));
        assert_eq!(item(b"\r\n\r\nRTSP/1.0"), Ok(Item::Junk(4)));
    }

    #[test]
    fn what_is_too_large_is_refused_before_it_is_kept() {
        let said = |text: &str| item(text.as_bytes()).unwrap_err();
        assert!(said("RTSP/1.0 200 OK\r\nContent-Length: 99999999\r\n\r\n").contains("512"));
        assert!(said("RTSP/1.0 200 OK\r\nContent-Length: -1\r\n\r\n").contains("number"));
        let endless = format!("RTSP/1.0 200 OK\r\n{}", "a: b\r\n".repeat(100_000));
        assert!(said(&endless).contains("head"));
    }

    proptest! {
        /// Whatever comes, in whatever pieces: no panic, and never more is taken than is there.
        #[test]
        fn any_bytes_are_taken_in(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut rest = bytes.as_slice();
            while let Ok(found) = item(rest) {
                let taken = match found {
                    Item::Nothing => break,
                    Item::Packet(n) | Item::Junk(n) => n,
                    Item::Message(head) => head.body.end,
                };
                prop_assert!(taken > 0 && taken <= rest.len());
                rest = &rest[taken..];
            }
        }

        #[test]
        fn a_message_in_pieces_is_the_same_message(cut in 0usize..60) {
            let whole = b"RTSP/1.0 200 OK\r\nCSeq: 2\r\nContent-Length: 3\r\n\r\nv=0";
            let piece = &whole[..cut.min(whole.len() - 1)];
            prop_assert_eq!(item(piece), Ok(Item::Nothing));
        }
    }
}
