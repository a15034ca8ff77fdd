//! A folder of JPEG or PNG frames in natural order (`2.jpg` before `10.jpg`).
//!
//! Times come from a `frames.jsonl` beside the pictures, a JSON object a line: `{"file":
//! "000000.jpg", "time": "2026-03-14T09:00:00.000+08:00"}`; its order is the frames' order. Without
//! one, the first frame is given an assumed time and the rest follow at an assumed rate.
//!
//! A picture is a regular file within the folder: no name leads out of it, and no link is followed.
//! Files whose name begins with a dot are passed over: systems lay such beside the pictures.

use std::path::{Path, PathBuf};

use chrono::{DateTime, FixedOffset};
use image::RgbImage;
use kakou_guard::clean_line;
use kakou_guard::file::{read_bounded, read_inside};
use serde::Deserialize;

use super::picture::{LARGEST_FILE, decode_bytes};
use super::{Assumed, Frame, FrameSource, Monotonic, Next, Pixels, SourceError, moment_of};

const TIMES: &str = "frames.jsonl";
/// A line has some hundred bytes: half a million frames.
const LARGEST_TIMES: u64 = 64 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TimedFile {
    file: String,
    time: DateTime<FixedOffset>,
}

pub(super) enum Entry {
    Picture(PathBuf, DateTime<FixedOffset>),
    Broken(String, String),
}

pub struct FolderSource {
    folder: PathBuf,
    entries: std::vec::IntoIter<Entry>,
    total: u64,
    number: u64,
    clock: Monotonic,
}

impl FolderSource {
    pub fn open(folder: &Path, assumed: Assumed) -> Result<Self, SourceError> {
        let err = |reason: String| SourceError::Open {
            path: folder.into(),
            reason,
        };
        let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
            .and_then(|dir| {
                dir.map(|e| e.map(|e| PathBuf::from(e.file_name())))
                    .collect::<Result<Vec<_>, _>>()
            })
            .map_err(|e| err(e.to_string()))?;
        files.retain(|p| is_picture(p));
        alphanumeric_sort::sort_path_slice(&mut files);
        let times = folder.join(TIMES);
        let entries = if times.exists() {
            timed(&times, files)?
        } else {
            spaced(files, assumed).ok_or_else(|| {
                err(format!(
                    "at {} frames a second its pictures have no times",
                    assumed.fps
                ))
            })?
        };
        if entries.is_empty() {
            return Err(err("there is no JPEG or PNG picture in it".into()));
        }
        let total = entries.len() as u64;
        Ok(Self {
            folder: folder.into(),
            entries: entries.into_iter(),
            total,
            number: 0,
            clock: Monotonic::default(),
        })
    }
}

fn is_picture(path: &Path) -> bool {
    if path.as_os_str().as_encoded_bytes().starts_with(b".") {
        return false;
    }
    let ext = path
        .extension()
        .and_then(|e| e.to_str())
        .map(str::to_ascii_lowercase);
    matches!(ext.as_deref(), Some("jpg" | "jpeg" | "png"))
}

/// `None` if the pictures would lie too far apart for a recording.
fn spaced(files: Vec<PathBuf>, assumed: Assumed) -> Option<Vec<Entry>> {
    let at = |i: usize| moment_of(assumed.start, i as f64 / assumed.fps);
    files
        .into_iter()
        .enumerate()
        .map(|(i, path)| Some(Entry::Picture(path, at(i)?)))
        .collect()
}

fn timed(times: &Path, files: Vec<PathBuf>) -> Result<Vec<Entry>, SourceError> {
    let unread = |reason: String| SourceError::Open {
        path: times.into(),
        reason,
    };
    let bytes = read_bounded(times, LARGEST_TIMES).map_err(|e| unread(e.why))?;
    let text = String::from_utf8(bytes).map_err(|_| unread("it is not UTF-8".into()))?;
    listed(&text, times, files)
}

/// What the list says, and the pictures that it leaves out.
pub(super) fn listed(
    text: &str,
    times: &Path,
    files: Vec<PathBuf>,
) -> Result<Vec<Entry>, SourceError> {
    let mut entries = Vec::new();
    let mut listed = std::collections::HashSet::new();
    for (i, line) in text
        .lines()
        .enumerate()
        .filter(|(_, l)| !l.trim().is_empty())
    {
        let fault = |reason: String| SourceError::Times {
            path: times.into(),
            line: i + 1,
            reason,
        };
        // The error repeats names that stand in the line.
        let line: TimedFile =
            serde_json::from_str(line).map_err(|e| fault(clean_line(&e.to_string())))?;
        let path = PathBuf::from(&line.file);
        if !listed.insert(path.clone()) {
            return Err(fault(format!("{} is listed twice", clean_line(&line.file))));
        }
        entries.push(Entry::Picture(path, line.time));
    }
    // A picture without a time has no place in the order; losing it silently would be worse than
    // saying so.
    for path in files.into_iter().filter(|p| !listed.contains(p)) {
        entries.push(Entry::Broken(
            clean_line(&path.to_string_lossy()),
            format!("{TIMES} gives it no time"),
        ));
    }
    Ok(entries)
}

/// A picture file, and what stands in it: whether it can be decoded is known only then.
fn read(folder: &Path, name: &Path) -> Result<(Pixels, RgbImage), String> {
    let bytes = read_inside(folder, name, LARGEST_FILE).map_err(|e| e.why)?;
    let picture = decode_bytes(&bytes)?;
    let pixels = Pixels::File {
        bytes: bytes.into(),
        size: picture.dimensions(),
    };
    Ok((pixels, picture))
}

