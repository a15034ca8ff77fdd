//! What an ffmpeg child may do. It reads what outsiders send, so it gets as little as it needs:
//!
//! - of files, by Landlock, its own program and libraries, the recording it decodes, and devices
//!   where they decode; not the state folder, not keys, not passwords;
//! - of the network, by Landlock from Linux 6.7 on, one port of this machine, or none;
//! - memory, open files and core dumps by limits of the kernel;
//! - no variable of the environment that names a secret, a proxy or a file to write.
//!
//! Where the kernel has no Landlock, the rest holds. There is no limit of processor time: a camera
//! runs for years; `CPUQuota=` of the unit is for that.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Once;
use std::time::Duration;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, NetPort, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus,
};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};

use super::program;

/// Private memory of a decoder in software: what 16 pictures of the largest size take, and some
/// room.
const MEMORY: u64 = 768 << 20;
const FILES: u64 = 128;
/// From SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_millis(500);
const STEP: Duration = Duration::from_millis(10);

/// Where programs, libraries and their settings are. Of `/etc` only what a loader needs: passwords
/// lie there.
const PROGRAMS: [&str; 12] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib64",
    "/opt",
    "/nix",
    "/snap",
    "/sys",
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
    "/etc/alternatives",
];
/// What drivers of decoders read.
const DRIVERS: [&str; 5] = [
    "/proc",
    "/etc/OpenCL",
    "/etc/vulkan",
    "/etc/glvnd",
    "/run/udev",
];

/// What this one child needs beside its program.
#[derive(Debug, Default)]
pub(in crate::camera) struct Access<'a> {
    /// It reads this file.
    pub(in crate::camera) file: Option<&'a Path>,
    /// It connects to this port.
    pub(in crate::camera) port: Option<u16>,
    /// It decodes by a device, or reads from one.
    pub(in crate::camera) devices: bool,
}

/// Takes from this thread, and so from every process that it starts, all but this. It cannot be
/// undone: the thread is to do nothing else.
pub(in crate::camera) fn confine(access: &Access<'_>) {
    static TELL: Once = Once::new();
    match restrict(access) {
        Ok(RulesetStatus::NotEnforced) => TELL.call_once(|| {
            tracing::info!("this kernel has no Landlock: decoders can read what the agent can");
        }),
        Ok(_) => {}
        Err(e) => TELL.call_once(|| {
            tracing::warn!("decoders can read what the agent can: Landlock: {e}");
        }),
    }
}

fn restrict(access: &Access<'_>) -> Result<RulesetStatus, RulesetError> {
    let abi = ABI::V4;
    let read = AccessFs::from_read(abi);
    let mut ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(AccessNet::from_all(abi))?
        .create()?;
    let mut folders: Vec<PathBuf> = PROGRAMS.iter().map(PathBuf::from).collect();
    folders.extend(["ffmpeg", "ffprobe"].into_iter().filter_map(folder_of));
    if access.devices {
        folders.extend(DRIVERS.iter().map(PathBuf::from));
    }
    for folder in folders {
        // What this machine does not have needs no rule.
        if let Ok(opened) = PathFd::new(&folder) {
            let rights = if folder.is_dir() {
                read
            } else {
                read & AccessFs::from_file(abi)
            };
            ruleset = ruleset.add_rule(PathBeneath::new(opened, rights))?;
        }
    }
    let files = access
        .file
        .into_iter()
        .chain(["/dev/urandom", "/dev/random", "/dev/zero"].map(Path::new));
    for file in files {
        if let Ok(opened) = PathFd::new(file) {
            ruleset = ruleset.add_rule(PathBeneath::new(opened, AccessFs::ReadFile))?;
        }
    }
    let writable = if access.devices { "/dev" } else { "/dev/null" };
    if let Ok(opened) = PathFd::new(writable) {
        let mut rights = AccessFs::ReadFile | AccessFs::WriteFile;
        if access.devices {
            rights |= AccessFs::ReadDir;
        }
        ruleset = ruleset.add_rule(PathBeneath::new(opened, rights))?;
    }
    if let Some(port) = access.port {
        ruleset = ruleset.add_rule(NetPort::new(port, AccessNet::ConnectTcp))?;
    }
    Ok(ruleset.restrict_self()?.ruleset)
}

/// Where a program lies that is not among the usual folders.
fn folder_of(name: &str) -> Option<PathBuf> {
    let named = program(name);
    let found = if named.components().count() > 1 {
        named
    } else {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path)
            .map(|folder| folder.join(&named))
            .find(|file| file.is_file())?
    };
    let real = found.canonicalize().ok()?;
    real.parent().map(Path::to_path_buf)
}

