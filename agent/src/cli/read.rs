//! `kakou read`: the plates of single pictures.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, ensure};
use image::RgbImage;
use kakou_contract::{Plate, Px};
use kakou_sight::camera::decode;
use kakou_sight::evidence::draw::{PassageDrawing, annotated};
use kakou_sight::evidence::jpeg;
use kakou_sight::vision::{Opener, PlateFinder};
use kakou_traffic::detections::PlateFind;
use serde::Serialize;
use unicode_width::UnicodeWidthStr as _;

use super::common::{ConfigArgs, print_line};
use super::eval::single_ballot;
use super::table::{clean, grouped};

/// Names under which pictures go, those that have to be converted first among them: each is tried,
/// and said to be none where it is none.
const ENDINGS: [&str; 12] = [
    "jpg", "jpeg", "png", "heic", "heif", "webp", "avif", "bmp", "tif", "tiff", "gif", "jfif",
];
/// Of pictures that are written.
const QUALITY: u8 = 90;

/// Read the plates of single pictures: a row per plate.
///
/// Each picture is looked at by itself, at several scales; a picture without a plate has a row that
/// says so. For footage, in which a vehicle is seen many times, use `kakou replay`. Exit code 1 if a
/// picture could not be read.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Pictures (JPEG, PNG), or folders of them.
    #[arg(required = true, value_name = "PICTURE")]
    pictures: Vec<PathBuf>,
    #[command(flatten)]
    config: ConfigArgs,
    /// The pictures show a plate each, and nothing else.
    #[arg(long)]
    crops: bool,
    /// Print one JSON object a picture: `picture`, `width`, `height`, `plates` (as in passages), or
    /// `error`.
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print CSV, with a line of headings.
    #[arg(long)]
    csv: bool,
    /// Write each picture with what was found drawn into it, into this folder.
    #[arg(long, value_name = "DIR")]
    annotated: Option<PathBuf>,
}

