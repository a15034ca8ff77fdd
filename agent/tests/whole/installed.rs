//! What a package relies on: a version that names the commit, pages and completions for all
//! commands, and examples that bind no box to their ids.

use std::path::Path;
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

/// The names under `Commands:` of a help text.
fn commands(help: &str) -> Vec<String> {
    help.lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_command_has_a_man_page() {
    let dir = tempfile::tempdir().unwrap();
    succeed(&["generate", "man", dir.path().to_str().unwrap()]);
    let page = |name: &str| {
        let path = dir.path().join(format!("{name}.1"));
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    };
    let first = page("kakou");
    let all = commands(&stdout(&succeed(&["--help"])));
    assert!(all.len() > 10 && all.contains(&"run".to_owned()), "{all:?}");
    for command in all {
        assert!(
            first.contains(&format!("kakou\\-{}", command.replace('-', "\\-"))),
            "{command}"
        );
        page(&format!("kakou-{command}"));
        for part in commands(&stdout(&succeed(&[&command, "--help"]))) {
            page(&format!("kakou-{command}-{part}"));
        }
    }
    assert!(page("kakou-run").contains("SIGHUP"));
}

#[test]
fn the_three_shells_have_completions() {
    let dir = tempfile::tempdir().unwrap();
    succeed(&["generate", "completions", dir.path().to_str().unwrap()]);
    for name in ["kakou.bash", "_kakou", "kakou.fish"] {
        let text = std::fs::read_to_string(dir.path().join(name)).unwrap();
        assert!(
            text.contains("check-config") && text.contains("requeue"),
            "{name}"
        );
    }
    assert!(bash_takes(&dir.path().join("kakou.bash")));
}

fn bash_takes(file: &Path) -> bool {
    let script = "source \"$1\"; COMP_WORDS=(kakou check); COMP_CWORD=1; _kakou kakou check kakou; \
                  [ \"${COMPREPLY[*]}\" = check-config ]";
    Command::new("bash")
        .args(["-c", script, "bash"])
        .arg(file)
        .status()
        .unwrap()
        .success()
}
