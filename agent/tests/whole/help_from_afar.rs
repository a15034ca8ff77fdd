//! `kakou support` on a box in service: what is packed helps, and no secret, plate, picture or list
//! is in it.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};

use base64::Engine;
use kakou_contract::{HitMessage, PassageMessage};
use serde_json::Value;

use crate::agent::{Checkpoint, on};
use crate::support::{stderr, stdout};

const PASSWORD: &str = "Xq7-hidden-Zebra";
const OTHER: &str = "Wq3-second-Gnu";
const TOKEN: &str = "Tk9-query-Okapi";
/// On no list, and read by nobody: it stands in the journal and in a file's name.
const PLATE: &str = "苏B·72F9Q";

fn support(dir: &Path, more: &[&str]) -> Output {
    let path = std::env::var("PATH").unwrap();
    Command::new(env!("CARGO_BIN_EXE_kakou"))
        .arg("support")
        .args(more)
        .current_dir(dir)
        .env("PATH", format!("{}:{path}", dir.join("bin").display()))
        .env("SYSTEMD_UNIT_PATH", dir.join("units"))
        .env_remove("KAKOU_STATE")
        .output()
        .unwrap()
}

/// The files of an archive, by their names without the folder.
fn unpacked(file: &Path) -> BTreeMap<String, Vec<u8>> {
    let packed = std::fs::File::open(file).unwrap();
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(packed));
    let entries = archive.entries().unwrap();
    let read = entries.map(|entry| {
        let mut entry = entry.unwrap();
        assert_eq!(entry.header().mode().unwrap(), 0o600);
        let name = entry
            .path()
            .unwrap()
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        (name, bytes)
    });
    read.collect()
}

