//! Where the manifest and the fetched files are looked for.

use std::path::{Path, PathBuf};

/// The manifest and the folder of the fetched files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    pub manifest: PathBuf,
    pub cache: PathBuf,
}

/// In this order: `given` (option or config); `KAKOU_MODELS`; `models/` here and above here;
/// `models/` above the program (a build tree); `/usr/share/kakou/models`. The cache is
/// `KAKOU_MODELS_CACHE`, else `cache/` beside the manifest. If there is none anywhere, the first
/// place looked at is returned, so that the error names it.
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
    let here = std::env::current_dir().unwrap_or_default();
    let exe = std::env::current_exe().unwrap_or_default();
    here.ancestors()
        .chain(exe.ancestors().skip(1))
        .map(|d| d.join("models/manifest.toml"))
        .chain([PathBuf::from("/usr/share/kakou/models/manifest.toml")])
        .find(|p| p.is_file())
        .unwrap_or_else(|| here.join("models/manifest.toml"))
}
