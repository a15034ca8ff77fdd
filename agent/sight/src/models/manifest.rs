//! `models/manifest.toml` as `models/fetch.py` also reads it. Its keys are described at its own
//! top.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kakou_contract::VehicleClass;
use serde::Deserialize;

/// A manifest has some KiB.
const LARGEST: u64 = 4 << 20;

#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    #[error("{path}: {reason}")]
    Read { path: PathBuf, reason: String },
    #[error("{path}: {reason}")]
    Parse { path: PathBuf, reason: String },
    #[error("{path}: model `{model}`: {reason}")]
    Model {
        path: PathBuf,
        model: String,
        reason: String,
    },
    #[error("{path} names no model `{name}`; it has {known}")]
    Unknown {
        path: PathBuf,
        name: String,
        known: String,
    },
    #[error("{file}: {reason}; run `make models` to fetch it again")]
    File { file: PathBuf, reason: String },
    #[error(
        "{file}: {reason}; `make models` leaves `{name}` out: run `python3 models/fetch.py --only {name}`"
    )]
    OptionalFile {
        name: String,
        file: PathBuf,
        reason: String,
    },
    #[error(
        "{file}: {reason}; model `{model}` is not fetched: put the right file there, or take it from the project again"
    )]
    OwnFile {
        model: String,
        file: PathBuf,
        reason: String,
    },
}

