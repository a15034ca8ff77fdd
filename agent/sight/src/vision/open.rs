//! Opening the models that a config names, by their kind in the manifest.

use std::path::{Path, PathBuf};

use super::ctc::Reader;
use super::plates::PlateFinder;
use super::reader::PlateReader;
use super::retina::PlateDetector;
use super::runtime::{Net, Provider, Runtime, RuntimeError};
use super::second::TwoReaders;
use super::slots::SlotReader;
use super::vehicles::{VehicleDetector, VehicleLayout};
use crate::models::{
    FileState, Location, Manifest, ManifestError, ModelEntry, ModelKind, check_file,
    verify_provider,
};

/// Why models cannot be opened; names the model, the file or the library. It concerns whoever needs
/// these models, for as long as the files are what they are.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}

/// Which models, and how they are run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelChoice {
    pub location: Location,
    /// The runtime's library; `None`: the fetched one.
    pub runtime: Option<PathBuf>,
    pub vehicles: String,
    pub plates: String,
    pub reader: String,
    /// Who is asked too where `reader` is in doubt.
    pub second_reader: Option<String>,
    pub provider: Provider,
    pub threads: usize,
}

/// Opens models of one manifest.
pub struct Opener<'a> {
    choice: &'a ModelChoice,
    manifest: Manifest,
    runtime: Runtime,
}

impl<'a> Opener<'a> {
    pub fn new(choice: &'a ModelChoice) -> Result<Self, OpenError> {
        let manifest = Manifest::read(&choice.location.manifest)?;
        let env = std::env::var_os("KAKOU_ONNXRUNTIME")
            .filter(|v| !v.is_empty())
            .map(PathBuf::from);
        let library = match choice.runtime.clone().or(env) {
            Some(own) => own,
            None => fetched_library(&manifest, choice)?,
        };
        let runtime = Runtime::load(&library)?;
        Ok(Self {
            choice,
            manifest,
            runtime,
        })
    }

    /// Name and version of each model in use; of one's own, the first digits of its checksum or
    /// `own`.
    pub fn used(&self) -> Vec<(String, String)> {
        let c = self.choice;
        let version = |m: &ModelEntry| match (&m.source, &m.sha256) {
            (Some(s), _) => s.version.clone(),
            (None, Some(sha)) => sha.chars().take(12).collect(),
            (None, None) => "own".into(),
        };
        [&c.vehicles, &c.plates, &c.reader]
            .into_iter()
            .chain(&c.second_reader)
            .filter_map(|n| self.manifest.model(n).ok().map(|m| (n.clone(), version(m))))
            .collect()
    }

    fn net(&self, model: &ModelEntry) -> Result<Net, OpenError> {
        let path = self.manifest.file(&self.choice.location.cache, model);
        refuse_wrong(&path, model.bytes, model.sha256.as_deref()).map_err(|e| named(model, e))?;
        Ok(self.runtime.open(
            &model.name,
            &path,
            self.choice.threads,
            self.choice.provider,
            // Corners that are a little off cost characters; the vehicle model's boxes do not.
            matches!(model.kind, ModelKind::RetinaPlate | ModelKind::SlotReader),
        )?)
    }

    fn expect(
        &self,
        name: &str,
        kinds: &[ModelKind],
        what: &str,
    ) -> Result<&ModelEntry, OpenError> {
        let model = self.manifest.model(name)?;
        if !kinds.contains(&model.kind) {
            return Err(self
                .manifest
                .wrong(model, format!("its kind {:?} is no {what}", model.kind))
                .into());
        }
        Ok(model)
    }

    pub fn vehicles(&self) -> Result<VehicleDetector, OpenError> {
        let model = self.expect(
            &self.choice.vehicles,
            &[ModelKind::SsdCoco, ModelKind::Yolox],
            "vehicle detector",
        )?;
        let layout = if model.kind == ModelKind::Yolox {
            VehicleLayout::Yolox
        } else {
            VehicleLayout::SsdCoco
        };
        Ok(VehicleDetector::new(
            self.net(model)?,
            layout,
            self.manifest.labels(model)?,
        )?)
    }