impl FrameSource for FolderSource {
    fn next(&mut self) -> Result<Next, SourceError> {
        let Some(entry) = self.entries.next() else {
            return Ok(Next::End);
        };
        let number = self.number;
        self.number += 1;
        let (path, capture) = match entry {
            Entry::Picture(path, capture) => (path, capture),
            Entry::Broken(name, reason) => return Ok(Next::Broken { name, reason }),
        };
        let name = clean_line(&path.to_string_lossy());
        match read(&self.folder, &path) {
            Ok((pixels, picture)) => Ok(Next::Frame(
                Frame::new(number, name, self.clock.at(capture), pixels).decoded(picture),
            )),
            Err(reason) => Ok(Next::Broken {
                name: self.folder.join(name).display().to_string(),
                reason,
            }),
        }
    }

    fn total(&self) -> Option<u64> {
        Some(self.total)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn assumed() -> Assumed {
        Assumed {
            start: DateTime::parse_from_rfc3339("2026-03-14T09:00:00+08:00").unwrap(),
            fps: 10.0,
        }
    }

    fn picture(dir: &Path, name: &str) {
        image::RgbImage::new(8, 8).save(dir.join(name)).unwrap();
    }

    fn drain(dir: &Path) -> Vec<String> {
        let mut s = FolderSource::open(dir, assumed()).unwrap();
        let mut seen = Vec::new();
        loop {
            match s.next().unwrap() {
                Next::Frame(f) => seen.push(format!(
                    "{} {} {}",
                    f.number,
                    f.name,
                    f.time.mono.as_millis()
                )),
                Next::Broken { name, .. } => {
                    seen.push(format!("broken {}", name.rsplit('/').next().unwrap()))
                }
                Next::End => return seen,
            }
        }
    }

    #[test]
    fn natural_order_and_broken_pictures_are_named() {
        let dir = tempfile::tempdir().unwrap();
        for n in ["10.png", "2.png", "1.PNG"] {
            picture(dir.path(), n);
        }
        std::fs::write(dir.path().join("3.jpg"), b"\xff\xd8 torn").unwrap();
        std::fs::write(dir.path().join("notes.txt"), b"x").unwrap();
        assert_eq!(
            drain(dir.path()),
            ["0 1.PNG 0", "1 2.png 100", "broken 3.jpg", "3 10.png 300"]
        );
    }

    #[test]
    fn times_beside_the_pictures_count() {
        let dir = tempfile::tempdir().unwrap();
        for n in ["a.png", "b.png", "c.png"] {
            picture(dir.path(), n);
        }
        let line = |f: &str, s: &str| {
            format!("{{\"file\": \"{f}\", \"time\": \"2026-03-14T09:00:{s}+08:00\"}}\n")
        };
        let times = dir.path().join(TIMES);
        std::fs::write(
            &times,
            line("b.png", "00.000") + &line("gone.png", "00.1") + &line("a.png", "00.250"),
        )
        .unwrap();
        assert_eq!(
            drain(dir.path()),
            [
                "0 b.png 0",
                "broken gone.png",
                "2 a.png 250",
                "broken c.png"
            ]
        );
        std::fs::write(&times, "{\"file\": \"a.png\", \"time\": \"noon\"}\n").unwrap();
        let e = FolderSource::open(dir.path(), assumed())
            .err()
            .unwrap()
            .to_string();
        assert!(e.contains("frames.jsonl: line 1"), "{e}");
    }

    #[test]
    fn no_name_leads_out_of_the_folder_and_no_device_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("set");
        std::fs::create_dir(&folder).unwrap();
        picture(dir.path(), "outside.png");
        picture(&folder, "a.png");
        picture(&folder, "._a.png");
        std::os::unix::fs::symlink("/dev/zero", folder.join("b.jpg")).unwrap();
        std::os::unix::fs::symlink("../outside.png", folder.join("c.png")).unwrap();
        let broken = |seen: Vec<String>| seen.iter().filter(|s| s.starts_with("broken")).count();
        assert_eq!(
            drain(&folder),
            ["0 a.png 0", "broken b.jpg", "broken c.png"]
        );
        let names = [
            "../outside.png",
            "/dev/zero",
            "b.jpg",
            "/dev/urandom",
            "\u{1b}[2J.png",
        ];
        let lines: String = names
            .iter()
            .map(|name| {
                let name = serde_json::to_string(name).unwrap();
                format!("{{\"file\": {name}, \"time\": \"2026-03-14T09:00:00+08:00\"}}\n")
            })
            .collect();
        std::fs::write(folder.join(TIMES), lines).unwrap();
        let seen = drain(&folder);
        assert!(!seen.join("").contains('\u{1b}'), "{seen:?}");
        // And those that stand in the folder but not in the file.
        assert_eq!(broken(seen), names.len() + 2);
    }

    #[test]
    fn a_rate_that_gives_no_times_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        picture(dir.path(), "a.png");
        picture(dir.path(), "b.png");
        for fps in [1e-300, 1e-9, 0.0, -0.0, f64::NAN] {
            let opened = FolderSource::open(dir.path(), Assumed { fps, ..assumed() });
            let e = opened.err().map(|e| e.to_string()).unwrap_or_default();
            assert!(e.contains("frames a second"), "{fps}: {e:?}");
        }
    }

    #[test]
    fn an_empty_folder_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert!(
            FolderSource::open(dir.path(), assumed())
                .err()
                .unwrap()
                .to_string()
                .contains("no JPEG or PNG")
        );
    }
}