/// What is done to the picture before a model and to its output after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelKind {
    SsdCoco,
    Yolox,
    RetinaPlate,
    CtcReader,
    SlotReader,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub runtime: RuntimeEntry,
    #[serde(rename = "provider", default)]
    pub providers: Vec<ProviderEntry>,
    #[serde(rename = "model", default)]
    pub models: Vec<ModelEntry>,
    /// The file this was read from.
    #[serde(skip)]
    pub path: PathBuf,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuntimeEntry {
    pub file: String,
    pub licence: String,
    pub source: RuntimeSource,
    pub library: Vec<Library>,
    /// Licence texts, which a package brings along; nothing is run by them.
    #[serde(default)]
    pub notices: Vec<SourceFile>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuntimeSource {
    pub registry: String,
    pub package: String,
    pub version: String,
    pub python: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Library {
    pub arch: String,
    pub platform: String,
    pub path: String,
    pub sha256: String,
    pub bytes: u64,
}

/// An execution provider that needs a runtime of its own.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderEntry {
    pub name: String,
    pub arch: String,
    pub platform: String,
    /// The runtime's library, one of the source's files.
    pub file: String,
    pub licence: String,
    pub source: ProviderSource,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderSource {
    pub registry: String,
    pub package: String,
    pub version: String,
    pub python: String,
    pub files: Vec<SourceFile>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelEntry {
    pub name: String,
    pub kind: ModelKind,
    pub file: PathBuf,
    pub sha256: Option<String>,
    pub bytes: Option<u64>,
    pub licence: Option<String>,
    pub input: Option<Input>,
    #[serde(default)]
    pub labels: BTreeMap<String, VehicleClass>,
    pub dictionary: Option<Dictionary>,
    pub source: Option<ModelSource>,
    /// Fetched only when it is asked for by name.
    #[serde(default)]
    pub optional: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    pub layout: String,
    pub colour: String,
    pub width: u32,
    pub height: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dictionary {
    pub file: PathBuf,
    pub sha256: Option<String>,
    pub bytes: Option<u64>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSource {
    pub registry: String,
    pub package: String,
    pub version: String,
    pub convert: Option<String>,
    pub files: Vec<SourceFile>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceFile {
    pub path: String,
    pub file: String,
    pub sha256: String,
    pub bytes: u64,
}

impl Manifest {
    pub fn read(path: &Path) -> Result<Self, ManifestError> {
        let read = |reason: String| ManifestError::Read {
            path: path.into(),
            reason: format!("{reason}; name the manifest with --models or [vision] manifest"),
        };
        let bytes = kakou_guard::file::read_bounded(path, LARGEST).map_err(|e| read(e.why))?;
        let text = String::from_utf8(bytes).map_err(|_| read("it is not UTF-8".to_owned()))?;
        Self::parse(&text, path)
    }

    /// Relative files in it count from the folder of `path`.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ManifestError> {
        let mut m: Self = toml::from_str(text).map_err(|e| ManifestError::Parse {
            path: path.into(),
            reason: e.to_string().trim_end().to_owned(),
        })?;
        m.path = path.into();
        for (i, model) in m.models.iter().enumerate() {
            if m.models[..i].iter().any(|other| other.name == model.name) {
                return Err(m.wrong(model, "stands in the manifest twice"));
            }
            if let Some(input) = &model.input {
                m.check_input(model, input)?;
            }
        }
        Ok(m)
    }

    fn check_input(&self, model: &ModelEntry, input: &Input) -> Result<(), ManifestError> {
        let (layout, colours): (&str, &[&str]) = match model.kind {
            ModelKind::SsdCoco => ("nhwc-u8", &["rgb"]),
            ModelKind::Yolox
            | ModelKind::RetinaPlate
            | ModelKind::CtcReader
            | ModelKind::SlotReader => ("nchw-f32", &["bgr"]),
        };
        if input.layout != layout || !colours.contains(&input.colour.as_str()) {
            return Err(self.wrong(
                model,
                format!(
                    "input {}/{} is not what its kind is run with ({layout}/{})",
                    input.layout,
                    input.colour,
                    colours.join("|")
                ),
            ));
        }
        Ok(())
    }

    pub fn wrong(&self, model: &ModelEntry, reason: impl Into<String>) -> ManifestError {
        ManifestError::Model {
            path: self.path.clone(),
            model: model.name.clone(),
            reason: reason.into(),
        }
    }

    pub fn model(&self, name: &str) -> Result<&ModelEntry, ManifestError> {
        self.models
            .iter()
            .find(|m| m.name == name)
            .ok_or_else(|| ManifestError::Unknown {
                path: self.path.clone(),
                name: name.into(),
                known: self
                    .models
                    .iter()
                    .map(|m| m.name.as_str())
                    .collect::<Vec<_>>()
                    .join(", "),
            })
    }

    /// The model's labels by class index.
    pub fn labels(
        &self,
        model: &ModelEntry,
    ) -> Result<BTreeMap<usize, VehicleClass>, ManifestError> {
        model
            .labels
            .iter()
            .map(|(k, v)| {
                k.parse().map(|i| (i, *v)).map_err(|_| {
                    self.wrong(
                        model,
                        format!("labels: `{k}` is not a class index (0, 1, 2, ...)"),
                    )
                })
            })
            .collect()
    }

    /// Where a model's file lies: fetched ones in the cache, one's own relative to the manifest's
    /// folder.
    pub fn file(&self, cache: &Path, model: &ModelEntry) -> PathBuf {
        self.resolve(cache, &model.file, model.source.is_some())
    }

    pub fn dictionary(&self, cache: &Path, model: &ModelEntry) -> Option<PathBuf> {
        model
            .dictionary
            .as_ref()
            .map(|d| self.resolve(cache, &d.file, model.source.is_some()))
    }

    fn resolve(&self, cache: &Path, file: &Path, fetched: bool) -> PathBuf {
        let base = if fetched {
            cache
        } else {
            self.path.parent().unwrap_or(Path::new("."))
        };
        base.join(file)
    }

    /// The runtime of an execution provider, where it needs one of its own on this processor.
    pub fn provider(&self, name: &str) -> Option<&ProviderEntry> {
        self.providers
            .iter()
            .find(|p| p.name == name && p.arch == std::env::consts::ARCH)
    }

    /// The runtime library of this processor.
    pub fn library(&self) -> Option<&Library> {
        self.runtime
            .library
            .iter()
            .find(|l| l.arch == std::env::consts::ARCH)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const OWN: &str = r#"
        [runtime]
        file = "lib.so"
        licence = "MIT"
        source = { registry = "pypi", package = "onnxruntime", version = "1", python = "3.11" }
        library = []
        [[model]]
        name = "mine"
        kind = "yolox"
        file = "own.onnx"
        labels = { "2" = "car" }
    "#;

    fn read(text: &str) -> Result<Manifest, ManifestError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("manifest.toml");
        std::fs::write(&path, text).unwrap();
        Manifest::read(&path)
    }

    #[test]
    fn the_shipped_manifest_reads() {
        let m = Manifest::read(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/manifest.toml"),
        )
        .unwrap();
        assert_eq!(m.model("plate-reader").unwrap().kind, ModelKind::CtcReader);
        for (name, kind) in [
            ("vehicles-kakou", ModelKind::SsdCoco),
            ("plate-detector-kakou", ModelKind::RetinaPlate),
            ("plate-reader-kakou", ModelKind::SlotReader),
        ] {
            let own = m.model(name).unwrap();
            assert_eq!((own.kind, own.optional), (kind, false));
            let file = m.file(Path::new("/cache"), own);
            let state = crate::models::check_file(&file, own.bytes, own.sha256.as_deref());
            assert_eq!(
                state,
                crate::models::FileState::Right,
                "{} is part of the project",
                file.display()
            );
        }
        let openvino = &m.providers[0];
        assert_eq!(openvino.name, "openvino");
        let holds = |file: &str| openvino.source.files.iter().any(|f| f.file == file);
        assert!(holds(&openvino.file), "{}", openvino.file);
        assert!(
            m.library().is_some(),
            "no runtime library for {}",
            std::env::consts::ARCH
        );
    }

    #[test]
    fn an_own_model_lies_beside_the_manifest() {
        let m = read(OWN).unwrap();
        let own = m.model("mine").unwrap();
        assert_eq!(
            m.file(Path::new("/cache"), own),
            m.path.parent().unwrap().join("own.onnx")
        );
        assert_eq!(
            m.labels(own).unwrap(),
            BTreeMap::from([(2, VehicleClass::Car)])
        );
    }

    #[test]
    fn faults_are_named() {
        let unknown = read(&OWN.replace("kind = ", "colour = 1\n kind = "))
            .unwrap_err()
            .to_string();
        assert!(
            unknown.contains("manifest.toml")
                && unknown.contains("colour")
                && unknown.contains("line"),
            "{unknown}"
        );
        let label = read(&OWN.replace("\"2\"", "\"two\"")).unwrap();
        assert!(
            label
                .labels(&label.models[0])
                .unwrap_err()
                .to_string()
                .contains("`two`")
        );
        assert!(
            read(OWN)
                .unwrap()
                .model("other")
                .unwrap_err()
                .to_string()
                .contains("it has mine")
        );
        let input = OWN.to_owned()
            + "\ninput = { layout = \"nhwc-u8\", colour = \"rgb\", width = 1, height = 1 }";
        assert!(read(&input).unwrap_err().to_string().contains("nchw-f32"));
        let reader = input.replace("yolox", "slot-reader");
        assert!(read(&reader).unwrap_err().to_string().contains("nchw-f32"));
        let kind = read(&OWN.replace("yolox", "slots"))
            .unwrap_err()
            .to_string();
        assert!(kind.contains("slot-reader"), "{kind}");
    }
}
