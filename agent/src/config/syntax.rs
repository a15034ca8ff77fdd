//! From bytes to TOML. What is no text or no TOML is refused with its line, and with what editors
//! and input methods commonly do to a config. The text of the line itself is not repeated, because
//! it may hold a password.

use std::path::Path;

use toml::Spanned;
use toml::de::DeTable;

use super::at::{ConfigError, line_of};

/// Characters that look like TOML's own and are not.
const LOOKALIKES: [(char, &str); 11] = [
    ('“', "\""),
    ('”', "\""),
    ('‘', "'"),
    ('’', "'"),
    ('，', ","),
    ('。', "."),
    ('＝', "="),
    ('【', "["),
    ('】', "]"),
    ('：', ":"),
    ('\u{3000}', "a space"),
];

pub(super) fn decode<'a>(bytes: &'a [u8], path: &Path) -> Result<&'a str, ConfigError> {
    let wrong = |line, reason: &str| ConfigError::Syntax {
        path: path.into(),
        line,
        reason: format!("{reason}; save the file as UTF-8"),
    };
    if matches!(bytes, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]) {
        return Err(wrong(1, "the file is in UTF-16"));
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.strip_prefix('\u{feff}').unwrap_or(text)),
        Err(e) => {
            let valid = bytes.get(..e.valid_up_to()).unwrap_or_default();
            let line = valid.iter().filter(|b| **b == b'\n').count() + 1;
            Err(wrong(
                line,
                "the file is not in UTF-8 (perhaps in GBK, as some editors save it)",
            ))
        }
    }
}

pub(super) fn parse<'a>(text: &'a str, path: &Path) -> Result<Spanned<DeTable<'a>>, ConfigError> {
    DeTable::parse(text).map_err(|e| {
        let offset = e.span().map_or(0, |span| span.start.min(text.len()));
        let line = line_of(text, offset);
        let message = e.message().lines().collect::<Vec<_>>().join(", ");
        let reason = match text.lines().nth(line - 1).and_then(lookalike) {
            Some((found, meant)) => {
                format!("{message}; the line has a `{found}` where TOML wants {meant}")
            }
            None => message,
        };
        ConfigError::Syntax {
            path: path.into(),
            line,
            reason: kakou_guard::clean_line(&reason),
        }
    })
}

/// Outside of quotes and comments, as far as a broken line lets itself be read.
fn lookalike(line: &str) -> Option<(char, &'static str)> {
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            '#' if !quoted => return None,
            _ if quoted => {}
            _ => {
                if let Some(found) = LOOKALIKES.iter().find(|(alike, _)| *alike == c) {
                    return Some(*found);
                }
            }
        }
    }
    None
}
