//! `kakou read`: the plates of single pictures, on frames of the samples.

use crate::support::{kakou, root, stderr, stdout, succeed};
use serde_json::Value;

/// A folder with two frames of the samples, a picture without a plate, and what is no picture.
fn album() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (from, to) in [("000009.jpg", "a.jpg"), ("000029.jpg", "b.JPEG")] {
        let frame = root().join("agent/samples/day").join(from);
        std::fs::copy(frame, dir.path().join(to)).unwrap();
    }
    let grey = image::RgbImage::from_pixel(320, 240, image::Rgb([120, 120, 120]));
    grey.save(dir.path().join("c.png")).unwrap();
    std::fs::write(dir.path().join("notes.txt"), "no picture").unwrap();
    dir
}

#[test]
fn each_plate_of_each_picture_has_a_row_and_none_is_told() {
    let album = album();
    let folder = album.path().display().to_string();
    let text = stdout(&succeed(&["read", &folder]));
    let rows: Vec<&str> = text.lines().collect();
    let of = |name: &str| rows.iter().filter(|r| r.contains(name)).collect::<Vec<_>>();
    assert!(
        of("a.jpg")
            .iter()
            .any(|r| r.contains("京N·8P527") && r.contains("blue")),
        "{text}"
    );
    assert!(
        of("b.JPEG").iter().any(|r| r.contains("鲁E·6K829")),
        "{text}"
    );
    assert_eq!(of("c.png").len(), 1, "{text}");
    assert!(of("c.png")[0].ends_with('—'), "{text}");
    assert!(of("notes").is_empty(), "{text}");
}

#[test]
fn json_and_csv_say_the_same_and_pictures_are_annotated() {
    let album = album();
    let folder = album.path().display().to_string();
    let out = album.path().join("out").display().to_string();
    let json = stdout(&succeed(&["read", "--json", &folder, "--annotated", &out]));
    let rows: Vec<Value> = json
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(rows.len(), 3);
    assert_eq!(
        (&rows[2]["width"], &rows[2]["height"]),
        (&320.into(), &240.into())
    );
    let plates = |row: &Value| row["plates"].as_array().unwrap().clone();
    assert!(plates(&rows[2]).is_empty());
    let csv = stdout(&succeed(&["read", "--csv", &folder]));
    let mut lines = csv.lines();
    let columns = lines.next().unwrap().split(',').count();
    let lines: Vec<&str> = lines.collect();
    assert!(
        lines.iter().all(|l| l.split(',').count() == columns),
        "{csv}"
    );
    let all: Vec<Value> = rows.iter().flat_map(&plates).collect();
    assert!(all.len() >= 2);
    for plate in &all {
        let text = plate["text"].as_str().unwrap();
        assert!(lines.iter().any(|l| l.contains(text)), "{text}\n{csv}");
    }
    for name in ["a.jpg", "b.jpg", "c.jpg"] {
        let drawn = image::open(format!("{out}/{name}")).unwrap();
        assert!(drawn.width() >= 320, "{name}");
    }
}

#[test]
fn a_picture_that_cannot_be_read_is_named_with_what_to_do_and_the_others_are_read() {
    let album = album();
    std::fs::write(
        album.path().join("phone.heic"),
        b"\0\0\0\x18ftypheic\0\0\0\0mif1",
    )
    .unwrap();
    let folder = album.path().display().to_string();
    let done = kakou(&["read", &folder]);
    assert_eq!(done.status.code(), Some(1));
    let told = stderr(&done);
    assert!(
        told.contains("phone.heic: it is HEIC") && told.contains("heif-convert"),
        "{told}"
    );
    assert!(stdout(&done).contains("京N·8P527"));
    let empty = tempfile::tempdir().unwrap();
    let done = kakou(&["read", &empty.path().display().to_string()]);
    assert!(!done.status.success() && stderr(&done).contains("there is no picture in this folder"));
}

#[test]
fn a_replay_of_single_pictures_names_the_command_for_them() {
    let album = album();
    let folder = album.path().display().to_string();
    let told = stderr(&succeed(&["replay", &folder]));
    assert!(told.contains("use `kakou read"), "{told}");
}
