//! In which encoding a text is, by its content.

use std::borrow::Cow;
use std::fmt;

use encoding_rs::{GB18030, UTF_16BE, UTF_16LE};

/// Encodings of lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Utf8,
    Utf8Bom,
    Utf16Le,
    Utf16Be,
    /// With GBK and GB 2312, which it contains: what Chinese Excel writes as "CSV".
    Gb18030,
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Utf8 => "UTF-8",
            Self::Utf8Bom => "UTF-8 with BOM",
            Self::Utf16Le => "UTF-16 LE",
            Self::Utf16Be => "UTF-16 BE",
            Self::Gb18030 => "GB 18030",
        })
    }
}

/// The text; what cannot be read in its encoding is a replacement character there.
pub(crate) fn decode(bytes: &[u8]) -> (Encoding, Cow<'_, str>) {
    let (encoding, rest) = told(bytes);
    let text = match encoding {
        Encoding::Utf8 | Encoding::Utf8Bom => String::from_utf8_lossy(rest),
        Encoding::Utf16Le => UTF_16LE.decode_without_bom_handling(rest).0,
        Encoding::Utf16Be => UTF_16BE.decode_without_bom_handling(rest).0,
        Encoding::Gb18030 => GB18030.decode_without_bom_handling(rest).0,
    };
    (encoding, text)
}

fn told(bytes: &[u8]) -> (Encoding, &[u8]) {
    match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => return (Encoding::Utf8Bom, rest),
        [0xff, 0xfe, rest @ ..] => return (Encoding::Utf16Le, rest),
        [0xfe, 0xff, rest @ ..] => return (Encoding::Utf16Be, rest),
        // GB 18030 has a mark of its own.
        [0x84, 0x31, 0x95, 0x33, rest @ ..] => return (Encoding::Gb18030, rest),
        _ => {}
    }
    // Of a text in UTF-16 every other byte of separators and line ends is zero; none of another
    // encoding is.
    let start = bytes.get(..bytes.len().min(4096)).unwrap_or(bytes);
    let zeros = |first: usize| {
        start
            .iter()
            .skip(first)
            .step_by(2)
            .filter(|b| **b == 0)
            .count()
    };
    let (even, odd) = (zeros(0), zeros(1));
    let encoding = if even + odd > start.len() / 64 {
        match even > odd {
            true => Encoding::Utf16Be,
            false => Encoding::Utf16Le,
        }
    } else if is_mostly_utf8(bytes) {
        Encoding::Utf8
    } else {
        Encoding::Gb18030
    };
    (encoding, bytes)
}

/// Whether what is no ASCII is UTF-8 rather than anything else: one damaged line does not turn a
/// whole list into another encoding. Only Chinese characters count, since the two bytes of one in
/// GB 18030 are often a letter in UTF-8.
fn is_mostly_utf8(bytes: &[u8]) -> bool {
    let (mut right, mut wrong) = (0_u64, 0_u64);
    for chunk in bytes.utf8_chunks() {
        right += chunk.valid().chars().filter(|c| *c >= '\u{800}').count() as u64;
        wrong += u64::from(!chunk.invalid().is_empty());
    }
    wrong <= right
}