/// What is said of a picture.
#[derive(Serialize)]
struct Row {
    picture: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<u32>,
    plates: Vec<Plate>,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let config = args.config.load()?;
    let files = pictures(&args.pictures)?;
    let mut finder = Opener::new(&config.models)?.plates()?;
    if let Some(folder) = &args.annotated {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let mut names = BTreeSet::new();
    let width = files.iter().map(|f| shown(f).width()).max().unwrap_or(0);
    if args.csv {
        print_line("picture,plate,confidence,colour,kind,rows,x,y,width,height,error")?;
    }
    let mut failed = false;
    for file in &files {
        let row = match decode(file) {
            Ok(picture) => read(&mut finder, &args, file, &picture, &mut names)?,
            Err(error) => {
                failed = true;
                eprintln!("kakou: {}: {error}", shown(file));
                Row {
                    picture: file.display().to_string(),
                    error: Some(error),
                    width: None,
                    height: None,
                    plates: Vec::new(),
                }
            }
        };
        match (args.json, args.csv) {
            (true, _) => print_line(&serde_json::to_string(&row)?)?,
            (_, true) => csv(&row)?,
            _ => table(&row, &shown(file), width)?,
        }
    }
    Ok(match failed {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}

fn shown(file: &Path) -> String {
    clean(&file.display().to_string())
}

/// The files named, and the pictures in the folders named, in the order of their names.
fn pictures(given: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for path in given {
        if !path.is_dir() {
            all.push(path.clone());
            continue;
        }
        let told = || format!("{}: the folder cannot be read", shown(path));
        let mut inside = Vec::new();
        for entry in std::fs::read_dir(path).with_context(told)? {
            let file = entry.with_context(told)?.path();
            let ending = file.extension().map(|e| e.to_ascii_lowercase());
            let is_picture = ending.is_some_and(|e| ENDINGS.iter().any(|known| e == *known));
            if is_picture && file.is_file() {
                inside.push(file);
            }
        }
        inside.sort();
        ensure!(
            !inside.is_empty(),
            "{}: there is no picture in this folder; looked for .{}",
            shown(path),
            ENDINGS.join(", .")
        );
        all.extend(inside);
    }
    Ok(all)
}

fn read(
    finder: &mut PlateFinder,
    args: &Args,
    file: &Path,
    picture: &RgbImage,
    names: &mut BTreeSet<String>,
) -> anyhow::Result<Row> {
    let finds = match args.crops {
        true => vec![finder.read_crop(picture)?],
        false => finder.still(picture)?,
    };
    let mut plates: Vec<(Plate, &PlateFind)> = finds
        .iter()
        .filter_map(|find| Some((plate(find)?, find)))
        .collect();
    // As people read a picture: from the left.
    plates.sort_by(|a, b| a.0.quad[0][0].get().total_cmp(&b.0.quad[0][0].get()));
    if let Some(folder) = &args.annotated {
        let mut drawn = picture.clone();
        for (plate, find) in &plates {
            drawn = annotated(
                &drawn,
                &PassageDrawing {
                    lanes: &[],
                    vehicle: None,
                    plate: Some(&find.quad),
                    text: &plate.text,
                    note: "",
                },
            );
        }
        write(folder, file, &drawn, names)?;
    }
    Ok(Row {
        picture: file.display().to_string(),
        error: None,
        width: Some(picture.width()),
        height: Some(picture.height()),
        plates: plates.into_iter().map(|(plate, _)| plate).collect(),
    })
}

fn plate(find: &PlateFind) -> Option<Plate> {
    let voted = single_ballot(find)?.result(None).ok()?;
    let quad = find.quad.0.map(|p| [Px::new(p.x), Px::new(p.y)]);
    Some(crate::message::plate(&voted, quad))
}

/// Two pictures of one name, from two folders, become two files.
fn write(
    folder: &Path,
    file: &Path,
    picture: &RgbImage,
    names: &mut BTreeSet<String>,
) -> anyhow::Result<()> {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let mut name = format!("{stem}.jpg");
    let mut n = 2;
    while !names.insert(name.clone()) {
        name = format!("{stem}-{n}.jpg");
        n += 1;
    }
    let path = folder.join(name);
    let bytes = jpeg(picture, QUALITY)?;
    kakou_guard::file::write(&path, &bytes, 0o640).with_context(|| shown(&path))
}

/// Left, upper edge, width and height of what is upright around the corners.
fn bounds(plate: &Plate) -> [f32; 4] {
    let (mut low, mut high) = ([f32::MAX; 2], [f32::MIN; 2]);
    for corner in plate.quad {
        for axis in [0, 1] {
            low[axis] = low[axis].min(corner[axis].get());
            high[axis] = high[axis].max(corner[axis].get());
        }
    }
    [low[0], low[1], high[0] - low[0], high[1] - low[1]]
}

fn table(row: &Row, shown: &str, width: usize) -> anyhow::Result<()> {
    let padded = |text: &str, width: usize| {
        format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
    };
    let name = padded(shown, width.min(60));
    if row.error.is_none() && row.plates.is_empty() {
        return print_line(&format!("{name}  —"));
    }
    for plate in &row.plates {
        let [x, y, w, h] = bounds(plate);
        print_line(&format!(
            "{name}  {}  {}  {}  {}  {w:.0} x {h:.0} at {x:.0}, {y:.0}",
            padded(&grouped(&plate.text), 10),
            plate.confidence,
            padded(plate.colour.map_or("—", |c| c.value.as_str()), 12),
            padded(plate.kind.map_or("—", |k| k.code()), 2),
        ))?;
    }
    Ok(())
}

fn csv(row: &Row) -> anyhow::Result<()> {
    let picture = quoted(&row.picture);
    if let Some(error) = &row.error {
        return print_line(&format!("{picture},,,,,,,,,,{}", quoted(error)));
    }
    if row.plates.is_empty() {
        return print_line(&format!("{picture},,,,,,,,,,"));
    }
    for plate in &row.plates {
        let [x, y, w, h] = bounds(plate);
        print_line(&format!(
            "{picture},{},{:.4},{},{},{},{x:.0},{y:.0},{w:.0},{h:.0},",
            quoted(&plate.text),
            plate.confidence.get(),
            plate.colour.map_or("", |c| c.value.as_str()),
            plate.kind.map_or("", |k| k.code()),
            plate.rows,
        ))?;
    }
    Ok(())
}

/// A cell of CSV (RFC 4180).
fn quoted(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_cell_is_quoted_where_it_must_be() {
        assert_eq!(quoted("a b"), "a b");
        assert_eq!(quoted("a,\"b\""), "\"a,\"\"b\"\"\"");
    }

    #[test]
    fn pictures_of_a_folder_come_by_name_and_an_empty_one_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let told = pictures(&[dir.path().to_owned()]).unwrap_err().to_string();
        assert!(told.contains("no picture in this folder"), "{told}");
        for name in ["b.JPG", "a.png", "truth.jsonl", "c.heic"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let all = pictures(&[dir.path().to_owned()]).unwrap();
        let names: Vec<_> = all.iter().map(|p| p.file_name().unwrap()).collect();
        assert_eq!(names, ["a.png", "b.JPG", "c.heic"]);
    }
}
