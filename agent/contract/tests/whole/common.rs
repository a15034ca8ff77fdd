//! Access to this crate's committed files, and what their tests share.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::path::{Path, PathBuf};

use kakou_contract::MessageKind;

pub(crate) fn crate_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Every golden file: its name, the kind its name begins with, its text.
pub(crate) fn golden_files() -> Vec<(String, MessageKind, String)> {
    let mut files: Vec<_> = std::fs::read_dir(crate_folder().join("golden"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        // Beside them lies the folder of what the platform sends.
        .filter(|path| path.is_file())
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let kind = MessageKind::ALL
                .into_iter()
                .find(|k| name.starts_with(k.as_str()))
                .unwrap_or_else(|| panic!("{name} begins with no kind of message"));
            (name, kind, read(&path))
        })
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

/// JSON text without the white space between its parts: golden files are laid out for people.
pub(crate) fn compact(json: &str) -> String {
    let (mut out, mut in_text, mut escaped) = (String::new(), false, false);
    for c in json.chars() {
        if in_text || !c.is_whitespace() {
            out.push(c);
        }
        in_text ^= c == '"' && !escaped;
        escaped = in_text && c == '\\' && !escaped;
    }
    out
}
