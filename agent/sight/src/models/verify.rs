//! Are the files the manifest names there, whole and unaltered?

use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::manifest::{Manifest, ManifestError, ModelEntry, ProviderEntry, SourceFile};

/// What was found of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileState {
    Right,
    /// The manifest gives no checksum for it (one's own model); it is there.
    Unchecked,
    Missing,
    Truncated {
        bytes: u64,
        expected: u64,
    },
    Altered {
        sha256: String,
        expected: String,
    },
    Unreadable(String),
}

impl FileState {
    pub fn is_fault(&self) -> bool {
        !matches!(self, Self::Right | Self::Unchecked)
    }
}

impl std::fmt::Display for FileState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Right => f.write_str("right"),
            Self::Unchecked => f.write_str("there (the manifest gives no checksum)"),
            Self::Missing => f.write_str("missing"),
            Self::Truncated { bytes, expected } => {
                write!(f, "has {bytes} bytes, the manifest says {expected}")
            }
            Self::Altered { sha256, expected } => {
                write!(f, "has sha256 {sha256}, the manifest says {expected}")
            }
            Self::Unreadable(e) => write!(f, "cannot be read: {e}"),
        }
    }
}

/// One file of the manifest.
#[derive(Debug, Clone)]
pub struct Checked {
    pub name: String,
    pub path: PathBuf,
    pub state: FileState,
}

/// Checks every file: runtime library, models, dictionaries.
pub fn verify(m: &Manifest, cache: &Path) -> Result<Vec<Checked>, ManifestError> {
    let mut all = Vec::new();
    let mut add = |name: String, path: PathBuf, bytes: Option<u64>, sha256: Option<&str>| {
        let state = check_file(&path, bytes, sha256);
        all.push(Checked { name, path, state });
    };
    let library = m.library().ok_or_else(|| ManifestError::Parse {
        path: m.path.clone(),
        reason: format!(
            "[[runtime.library]] has none for this processor ({})",
            std::env::consts::ARCH
        ),
    })?;
    add(
        "runtime".into(),
        cache.join(&m.runtime.file),
        Some(library.bytes),
        Some(&library.sha256),
    );
    // What is optional and was never fetched is not missing.
    let there = |model: &&ModelEntry| !model.optional || m.file(cache, model).exists();
    for model in m.models.iter().filter(there) {
        add(
            model.name.clone(),
            m.file(cache, model),
            model.bytes,
            model.sha256.as_deref(),
        );
        if let (Some(path), Some(d)) = (m.dictionary(cache, model), &model.dictionary) {
            add(
                format!("{} (dictionary)", model.name),
                path,
                d.bytes,
                d.sha256.as_deref(),
            );
        }
    }
    for provider in &m.providers {
        let files = verify_provider(provider, cache);
        if files.iter().any(|f| f.state != FileState::Missing) {
            all.extend(files);
        }
    }
    Ok(all)
}

/// Checks every file of the runtime of one execution provider.
pub fn verify_provider(provider: &ProviderEntry, cache: &Path) -> Vec<Checked> {
    let check = |f: &SourceFile| {
        let path = cache.join(&f.file);
        Checked {
            name: provider.name.clone(),
            state: check_file(&path, Some(f.bytes), Some(&f.sha256)),
            path,
        }
    };
    provider.source.files.iter().map(check).collect()
}

/// One file against its size and checksum.
pub fn check_file(path: &Path, bytes: Option<u64>, sha256: Option<&str>) -> FileState {
    let found = match std::fs::metadata(path) {
        Ok(m) if m.is_file() => m.len(),
        Ok(_) => return FileState::Unreadable("it is no file".into()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return FileState::Missing,
        Err(e) => return FileState::Unreadable(e.to_string()),
    };
    if let Some(expected) = bytes.filter(|b| *b != found) {
        return FileState::Truncated {
            bytes: found,
            expected,
        };
    }
    let Some(expected) = sha256 else {
        return FileState::Unchecked;
    };
    match digest(path) {
        Ok(sha256) if sha256 == expected => FileState::Right,
        Ok(sha256) => FileState::Altered {
            sha256,
            expected: expected.into(),
        },
        Err(e) => FileState::Unreadable(e.to_string()),
    }
}

fn digest(path: &Path) -> std::io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let n = file.read(&mut buffer)?;
        if n == 0 {
            return Ok(hex(&hash.finalize()));
        }
        hash.update(&buffer[..n]);
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn truncated_altered_and_missing_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.onnx");
        assert_eq!(check_file(&path, Some(3), None), FileState::Missing);
        std::fs::write(&path, b"abc").unwrap();
        let right = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(check_file(&path, Some(3), Some(right)), FileState::Right);
        assert_eq!(check_file(&path, None, None), FileState::Unchecked);
        assert_eq!(
            check_file(&path, Some(4), Some(right)),
            FileState::Truncated {
                bytes: 3,
                expected: 4
            }
        );
        std::fs::write(&path, b"abd").unwrap();
        assert!(matches!(
            check_file(&path, Some(3), Some(right)),
            FileState::Altered { .. }
        ));
    }

    #[test]
    fn a_manifest_without_a_runtime_for_this_processor_is_a_fault() {
        let text = r#"
            [runtime]
            file = "lib.so"
            licence = "MIT"
            source = { registry = "pypi", package = "onnxruntime", version = "1", python = "3.11" }
            [[runtime.library]]
            arch = "another"
            platform = "x"
            path = "x"
            sha256 = "00"
            bytes = 1
        "#;
        let path = Path::new("models/manifest.toml");
        let manifest = Manifest::parse(text, path).unwrap();
        let cache = tempfile::tempdir().unwrap();
        let told = verify(&manifest, cache.path()).unwrap_err().to_string();
        assert!(
            told.contains("models/manifest.toml") && told.contains(std::env::consts::ARCH),
            "{told}"
        );
        let here = text.replace("another", std::env::consts::ARCH);
        let manifest = Manifest::parse(&here, path).unwrap();
        let found = verify(&manifest, cache.path()).unwrap();
        assert_eq!(found[0].state, FileState::Missing);
    }
}
