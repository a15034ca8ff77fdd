//! Real pictures and footage, which are not part of the project: `make test-data` runs this on the
//! folder that KAKOU_DATA names. The figures asked for here are those of docs/measurements.md.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

mod support;

use std::path::PathBuf;

use support::*;

fn data() -> PathBuf {
    let dir =
        std::env::var_os("KAKOU_DATA").expect("KAKOU_DATA names the folder with the real pictures");
    let dir = PathBuf::from(dir);
    assert!(
        dir.is_dir(),
        "KAKOU_DATA: there is no folder {}",
        dir.display()
    );
    dir
}

/// Right of all plates, in percent, and the false reads.
fn eval(set: &str) -> (f64, u64) {
    let report = json(&succeed(&[
        "eval",
        data().join(set).to_str().unwrap(),
        "--json",
    ]));
    println!("{set}: {report}");
    let n = |key: &str| report[key].as_u64().unwrap();
    (
        n("right") as f64 * 100.0 / n("plates") as f64,
        n("false_reads"),
    )
}

#[test]
fn cropped_plates() {
    let (right, _) = eval("plates");
    assert!(right >= 99.0, "{right} % of whole plates right");
}

#[test]
fn cut_outs() {
    let (right, false_reads) = eval("cutouts");
    assert!(right >= 97.0, "{right} % of whole plates right");
    assert!(false_reads <= 1, "{false_reads} false reads");
}

#[test]
fn whole_frames() {
    let (right, false_reads) = eval("frames");
    assert_eq!((right, false_reads), (100.0, 0));
}

#[test]
fn all_provinces() {
    let (right, _) = eval("provinces");
    assert!(right >= 97.5, "{right} % of whole plates right");
}

#[test]
fn special_plates() {
    let (right, false_reads) = eval("special");
    assert!(right >= 80.0, "{right} % of whole plates right");
    assert!(false_reads <= 2, "{false_reads} false reads");
}

/// The colours of vehicles, as one person saw them in pictures of several sets.
#[test]
fn vehicle_colours() {
    let known = include_str!("support/vehicle-colours.csv");
    let dir = tempfile::tempdir().unwrap();
    let mut truth = String::new();
    for line in known.lines().filter(|line| !line.starts_with('#')).skip(1) {
        let [set, image, colours] = line.split(',').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let colours: Vec<&str> = colours.split(' ').collect();
        let image = data().join(set).join(image);
        let line = serde_json::json!({ "image": image, "plates": [], "vehicle_colours": colours });
        truth += &format!("{line}\n");
    }
    std::fs::write(dir.path().join("truth.jsonl"), truth).unwrap();
    let set = dir.path().to_str().unwrap();
    let report = json(&succeed(&["eval", set, "--vehicles", "--json"]));
    println!("vehicle colours: {report}");
    let n = |key: &str| report[key].as_f64().unwrap();
    assert!(n("vehicles") >= 400.0, "{report}");
    assert!(n("right") >= 0.7 * n("told"), "{report}");
    assert!(n("sure_right") >= 0.82 * n("sure"), "{report}");
}

/// A side road on which no plate can be read: each vehicle is a passage all the same, once.
#[test]
fn vehicles_without_a_readable_plate() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("road.toml");
    std::fs::write(
        &config,
        "site = \"road\"\n[[camera]]\nid = \"road\"\n[[camera.lane]]\nid = \"1\"\n\
         polygon = [[0.0, 0.5], [1.0, 0.5], [1.0, 1.0], [0.0, 1.0]]\n",
    )
    .unwrap();
    for (footage, vehicles) in [("suburb-a.mp4", 8), ("suburb-b.mp4", 3)] {
        let o = kakou(&[
            "replay",
            data().join("footage").join(footage).to_str().unwrap(),
            "--config",
            config.to_str().unwrap(),
            "--json",
            "--truth",
            data().join("footage/truth.jsonl").to_str().unwrap(),
        ]);
        let c = comparison(&o);
        println!("{footage}: {c}");
        let counts = ["missed", "extra", "duplicate"].map(|k| c[k].as_array().map(Vec::len));
        assert_eq!(
            (c["matched"].as_u64(), counts),
            (Some(vehicles), [Some(0); 3]),
            "{footage}: {c}"
        );
    }
}