/// Limits of a child that was just started and has read nothing yet.
pub(in crate::camera) fn limit(child: &Child, in_software: bool) {
    let Some(pid) = pid(child) else { return };
    let most = |value: u64| Rlimit {
        current: Some(value),
        maximum: Some(value),
    };
    let mut limits = vec![
        (Resource::Core, most(0)),
        (Resource::Fsize, most(0)),
        (Resource::Nofile, most(FILES)),
    ];
    // Drivers of hardware map what they like.
    if in_software {
        limits.push((Resource::Data, most(MEMORY)));
    }
    for (resource, limit) in limits {
        if let Err(e) = prlimit(Some(pid), resource, limit) {
            tracing::debug!("{resource:?} of ffmpeg is not limited: {e}");
        }
    }
}

/// Without what a decoder need not know, and what would have it write or connect.
pub(in crate::camera) fn bare_environment(command: &mut Command) -> &mut Command {
    for name in [
        "FFREPORT",
        "CREDENTIALS_DIRECTORY",
        "NOTIFY_SOCKET",
        "LISTEN_FDS",
        "http_proxy",
        "HTTP_PROXY",
        "https_proxy",
        "all_proxy",
        "no_proxy",
    ] {
        command.env_remove(name);
    }
    command
}

fn pid(child: &Child) -> Option<Pid> {
    Pid::from_raw(i32::try_from(child.id()).ok()?)
}

/// Asks a child to end in good order.
pub(in crate::camera) fn ask_to_end(child: &Child) {
    if let Some(pid) = pid(child) {
        // Fails only if it has ended, which is what is wanted. Nobody has waited for it yet, so the
        // number is still its own.
        let _ = kill_process(pid, Signal::TERM);
    }
}

/// Waits for as long as a child is given that was asked to end. True: it was over by then.
pub(in crate::camera) fn in_time(mut is_over: impl FnMut() -> bool) -> bool {
    let mut waited = Duration::ZERO;
    while waited < GRACE {
        if is_over() {
            return true;
        }
        std::thread::sleep(STEP);
        waited += STEP;
    }
    is_over()
}

/// Ends a child that was asked to, and waits for it.
pub(in crate::camera) fn end(mut child: Child) {
    if in_time(|| !matches!(child.try_wait(), Ok(None))) {
        return;
    }
    // Both fail only if it has ended.
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::process::Stdio;

    /// What a confined shell can do; `None` where the kernel has no Landlock.
    fn confined(access: &Access<'_>, script: &str) -> Option<String> {
        std::thread::scope(|scope| {
            let run = scope.spawn(|| {
                if restrict(access).ok()? == RulesetStatus::NotEnforced {
                    return None;
                }
                let out = Command::new("sh").args(["-c", script]).output().ok()?;
                Some(String::from_utf8_lossy(&out.stdout).trim().to_owned())
            });
            run.join().unwrap()
        })
    }

    #[test]
    fn a_decoder_reads_its_recording_and_no_key() {
        let dir = tempfile::tempdir().unwrap();
        let (recording, key) = (dir.path().join("a.mp4"), dir.path().join("agent.key"));
        std::fs::write(&recording, "pictures").unwrap();
        std::fs::write(&key, "secret").unwrap();
        let script = format!(
            "cat {} {} /etc/passwd; echo x > {}/made; cat {}/made",
            recording.display(),
            key.display(),
            dir.path().display(),
            dir.path().display()
        );
        let access = Access {
            file: Some(&recording),
            ..Access::default()
        };
        if let Some(said) = confined(&access, &script) {
            assert_eq!(said, "pictures");
        }
        // Only the thread that was confined is.
        assert_eq!(std::fs::read_to_string(&key).unwrap(), "secret");
    }

    #[test]
    fn a_child_that_ignores_the_request_is_ended() {
        let child = Command::new("sh")
            .args(["-c", "trap '' TERM; while :; do sleep 1; done"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let id = child.id();
        ask_to_end(&child);
        end(child);
        assert!(!Path::new(&format!("/proc/{id}")).exists());
    }

    #[test]
    fn limits_are_set() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        limit(&child, true);
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
        let of = |name: &str| {
            let line = limits.lines().find(|l| l.starts_with(name)).unwrap();
            line.split_whitespace().rev().nth(1).unwrap().to_owned()
        };
        assert_eq!(of("Max data size"), MEMORY.to_string());
        assert_eq!(of("Max core file size"), "0");
        assert_eq!(of("Max open files"), FILES.to_string());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
