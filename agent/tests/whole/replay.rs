//! The whole path on the project's own footage, by running the real binary.

use std::collections::HashSet;

use crate::support::*;
use kakou_contract::{Direction, EvidenceRole, PlateColour, VehicleClass};
use sha2::Digest;

fn config_of(sequence: &str) -> &'static str {
    if sequence == "leaving" {
        "configs/samples-leaving.toml"
    } else {
        "configs/samples.toml"
    }
}

fn replay(sequence: &str) -> std::process::Output {
    let footage = format!("agent/samples/{sequence}");
    let truth = format!("{footage}/truth.jsonl");
    kakou(&[
        "replay",
        &footage,
        "--config",
        config_of(sequence),
        "--json",
        "--truth",
        &truth,
    ])
}

/// One vehicle, one passage, exactly read: in traffic with a queue and a vehicle without a plate,
/// at dusk, from behind.
#[test]
fn every_sample_passage_is_there_once_and_exact() {
    for sequence in ["day", "dusk", "leaving"] {
        let o = replay(sequence);
        let c = comparison(&o);
        assert!(o.status.success(), "{sequence}: {c}");
        assert_eq!(c["matched"], c["passages"], "{sequence}: {c}");
        for none in ["missed", "extra", "duplicate", "wrong_lane"] {
            assert_eq!(c[none].as_array().map(Vec::len), Some(0), "{sequence}: {c}");
        }
    }
}

/// The same with our reader alone, and with the public models that a config may name instead.
#[test]
fn other_models_find_the_sample_passages_too() {
    let dir = tempfile::tempdir().unwrap();
    let samples = std::fs::read_to_string(root().join("configs/samples.toml")).unwrap();
    assert!(samples.contains("[vision]\n"));
    for models in [
        "second_reader = \"none\"\n",
        "vehicles = \"vehicles\"\nplates = \"plate-detector\"\nreader = \"plate-reader\"\n",
    ] {
        let vision = format!("[vision]\n{models}");
        let config = dir.path().join("reader.toml");
        std::fs::write(&config, samples.replace("[vision]\n", &vision)).unwrap();
        let o = kakou(&[
            "replay",
            "agent/samples/dusk",
            "--config",
            config.to_str().unwrap(),
            "--json",
            "--truth",
            "agent/samples/dusk/truth.jsonl",
        ]);
        let c = comparison(&o);
        assert!(o.status.success(), "{models}: {c}");
        assert_eq!(c["matched"], c["passages"], "{models}: {c}");
        for m in passages(&o) {
            let plate = m.plate.as_ref().expect("every vehicle at dusk has a plate");
            assert!(
                plate.colour.is_some() && plate.raw == plate.text,
                "{plate:?}"
            );
        }
    }
}

#[test]
fn a_passage_says_what_happened() {
    let all = passages(&replay("day"));
    let truck = all
        .iter()
        .find(|m| m.plate.as_ref().is_some_and(|p| p.text == "皖K9H275"))
        .expect("the truck");
    let plate = truck.plate.as_ref().unwrap();
    assert_eq!(plate.colour.map(|c| c.value), Some(PlateColour::Yellow));
    assert_eq!(plate.kind.map(|k| k.code()), Some("01"));
    assert_eq!(
        truck.vehicle.as_ref().map(|v| v.class),
        Some(VehicleClass::Truck)
    );
    assert_eq!(truck.direction, Direction::Approaching);
    let colours = all.iter().filter_map(|m| m.vehicle.as_ref()?.colour);
    assert!(colours.count() > 0, "no vehicle has a colour");
    assert!(plate.frames_agreeing >= 10 && plate.raw == plate.text && plate.corrected.is_empty());
    let green = all
        .iter()
        .filter_map(|m| m.plate.as_ref())
        .find(|p| p.text.chars().count() == 8)
        .expect("the green");
    assert_eq!(
        (green.colour.map(|c| c.value), green.kind.map(|k| k.code())),
        (Some(PlateColour::Green), Some("52"))
    );
    let bare = all
        .iter()
        .find(|m| m.plate.is_none())
        .expect("the vehicle without a plate");
    assert!(bare.no_plate_reason.is_some() && bare.vehicle.is_some());
    assert_eq!(
        all.iter().map(|m| m.id).collect::<HashSet<_>>().len(),
        all.len(),
        "ids are unique"
    );
    for m in &all {
        assert_eq!(
            m.time.offset().local_minus_utc(),
            8 * 3600,
            "the recording's own offset is kept"
        );
        assert!(m.first_seen <= m.time && m.time <= m.last_seen);
    }
}

