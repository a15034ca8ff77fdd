//! Lanes and masks, written into the config as a person would: only what changed is changed, and
//! comments and order stay. The old file is kept beside the new one.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use kakou_contract::Sha256Hex;
use kakou_guard::file::{read_bounded, replace_durably};
use kakou_panel::{Geometry, LaneShape, NoteKind, Refused, SaveNote};
use serde_json::Value;
use sha2::{Digest, Sha256};
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, value};

use super::proposal;
use crate::config::{Config, ConfigError, Finding, LARGEST};

/// What became of taking the new config into use.
pub type Reloaded = Result<Value, String>;

/// The config's file, and the state folder of the agent that runs with it.
pub struct ConfigFile {
    pub path: PathBuf,
    pub state: PathBuf,
}

/// A new file that stands in the old one's place.
pub struct Written {
    pub text: String,
    pub before: String,
    /// The old file's name.
    pub backup: String,
    /// What is doubtful about the new one.
    pub notes: Vec<SaveNote>,
}

pub fn digest(text: &str) -> Sha256Hex {
    Sha256Hex(Sha256::digest(text.as_bytes()).into())
}

impl ConfigFile {
    fn read(&self) -> Result<String, Refused> {
        let bytes =
            read_bounded(&self.path, LARGEST).map_err(|e| Refused::Failed(e.to_string()))?;
        let no_text = |_| Refused::Failed(format!("{}: it is not UTF-8", self.path.display()));
        String::from_utf8(bytes).map_err(no_text)
    }

    /// Changes with the file.
    pub fn version(&self) -> Result<String, Refused> {
        Ok(digest(&self.read()?).to_string())
    }

    /// The version of the file, and what this very version says; `None`: the agent would not run
    /// with it. It may say more than the config in use: somebody wrote it and has not reloaded yet.
    pub fn now(&self) -> Result<(String, Option<Config>), Refused> {
        let text = self.read()?;
        let of_file = Config::parse(&text, &self.path).ok();
        Ok((digest(&text).to_string(), of_file))
    }

    fn folder(&self) -> &Path {
        let folder = self.path.parent().filter(|f| *f != Path::new(""));
        folder.unwrap_or(Path::new("."))
    }

    /// Whether a new config can come into the old one's place.
    pub fn is_writable(&self) -> bool {
        self.may_write() || proposal::is_helped()
    }

    fn may_write(&self) -> bool {
        let may = |path: &Path| rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok();
        may(self.folder()) && may(&self.path)
    }

    /// Writes the geometry of one camera, and `plate_side` where it is given.
    pub fn write(
        &self,
        camera: &str,
        wanted: &Geometry,
        plate_side: Option<u32>,
    ) -> Result<Written, Refused> {
        let before = self.read()?;
        if digest(&before).to_string() != wanted.version {
            return Err(Refused::Conflict);
        }
        // A fault that somebody wrote by hand meanwhile is told with its line.
        checked(&before, &self.path)?;
        let text = changed(&before, camera, wanted, plate_side)?;
        let notes = checked(&text, &self.path)?;
        if !self.is_writable() {
            let why = format!(
                "the agent may not write {}; put the new file in its place as root and reload: \
                 systemctl reload kakou",
                self.path.display()
            );
            return Err(Refused::ReadOnly { why, toml: text });
        }
        let failed = |e: anyhow::Error| Refused::Failed(format!("{e:#}"));
        let backup = proposal::backup_name(&self.path).map_err(failed)?;
        if self.may_write() {
            self.put(&self.folder().join(&backup), &before)?;
        }
        self.replace(&text)?;
        Ok(Written {
            text,
            before,
            backup,
            notes,
        })
    }

    /// Unless somebody has changed it since.
    pub fn put_back(&self, written: &Written) -> Result<(), Refused> {
        match self.read()? == written.text {
            true => self.replace(&written.before),
            false => Ok(()),
        }
    }

    /// The helper keeps the old file itself.
    fn replace(&self, text: &str) -> Result<(), Refused> {
        if self.may_write() {
            return self.put(&self.path, text);
        }
        proposal::propose(&self.state, &self.path, text)
            .map_err(|e| Refused::Failed(format!("{}: {e:#}", self.path.display())))
    }