/// A `journalctl` that has seen everything it should not.
fn journal(dir: &Path) {
    let lines = format!(
        "2031-05-04T08:15:30+0800 box kakou[7]: camera dead: rtsp://admin:{PASSWORD}@10.0.0.5/a refused\n\
         2031-05-04T08:15:31+0800 box kakou[7]: Authorization: Basic {}\n\
         2031-05-04T08:15:32+0800 box kakou[7]: url http://10.0.0.6/a?password={OTHER}&x=1\n\
         2031-05-04T08:15:33+0800 box kakou[7]: {PLATE} has passed\n\
         2031-05-04T08:15:34+0800 box kakou[7]: the agent begins\n",
        base64::engine::general_purpose::STANDARD.encode(format!("admin:{PASSWORD}"))
    );
    std::fs::create_dir(dir.join("bin")).unwrap();
    std::fs::write(dir.join("lines"), lines).unwrap();
    let script = dir.join("bin/journalctl");
    let text = format!(
        "#!/bin/sh\necho \"$@\" > {0}/asked\ncat {0}/lines\n",
        dir.display()
    );
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_no_plate_and_no_picture_is_packed() {
    let mut gate = Checkpoint::new("loop = true").await;
    let dir = gate.dir.path().to_path_buf();
    journal(&dir);
    for (name, text) in [("broker-secret", PASSWORD), ("camera-secret", OTHER)] {
        std::fs::write(dir.join(name), format!("{text}\n")).unwrap();
    }
    let broker = "[broker]\nuser = \"gate\"\npassword_file = \"broker-secret\"\n";
    let config = format!(
        "# the password was {PASSWORD} once\n{}\n\
         [[camera]]\nid = \"dead\"\nurl = \"rtsp://Op3rator:{PASSWORD}@127.0.0.1:9/a?token={TOKEN}\"\n\
         [[camera]]\nid = \"mute\"\nurl = \"rtsp://127.0.0.1:9/user=Op3rator_password={OTHER}_channel=1\"\n\
         user = \"Op3rator\"\npassword_file = \"camera-secret\"\nffmpeg_args = [\"-metadata\", \"{TOKEN}\"]\n",
        gate.config().replacen("[broker]\n", broker, 1)
    );
    gate.write_config(&config);
    let agent = gate.start();
    let passage: PassageMessage = gate
        .next("passage", |m| {
            on(m, "/passage/cam-1").filter(|p: &PassageMessage| p.plate.is_some())
        })
        .await;
    let hit: HitMessage = gate.next("hit", |m| on(m, "/hit/")).await;
    let read = passage.plate.unwrap().text;
    // A picture that somebody left there.
    let picture = [b"\xff\xd8\xff\xe0".as_slice(), b"JFIF-left-here"].concat();
    std::fs::write(dir.join("state").join(format!("{PLATE}.jpg")), &picture).unwrap();
    // Something precious is linked to from where the file is to be.
    std::fs::write(dir.join("precious"), "precious").unwrap();
    symlink(dir.join("precious"), dir.join("out.tar.gz")).unwrap();

    let args = ["--config", "kakou.toml", "--out", "out.tar.gz"];
    let run = {
        let dir = dir.clone();
        tokio::task::spawn_blocking(move || support(&dir, &args))
    };
    let o = run.await.unwrap();
    assert!(o.status.success(), "{}{}", stdout(&o), stderr(&o));
    let about = std::fs::symlink_metadata(dir.join("out.tar.gz")).unwrap();
    assert!(about.is_file() && about.permissions().mode() & 0o777 == 0o600);
    assert_eq!(std::fs::read(dir.join("precious")).unwrap(), b"precious");

    let files = unpacked(&dir.join("out.tar.gz"));
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "README.txt",
            "check-config.json",
            "config.toml",
            "doctor.json",
            "files.txt",
            "journal.txt",
            "machine.txt",
            "metrics.txt",
            "outbox.json",
            "status.json",
            "version.txt"
        ],
        "{}",
        stdout(&o)
    );
    for name in names.iter().filter(|name| **name != "README.txt") {
        assert!(stdout(&o).contains(name), "{name} is not named");
    }
    // Plates of the list, that of the passage, and the one nobody knows; with and without the
    // province, and without the dot.
    let list = std::fs::read_to_string(dir.join("list.csv")).unwrap();
    let listed = list.lines().skip(1).filter_map(|l| l.split(',').next());
    let mut never: Vec<String> = listed
        .filter(|p| p.chars().count() == 7)
        .map(str::to_owned)
        .collect();
    assert!(never.len() >= 3);
    never.extend([
        read,
        hit.plate.text,
        PLATE.to_owned(),
        PLATE.replace('·', ""),
    ]);
    let numbers: Vec<String> = never.iter().map(|p| p.chars().skip(1).collect()).collect();
    never.extend(numbers);
    for secret in [PASSWORD, OTHER, TOKEN, "Op3rator", "reported on Monday"] {
        never.push(secret.to_owned());
        never.push(base64::engine::general_purpose::STANDARD.encode(secret));
    }
    never.push(base64::engine::general_purpose::STANDARD.encode(format!("admin:{PASSWORD}")));
    never.push("JFIF".to_owned());
    let key = std::fs::read_to_string(dir.join("state/agent.key")).unwrap();
    let key = key
        .lines()
        .find(|l| !l.starts_with("---") && l.len() > 20)
        .unwrap();
    never.push(key.to_owned());
    for (name, bytes) in &files {
        for text in &never {
            let found = bytes.windows(text.len()).any(|w| w == text.as_bytes());
            assert!(
                !found,
                "{name} has {text:?} in it\n{}",
                String::from_utf8_lossy(bytes)
            );
        }
    }
    // And it helps.
    let text = |name: &str| String::from_utf8(files[name].clone()).unwrap();
    let json = |name: &str| serde_json::from_str::<Value>(&text(name)).unwrap();
    assert!(text("version.txt").contains("kakou 0.") && text("version.txt").contains("ffmpeg"));
    for kept in [
        "site = \"north\"",
        "rtsp://***@127.0.0.1:9/a?***",
        "\"camera-secret\"",
    ] {
        assert!(
            text("config.toml").contains(kept),
            "{kept}\n{}",
            text("config.toml")
        );
    }
    assert_eq!(json("check-config.json")["usable"], true);
    let findings = json("doctor.json")["findings"].clone();
    let has = |all: &Value, area: &str| all.as_array().unwrap().iter().any(|f| f["area"] == area);
    assert!(has(&findings, "broker") && has(&findings, "camera") && has(&findings, "disk"));
    assert_eq!(json("status.json")["status"]["agent"], "box-1");
    assert!(text("metrics.txt").contains("# TYPE kakou_"));
    assert!(json("outbox.json")["lanes"]["passage"]["kept"].is_u64());
    let told = text("journal.txt");
    assert!(
        told.contains("the agent begins") && told.contains("*** has passed"),
        "{told}"
    );
    assert!(
        std::fs::read_to_string(dir.join("asked"))
            .unwrap()
            .contains("--since -24h")
    );
    assert!(text("machine.txt").contains("MiB free"));
    assert!(text("files.txt").contains("outbox.db") && text("files.txt").contains("***.jpg"));

    let args = [
        "--config",
        "kakou.toml",
        "--out",
        "two.tar.gz",
        "--no-network",
        "--hours",
        "3",
    ];
    let run = {
        let dir = dir.clone();
        tokio::task::spawn_blocking(move || support(&dir, &args))
    };
    assert!(run.await.unwrap().status.success());
    let files = unpacked(&dir.join("two.tar.gz"));
    let doctor: Value = serde_json::from_slice(&files["doctor.json"]).unwrap();
    let findings = &doctor["findings"];
    assert!(!has(findings, "broker") && !has(findings, "camera") && has(findings, "disk"));
    assert!(
        std::fs::read_to_string(dir.join("asked"))
            .unwrap()
            .contains("--since -3h")
    );
    drop(agent);
}

#[test]
fn a_dead_box_with_a_broken_config_is_packed_as_far_as_it_goes() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("kakou.toml"),
        format!("site = \npassword = \"{PASSWORD}\"\n"),
    )
    .unwrap();
    let state = dir.path().join("state");
    std::fs::create_dir(&state).unwrap();
    let o = support(
        dir.path(),
        &[
            "--config",
            "kakou.toml",
            "--state",
            state.to_str().unwrap(),
            "--no-network",
        ],
    );
    assert!(o.status.success(), "{}", stderr(&o));
    let made = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|e| e.unwrap().path());
    let file = made
        .into_iter()
        .find(|p| p.extension().is_some_and(|e| e == "gz"))
        .unwrap();
    assert!(file.to_str().unwrap().contains("kakou-support-unknown-"));
    let files = unpacked(&file);
    assert!(!files.contains_key("config.toml") && !files.contains_key("status.json"));
    let readme = String::from_utf8(files["README.txt"].clone()).unwrap();
    for missing in ["config.toml", "status.json", "metrics.txt", "outbox.json"] {
        let line = readme.lines().find(|l| l.starts_with(missing)).unwrap();
        assert!(line.contains("missing: "), "{line}");
    }
    let check: Value = serde_json::from_slice(&files["check-config.json"]).unwrap();
    assert_eq!(check["usable"], false);
    for bytes in files.values() {
        assert!(!String::from_utf8_lossy(bytes).contains(PASSWORD));
    }
}
