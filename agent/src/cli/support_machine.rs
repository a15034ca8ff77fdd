//! What kind of machine it is, and which files the agent has on it: names, sizes and rights, never
//! what is in them.

use std::fmt::Write as _;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use chrono::DateTime;
use kakou_guard::clean_line;
use kakou_time::SharedClock;
use rustix::fs::statvfs;

use super::support_parts::Patient;
use crate::check::nearest;

const MIB: u64 = 1 << 20;
/// Folders in folders, and files in all.
const DEPTH: usize = 4;
const FILES: usize = 5000;

pub fn machine(patient: &Patient, clock: &SharedClock) -> String {
    let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    let mut text = String::new();
    let cpu = read("/proc/cpuinfo");
    let names = ["model name", "Model", "Hardware", "flags", "Features"];
    for name in names {
        let of = |line: &&str| line.split(':').next().map(str::trim) == Some(name);
        // The other cores say the same.
        if let Some(line) = cpu.lines().find(of) {
            text += &format!("{line}\n");
        }
    }
    let cores = kakou_sight::share::cores();
    text += &format!("cores: {cores}\n");
    for line in read("/proc/meminfo").lines().take(3) {
        text += &format!("{line}\n");
    }
    text += &format!("load: {}", read("/proc/loadavg"));
    text += &format!("uptime: {}", read("/proc/uptime"));
    for folder in [
        patient.state.as_path(),
        beside(&patient.config),
        Path::new("/"),
    ] {
        // What is not there yet will be made on the disk of the folder round it.
        let room = statvfs(nearest(folder)).map(|about| {
            let mib = |blocks: u64| blocks.saturating_mul(about.f_frsize) / MIB;
            format!(
                "{} of {} MiB free",
                mib(about.f_bavail),
                mib(about.f_blocks)
            )
        });
        let room = room.unwrap_or_else(|e| e.to_string());
        text += &format!("disk under {}: {room}\n", folder.display());
    }
    let status = clock.status();
    let offset = status
        .offset_ms
        .map_or(String::new(), |ms| format!(", off by {ms} ms"));
    text += &format!("clock: {}{offset}\n", status.state);
    text
}

/// The folder of a file.
fn beside(file: &Path) -> &Path {
    let folder = file.parent().filter(|f| *f != Path::new(""));
    folder.unwrap_or(Path::new("."))
}

/// Mode, owner, size, time and name of what lies in the state folder and beside the config.
pub fn files(patient: &Patient) -> String {
    let mut text = "mode    uid   gid       bytes  changed               name\n".to_owned();
    let mut left = FILES;
    for folder in [patient.state.as_path(), beside(&patient.config)] {
        line(&mut text, folder);
        walk(&mut text, folder, DEPTH, &mut left);
    }
    if left == 0 {
        text += "... and more\n";
    }
    text
}

fn walk(text: &mut String, folder: &Path, depth: usize, left: &mut usize) {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) => {
            *text += &format!("{}: {e}\n", folder.display());
            return;
        }
    };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if *left == 0 {
            return;
        }
        *left -= 1;
        line(text, &path);
        // A link is named and not followed.
        let is_folder = std::fs::symlink_metadata(&path).is_ok_and(|about| about.is_dir());
        if is_folder && depth > 1 {
            walk(text, &path, depth - 1, left);
        }
    }
}

fn line(text: &mut String, path: &Path) {
    let name = clean_line(&path.display().to_string());
    let Ok(about) = std::fs::symlink_metadata(path) else {
        *text += &format!("{name}: it cannot be looked at\n");
        return;
    };
    let changed = DateTime::from_timestamp(about.mtime(), 0).unwrap_or_default();
    // Writing into a text cannot fail.
    let _ = writeln!(
        text,
        "{:06o} {:>5} {:>5} {:>11}  {}  {name}",
        about.mode(),
        about.uid(),
        about.gid(),
        about.size(),
        changed.format("%Y-%m-%dT%H:%M:%SZ")
    );
}