    /// With the rights of the config.
    fn put(&self, path: &Path, text: &str) -> Result<(), Refused> {
        let mode = std::fs::metadata(&self.path).map_or(0o640, |m| m.permissions().mode() & 0o777);
        replace_durably(path, mode, |file| file.write_all(text.as_bytes()))
            .map_err(|e| Refused::Failed(format!("{}: {e}", path.display())))
    }
}

/// The file's text with another geometry.
fn changed(
    before: &str,
    camera: &str,
    wanted: &Geometry,
    plate_side: Option<u32>,
) -> Result<String, Refused> {
    let unreadable =
        |e: toml_edit::TomlError| Refused::Failed(format!("the config: {}", e.message()));
    let mut document: DocumentMut = before.parse().map_err(unreadable)?;
    let cameras = document
        .get_mut("camera")
        .and_then(Item::as_array_of_tables_mut);
    let of_camera = cameras.and_then(|all| all.iter_mut().find(|c| is(c, camera)));
    let elsewhere = || {
        Refused::Invalid(format!(
            "camera {camera} is not written as [[camera]] in the file, so it cannot be changed here"
        ))
    };
    let of_camera = of_camera.ok_or_else(elsewhere)?;
    lanes(of_camera, &wanted.lanes)?;
    match wanted.masks.is_empty() {
        true => {
            of_camera.remove("masks");
        }
        false => set(
            of_camera,
            "masks",
            value(wanted.masks.iter().map(|m| points(m)).collect::<Array>()),
        ),
    }
    if let Some(side) = plate_side {
        let vision = document
            .entry("vision")
            .or_insert(Item::Table(Table::new()));
        let table = vision.as_table_mut().ok_or_else(|| {
            Refused::Invalid(
                "[vision] is not written as a section, so it cannot be changed here".into(),
            )
        })?;
        set(table, "plate_side", value(i64::from(side)));
    }
    Ok(document.to_string())
}

fn is(table: &Table, id: &str) -> bool {
    table.get("id").and_then(Item::as_str) == Some(id)
}

/// A lane that stays keeps its place and its comments; new ones come after all others.
fn lanes(camera: &mut Table, wanted: &[LaneShape]) -> Result<(), Refused> {
    let all = camera
        .entry("lane")
        .or_insert(Item::ArrayOfTables(ArrayOfTables::new()))
        .as_array_of_tables_mut()
        .ok_or_else(|| {
            let why = "its lanes are not written as [[camera.lane]] in the file, so they cannot be changed here";
            Refused::Invalid(why.into())
        })?;
    all.retain(|lane| wanted.iter().any(|w| is(lane, &w.id)));
    for lane in wanted {
        let at = all.iter().position(|table| is(table, &lane.id));
        match at.and_then(|at| all.get_mut(at)) {
            Some(table) => write_lane(table, lane),
            None => {
                let mut table = Table::new();
                write_lane(&mut table, lane);
                all.push(table);
            }
        }
    }
    if all.is_empty() {
        camera.remove("lane");
    }
    Ok(())
}

fn write_lane(table: &mut Table, lane: &LaneShape) {
    set(table, "id", value(lane.id.as_str()));
    set_or_remove(table, "name", lane.name.as_deref().map(value));
    set(table, "polygon", value(points(&lane.polygon)));
    set_or_remove(table, "trigger", lane.trigger.map(|t| value(points(&t))));
    set_or_remove(
        table,
        "direction",
        lane.direction.map(|d| value(d.as_str())),
    );
}

fn set_or_remove(table: &mut Table, key: &str, item: Option<Item>) {
    match item {
        Some(item) => set(table, key, item),
        None => {
            table.remove(key);
        }
    }
}

/// What is the same stays as it is written; what is not keeps the comment behind it.
fn set(table: &mut Table, key: &str, new: Item) {
    let same = |old: &Item| plain(old) == plain(&new);
    if table.get(key).is_some_and(same) {
        return;
    }
    match (table.get_mut(key).and_then(Item::as_value_mut), new) {
        (Some(old), Item::Value(mut new)) => {
            *new.decor_mut() = old.decor().clone();
            *old = new;
        }
        (_, new) => {
            table.insert(key, new);
        }
    }
}

