//! Files whose name or content comes from outside. They are read only if they are regular files,
//! and never more of them than a bound; they are made without following a link that somebody laid
//! in their place.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::OFlags;

/// Why a file is not taken; names it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{}: {why}", path.display())]
pub struct FileError {
    pub path: PathBuf,
    pub why: String,
}

impl FileError {
    pub fn new(path: &Path, why: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            why: why.into(),
        }
    }
}

/// The whole file, if it is a regular file of at most `most` bytes. Pipes and devices are refused
/// before anything is read from them.
pub fn read_bounded(path: &Path, most: u64) -> Result<Vec<u8>, FileError> {
    read_opened(open_regular(path, false)?, path, most)
}

/// A file that is named in a file: within `folder`, not by way of a link, regular, and bounded.
pub fn read_inside(folder: &Path, name: &Path, most: u64) -> Result<Vec<u8>, FileError> {
    let path = inside(folder, name)?;
    read_opened(open_regular(&path, true)?, &path, most)
}

/// The path of a file that is named in a file, if the name stays within `folder`.
pub fn inside(folder: &Path, name: &Path) -> Result<PathBuf, FileError> {
    let path = folder.join(name);
    let outside = |why: &str| FileError::new(&path, why);
    let mut parts = name.components();
    if name.as_os_str().is_empty() || !parts.all(|part| matches!(part, Component::Normal(_))) {
        return Err(outside(
            "the name leads out of the folder; name a file within it",
        ));
    }
    // A folder in between may be a link.
    let parent = path.parent().unwrap_or(folder);
    if parent != folder {
        let real = |p: &Path| {
            p.canonicalize()
                .map_err(|e| FileError::new(p, e.to_string()))
        };
        if !real(parent)?.starts_with(real(folder)?) {
            return Err(outside("a link leads out of the folder"));
        }
    }
    Ok(path)
}

fn open_regular(path: &Path, no_link: bool) -> Result<File, FileError> {
    let fault = |why: String| FileError::new(path, why);
    // Without O_NONBLOCK the opening of a pipe would wait for a writer.
    let mut flags = OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    if no_link {
        flags |= OFlags::NOFOLLOW;
    }
    let file = File::options()
        .read(true)
        .custom_flags(flags.bits() as i32)
        .open(path)
        .map_err(|e| match e.raw_os_error() {
            Some(code) if no_link && code == rustix::io::Errno::LOOP.raw_os_error() => {
                fault("it is a link; put the file itself there".to_owned())
            }
            _ => fault(e.to_string()),
        })?;
    let about = file.metadata().map_err(|e| fault(e.to_string()))?;
    if !about.is_file() {
        return Err(fault("it is no regular file".to_owned()));
    }
    Ok(file)
}

fn read_opened(file: File, path: &Path, most: u64) -> Result<Vec<u8>, FileError> {
    let fault = |why: String| FileError::new(path, why);
    let too_large = || fault(format!("it has more than {most} bytes"));
    let size = file.metadata().map_err(|e| fault(e.to_string()))?.len();
    if size > most {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    // It may grow meanwhile.
    file.take(most.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|e| fault(e.to_string()))?;
    if bytes.len() as u64 > most {
        return Err(too_large());
    }
    Ok(bytes)
}

/// A new file. What stands at its place is removed first, and a link there is removed, never
/// followed.
pub fn create(path: &Path, mode: u32) -> std::io::Result<File> {
    for _ in 0..8 {
        match std::fs::remove_file(path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let opened = File::options()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(path);
        match opened {
            // Somebody was faster.
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            opened => return opened,
        }
    }
    Err(std::io::Error::new(
        std::io::ErrorKind::AlreadyExists,
        "something is laid at its place again and again",
    ))
}

/// The same with its content.
pub fn write(path: &Path, bytes: &[u8], mode: u32) -> std::io::Result<()> {
    create(path, mode)?.write_all(bytes)
}

/// Writes a file as a whole or not at all: aside, then renamed over the old one. `path` itself may
/// be a link; it is replaced, not followed.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> std::io::Result<()> {
    let aside = aside(path);
    write(&aside, bytes, mode)?;
    std::fs::rename(&aside, path)
}

/// The same for what must be there after a power cut: `write` fills the new file, which is brought
/// to the disk before it is renamed, and the name after it. Whoever watches `path` sees the old
/// file or the finished one.
pub fn replace_durably(
    path: &Path,
    mode: u32,
    write: impl FnOnce(&mut File) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let aside = aside(path);
    let replace = || {
        let mut file = create(&aside, mode)?;
        write(&mut file)?;
        file.sync_all()?;
        std::fs::rename(&aside, path)?;
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    };
    replace().inspect_err(|_| {
        // What cannot be removed was not made.
        let _ = std::fs::remove_file(&aside);
    })
}

/// Where a file is made before it takes the place of this one.
fn aside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".new");
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn devices_pipes_and_large_files_are_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        for path in [pipe.as_path(), Path::new("/dev/zero"), dir.path()] {
            let told = read_bounded(path, 10).unwrap_err().to_string();
            assert!(told.contains("regular"), "{told}");
        }
        let file = dir.path().join("file");
        std::fs::write(&file, [0; 11]).unwrap();
        assert!(
            read_bounded(&file, 10)
                .unwrap_err()
                .why
                .contains("more than 10")
        );
        assert_eq!(read_bounded(&file, 11).unwrap().len(), 11);
    }

    #[test]
    fn a_name_leads_nowhere_else() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, other) = (dir.path().join("set"), dir.path().join("other"));
        std::fs::create_dir_all(folder.join("a")).unwrap();
        std::fs::create_dir(&other).unwrap();
        std::fs::write(other.join("x"), "outside").unwrap();
        std::fs::write(folder.join("a/x"), "inside").unwrap();
        symlink(other.join("x"), folder.join("link")).unwrap();
        symlink(&other, folder.join("door")).unwrap();
        assert_eq!(
            read_inside(&folder, Path::new("a/x"), 100).unwrap(),
            b"inside"
        );
        for name in [
            "../other/x",
            "/etc/passwd",
            "link",
            "door/x",
            "",
            "a/../../other/x",
            ".",
        ] {
            assert!(
                read_inside(&folder, Path::new(name), 1 << 20).is_err(),
                "{name}"
            );
        }
    }

    #[test]
    fn a_link_in_the_place_of_a_new_file_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (target, path) = (dir.path().join("target"), dir.path().join("out"));
        std::fs::write(&target, "precious").unwrap();
        symlink(&target, &path).unwrap();
        write(&path, b"new", 0o640).unwrap();
        symlink(&target, dir.path().join("out.new")).unwrap();
        replace(&path, b"newer", 0o640).unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"precious");
        assert_eq!(std::fs::read(&path).unwrap(), b"newer");
        let mode = std::fs::symlink_metadata(&path)
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777 & !0o640, 0, "{mode:o}");
    }

    #[test]
    fn what_is_replaced_for_good_is_the_old_or_the_new_and_leaves_nothing_aside() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        replace_durably(&path, 0o600, |file| file.write_all(b"old")).unwrap();
        let failed = replace_durably(&path, 0o600, |file| {
            file.write_all(b"half")?;
            Err(std::io::Error::other("no room"))
        });
        assert!(failed.is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        replace_durably(&path, 0o600, |file| file.write_all(b"new")).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
