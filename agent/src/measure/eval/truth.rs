//! `truth.jsonl`: what stands on the plates of a folder's pictures.
//!
//! One JSON object a line: `{"image", "text"}` is a cropped plate (the picture is the plate),
//! `{"image", "text", "colour", "quad"}` a cut-out with its surroundings, `{"image", "plates":
//! [{"text", "colour", "quad"}]}` a whole frame. `quad` is four corners `[x, y]` in pixels, in any
//! order. All but the text may be left out. `rows` is 2 for a plate of two rows, and `hard` marks
//! one that a person reads only with effort. `vehicle_colours` of a picture names the colour of its
//! largest vehicle; of several, any is right.

use std::path::{Path, PathBuf};

use kakou_contract::VehicleColour;
use serde::Deserialize;

use kakou_traffic::geometry::{Point, Quad};

#[derive(Debug, thiserror::Error)]
pub enum PlateTruthError {
    #[error("{path}: {reason}")]
    Read { path: PathBuf, reason: String },
    #[error("{path}: line {line}: {reason}")]
    Line {
        path: PathBuf,
        line: usize,
        reason: String,
    },
}

/// A plate as it stands in the truth.
#[derive(Debug, Clone, PartialEq)]
pub struct TruthPlate {
    pub text: String,
    pub colour: Option<String>,
    pub quad: Option<Quad>,
    pub rows: u8,
    /// A person reads it only with effort.
    pub hard: bool,
}

/// A picture with its plates.
#[derive(Debug, Clone, PartialEq)]
pub struct TruthPicture {
    pub image: PathBuf,
    pub plates: Vec<TruthPlate>,
    /// The picture is a plate and nothing else: read as it is, nothing is looked for.
    pub is_crop: bool,
    /// Of the largest vehicle; any of them is right. Empty: nobody said.
    pub vehicle_colours: Vec<VehicleColour>,
}

#[derive(Deserialize)]
struct RawPlate {
    text: String,
    #[serde(default)]
    colour: Option<String>,
    #[serde(default)]
    quad: Option<[[f32; 2]; 4]>,
    #[serde(default)]
    rows: Option<u8>,
    #[serde(default)]
    hard: bool,
}

#[derive(Deserialize)]
struct RawLine {
    image: PathBuf,
    #[serde(default)]
    plates: Option<Vec<RawPlate>>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    colour: Option<String>,
    #[serde(default)]
    quad: Option<[[f32; 2]; 4]>,
    #[serde(default)]
    rows: Option<u8>,
    #[serde(default)]
    hard: bool,
    #[serde(default)]
    vehicle_colours: Vec<VehicleColour>,
}

impl From<RawPlate> for TruthPlate {
    fn from(p: RawPlate) -> Self {
        let quad = p
            .quad
            .map(|q| Quad::ordered(q.map(|[x, y]| Point::new(x, y))));
        Self {
            text: p.text,
            colour: p.colour,
            quad,
            rows: p.rows.unwrap_or(1),
            hard: p.hard,
        }
    }
}

/// Reads `truth.jsonl` (or `plates.jsonl`) of a folder, or the file itself.
pub fn read(set: &Path) -> Result<Vec<TruthPicture>, PlateTruthError> {
    let path = if set.is_dir() {
        let own = set.join("plates.jsonl");
        if own.is_file() {
            own
        } else {
            set.join("truth.jsonl")
        }
    } else {
        set.to_path_buf()
    };
    let text = std::fs::read_to_string(&path).map_err(|e| PlateTruthError::Read {
        path: path.clone(),
        reason: format!(
            "{e}; SET is a folder of pictures with a truth.jsonl (one JSON object a picture)"
        ),
    })?;
    let folder = path.parent().unwrap_or(Path::new(".")).to_path_buf();
    let mut pictures = Vec::new();
    for (i, line) in text
        .lines()
        .enumerate()
        .filter(|(_, l)| !l.trim().is_empty())
    {
        let fault = |reason: String| PlateTruthError::Line {
            path: path.clone(),
            line: i + 1,
            reason,
        };
        let raw: RawLine = serde_json::from_str(line).map_err(|e| fault(e.to_string()))?;
        let image = folder.join(&raw.image);
        let (plates, is_crop) = match (raw.plates, raw.text) {
            (Some(plates), None) => (plates.into_iter().map(TruthPlate::from).collect(), false),
            (None, Some(text)) => {
                let is_crop = raw.quad.is_none();
                (
                    vec![
                        RawPlate {
                            text,
                            colour: raw.colour,
                            quad: raw.quad,
                            rows: raw.rows,
                            hard: raw.hard,
                        }
                        .into(),
                    ],
                    is_crop,
                )
            }
            _ => return Err(fault("a picture has either `text` or `plates`".into())),
        };
        pictures.push(TruthPicture {
            image,
            plates,
            is_crop,
            vehicle_colours: raw.vehicle_colours,
        });
    }
    if pictures.is_empty() {
        return Err(PlateTruthError::Read {
            path,
            reason: "it names no picture".into(),
        });
    }
    Ok(pictures)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_three_forms_and_their_faults() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("truth.jsonl");
        let write = |text: &str| std::fs::write(&path, text).unwrap();
        write(concat!(
            "{\"image\": \"a.jpg\", \"text\": \"沪AMS087\"}\n\n",
            "{\"image\": \"b.jpg\", \"text\": \"沪AMS087\", \"colour\": \"blue\", \"quad\": [[9,9],[1,9],[1,1],[9,1]]}\n",
            "{\"image\": \"c.jpg\", \"plates\": [], \"vehicle_colours\": [\"white\", \"grey\"]}\n",
            "{\"image\": \"d.jpg\", \"plates\": [{\"text\": \"EK2670\", \"rows\": 2, \"hard\": true}]}\n",
        ));
        let p = read(dir.path()).unwrap();
        assert_eq!(
            (p.len(), p[0].is_crop, p[1].is_crop, p[2].plates.len()),
            (4, true, false, 0)
        );
        assert_eq!(
            p[2].vehicle_colours,
            [VehicleColour::White, VehicleColour::Grey]
        );
        let told = |i: usize| (p[i].plates[0].rows, p[i].plates[0].hard);
        assert_eq!((told(0), told(3)), ((1, false), (2, true)));
        assert_eq!(p[1].plates[0].quad.unwrap().0[0], Point::new(1.0, 1.0));
        write("{\"image\": \"a.jpg\", \"text\": \"x\"}\n{\"image\": 3}\n");
        assert!(
            read(dir.path())
                .unwrap_err()
                .to_string()
                .contains("truth.jsonl: line 2:")
        );
        write("{\"image\": \"a.jpg\"}\n");
        assert!(
            read(dir.path())
                .unwrap_err()
                .to_string()
                .contains("either `text` or `plates`")
        );
        assert!(
            read(&dir.path().join("no"))
                .unwrap_err()
                .to_string()
                .contains("truth.jsonl")
        );
    }
}
