//! Where the manifest and the fetched files are looked for.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The manifest and the folder of the fetched files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    pub manifest: PathBuf,
    pub cache: PathBuf,
}

/// In this order: `given` (option or config); `KAKOU_MODELS`; `models/` beside and above the program
/// (a build tree, an unpacked archive); `/usr/share/kakou/models`. The manifest vouches for code that
/// is loaded and run, so it is never looked for in the current folder: whoever made a folder could
/// else have code run by whoever works in it. The cache is `KAKOU_MODELS_CACHE`, else `cache/`
/// beside the manifest. If there is none anywhere, the first place looked at is returned, so that
/// the error names it.
pub fn locate(given: Option<&Path>) -> Location {
    let env = |k: &str| {
        std::env::var_os(k)
            .filter(|v| !v.is_empty())
            .map(PathBuf::from)
    };
    let manifest = given
        .map(Path::to_path_buf)
        .or_else(|| env("KAKOU_MODELS"))
        .map(|p| {
            if p.is_dir() {
                p.join("manifest.toml")
            } else {
                p
            }
        })
        .unwrap_or_else(search);
    let cache = env("KAKOU_MODELS_CACHE")
        .unwrap_or_else(|| manifest.parent().unwrap_or(Path::new(".")).join("cache"));
    Location { manifest, cache }
}

fn search() -> PathBuf {
    let exe = std::env::current_exe()
        .and_then(|exe| exe.canonicalize())
        .unwrap_or_default();
    first_of(&exe, Path::new("/usr/share/kakou/models/manifest.toml"))
}

/// The first manifest that nobody but root and us can have put there.
fn first_of(exe: &Path, installed: &Path) -> PathBuf {
    let places = || {
        exe.ancestors()
            .skip(1)
            .map(|d| d.join("models/manifest.toml"))
    };
    places()
        .chain([installed.to_path_buf()])
        .find(|p| p.is_file() && is_ours(p))
        .or_else(|| places().next())
        .unwrap_or_else(|| installed.to_path_buf())
}

/// Whether file and folder belong to root or to us, and nobody else may write there.
fn is_ours(manifest: &Path) -> bool {
    let us = rustix::process::geteuid().as_raw();
    let safe = |path: &Path| {
        path.metadata().is_ok_and(|about| {
            let shared = about.mode() & 0o002 != 0;
            [0, us].contains(&about.uid()) && !shared
        })
    };
    let safe_all = safe(manifest) && manifest.parent().is_some_and(safe);
    if !safe_all {
        tracing::warn!(
            "{} is passed over: others may write there; name it by --models if it is right",
            manifest.display()
        );
    }
    safe_all
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_manifest_that_lies_about_is_not_taken() {
        let dir = tempfile::tempdir().unwrap();
        let plant = |folder: &Path| {
            let models = folder.join("models");
            std::fs::create_dir_all(&models).unwrap();
            std::fs::write(models.join("manifest.toml"), "x").unwrap();
            models.join("manifest.toml")
        };
        let (program, other) = (dir.path().join("p/bin/kakou"), dir.path().join("else"));
        let installed = plant(&dir.path().join("usr"));
        plant(&other);
        assert_eq!(first_of(&program, &installed), installed);
        let beside = plant(&dir.path().join("p"));
        assert_eq!(first_of(&program, &installed), beside);
        // Anybody may write there.
        std::fs::set_permissions(
            beside.parent().unwrap(),
            std::fs::Permissions::from_mode(0o777),
        )
        .unwrap();
        assert_eq!(first_of(&program, &installed), installed);
    }
}
