//! The folders that the agent writes to. They are looked at and not made.

use std::path::{Path, PathBuf};

use rustix::fs::{StatVfsMountFlags, statfs, statvfs};

use super::note::{Kind, Report};
use super::readable::plain;
use crate::config::Config;

/// Kernel filesystems, in which nobody can make a folder, by their magic numbers (statfs(2)).
const OF_THE_KERNEL: [i64; 6] = [
    0x9fa0,      // proc
    0x6265_6572, // sysfs
    0x0027_e0eb, // cgroup
    0x6367_7270, // cgroup2
    0x6462_6720, // debugfs
    0x7472_6163, // tracefs
];

pub(super) fn check(report: &mut Report, config: &Config) {
    let state = &config.outbox.state;
    if let Some((message, mend)) = fault(state) {
        report.error("outbox.state", &message, &mend);
        report.see(format!("state {}", state.display()), "cannot be used");
    }
    let Some(file) = &config.metrics.file else {
        return;
    };
    let folder = file.parent().unwrap_or(Path::new("/"));
    if file.is_dir() {
        let message = format!("{} is a folder", file.display());
        let mend = format!("name a file, as {}", file.join("kakou.prom").display());
        report.error("metrics.file", &message, &mend);
    } else if let Some((message, mend)) = fault(folder) {
        report.error("metrics.file", &message, &mend);
    } else if !folder.exists() && !folder.starts_with(state) {
        // A unit may make it at its start.
        let kind = match folder.starts_with("/run") {
            true => Kind::Warning,
            false => Kind::Error,
        };
        let message = format!("{}: there is no such folder", folder.display());
        let mend = "make it, and give it to the service's user; or write the file into the state \
                    folder";
        report.note(kind, "metrics.file", &message, mend);
    }
}

/// Why there can be no such folder, and what to do.
fn fault(folder: &Path) -> Option<(String, String)> {
    let shown = folder.display();
    let there = nearest(folder);
    let instead = "name a folder on a disk such as /var/lib/kakou".to_owned();
    match std::fs::metadata(&there) {
        Ok(about) if !about.is_dir() => {
            return Some((
                format!("{} is a file, so {shown} can be no folder", there.display()),
                instead,
            ));
        }
        Ok(_) => {}
        Err(e) => {
            return Some((format!("{}: {}", there.display(), plain(&e)), instead));
        }
    }
    let kernels = statfs(&there).is_ok_and(|about| {
        #[allow(clippy::unnecessary_cast)] // Its width differs between processors.
        let kind = about.f_type as i64;
        OF_THE_KERNEL.contains(&kind)
    });
    if kernels {
        return Some((
            format!(
                "{shown} lies in {}, where the kernel keeps its own",
                there.display()
            ),
            instead,
        ));
    }
    let read_only =
        statvfs(&there).is_ok_and(|about| about.f_flag.contains(StatVfsMountFlags::RDONLY));
    read_only.then(|| {
        (
            format!("{shown} lies on a disk that is mounted for reading only"),
            "mount it for writing (a damaged disk falls back to reading: see dmesg), or name \
             another folder"
                .to_owned(),
        )
    })
}

/// The folder itself, or the first one above it that is there.
pub(crate) fn nearest(folder: &Path) -> PathBuf {
    let there = |path: &&Path| path.symlink_metadata().is_ok();
    let found = folder.ancestors().find(there);
    match found {
        Some(found) if !found.as_os_str().is_empty() => found.to_path_buf(),
        // A relative path of which nothing is there.
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_cannot_be_is_told_and_one_that_can_be_made_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "x").unwrap();
        let told = |path: &Path| fault(path).unwrap().0;
        assert!(told(&file).contains("is a file"));
        assert!(told(&file.join("state/deeper")).contains("is a file"));
        assert!(told(Path::new("/proc/state")).contains("the kernel keeps its own"));
        assert_eq!(fault(&dir.path().join("a/b/c")), None);
        assert_eq!(fault(dir.path()), None);
        assert_eq!(nearest(&dir.path().join("a/b")), dir.path());
    }
}
