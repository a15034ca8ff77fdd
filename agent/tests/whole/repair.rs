//! `kakou outbox` by the real binary: on a live box, and repairing a damaged one while it is
//! killed.

use crate::support;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

fn outbox(command: &str, state: &Path, more: &[&str]) -> std::process::Output {
    support::kakou(
        &[
            &["outbox", command, "--state", state.to_str().unwrap()],
            more,
        ]
        .concat(),
    )
}

#[test]
fn a_repair_that_is_killed_leaves_the_old_outbox_or_the_new_one() {
    let made = tempfile::tempdir().unwrap();
    let state = made.path().to_str().unwrap();
    support::succeed(&[
        "load",
        "--state",
        state,
        "--count",
        "600",
        "--pictures",
        "1",
        "--picture-size",
        "30000",
    ]);
    let db = made.path().join("outbox.db");
    let mut bytes = std::fs::read(&db).unwrap();
    let middle = bytes.len() / 2 / 8192 * 8192;
    bytes[middle..middle + 3 * 8192].fill(0x5a);
    std::fs::write(&db, &bytes).unwrap();
    assert!(
        !outbox("verify", made.path(), &[]).status.success(),
        "the damage is told"
    );

    let whole = tempfile::tempdir().unwrap();
    copy(made.path(), whole.path());
    let began = Instant::now();
    let told = support::stdout(&outbox("repair", whole.path(), &[]));
    let takes = began.elapsed();
    assert!(
        told.contains("messages saved") && told.contains("outbox.db.damaged-"),
        "{told}"
    );

    let (mut old, mut new) = (0, 0);
    for round in 0..16_u32 {
        let dir = tempfile::tempdir().unwrap();
        copy(made.path(), dir.path());
        let mut child = Command::new(env!("CARGO_BIN_EXE_kakou"))
            .args(["outbox", "repair", "--state", dir.path().to_str().unwrap()])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // Towards the end it is put in its place.
        std::thread::sleep(takes * (8 + round) / 20);
        child.kill().unwrap();
        child.wait().unwrap();
        let repaired = dir.path().join("outbox.db.repaired").exists()
            || outbox("verify", dir.path(), &[]).status.success();
        if repaired {
            new += 1;
        } else {
            old += 1;
            assert!(
                std::fs::read(dir.path().join("outbox.db")).unwrap() == bytes,
                "round {round}: the old one as it was"
            );
        }
        let again = outbox("repair", dir.path(), &[]);
        assert!(
            again.status.success(),
            "round {round}: {}",
            support::stderr(&again)
        );
        // An agent opens it and goes on.
        let state = dir.path().to_str().unwrap();
        support::succeed(&["load", "--state", state, "--count", "1"]);
        let verified = outbox("verify", dir.path(), &[]);
        assert!(
            verified.status.success(),
            "round {round}: {}",
            support::stdout(&verified)
        );
        let kept = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|e| e.unwrap().path());
        let kept: Vec<_> = kept
            .filter(|p| {
                p.extension().is_some_and(|e| {
                    e.to_string_lossy().starts_with("damaged")
                        && !e.to_string_lossy().ends_with("-wal")
                })
            })
            .collect();
        assert!(
            !kept.is_empty() && kept.iter().all(|p| std::fs::read(p).unwrap() == bytes),
            "round {round}: {kept:?}"
        );
    }
    eprintln!("killed within {takes:?}: {old} times the old one was left, {new} times the new one");
    assert!(old > 0, "none was killed before the end");
}

/// A limit on the size of files stands for a small disk: what is written to the new database's log
/// fits, the file itself does not. It holds for every user, root too.
#[test]
fn a_repair_that_finds_no_room_fails_and_leaves_the_damaged_outbox_in_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().to_str().unwrap();
    support::succeed(&[
        "load",
        "--state",
        state,
        "--count",
        "6000",
        "--pictures",
        "1",
        "--picture-size",
        "2000",
    ]);
    let db = dir.path().join("outbox.db");
    let mut bytes = std::fs::read(&db).unwrap();
    let middle = bytes.len() / 2 / 8192 * 8192;
    bytes[middle..middle + 8192].fill(0x5a);
    std::fs::write(&db, &bytes).unwrap();
    for percent in [30, 50, 70, 90, 97] {
        // In blocks of 512 bytes. Whoever ignores the signal gets an error from the write.
        let limited = Command::new("sh")
            .args([
                "-c",
                "trap '' XFSZ; ulimit -f \"$1\"; exec \"$2\" outbox repair --state \"$3\"",
                "sh",
            ])
            .arg((bytes.len() * percent / 100 / 512).to_string())
            .arg(env!("CARGO_BIN_EXE_kakou"))
            .arg(dir.path())
            .output()
            .unwrap();
        let told = support::stderr(&limited);
        assert!(!limited.status.success(), "{percent} %: {limited:?}");
        assert!(told.contains("no room"), "{percent} %: {told}");
        assert!(
            std::fs::read(&db).unwrap() == bytes,
            "{percent} %: the damaged outbox as it was"
        );
        assert!(!dir.path().join("outbox.db.repaired").exists());
    }
    let repaired = outbox("repair", dir.path(), &[]);
    assert!(repaired.status.success(), "{}", support::stderr(&repaired));
    let verified = outbox("verify", dir.path(), &[]);
    assert!(verified.status.success(), "{}", support::stdout(&verified));
}

#[test]
fn status_verify_export_and_requeue_work_beside_a_live_agent() {
    let dir = tempfile::tempdir().unwrap();
    let mut live = Command::new(env!("CARGO_BIN_EXE_kakou"))
        .args([
            "load",
            "--state",
            dir.path().to_str().unwrap(),
            "--rate",
            "100",
            "--hit-every",
            "5",
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let limit = Instant::now() + Duration::from_secs(30);
    let status = || {
        serde_json::from_slice::<serde_json::Value>(
            &outbox("status", dir.path(), &["--json"]).stdout,
        )
    };
    while !status().is_ok_and(|s| s["sequence"].as_u64() > Some(50)) {
        assert!(Instant::now() < limit, "nothing was committed within 30 s");
        std::thread::sleep(Duration::from_millis(100));
    }
    let s = status().unwrap();
    assert_eq!(s["in_use"], true);
    let verified = outbox("verify", dir.path(), &[]);
    assert!(verified.status.success(), "{}", support::stdout(&verified));
    let exported = support::stdout(&outbox(
        "export",
        dir.path(),
        &["--first", "1", "--last", "20"],
    ));
    let lines: Vec<serde_json::Value> = exported
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(lines.len(), 20);
    assert!(
        lines
            .iter()
            .all(|l| l["whole"] == true && l["place"] == "waiting")
    );
    let requeued = outbox("requeue", dir.path(), &["--first", "1", "--last", "20"]);
    assert!(
        support::stdout(&requeued).contains("0 messages are back in line"),
        "{requeued:?}"
    );
    let refused = outbox("repair", dir.path(), &[]);
    assert!(
        support::stderr(&refused).contains("in use by another kakou"),
        "{refused:?}"
    );
    let before = s["sequence"].as_u64();
    assert!(
        status().unwrap()["sequence"].as_u64() > before,
        "it goes on meanwhile"
    );
    live.kill().unwrap();
    live.wait().unwrap();
    assert!(
        outbox("verify", dir.path(), &[]).status.success(),
        "and on the dead box"
    );
}
