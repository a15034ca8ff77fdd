//! What an installed program says of itself.

use std::process::Command;

use crate::support::{root, stdout, succeed};

#[test]
fn the_version_names_the_commit() {
    let told = stdout(&succeed(&["--version"]));
    let rest = told
        .trim()
        .strip_prefix("kakou ")
        .and_then(|rest| rest.strip_prefix(env!("CARGO_PKG_VERSION")))
        .unwrap_or_else(|| panic!("{told}"));
    let head = Command::new("git")
        .args(["rev-parse", "HEAD"])
        .current_dir(root())
        .output()
        .ok()
        .filter(|out| out.status.success());
    match head {
        Some(head) => {
            let commit = &stdout(&head)[..10];
            assert!(rest.starts_with(&format!(" ({commit}")), "{told}");
        }
        // These sources are a tarball.
        None => assert_eq!(rest, " (commit not known)"),
    }
}