    pub fn plate_detector(&self) -> Result<PlateDetector, OpenError> {
        let model = self.expect(
            &self.choice.plates,
            &[ModelKind::RetinaPlate],
            "plate detector",
        )?;
        Ok(PlateDetector::new(self.net(model)?)?)
    }

    /// The plate reader, and behind it the one that is asked too where it is in doubt.
    pub fn reader(&self) -> Result<Box<dyn PlateReader>, OpenError> {
        let first = self.one_reader(&self.choice.reader)?;
        Ok(match &self.choice.second_reader {
            Some(second) => Box::new(TwoReaders::new(first, self.one_reader(second)?)),
            None => first,
        })
    }

    fn one_reader(&self, name: &str) -> Result<Box<dyn PlateReader>, OpenError> {
        let kinds = [ModelKind::CtcReader, ModelKind::SlotReader];
        let model = self.expect(name, &kinds, "plate reader")?;
        Ok(match model.kind {
            ModelKind::SlotReader => Box::new(SlotReader::new(self.net(model)?)?),
            _ => Box::new(self.ctc_reader(model)?),
        })
    }

    fn ctc_reader(&self, model: &ModelEntry) -> Result<Reader, OpenError> {
        let Some(path) = self.manifest.dictionary(&self.choice.location.cache, model) else {
            return Err(self
                .manifest
                .wrong(model, "a reader needs a dictionary")
                .into());
        };
        let vouched = model.dictionary.as_ref();
        refuse_wrong(
            &path,
            vouched.and_then(|d| d.bytes),
            vouched.and_then(|d| d.sha256.as_deref()),
        )
        .map_err(|e| named(model, e))?;
        let dictionary = std::fs::read_to_string(&path).map_err(|e| ManifestError::File {
            file: path.clone(),
            reason: e.to_string(),
        })?;
        Ok(Reader::new(self.net(model)?, &dictionary)?)
    }

    /// The two plate models together.
    pub fn plates(&self) -> Result<PlateFinder, OpenError> {
        Ok(PlateFinder::new(self.plate_detector()?, self.reader()?))
    }
}

/// The fetched runtime: that of the execution provider where it needs one of its own.
fn fetched_library(manifest: &Manifest, choice: &ModelChoice) -> Result<PathBuf, ManifestError> {
    let cache = &choice.location.cache;
    let name = choice.provider.to_string();
    if let Some(provider) = manifest.provider(&name) {
        let mut files = verify_provider(provider, cache).into_iter();
        if let Some(fault) = files.find(|f| f.state.is_fault()) {
            return Err(ManifestError::OptionalFile {
                name,
                file: fault.path,
                reason: fault.state.to_string(),
            });
        }
        return Ok(cache.join(&provider.file));
    }
    // Code that nobody vouches for is not loaded.
    let library = manifest.library().ok_or_else(|| ManifestError::Parse {
        path: manifest.path.clone(),
        reason: format!(
            "[[runtime.library]] has none for this processor ({}); name one by KAKOU_ONNXRUNTIME",
            std::env::consts::ARCH
        ),
    })?;
    let path = cache.join(&manifest.runtime.file);
    refuse_wrong(&path, Some(library.bytes), Some(&library.sha256))?;
    Ok(path)
}

/// What is wrong with the file of a model, with what mends it.
fn named(model: &ModelEntry, error: ManifestError) -> ManifestError {
    match error {
        ManifestError::File { file, reason } if model.source.is_none() => ManifestError::OwnFile {
            model: model.name.clone(),
            file,
            reason,
        },
        ManifestError::File { file, reason } if model.optional => ManifestError::OptionalFile {
            name: model.name.clone(),
            file,
            reason,
        },
        other => other,
    }
}

/// A truncated or altered file is refused by name; one that is not vouched for is taken as it is.
fn refuse_wrong(
    path: &Path,
    bytes: Option<u64>,
    sha256: Option<&str>,
) -> Result<(), ManifestError> {
    let state = check_file(path, bytes, sha256);
    match state {
        FileState::Right | FileState::Unchecked => Ok(()),
        fault => Err(ManifestError::File {
            file: path.into(),
            reason: fault.to_string(),
        }),
    }
}
