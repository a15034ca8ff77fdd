//! The unit is one that systemd takes, and it gives the agent no more than it needs.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::process::Command;

#[test]
fn systemd_finds_no_fault_in_the_unit() {
    let unit = std::fs::read_to_string(support::root().join("systemd/kakou.service")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    // systemd looks whether the program is there.
    let file = dir.path().join("kakou.service");
    std::fs::write(&file, unit.replace("/usr/bin/kakou", env!("CARGO_BIN_EXE_kakou"))).unwrap();
    let run = |args: &[&str]| {
        let out = Command::new("systemd-analyze").args(args).arg(&file).output().expect("systemd-analyze is installed");
        (out.status.success(), support::stdout(&out) + &support::stderr(&out))
    };
    let (good, told) = run(&["verify", "--man=no"]);
    assert!(good && !told.contains("kakou.service:"), "{told}");
    let (safe, told) = run(&["security", "--offline=true", "--threshold=20", "--no-pager"]);
    assert!(safe, "{told}");
    println!("{}", told.lines().last().unwrap_or_default());
    // What the agent and its ffmpeg children need is not taken from them by accident.
    for needed in ["adjtimex is allowed", "char-drm:rw char-video4linux:rw", "RestrictAddressFamilies=~AF_(INET|INET6)"]
    {
        assert!(told.lines().any(|line| line.starts_with('✗') && line.contains(needed)), "{needed}: {told}");
    }
    assert!(
        told.lines().any(|line| line.starts_with('✓') && line.contains("CAP_SYS_TIME")),
        "it sets no clock: {told}"
    );
}
