//! The disk under the state folder: room, the time a commit takes, and how worn it is.

use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kakou_time::Stopwatch;
use rustix::fs::{major, minor, statfs, statvfs};

use super::finding::{Area, Finding};
use crate::check::nearest;
use crate::config::Config;

const MIB: u64 = 1 << 20;
/// In memory, so a power cut takes it all (statfs(2)).
const TMPFS: i64 = 0x0102_1994;
/// A commit of a passage, about.
const COMMIT: usize = 16 << 10;
const COMMITS: u32 = 16;
/// Enough commits, however many were made by then.
const COMMITS_WITHIN: Duration = Duration::from_secs(2);
/// Beyond it, hits of a busy road wait for the disk.
const SLOW: Duration = Duration::from_millis(100);

pub(super) fn examine(config: &Config, tell: &mut dyn FnMut(Finding)) {
    let folder = config.outbox.state.as_path();
    let there = nearest(folder);
    let of = |finding: Finding| finding.about(folder.display().to_string());
    if let Some(free) = free(&there) {
        let limits = &config.outbox.limits;
        tell(of(room(free, used(folder), limits.bytes, limits.free_disk)));
    }
    #[allow(clippy::unnecessary_cast)] // Its width differs between processors.
    if statfs(&there).is_ok_and(|about| about.f_type as i64 == TMPFS) {
        tell(of(Finding::warning(
            Area::Disk,
            "the state folder lies in memory (tmpfs): a power cut takes what was not sent",
        )
        .mend("name a folder on a disk in [outbox] state")));
    }
    if folder.is_dir() {
        match commits(folder) {
            Ok(each) => tell(of(speed(each))),
            Err(e) => tell(of(Finding::warning(
                Area::Disk,
                format!("no file could be written here to try it: {e}"),
            )
            .mend("call this as root, or as the agent's user"))),
        }
    }
    if let Some(worn) = std::fs::metadata(&there)
        .ok()
        .and_then(|about| worn(Path::new("/sys"), about.dev()))
    {
        tell(of(wear(worn)));
    }
}

fn free(folder: &Path) -> Option<u64> {
    let about = statvfs(folder).ok()?;
    Some(about.f_bavail.saturating_mul(about.f_frsize))
}

/// What the outbox takes already.
fn used(folder: &Path) -> u64 {
    let size = |name| std::fs::metadata(folder.join(name)).map_or(0, |about| about.len());
    size("outbox.db") + size("outbox.db-wal")
}

fn room(free: u64, used: u64, most: u64, keep: u64) -> Finding {
    let message = format!(
        "{} MiB free; the outbox has {} of at most {} MiB, and {} MiB stay free",
        free / MIB,
        used / MIB,
        most / MIB,
        keep / MIB
    );
    if free <= keep {
        Finding::fault(Area::Disk, format!("{message}: passages are given up now"))
            .mend("make room on the disk, or lower [outbox] min_free_mib")
    } else if free.saturating_add(used) < most.saturating_add(keep) {
        Finding::warning(
            Area::Disk,
            format!("{message}: the disk is full before the outbox is"),
        )
        .mend("lower [outbox] max_mib, or give it a larger disk")
    } else {
        Finding::ok(Area::Disk, message)
    }
}

/// The mean time of a small write that is brought to the disk.
fn commits(folder: &Path) -> std::io::Result<Duration> {
    // It has no name any more once it is open, so nothing of it stays.
    let mut file = tempfile::tempfile_in(folder)?;
    let bytes = vec![0x5a; COMMIT];
    let watch = Stopwatch::start();
    let mut done = 0;
    while done < COMMITS && watch.elapsed() < COMMITS_WITHIN {
        file.write_all(&bytes)?;
        file.sync_data()?;
        done += 1;
    }
    Ok(watch.elapsed() / done.max(1))
}

fn speed(each: Duration) -> Finding {
    let message = format!(
        "a commit of {} KiB takes {:.1} ms",
        COMMIT >> 10,
        each.as_secs_f64() * 1e3
    );
    match each > SLOW {
        true => Finding::warning(Area::Disk, format!("{message}: hits wait for the disk"))
            .mend("put the state folder on an SSD or a better card; see what else writes: iotop"),
        false => Finding::ok(Area::Disk, message),
    }
}

/// How worn a disk says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Worn {
    /// The upper end of the tenth of its life that is used, in percent; 110: beyond.
    percent: u8,
    /// Its own warning that spare blocks run out.
    warns: bool,
}

