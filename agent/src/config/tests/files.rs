//! Files as editors save them, and the example configs.

use std::path::PathBuf;

use super::*;

fn configs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs")
}

fn read(bytes: &[u8]) -> Result<Config, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gate.toml");
    std::fs::write(&file, bytes).unwrap();
    Config::read(&file)
}

#[test]
fn every_example_config_is_sound() {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(configs()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let config = Config::read(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        // The reference shows the defaults, a missing site among them.
        if name != "reference.toml" {
            assert_eq!(config.warnings, [], "{name}");
        }
        names.push(name);
    }
    for name in [
        "checkpoint.toml",
        "reference.toml",
        "replay.toml",
        "single-lane-gate.toml",
    ] {
        assert!(
            names.iter().any(|found| found == name),
            "{name} in {names:?}"
        );
    }
}

/// The sample film is shorter than the default `rejoin_s`: its second round would be no passages.
#[test]
fn the_looped_example_forgets_a_plate_before_it_comes_again() {
    let config = Config::read(&configs().join("replay.toml")).unwrap();
    assert!(
        config.passage.rejoin_s < 15.0,
        "{}",
        config.passage.rejoin_s
    );
}

#[test]
fn a_file_with_a_byte_order_mark_or_windows_line_ends_is_read() {
    let marked = read(&[b"\xef\xbb\xbf", GATE.as_bytes()].concat()).unwrap();
    let windows = read(GATE.replace('\n', "\r\n").as_bytes()).unwrap();
    assert_eq!((marked.cameras.len(), windows.cameras.len()), (1, 1));
    let bad = GATE.replace('\n', "\r\n").replace("640", "30");
    contains_all(
        &read(bad.as_bytes()).unwrap_err().to_string(),
        &["line 6: vision.plate_side"],
    );
}

#[test]
fn a_file_in_another_encoding_says_so() {
    // 北门 in GBK, on the second line.
    let gbk = read(b"agent = \"a\"\nsite = \"\xb1\xb1\xc3\xc5\"\n")
        .unwrap_err()
        .to_string();
    contains_all(
        &gbk,
        &["gate.toml: line 2: ", "GBK", "save the file as UTF-8"],
    );
    let utf16: Vec<u8> = std::iter::once(0xfeff)
        .chain(GATE.encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    let utf16 = read(&utf16).unwrap_err().to_string();
    contains_all(
        &utf16,
        &["gate.toml: line 1: ", "UTF-16", "save the file as UTF-8"],
    );
}

#[test]
fn what_is_no_toml_names_its_line_and_the_odd_character() {
    for (from, to, parts) in [
        (
            "\"north-gate\"",
            "“north-gate”",
            ["gate.toml: line 1: ", "a `“` where TOML wants \""],
        ),
        (
            "[0.25, 0.25], [",
            "[0.25，0.25], [",
            ["gate.toml: line 12: ", "a `，` where TOML wants ,"],
        ),
        ("[vision]", "[vision", ["gate.toml: line 5: ", ""]),
        (
            "agent = ",
            "site = ",
            ["gate.toml: line 2: ", "duplicate key"],
        ),
    ] {
        contains_all(&fault(&with(from, to)), &parts);
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none.toml");
    for path in [missing.as_path(), folder.path()] {
        let said = Config::read(path).unwrap_err().to_string();
        assert!(said.starts_with(&format!("{}: ", path.display())), "{said}");
    }
}