#[test]
fn two_replays_agree_to_the_byte() {
    let (a, b) = (replay("dusk"), replay("dusk"));
    assert!(!a.stdout.is_empty());
    assert_eq!(a.stdout, b.stdout);
}

#[test]
fn the_pictures_are_those_the_message_names() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().to_str().unwrap();
    let o = succeed(&[
        "replay",
        "agent/samples/dusk",
        "--config",
        "configs/samples.toml",
        "--json",
        "--evidence",
        out,
    ]);
    for m in passages(&o) {
        for e in &m.evidence {
            let role = e.role.as_str();
            let name = format!("{}-{}-{role}.jpg", m.time.format("%Y%m%dT%H%M%S%3f"), m.id);
            let bytes = std::fs::read(dir.path().join(&name))
                .unwrap_or_else(|_| panic!("{name} is missing"));
            let digest: [u8; 32] = sha2::Sha256::digest(&bytes).into();
            assert_eq!(
                (digest, bytes.len() as u64),
                (e.sha256.0, e.bytes),
                "{name}"
            );
            let picture = image::load_from_memory(&bytes).unwrap();
            assert_eq!((picture.width(), picture.height()), (e.width, e.height));
            if e.role == EvidenceRole::Plate {
                assert!(m.plate.is_some());
            }
        }
        // The picture that was read is the picture that is sent: reading the sent frame gives the
        // sent text.
        let plate = m.plate.as_ref().expect("every vehicle at dusk has a plate");
        let stem = format!("{}-{}", m.time.format("%Y%m%dT%H%M%S%3f"), m.id);
        let set = tempfile::tempdir().unwrap();
        std::fs::copy(
            dir.path().join(format!("{stem}-frame.jpg")),
            set.path().join("f.jpg"),
        )
        .unwrap();
        let quad: Vec<[f32; 2]> = plate.quad.iter().map(|[x, y]| [x.get(), y.get()]).collect();
        let truth =
            serde_json::json!({"image": "f.jpg", "plates": [{"text": plate.text, "quad": quad}]});
        std::fs::write(set.path().join("truth.jsonl"), truth.to_string()).unwrap();
        let report = json(&succeed(&["eval", set.path().to_str().unwrap(), "--json"]));
        assert_eq!(report["right"], 1, "{}: {report}", plate.text);
    }
}

/// The samples were recorded on a day in the past; that makes none of their passages late.
#[test]
fn a_recording_is_never_late() {
    let dir = tempfile::tempdir().unwrap();
    let shown = stdout(&succeed(&["demo", "--out", dir.path().to_str().unwrap()]));
    assert!(shown.contains("鲁E·6K829"), "{shown}");
    let is_late = |row: &str| row.split_whitespace().any(|word| word == "late");
    assert!(!shown.lines().any(is_late), "{shown}");
}

/// A small grey copy, to compare pictures by.
fn small(picture: &image::DynamicImage) -> Vec<u8> {
    let small = picture.resize_exact(96, 54, image::imageops::FilterType::Triangle);
    small.into_luma8().into_raw()
}

/// The time of each frame of a recording, with a small copy of it.
fn frames(footage: &std::path::Path) -> Vec<(String, Vec<u8>)> {
    let list = std::fs::read_to_string(footage.join("frames.jsonl")).unwrap();
    let frame = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let picture = image::open(footage.join(line["file"].as_str().unwrap())).unwrap();
        (line["time"].as_str().unwrap().to_owned(), small(&picture))
    };
    list.lines().map(frame).collect()
}

/// For a court the picture's own time counts: it is that of the frame in the recording that shows
/// the same, whenever the vehicle passed.
#[test]
fn each_picture_says_when_its_frame_was_captured() {
    let mut apart = 0;
    for sequence in ["day", "leaving"] {
        let footage = root().join("agent/samples").join(sequence);
        let frames = frames(&footage);
        let dir = tempfile::tempdir().unwrap();
        let out = succeed(&[
            "replay",
            footage.to_str().unwrap(),
            "--config",
            config_of(sequence),
            "--json",
            "--evidence",
            dir.path().to_str().unwrap(),
        ]);
        let all = passages(&out);
        assert!(!all.is_empty());
        for m in all {
            let stem = format!("{}-{}", m.time.format("%Y%m%dT%H%M%S%3f"), m.id);
            let sent = image::open(dir.path().join(format!("{stem}-frame.jpg"))).unwrap();
            let sent = small(&sent);
            let away = |copy: &[u8]| -> u64 {
                let pairs = copy.iter().zip(&sent);
                pairs.map(|(a, b)| u64::from(a.abs_diff(*b))).sum()
            };
            let (time, _) = frames.iter().min_by_key(|(_, copy)| away(copy)).unwrap();
            for picture in &m.evidence {
                let captured = picture.captured_at.expect("every picture has its time");
                assert_eq!(&kakou_contract::time::to_text(&captured), time, "{stem}");
                assert!(m.first_seen <= captured && captured <= m.last_seen);
                apart += usize::from(captured != m.time);
            }
        }
    }
    assert!(
        apart > 0,
        "no vehicle passed at another time than it was read best"
    );
}