const BOOTH: &str = r#"
site = "toll"
[[camera]]
id = "booth"
masks = [[[0.3, 0.0], [1.0, 0.0], [1.0, 0.08], [0.3, 0.08]]]
[[camera.lane]]
id = "1"
polygon = [[0.30, 0.98], [0.55, 0.42], [0.72, 0.36], [0.80, 0.70], [0.70, 1.0], [0.32, 1.0]]
trigger = [[0.30, 0.85], [0.80, 0.85]]
"#;

fn toll_gate(config: &str) -> serde_json::Value {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("booth.toml");
    std::fs::write(&path, config).unwrap();
    let footage = data().join("footage/toll-gate.mp4");
    let truth = data().join("footage/truth.jsonl");
    // Vietnamese plates, outside the reader's training: at most two edits away.
    let o = kakou(&[
        "replay",
        footage.to_str().unwrap(),
        "--config",
        path.to_str().unwrap(),
        "--json",
        "--truth",
        truth.to_str().unwrap(),
        "--tolerance",
        "2",
    ]);
    println!("{}", stdout(&o));
    comparison(&o)
}

#[test]
fn toll_gate_with_its_three_passages() {
    let c = toll_gate(BOOTH);
    assert_eq!(
        (c["matched"].as_u64(), c["missed"].as_array().map(Vec::len)),
        (Some(3), Some(0)),
        "{c}"
    );
    assert_eq!(
        (
            c["extra"].as_array().map(Vec::len),
            c["duplicate"].as_array().map(Vec::len)
        ),
        (Some(0), Some(0)),
        "{c}"
    );
}

/// The burnt-in text shows a plate that no vehicle wears; it is no passage even without a mask.
#[test]
fn burnt_in_text_is_no_passage() {
    let c = toll_gate(
        &BOOTH
            .lines()
            .filter(|l| !l.starts_with("masks"))
            .collect::<Vec<_>>()
            .join("\n"),
    );
    assert_eq!(
        (c["matched"].as_u64(), c["extra"].as_array().map(Vec::len)),
        (Some(3), Some(0)),
        "{c}"
    );
}

/// A user's own detector drops in by a manifest entry: YOLOX-nano, which is no part of the project.
#[test]
fn an_own_detector_drops_in() {
    let model = data().parent().unwrap().join("models/yolox_nano.onnx");
    assert!(model.is_file(), "{} is missing", model.display());
    let dir = tempfile::tempdir().unwrap();
    let shipped = std::fs::read_to_string(root().join("models/manifest.toml")).unwrap();
    let own = format!(
        "{shipped}\n[[model]]\nname = \"own\"\nkind = \"yolox\"\nfile = \"{}\"\nlabels = {{ \"1\" = \"bicycle\", \"2\" = \
         \"car\", \"3\" = \"motorcycle\", \"5\" = \"bus\", \"7\" = \"truck\" }}\n",
        model.display()
    );
    let manifest = dir.path().join("manifest.toml");
    std::fs::write(&manifest, own).unwrap();
    // Our own weights lie beside the manifest, wherever that is.
    std::os::unix::fs::symlink(root().join("models/weights"), dir.path().join("weights")).unwrap();
    let samples = std::fs::read_to_string(root().join("configs/samples.toml")).unwrap();
    let config = dir.path().join("own.toml");
    assert!(samples.contains("[vision]\n"));
    std::fs::write(
        &config,
        samples.replace("[vision]\n", "[vision]\nvehicles = \"own\"\n"),
    )
    .unwrap();
    let o = std::process::Command::new(env!("CARGO_BIN_EXE_kakou"))
        .args([
            "replay",
            "agent/samples/day",
            "--truth",
            "agent/samples/day/truth.jsonl",
            "--json",
        ])
        .args([
            "--config",
            config.to_str().unwrap(),
            "--models",
            manifest.to_str().unwrap(),
        ])
        .env("KAKOU_MODELS_CACHE", root().join("models/cache"))
        .current_dir(root())
        .output()
        .unwrap();
    let c = comparison(&o);
    println!("{c}");
    assert_eq!(c["missed"].as_array().map(Vec::len), Some(0), "{c}");
    let classes = passages(&o).iter().filter(|m| m.vehicle.is_some()).count();
    assert_eq!(classes, 7, "the own detector found every vehicle");
}