/// A value without its layout. Numbers are compared as the page has them.
fn plain(item: &Item) -> String {
    fn of(value: &toml_edit::Value) -> String {
        match value {
            toml_edit::Value::Array(array) => {
                let all: Vec<String> = array.iter().map(of).collect();
                format!("[{}]", all.join(","))
            }
            toml_edit::Value::Float(number) => rounded(*number.value()).to_string(),
            toml_edit::Value::Integer(number) => (*number.value() as f64).to_string(),
            toml_edit::Value::String(text) => format!("\"{}\"", text.value()),
            other => other.to_string(),
        }
    }
    item.as_value().map(of).unwrap_or_default()
}

/// A ten-thousandth of a picture is less than a pixel.
fn rounded(number: f64) -> f64 {
    (number * 10_000.0).round() / 10_000.0
}

fn points(all: &[[f32; 2]]) -> Array {
    let point = |p: &[f32; 2]| p.iter().map(|v| rounded(f64::from(*v))).collect::<Array>();
    all.iter().map(point).collect()
}

/// What `check-config` says of the text. `Err`: the agent would not run with it.
fn checked(text: &str, path: &Path) -> Result<Vec<SaveNote>, Refused> {
    let note = |kind: NoteKind| {
        move |finding: &Finding| {
            let (message, mend) = finding.message_and_mend();
            SaveNote {
                kind,
                line: Some(finding.line),
                key: Some(finding.key.clone()),
                message: message.to_owned(),
                mend: mend.map(str::to_owned),
            }
        }
    };
    match Config::parse(text, path) {
        Ok(config) => Ok(config
            .warnings
            .iter()
            .map(note(NoteKind::Warning))
            .collect()),
        Err(ConfigError::Wrong {
            findings, warnings, ..
        }) => {
            let errors = findings.iter().map(note(NoteKind::Error));
            let warnings = warnings.iter().map(note(NoteKind::Warning));
            Err(Refused::Wrong(errors.chain(warnings).collect()))
        }
        Err(ConfigError::Syntax { line, reason, .. }) => Err(Refused::Wrong(vec![SaveNote {
            kind: NoteKind::Error,
            line: Some(line),
            key: None,
            message: reason,
            mend: None,
        }])),
        Err(e) => Err(Refused::Failed(e.to_string())),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    const BEFORE: &str = "\
# The north gate.
site = \"n\"
agent = \"b\"

[broker]
url = \"mqtt://127.0.0.1\"   # the platform

[[camera]]
id = \"entry\"
url = \"rtsp://10.0.0.11/a\"

# The left one.
[[camera.lane]]
id = \"1\"
polygon = [[0.1, 0.2], [0.5, 0.2], [0.5, 1.0], [0.0, 1.0]]  # as measured
trigger = [[0.0, 0.7], [0.5, 0.7]]

[[camera.lane]]
id = \"2\"
polygon = [[0.5, 0.2], [0.9, 0.2], [1.0, 1.0], [0.5, 1.0]]

[[camera]]
id = \"exit\"
url = \"rtsp://10.0.0.12/a\"
";

    fn lane(id: &str, polygon: &[[f32; 2]]) -> LaneShape {
        LaneShape {
            id: id.into(),
            name: None,
            polygon: polygon.to_vec(),
            trigger: None,
            direction: None,
        }
    }

    fn first() -> LaneShape {
        LaneShape {
            trigger: Some([[0.0, 0.7], [0.5, 0.7]]),
            ..lane("1", &[[0.1, 0.2], [0.5, 0.2], [0.5, 1.0], [0.0, 1.0]])
        }
    }

    fn geometry(lanes: Vec<LaneShape>, masks: Vec<Vec<[f32; 2]>>) -> Geometry {
        Geometry {
            version: digest(BEFORE).to_string(),
            writable: true,
            plate_side: None,
            plate_side_advice: None,
            widths: Default::default(),
            lanes,
            masks,
        }
    }

    fn second() -> LaneShape {
        lane("2", &[[0.5, 0.2], [0.9, 0.2], [1.0, 1.0], [0.5, 1.0]])
    }

    #[test]
    fn what_does_not_change_stays_to_the_letter() {
        let same = geometry(vec![first(), second()], vec![]);
        assert_eq!(changed(BEFORE, "entry", &same, None).unwrap(), BEFORE);
    }

    #[test]
    fn a_moved_point_changes_its_line_alone_and_keeps_the_comment() {
        let mut moved = first();
        moved.polygon[0] = [0.123_456, 0.2];
        let text = changed(
            BEFORE,
            "entry",
            &geometry(vec![moved, second()], vec![]),
            None,
        )
        .unwrap();
        let lines: Vec<(&str, &str)> = BEFORE
            .lines()
            .zip(text.lines())
            .filter(|(a, b)| a != b)
            .collect();
        assert_eq!(lines.len(), 1, "{text}");
        assert_eq!(
            lines[0].1,
            "polygon = [[0.1235, 0.2], [0.5, 0.2], [0.5, 1.0], [0.0, 1.0]]  # as measured"
        );
    }

    #[test]
    fn lanes_come_and_go_and_masks_and_the_side_are_written() {
        let new = LaneShape {
            name: Some("公交".into()),
            direction: Some(kakou_contract::Direction::Leaving),
            ..lane("bus", &[[0.9, 0.2], [1.0, 0.2], [1.0, 0.9]])
        };
        let masks = vec![vec![[0.0, 0.0], [1.0, 0.0], [1.0, 0.05]]];
        let wanted = geometry(vec![first(), new], masks);
        let text = changed(BEFORE, "entry", &wanted, Some(960)).unwrap();
        assert!(text.contains("# The left one.") && text.contains("# the platform"));
        let config = Config::parse(&text, Path::new("/c/kakou.toml")).unwrap();
        let ids: Vec<&str> = config.cameras[0]
            .lanes
            .iter()
            .map(|l| l.id.as_str())
            .collect();
        assert_eq!(ids, ["1", "bus"]);
        assert_eq!(config.cameras[0].masks.len(), 1);
        assert_eq!(config.look.plate_side, 960);
        assert_eq!(config.cameras[1].id, "exit");
        // And all of it away again.
        let none = changed(&text, "entry", &geometry(vec![], vec![]), None).unwrap();
        let config = Config::parse(&none, Path::new("/c/kakou.toml")).unwrap();
        assert!(config.cameras[0].lanes.is_empty() && config.cameras[0].masks.is_empty());
        let text = changed(BEFORE, "exit", &geometry(vec![second()], vec![]), None).unwrap();
        let config = Config::parse(&text, Path::new("/c/kakou.toml")).unwrap();
        assert_eq!(
            (config.cameras[0].lanes.len(), config.cameras[1].lanes.len()),
            (2, 1)
        );
    }

    #[test]
    fn what_the_agent_would_not_run_with_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = ConfigFile {
            path: folder.path().join("kakou.toml"),
            state: folder.path().into(),
        };
        std::fs::write(&file.path, BEFORE).unwrap();
        let wrong = geometry(vec![lane("1", &[[0.1, 0.2], [0.5, 0.2]])], vec![]);
        match file.write("entry", &wrong, None) {
            Err(Refused::Wrong(notes)) => {
                assert_eq!(notes[0].kind, NoteKind::Error);
                assert_eq!(notes[0].key.as_deref(), Some("camera.lane.polygon"));
            }
            other => panic!("{:?}", other.map(|w| w.text)),
        }
        assert_eq!(std::fs::read_to_string(&file.path).unwrap(), BEFORE);
    }

    #[test]
    fn the_old_file_is_kept_and_another_ones_change_is_not_lost() {
        let folder = tempfile::tempdir().unwrap();
        let file = ConfigFile {
            path: folder.path().join("kakou.toml"),
            state: folder.path().into(),
        };
        std::fs::write(&file.path, BEFORE).unwrap();
        std::fs::set_permissions(&file.path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let written = file
            .write("entry", &geometry(vec![first()], vec![]), None)
            .unwrap();
        let kept = folder.path().join(&written.backup);
        assert_eq!(std::fs::read_to_string(&kept).unwrap(), BEFORE);
        assert_eq!(std::fs::read_to_string(&file.path).unwrap(), written.text);
        for path in [&kept, &file.path] {
            assert_eq!(
                std::fs::metadata(path).unwrap().permissions().mode() & 0o777,
                0o640
            );
        }
        // Made of the old file.
        let late = file.write("entry", &geometry(vec![], vec![]), None);
        assert_eq!(late.err(), Some(Refused::Conflict));
    }
}
