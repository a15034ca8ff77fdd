//! What the tests that run the real binary share.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use kakou_contract::{Message, PassageMessage};
use serde_json::Value;

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// The real binary, started in the project's root.
pub fn kakou(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kakou")).args(args).current_dir(root()).output().unwrap()
}

pub fn stdout(o: &Output) -> String {
    String::from_utf8(o.stdout.clone()).unwrap()
}

pub fn stderr(o: &Output) -> String {
    String::from_utf8_lossy(&o.stderr).into_owned()
}

/// The output of a run that must succeed.
#[track_caller]
pub fn succeed(args: &[&str]) -> Output {
    let o = kakou(args);
    assert!(o.status.success(), "kakou {args:?} failed: {}\n{}", o.status, stderr(&o));
    o
}

/// Every line of stdout is one valid passage message.
#[track_caller]
pub fn passages(o: &Output) -> Vec<PassageMessage> {
    stdout(o).lines().map(|l| PassageMessage::from_json(l.as_bytes()).expect("a passage message a line")).collect()
}

/// The comparison that `--json --truth` leaves as the last line of stderr.
#[track_caller]
pub fn comparison(o: &Output) -> Value {
    let text = stderr(o);
    serde_json::from_str(text.lines().last().expect("a comparison on stderr")).expect("the comparison is JSON")
}

#[track_caller]
pub fn json(o: &Output) -> Value {
    serde_json::from_str(&stdout(o)).expect("one JSON object on stdout")
}

/// Copies some frames of a sample sequence into a fresh folder.
pub fn some_frames(sequence: &str, frames: std::ops::Range<usize>) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let from = root().join("agent/samples").join(sequence);
    let times = std::fs::read_to_string(from.join("frames.jsonl")).unwrap();
    let kept: Vec<&str> = times.lines().skip(frames.start).take(frames.len()).collect();
    std::fs::write(dir.path().join("frames.jsonl"), kept.join("\n")).unwrap();
    for i in frames {
        let name = format!("{i:06}.jpg");
        std::fs::copy(from.join(&name), dir.path().join(&name)).unwrap();
    }
    dir
}
