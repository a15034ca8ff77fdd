//! The unit is one that systemd takes, and it gives the agent no more than it needs.

use crate::support;
use std::collections::BTreeSet;
use std::process::Command;

/// The helper that takes lanes into the config runs as root, and can do little else.
#[test]
fn the_helper_for_the_config_is_as_tight_as_its_work_allows() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["kakou-config.service", "kakou-config.path"] {
        let unit =
            std::fs::read_to_string(support::root().join("systemd/helper").join(name)).unwrap();
        let unit = unit.replace("/usr/bin/kakou", env!("CARGO_BIN_EXE_kakou"));
        std::fs::write(dir.path().join(name), unit).unwrap();
    }
    for (what, unit) in [
        (&["verify", "--man=no"][..], "kakou-config.path"),
        (&["verify", "--man=no"], "kakou-config.service"),
        (
            &["security", "--offline=true", "--threshold=25", "--no-pager"],
            "kakou-config.service",
        ),
    ] {
        let out = Command::new("systemd-analyze")
            .args(what)
            .arg(dir.path().join(unit))
            .env("SYSTEMD_UNIT_PATH", format!("{}:", dir.path().display()))
            .output()
            .expect("systemd-analyze is installed");
        let told = support::stdout(&out) + &support::stderr(&out);
        assert!(
            out.status.success() && (what[0] != "verify" || told.is_empty()),
            "{told}"
        );
    }
    let unit = std::fs::read_to_string(support::root().join("systemd/kakou.service")).unwrap();
    assert!(unit.contains("Environment=KAKOU_CONFIG_HELPER=1"));
}

#[test]
fn systemd_finds_no_fault_in_the_unit() {
    let unit = std::fs::read_to_string(support::root().join("systemd/kakou.service")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    // systemd looks whether the program is there.
    let file = dir.path().join("kakou.service");
    std::fs::write(
        &file,
        unit.replace("/usr/bin/kakou", env!("CARGO_BIN_EXE_kakou")),
    )
    .unwrap();
    let run = |args: &[&str]| {
        let out = Command::new("systemd-analyze")
            .args(args)
            .arg(&file)
            .output()
            .expect("systemd-analyze is installed");
        (
            out.status.success(),
            support::stdout(&out) + &support::stderr(&out),
        )
    };
    let (good, told) = run(&["verify", "--man=no"]);
    assert!(good && !told.contains("kakou.service:"), "{told}");
    let (safe, told) = run(&["security", "--offline=true", "--threshold=20", "--no-pager"]);
    assert!(safe, "{told}");
    println!("{}", told.lines().last().unwrap_or_default());
    // What the agent and its ffmpeg children need is not taken from them by accident.
    for needed in [
        "adjtimex is allowed",
        "char-drm:rw char-video4linux:rw",
        "RestrictAddressFamilies=~AF_(INET|INET6)",
    ] {
        assert!(
            told.lines()
                .any(|line| line.starts_with('✗') && line.contains(needed)),
            "{needed}: {told}"
        );
    }
    assert!(
        told.lines()
            .any(|line| line.starts_with('✓') && line.contains("CAP_SYS_TIME")),
        "it sets no clock: {told}"
    );
}

/// The system calls that the unit's filter lets through, by systemd's own sets.
fn allowed(unit: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for line in unit
        .lines()
        .filter_map(|line| line.strip_prefix("SystemCallFilter="))
    {
        let (refuse, names) = line
            .strip_prefix('~')
            .map_or((false, line), |names| (true, names));
        for call in names.split(' ').flat_map(calls) {
            if refuse {
                all.remove(&call)
            } else {
                all.insert(call)
            };
        }
    }
    all
}

/// `@set` as its members.
fn calls(name: &str) -> Vec<String> {
    if !name.starts_with('@') {
        return vec![name.to_owned()];
    }
    let out = Command::new("systemd-analyze")
        .args(["syscall-filter", "--no-pager", name])
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", support::stderr(&out));
    let text = support::stdout(&out);
    text.lines()
        .filter_map(|l| l.strip_prefix("    "))
        .filter(|l| !l.starts_with('#'))
        .flat_map(calls)
        .collect()
}

#[test]
fn the_filter_lets_through_what_the_agent_and_its_ffmpeg_children_cannot_do_without() {
    let unit = std::fs::read_to_string(support::root().join("systemd/kakou.service")).unwrap();
    let allowed = allowed(&unit);
    // Seen with strace: setpriv gives up with 127 without capset, the clock's state is unknown
    // without clock_adjtime.
    let needed = "adjtimex clock_adjtime capset prctl clone3 vfork execve wait4 waitid kill pipe2 socketpair setsid setpgid \
                  ioctl mmap mlock prlimit64 sched_getaffinity flock fsync ftruncate statfs rename unlink connect bind recvmsg";
    let missing: Vec<_> = needed
        .split_whitespace()
        .filter(|call| !allowed.contains(*call))
        .collect();
    assert!(missing.is_empty(), "the unit refuses {missing:?}");
    for call in [
        "mount",
        "ptrace",
        "bpf",
        "init_module",
        "reboot",
        "clock_settime",
        "settimeofday",
        "setuid",
        "chroot",
    ] {
        assert!(!allowed.contains(call), "the unit allows {call}");
    }
}
