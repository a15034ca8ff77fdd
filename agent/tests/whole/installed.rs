//! What an installation relies on: a version that names the commit, and examples that bind no box to
//! their ids.

use std::process::Command;

use crate::support::{kakou, root, stderr, stdout, succeed};

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

#[test]
fn an_example_that_nobody_has_edited_starts_nothing_and_binds_no_state_folder() {
    for name in ["checkpoint.toml", "single-lane-gate.toml"] {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let file = format!("configs/{name}");
        let out = kakou(&["run", "--config", &file, "--state", state.to_str().unwrap()]);
        let told = stderr(&out);
        assert_eq!(out.status.code(), Some(78), "{name}: {told}");
        assert!(told.contains(&file) && told.contains("site `"), "{told}");
        assert!(!state.exists(), "{name} made a state folder");
    }
}

#[test]
fn systemd_leaves_an_agent_alone_whose_config_is_an_example() {
    let unit = std::fs::read_to_string(root().join("systemd/kakou.service")).unwrap();
    assert!(
        unit.lines()
            .any(|line| line == "RestartPreventExitStatus=78"),
        "the code that `kakou run` ends with"
    );
}
