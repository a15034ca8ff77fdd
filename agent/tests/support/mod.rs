//! What the tests that run the real binary share.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use kakou_contract::{Message, PassageMessage};
use serde_json::Value;

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_path_buf()
}

/// The real binary, started in the project's root.
pub fn kakou(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kakou"))
        .args(args)
        .current_dir(root())
        .output()
        .unwrap()
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
    assert!(
        o.status.success(),
        "kakou {args:?} failed: {}\n{}",
        o.status,
        stderr(&o)
    );
    o
}

/// Every line of stdout is one valid passage message.
#[track_caller]
pub fn passages(o: &Output) -> Vec<PassageMessage> {
    stdout(o)
        .lines()
        .map(|l| PassageMessage::from_json(l.as_bytes()).expect("a passage message a line"))
        .collect()
}

/// The comparison that `--json --truth` leaves as the last line of stderr.
#[track_caller]
pub fn comparison(o: &Output) -> Value {
    let text = stderr(o);
    serde_json::from_str(text.lines().last().expect("a comparison on stderr"))
        .expect("the comparison is JSON")
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
    let kept: Vec<&str> = times
        .lines()
        .skip(frames.start)
        .take(frames.len())
        .collect();
    std::fs::write(dir.path().join("frames.jsonl"), kept.join("\n")).unwrap();
    for i in frames {
        let name = format!("{i:06}.jpg");
        std::fs::copy(from.join(&name), dir.path().join(&name)).unwrap();
    }
    dir
}

/// `kakou.toml` and `list.csv` of a checkpoint in `dir`, its state in `dir/state`: one camera that
/// looks at the sample footage `sequence` with the lanes of its config. Whatever passes there is on
/// the watchlist. `camera` and `more` are further lines of `[[camera]]` and further tables.
pub fn checkpoint(dir: &Path, broker: &str, sequence: &str, camera: &str, more: &str) {
    let samples = root().join("agent/samples").join(sequence);
    let lanes = std::fs::read_to_string(root().join("configs/samples.toml")).unwrap();
    let lanes = &lanes[lanes.find("[[camera.lane]]").unwrap()..];
    let config = format!(
        "site = \"north\"\nagent = \"box-1\"\n[broker]\n{broker}\n[outbox]\nstate = \"state\"\n\
         [watchlist]\nfile = \"list.csv\"\n[vision]\nmanifest = {:?}\nplate_every_ms = 200\nvehicle_every_ms = 200\n\
         {more}\n[[camera]]\nid = \"cam-1\"\nurl = {samples:?}\n{camera}\n{lanes}",
        root().join("models/manifest.toml"),
    );
    std::fs::write(dir.join("kakou.toml"), config).unwrap();
    let truth = std::fs::read_to_string(samples.join("truth.jsonl")).unwrap();
    let truth: Value = serde_json::from_str(truth.lines().next().unwrap()).unwrap();
    let passages = truth["passages"].as_array().unwrap();
    let plates: Vec<String> = passages
        .iter()
        .filter_map(|p| p["text"].as_str().map(str::to_owned))
        .collect();
    assert!(!plates.is_empty(), "the truth names plates");
    let list: String = plates
        .iter()
        .map(|p| format!("{p},orange,stolen,reported on Monday,\n"))
        .collect();
    let text =
        format!("plate,level,category,reason,valid_until\n{list}not a plate at all,red,a,b,\n");
    std::fs::write(dir.join("list.csv"), text).unwrap();
}

/// The models' cache, for a test that damages it.
pub fn copy_cache(to: &Path) {
    for f in ["clp_v2_c_rec.onnx", "clp_dict.txt", "libonnxruntime.so"] {
        std::fs::copy(root().join("models/cache").join(f), to.join(f)).unwrap();
    }
}
