//! A desk at which configs are checked: the real binary on a machine without a unit and without
//! models.

use std::process::{Command, Output};

use serde_json::Value;

use crate::support::{stderr, stdout};

/// A sound config of one camera. Its models are nowhere, so that looking at files costs no time.
pub const GATE: &str = r#"site = "west-gate"
agent = "box-7"
[broker]
url = "mqtt://127.0.0.1:1883"
[outbox]
state = "state"
[vision]
plate_side = 640
[[camera]]
id = "entry"
url = "rtsp://127.0.0.1:18554/stream1"
[[camera.lane]]
id = "1"
polygon = [[0.25, 0.25], [0.75, 0.25], [0.95, 1.0], [0.05, 1.0]]
trigger = [[0.05, 0.75], [0.95, 0.75]]
direction = "approaching"
"#;

pub struct Desk {
    pub dir: tempfile::TempDir,
}

impl Desk {
    pub fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    pub fn file(&self, name: &str, content: &str) -> std::path::PathBuf {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// `kakou check-config` on these bytes, on a machine without a unit and without models.
    pub fn check(&self, bytes: impl AsRef<[u8]>, more: &[&str]) -> Output {
        std::fs::write(self.dir.path().join("gate.toml"), bytes).unwrap();
        self.check_again(more)
    }

    /// The same file as before.
    pub fn check_again(&self, more: &[&str]) -> Output {
        let folder = self.dir.path();
        Command::new(env!("CARGO_BIN_EXE_kakou"))
            .arg("check-config")
            .args(more)
            .arg(folder.join("gate.toml"))
            .env("SYSTEMD_UNIT_PATH", folder.join("units"))
            .env("KAKOU_MODELS", folder.join("no-models/manifest.toml"))
            .env_remove("CREDENTIALS_DIRECTORY")
            .output()
            .unwrap()
    }

    /// What is found in the text alone.
    pub fn text(&self, bytes: impl AsRef<[u8]>) -> Told {
        Told::of(&self.check(bytes, &["--no-files", "--json"]))
    }

    pub fn files(&self, text: &str) -> Told {
        Told::of(&self.check(text, &["--json"]))
    }
}

/// The answer as JSON.
pub struct Told(pub Value);

impl Told {
    #[track_caller]
    pub fn of(o: &Output) -> Self {
        let told: Value = serde_json::from_str(&stdout(o))
            .unwrap_or_else(|e| panic!("{e}\n{}\n{}", stdout(o), stderr(o)));
        let errors = told["errors"].as_u64().unwrap();
        assert_eq!(o.status.code(), Some(i32::from(errors > 0)), "{told}");
        assert_eq!(told["usable"], errors == 0, "{told}");
        for finding in told["findings"].as_array().unwrap() {
            assert!(finding["file"].as_str().unwrap().ends_with("gate.toml"));
            assert!(["error", "warning"].contains(&finding["kind"].as_str().unwrap()));
        }
        Self(told)
    }

    /// One finding is of this kind and place, and says these words of what is wrong and of what to
    /// do.
    #[track_caller]
    pub fn has(&self, kind: &str, line: Option<usize>, key: &str, message: &str, mend: &str) {
        let is_it = |f: &&Value| {
            let text = |name: &str| f[name].as_str().unwrap_or_default();
            f["kind"] == kind
                && f["line"].as_u64() == line.map(|l| l as u64)
                && text("key") == key
                && text("message").contains(message)
                && text("mend").contains(mend)
        };
        let all = self.0["findings"].as_array().unwrap();
        assert!(
            all.iter().any(|f| is_it(&f)),
            "no {kind} at line {line:?}, {key}: {message} -> {mend}\n{:#}",
            self.0
        );
    }

    #[track_caller]
    pub fn has_none(&self) {
        assert_eq!(self.0["findings"], Value::Array(Vec::new()));
    }
}

/// `GATE` with one text in place of another, which must be there; and the line of the new one.
#[track_caller]
pub fn with(from: &str, to: &str) -> (String, usize) {
    let at = GATE.find(from).unwrap_or_else(|| panic!("{from}"));
    let line = GATE[..at].lines().count().max(1);
    let begins_line = GATE[..at].ends_with('\n');
    (GATE.replacen(from, to, 1), line + usize::from(begins_line))
}
