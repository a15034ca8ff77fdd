//! Which commit the program is built from, for `kakou --version` and the status message: a box in
//! the field must say what it runs.
//!
//! Sources without git, as in a tarball, build too; the version then says that the commit is not
//! known. Whoever packages such sources can name it by `KAKOU_COMMIT` and `KAKOU_COMMIT_DATE`.

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for name in ["KAKOU_COMMIT", "KAKOU_COMMIT_DATE"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    let package = env("CARGO_PKG_VERSION").unwrap_or_default();
    let (long, short) = match given().or_else(commit) {
        Some((commit, date)) => (
            format!("{package} ({commit}, {date})"),
            format!("{package}+{commit}"),
        ),
        None => (format!("{package} (commit not known)"), package),
    };
    println!("cargo::rustc-env=KAKOU_LONG_VERSION={long}");
    println!("cargo::rustc-env=KAKOU_SHORT_VERSION={short}");
}

fn given() -> Option<(String, String)> {
    let commit = env("KAKOU_COMMIT")?;
    let date = env("KAKOU_COMMIT_DATE").unwrap_or_else(|| "date not known".to_owned());
    Some((commit, date))
}

/// Ten digits of the commit, with `.changed` if the sources differ from it; and its day.
fn commit() -> Option<(String, String)> {
    let here = PathBuf::from(env("CARGO_MANIFEST_DIR")?);
    let git = |args: &[&str]| git(&here, args);
    // A tarball may have been unpacked inside another project's repository.
    let root = PathBuf::from(git(&["rev-parse", "--show-toplevel"])?);
    if root.canonicalize().ok()? != here.parent()?.canonicalize().ok()? {
        return None;
    }
    // Both change with a commit or a checkout. A path that is missing would run this every time.
    for name in ["HEAD", "logs/HEAD"] {
        let path = here.join(git(&["rev-parse", "--git-path", name])?);
        if path.exists() {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
    let sources = sources(&here);
    for path in &sources {
        println!("cargo::rerun-if-changed={path}");
    }
    let told = git(&["log", "-1", "--format=%H %cd", "--date=format:%Y-%m-%d"])?;
    let (hash, date) = told.split_once(' ')?;
    let mut status = vec!["status", "--porcelain", "--"];
    status.extend(sources.iter().map(String::as_str));
    let mark = if git(&status)?.is_empty() {
        ""
    } else {
        ".changed"
    };
    Some((format!("{}{mark}", hash.get(..10)?), date.to_owned()))
}

/// What the program is made of, seen from this crate. Tests are not among it: a change of theirs
/// must not build the program anew.
fn sources(here: &Path) -> Vec<String> {
    let mut all = vec![
        "src".to_owned(),
        "Cargo.toml".to_owned(),
        "../Cargo.lock".to_owned(),
    ];
    let crates = std::fs::read_dir(here).into_iter().flatten().flatten();
    for entry in crates.filter(|entry| entry.file_name() != "fuzz") {
        if entry.path().join("Cargo.toml").is_file() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            all.extend([format!("{name}/src"), format!("{name}/Cargo.toml")]);
        }
    }
    all.sort();
    all
}

/// What git prints; `None` where there is no git, no repository or no commit.
fn git(here: &Path, args: &[&str]) -> Option<String> {
    let out = Command::new("git")
        .args(args)
        .current_dir(here)
        .output()
        .ok()?;
    let text = String::from_utf8(out.stdout).ok()?;
    out.status.success().then(|| text.trim().to_owned())
}

fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
