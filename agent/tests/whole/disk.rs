//! A disk that fills up and empties again: nothing stops, pictures and passages are given up, hits
//! are not. And one that cannot be written to.

use crate::support;
use std::path::Path;
use std::process::{Command, Output};

/// Runs on a file system of 64 MiB in a mount namespace of its own. Someone else fills it after two
/// seconds and empties it after another four.
const SCRIPT: &str = r#"
set -e
mount -t tmpfs -o size=64m tmpfs "$DIR"
"$KAKOU" load --state "$DIR/state" --rate 50 --pictures 1 --picture-size 20000 --hit-every 10 --producers 1 --print > "$OUT/committed" &
load=$!
sleep 2
dd if=/dev/zero of="$DIR/fill" bs=1M 2>/dev/null || true
wc -l < "$OUT/committed" > "$OUT/at-full"
sleep 4
wc -l < "$OUT/committed" > "$OUT/at-end-of-full"
rm "$DIR/fill"
sleep 2
kill -0 $load
wc -l < "$OUT/committed" > "$OUT/at-room-again"
ls -l "$DIR/state/reserve" > "$OUT/reserve"
kill -TERM $load
wait $load
"$KAKOU" outbox verify --state "$DIR/state" > "$OUT/verify"
"$KAKOU" outbox status --json --state "$DIR/state" > "$OUT/status"
"#;

/// Runs something in a mount namespace of its own.
pub fn unshare() -> Command {
    let root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    let mut unshare = Command::new("unshare");
    unshare.arg("--mount");
    if !root {
        unshare.args(["--user", "--map-root-user"]);
    }
    unshare
}

fn in_a_mount_namespace(script: &str, dir: &Path, out: &Path) -> Output {
    unshare()
        .args(["sh", "-c", script])
        .env("DIR", dir)
        .env("OUT", out)
        .env("KAKOU", env!("CARGO_BIN_EXE_kakou"))
        .output()
        .unwrap()
}

#[test]
fn a_full_disk_stops_nothing_and_costs_no_hit() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ran = in_a_mount_namespace(SCRIPT, dir.path(), out.path());
    let file = |name: &str| std::fs::read_to_string(out.path().join(name)).unwrap_or_default();
    assert!(
        ran.status.success(),
        "{}\n{}",
        file("verify"),
        support::stderr(&ran)
    );
    let lines = |name: &str| file(name).trim().parse::<usize>().unwrap();
    assert!(
        lines("at-end-of-full") > lines("at-full") + 50,
        "it went on while the disk was full"
    );
    assert!(
        lines("at-room-again") > lines("at-end-of-full") + 50,
        "it took up again when there was room"
    );
    assert!(
        file("reserve").contains("reserve"),
        "the reserve is laid again"
    );
    let status: serde_json::Value = serde_json::from_str(&file("status")).unwrap();
    assert!(
        status["lanes"]["picture"]["evicted"].as_u64().unwrap() > 50,
        "{status}"
    );
    let hits = file("committed")
        .lines()
        .filter(|l| l.contains(" hit "))
        .count() as u64;
    assert_eq!(status["lanes"]["hit"]["waiting"], hits, "{status}");
    assert!(
        support::stderr(&ran).contains("making some"),
        "the disk was not full: {}",
        support::stderr(&ran)
    );
}

const READ_ONLY: &str = r#"
mount -t tmpfs -o size=64m tmpfs "$DIR"
"$KAKOU" load --state "$DIR/state" --count 10 || exit 1
mount -o remount,ro "$DIR"
"$KAKOU" load --state "$DIR/state" --count 10 2> "$OUT/folder" && exit 2
"$KAKOU" outbox status --state "$DIR/state" > "$OUT/status" || exit 3
mount -o remount,rw "$DIR"
mount --bind "$DIR/state/outbox.db" "$DIR/state/outbox.db"
mount -o remount,ro,bind "$DIR/state/outbox.db"
"$KAKOU" load --state "$DIR/state" --count 10 2> "$OUT/file" && exit 4
umount "$DIR/state/outbox.db"
"$KAKOU" load --state "$DIR/state" --count 10
"#;

#[test]
fn a_read_only_folder_or_database_is_named_with_the_way_out() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ran = in_a_mount_namespace(READ_ONLY, dir.path(), out.path());
    let file = |name: &str| std::fs::read_to_string(out.path().join(name)).unwrap_or_default();
    assert!(
        ran.status.success(),
        "{}\n{}\n{}",
        file("folder"),
        file("file"),
        support::stderr(&ran)
    );
    let way_out = "make it writable for the user that runs kakou";
    assert!(
        file("folder").contains("/state is read-only") && file("folder").contains(way_out),
        "{}",
        file("folder")
    );
    assert!(
        file("file").contains("outbox.db is read-only") && file("file").contains(way_out),
        "{}",
        file("file")
    );
    assert!(
        file("status").contains("last number 10"),
        "{}",
        file("status")
    );
}
