//! Debian's promtool, as it is run on what is shipped.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// It succeeds with these arguments in this folder, with this on its stdin.
#[track_caller]
pub(crate) fn promtool(arguments: &[&str], folder: &Path, input: &str) {
    let mut child = Command::new("promtool")
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool; make tools-test installs it");
    let mut pipe = child.stdin.take().unwrap();
    pipe.write_all(input.as_bytes()).unwrap();
    drop(pipe);
    let done = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
    assert!(done.status.success(), "{arguments:?}: {told}");
}