#[test]
fn a_broken_frame_is_named_and_skipped() {
    let frames = some_frames("dusk", 0..30);
    let torn = frames.path().join("000007.jpg");
    let bytes = std::fs::read(&torn).unwrap();
    std::fs::write(&torn, &bytes[..bytes.len() / 2]).unwrap();
    let o = succeed(&[
        "replay",
        frames.path().to_str().unwrap(),
        "--config",
        "configs/samples.toml",
        "--json",
    ]);
    assert!(stderr(&o).contains("000007.jpg"), "{}", stderr(&o));
    assert!(
        passages(&o)
            .iter()
            .any(|m| m.plate.as_ref().is_some_and(|p| p.text == "豫P3H792"))
    );
}

/// True frame times are kept: a video with a pause in it reports the pause.
#[test]
fn a_video_file_gives_the_same_passages_as_its_frames() {
    let dir = tempfile::tempdir().unwrap();
    let video = dir.path().join("dusk.mp4");
    let made = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-framerate", "10", "-i"])
        .arg(root().join("agent/samples/dusk/%06d.jpg"))
        // 5 s are added to every time stamp from the 25th frame on.
        .args([
            "-vf",
            "setpts=PTS+if(gte(N\\,25)\\,5/TB\\,0)",
            "-fps_mode",
            "passthrough",
            "-c:v",
            "libx264",
        ])
        .args(["-crf", "12", "-pix_fmt", "yuv420p"])
        .arg(&video)
        .output()
        .expect("ffmpeg is there: `make test` installs it");
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let v = video.to_str().unwrap();
    let start = "2026-03-14T18:40:00+08:00";
    let o = succeed(&[
        "replay",
        v,
        "--config",
        "configs/samples.toml",
        "--json",
        "--start",
        start,
    ]);
    let all = passages(&o);
    let texts: HashSet<String> = all
        .iter()
        .filter_map(|m| m.plate.as_ref().map(|p| p.text.clone()))
        .collect();
    let want = ["豫P3H792", "苏F8L536", "沪AD53826"].map(str::to_owned);
    assert_eq!(texts, HashSet::from(want));
    assert_eq!(
        all.len(),
        3,
        "a pause in the footage makes no vehicle twice"
    );
    let last = all.iter().map(|m| m.last_seen).max().unwrap();
    let seconds = (last - chrono::DateTime::parse_from_rfc3339(start).unwrap()).as_seconds_f64();
    assert!(
        (9.0..10.0).contains(&seconds),
        "the last frame lies at 9.7 s, not {seconds}"
    );
}

#[test]
fn bad_input_is_an_error_that_names_the_place() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str, text: &str| {
        let p = dir.path().join(name);
        std::fs::write(&p, text).unwrap();
        p.to_str().unwrap().to_owned()
    };
    let faults: [(&[&str], &[&str]); 6] = [
        (
            &["replay", "no/such/folder"],
            &["no/such/folder", "folder of JPEG"],
        ),
        (
            &["replay", &at("noise.mp4", "this is no video")],
            &["noise.mp4", "ffmpeg"],
        ),
        (
            &[
                "replay",
                "agent/samples/dusk",
                "--config",
                &at("a.toml", "sight = 1\n"),
            ],
            &["a.toml", "line 1", "sight"],
        ),
        (
            &[
                "replay",
                "agent/samples/dusk",
                "--models",
                "no/manifest.toml",
            ],
            &["no/manifest.toml"],
        ),
        (
            &["replay", "agent/samples/dusk", "--fps", "0"],
            &["--fps", "frame rate"],
        ),
        (&["eval", dir.path().to_str().unwrap()], &["truth.jsonl"]),
    ];
    for (args, words) in faults {
        let o = kakou(args);
        let said = stderr(&o);
        assert!(!o.status.success(), "{args:?} must fail");
        assert!(o.stdout.is_empty(), "{args:?} printed {}", stdout(&o));
        for w in words {
            assert!(said.contains(w), "{args:?}: `{w}` is not in: {said}");
        }
        assert!(!said.contains("panicked"), "{said}");
    }
}
