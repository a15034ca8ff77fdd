#![allow(clippy::unwrap_used, clippy::panic)]
//! What a config may be, what is said of one that cannot be, and that nothing but the definitions
//! of the keys says so.

mod contradictions;
mod described;
mod faults;
mod files;
mod resolved;
mod warnings;

use std::path::Path;

use super::*;

/// A whole small config. `faults` breaks it in many ways.
const GATE: &str = r#"site = "north-gate"
agent = "box-1"
[broker]
url = "mqtt://127.0.0.1:1883"
[vision]
plate_side = 640
[[camera]]
id = "entry"
url = "rtsp://127.0.0.1:18554/stream1"
[[camera.lane]]
id = "1"
polygon = [[0.25, 0.25], [0.75, 0.25], [0.95, 1.0], [0.05, 1.0]]
trigger = [[0.05, 0.75], [0.95, 0.75]]
direction = "approaching"
"#;

fn parsed(text: &str) -> Config {
    match Config::parse(text, Path::new("gate.toml")) {
        Ok(config) => config,
        Err(e) => panic!("{e}\n{text}"),
    }
}

fn fault(text: &str) -> String {
    match Config::parse(text, Path::new("gate.toml")) {
        Ok(_) => panic!("it is taken:\n{text}"),
        Err(e) => e.to_string(),
    }
}

/// The one warning that `text` gives.
fn warning(text: &str) -> String {
    let warnings = parsed(text).warnings;
    assert_eq!(warnings.len(), 1, "{warnings:?}\n{text}");
    warnings[0].to_string()
}

/// `GATE` with one text in place of another, which must be there.
fn with(from: &str, to: &str) -> String {
    assert!(GATE.contains(from), "{from}");
    GATE.replacen(from, to, 1)
}

fn contains_all(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "`{part}` is missing in: {said}");
    }
}
