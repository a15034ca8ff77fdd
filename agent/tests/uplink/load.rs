//! `kakou load` as a process.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use super::rig::wait;

/// Killed when the test fails.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_load_with_hours_between_messages_ends_when_told_to() {
    let dir = tempfile::tempdir().unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_kakou"))
        .args(["load", "--print", "--rate", "0.0001", "--state"])
        .arg(dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut load = Process(child);
    // The first one comes at once, the next in three hours.
    let mut line = String::new();
    let mut lines = BufReader::new(load.0.stdout.take().unwrap());
    lines.read_line(&mut line).unwrap();
    assert!(line.starts_with("committed 1 "), "{line}");
    let id = load.0.id().to_string();
    let told = Command::new("kill").arg(id).status().unwrap();
    assert!(told.success());
    wait(|| load.0.try_wait().unwrap().is_some()).await;
    assert!(load.0.wait().unwrap().success());
}
