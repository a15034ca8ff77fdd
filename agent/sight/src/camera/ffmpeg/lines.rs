//! The lines of a decoder's log. What a file or camera says of itself stands in them, so they may be of
//! any length.

use std::io::{BufRead, Read};

/// Bytes of a line that are kept. What is told of a frame or a stream takes some hundred.
const LONGEST: usize = 64 << 10;

/// The lines until the log ends or cannot be read. A longer one is cut, and the rest of it passed
/// over.
pub(in crate::camera) fn lines(mut log: impl BufRead) -> impl Iterator<Item = String> {
    std::iter::from_fn(move || {
        let mut line = Vec::new();
        let read = log
            .by_ref()
            .take(LONGEST as u64)
            .read_until(b'\n', &mut line)
            .ok()?;
        if read == 0 {
            return None;
        }
        if line.ends_with(b"\n") {
            line.pop();
        } else if line.len() == LONGEST {
            log.skip_until(b'\n').ok()?;
        }
        Some(String::from_utf8_lossy(&line).into_owned())
    })
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    #[test]
    fn a_line_without_an_end_is_cut() {
        let long = "x".repeat(LONGEST);
        let log = format!("{long}{long}{long}\nnext\n\n{long}\n{long}y\nlast");
        let long = long.as_str();
        // However much of it is there at once.
        for piece in [7, 4096, 1 << 20] {
            let read: Vec<String> =
                lines(BufReader::with_capacity(piece, log.as_bytes())).collect();
            assert_eq!(read, [long, "next", "", long, long, "last"], "{piece}");
        }
        let endless: Vec<String> =
            lines(BufReader::new(std::io::repeat(b'x').take(9 << 20))).collect();
        assert_eq!(endless, [long]);
        assert_eq!(lines(std::io::empty()).next(), None);
    }
}