/// Of eMMC and UFS, which tell it in /sys; other disks tell it to smartctl alone.
fn worn(sys: &Path, device: u64) -> Option<Worn> {
    let numbers = format!("{}:{}", major(device), minor(device));
    let mut folder = sys.join("dev/block").join(numbers).canonicalize().ok()?;
    // A mapped device lies on another one.
    if let Some(under) = first_in(&folder.join("slaves")) {
        folder = under.canonicalize().ok()?;
    }
    let number = |text: &str| u8::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok();
    let read = |file: PathBuf| std::fs::read_to_string(file).ok();
    folder.ancestors().find_map(|folder| {
        let (life, end) = match read(folder.join("device/life_time")) {
            Some(life) => (life, read(folder.join("device/pre_eol_info"))),
            None => {
                let health = folder.join("health_descriptor");
                let a = read(health.join("life_time_estimation_a"))?;
                let b = read(health.join("life_time_estimation_b")).unwrap_or_default();
                (format!("{a} {b}"), read(health.join("eol_info")))
            }
        };
        let tenths = life.split_whitespace().filter_map(number).max()?;
        // 0: the disk does not say.
        (tenths > 0).then(|| Worn {
            percent: tenths.min(11) * 10,
            warns: end.as_deref().and_then(number).is_some_and(|end| end > 1),
        })
    })
}

fn first_in(folder: &Path) -> Option<PathBuf> {
    Some(std::fs::read_dir(folder).ok()?.next()?.ok()?.path())
}

fn wear(worn: Worn) -> Finding {
    let message = match worn.percent {
        110.. => "the disk is beyond the life that its maker gives it".to_owned(),
        percent => format!("up to {percent} % of the disk's life is used"),
    };
    match worn.warns || worn.percent >= 90 {
        true => Finding::warning(Area::Disk, message).mend("replace it before it fails"),
        false => Finding::ok(Area::Disk, message),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::finding::State;
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn room_is_held_against_the_config() {
        let of = |free, used| room(free * MIB, used * MIB, 1000 * MIB, 100 * MIB);
        assert_eq!(of(5000, 0).state, State::Ok);
        assert_eq!(of(700, 600).state, State::Ok, "what it has counts");
        assert_eq!(of(700, 0).state, State::Warning);
        assert_eq!(of(100, 0).state, State::Fault);
        assert!(of(100, 0).mend.unwrap().contains("min_free_mib"));
    }

    #[test]
    fn a_slow_disk_is_a_warning_and_nothing_stays_of_the_trial() {
        assert_eq!(speed(Duration::from_millis(3)).state, State::Ok);
        assert_eq!(speed(Duration::from_millis(300)).state, State::Warning);
        let dir = tempfile::tempdir().unwrap();
        assert!(commits(dir.path()).unwrap() > Duration::ZERO);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    /// /sys of a box whose disk 179:2 is the second part of an eMMC.
    fn sys(life: &str, end: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let disk = dir.path().join("devices/mmc0/block/mmcblk0");
        std::fs::create_dir_all(disk.join("mmcblk0p2")).unwrap();
        std::fs::create_dir_all(disk.join("device")).unwrap();
        std::fs::create_dir_all(dir.path().join("dev/block")).unwrap();
        std::fs::write(disk.join("device/life_time"), life).unwrap();
        std::fs::write(disk.join("device/pre_eol_info"), end).unwrap();
        symlink(disk.join("mmcblk0p2"), dir.path().join("dev/block/179:2")).unwrap();
        dir
    }

    #[test]
    fn a_worn_disk_is_told_by_the_larger_of_its_two_figures() {
        let device = rustix::fs::makedev(179, 2);
        let of = |life, end| worn(sys(life, end).path(), device);
        let found = |percent, warns| Some(Worn { percent, warns });
        assert_eq!(of("0x01 0x03\n", "0x01\n"), found(30, false));
        assert_eq!(of("0x0b 0x02\n", "0x01\n"), found(110, false));
        assert_eq!(of("0x02 0x02\n", "0x02\n"), found(20, true));
        assert_eq!(of("0x00 0x00\n", "0x00\n"), None, "it does not say");
        assert_eq!(
            worn(sys("0x01", "").path(), rustix::fs::makedev(8, 1)),
            None
        );
        let state = |percent, warns| wear(Worn { percent, warns }).state;
        assert_eq!(state(30, false), State::Ok);
        assert_eq!(
            (state(20, true), state(90, false)),
            (State::Warning, State::Warning)
        );
    }
}
