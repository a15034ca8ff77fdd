//! What a config names and what cannot be used of it: files, folders, secrets, models. All of it is
//! told at once, with its place and what to do.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::desk::{Desk, GATE, Told, with};
use crate::support::{stderr, stdout};
use crate::tls::Authority;

#[test]
fn every_file_that_is_not_there_is_told_at_once() {
    let desk = Desk::new();
    let text = "site = \"west-gate\"\nagent = \"box-7\"\n[broker]\nurl = \"mqtts://127.0.0.1:8883\"\n\
                ca = \"lost-ca.pem\"\ncertificate = \"lost.pem\"\nkey = \"lost.key\"\nuser = \"u\"\n\
                password_file = \"lost-password\"\n[outbox]\nstate = \"/proc/state\"\n\
                [watchlist]\nfile = \"lost.csv\"\n[[watchlist.list]]\nfile = \"other.csv\"\n\
                [privacy]\nnon_hits = \"hash\"\nkey_file = \"lost-key\"\n[metrics]\nfile = \"nowhere/x.prom\"\n\
                [vision]\nmanifest = \"models/manifest.toml\"\n[[camera]]\nid = \"a\"\n\
                url = \"rtsps://127.0.0.1/1\"\nca = \"lost-camera.pem\"\n[[camera]]\nid = \"b\"\n\
                url = \"rtsp://127.0.0.1/2\"\nuser = \"u\"\npassword_file = \"lost-second\"\n\
                [[camera]]\nid = \"c\"\nurl = \"day.mp4\"\n";
    let told = desk.files(text);
    let line = |what: &str| Some(text[..text.find(what).unwrap()].lines().count());
    for (what, key, message, mend) in [
        (
            "\"lost-ca.pem",
            "broker.ca",
            "lost-ca.pem: there is no such file",
            "put it there",
        ),
        (
            "\"lost.pem",
            "broker.certificate",
            "lost.pem: there is no such file",
            "put it there",
        ),
        (
            "\"lost.key",
            "broker.key",
            "lost.key: there is no such file",
            "put it there",
        ),
        (
            "\"lost-password",
            "broker.password_file",
            "lost-password: there is no",
            "put it there",
        ),
        (
            "\"/proc/state",
            "outbox.state",
            "the kernel keeps its own",
            "/var/lib/kakou",
        ),
        (
            "\"lost.csv",
            "watchlist.file",
            "lost.csv",
            "configs/watchlist.csv",
        ),
        (
            "\"other.csv",
            "watchlist.list.file",
            "other.csv",
            "put the list there",
        ),
        (
            "\"lost-key",
            "privacy.key_file",
            "lost-key: there is no such file",
            "put it there",
        ),
        (
            "\"nowhere/x.prom",
            "metrics.file",
            "nowhere: there is no such folder",
            "make it",
        ),
        (
            "\"models/manifest",
            "vision.manifest",
            "models/manifest.toml: there is no",
            "leave `manifest` out",
        ),
        (
            "\"lost-camera",
            "camera.ca",
            "lost-camera.pem: there is no such file",
            "put it there",
        ),
        (
            "\"lost-second",
            "camera.password_file",
            "lost-second: there is no",
            "put it there",
        ),
        (
            "\"day.mp4",
            "camera.url",
            "day.mp4: there is no such file or folder",
            "rtsp://",
        ),
    ] {
        told.has("error", line(what), key, message, mend);
    }
    assert_eq!(told.0["errors"], 13, "{:#}", told.0);
    // The same in words: each error is a line with the file and its place.
    let o = desk.check(text, &[]);
    let said = stderr(&o);
    assert_eq!(
        said.lines().filter(|l| l.starts_with("kakou: ")).count(),
        13,
        "{said}"
    );
    assert!(said.contains("gate.toml: line 5: broker.ca: "), "{said}");
    assert!(
        stdout(&o).contains("gate.toml: 13 errors\n"),
        "{}",
        stdout(&o)
    );
}

#[test]
fn files_that_are_there_and_cannot_be_used_are_told() {
    let desk = Desk::new();
    desk.file("plain.txt", "no certificate");
    desk.file("open-password", "geheim");
    std::fs::set_permissions(
        desk.dir.path().join("open-password"),
        std::fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    desk.file(
        "list.csv",
        "plate,level,category\n鲁E6K829,red,stolen\nnot a plate at all,red,stolen\n",
    );
    desk.file("short", "too short");
    let authority = Authority::new("test");
    authority.write_certificate(desk.dir.path(), "old", "localhost", true);
    let (text, _) = with(
        "url = \"mqtt://127.0.0.1:1883\"",
        "url = \"mqtts://127.0.0.1:8883\"\nca = \"plain.txt\"\nuser = \"u\"\npassword_file = \"open-password\"",
    );
    let told = desk.files(&text.replace(
        "[vision]",
        "[watchlist]\nfile = \"list.csv\"\n[privacy]\nnon_hits = \"hash\"\nkey_file = \"short\"\n[metrics]\nfile = \"plain.txt/x.prom\"\n[vision]",
    ));
    told.has(
        "error",
        Some(5),
        "broker.ca",
        "plain.txt: ",
        "certificates in PEM",
    );
    told.has(
        "warning",
        Some(7),
        "broker.password_file",
        "open to everybody",
        "chmod o=",
    );
    told.has(
        "warning",
        Some(11),
        "watchlist.file",
        "1 lines of",
        "kakou watchlist verify",
    );
    told.has(
        "error",
        Some(14),
        "privacy.key_file",
        "has 9 bytes",
        "head -c 32 /dev/urandom",
    );
    told.has(
        "error",
        Some(16),
        "metrics.file",
        "plain.txt is a file",
        "name a folder",
    );
    told.has(
        "error",
        Some(17),
        "vision.manifest",
        "no models were found",
        "make models",
    );
    let old = text.replace("plain.txt", "old.pem");
    desk.files(&old).has(
        "error",
        Some(5),
        "broker.ca",
        "ended on 2021-01-01",
        "renewed",
    );
    let (named, at) = with("state = \"state\"", "state = \"plain.txt\"");
    desk.files(&named).has(
        "error",
        Some(at),
        "outbox.state",
        "plain.txt is a file",
        "/var/lib/kakou",
    );
}

/// Outside of the service nobody sees what systemd will give to it, but the unit tells.
#[test]
fn a_credential_that_the_unit_does_not_load_is_told_with_the_line_to_write() {
    let desk = Desk::new();
    let (text, at) = with(
        "url = \"rtsp://127.0.0.1:18554/stream1\"",
        "url = \"rtsp://127.0.0.1:18554/stream1\"\nuser = \"u\"\npassword_file = \"credential:camera-password\"",
    );
    let credential = |told: &Told| {
        let all = told.0["findings"].as_array().unwrap();
        all.iter().any(|f| f["key"] == "camera.password_file")
    };
    // No unit: nobody knows.
    assert!(!credential(&desk.files(&text)));
    let said = stdout(&desk.check(&text, &[]));
    assert!(
        said.contains("LoadCredential=") && said.contains("camera-password"),
        "{said}"
    );
    let place = Some(at + 2);
    desk.file(
        "units/kakou.service",
        "[Service]\nUser=kakou\n#LoadCredential=camera-password:/x\n",
    );
    desk.files(&text).has(
        "error",
        place,
        "camera.password_file",
        "kakou.service has no LoadCredential= for `camera-password`",
        "LoadCredential=camera-password:",
    );
    let secret = desk.dir.path().join("secret");
    let drop_in = format!(
        "[Service]\nLoadCredential=camera-password:{}\n",
        secret.display()
    );
    desk.file("units/kakou.service.d/override.conf", &drop_in);
    desk.files(&text).has(
        "error",
        place,
        "camera.password_file",
        "there is no such file",
        "write the secret",
    );
    std::fs::write(&secret, "x").unwrap();
    assert!(!credential(&desk.files(&text)));
    // Within the service its folder is looked into.
    let path = desk.dir.path().join("gate.toml");
    let o = Command::new(env!("CARGO_BIN_EXE_kakou"))
        .args(["check-config", "--json"])
        .arg(&path)
        .env("CREDENTIALS_DIRECTORY", desk.dir.path().join("given"))
        .env("KAKOU_MODELS", desk.dir.path().join("none.toml"))
        .output()
        .unwrap();
    Told::of(&o).has(
        "error",
        place,
        "camera.password_file",
        "the service has no credential `camera-password`",
        "systemctl edit kakou",
    );
}

#[test]
fn a_config_that_the_services_user_cannot_read_is_told() {
    let desk = Desk::new();
    desk.file("units/kakou.service", "[Service]\nUser=some-other-user\n");
    desk.check(GATE, &[]);
    let path = desk.dir.path().join("gate.toml");
    let told = |mode| {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        Told::of(&desk.check_again(&["--json"]))
    };
    told(0o600).has(
        "error",
        None,
        "",
        "runs as `some-other-user`, who cannot read this file",
        "chown root:some-other-user",
    );
    let all = told(0o644).0["findings"].to_string();
    assert!(!all.contains("cannot read this file"), "{all}");
}

#[test]
fn a_provider_that_is_not_there_and_models_that_do_not_open_are_told_by_their_key() {
    let desk = Desk::new();
    let manifest = crate::support::root().join("models/manifest.toml");
    let check = |more: &str| {
        let (text, at) = with(
            "plate_side = 640",
            &format!("manifest = {manifest:?}\n{more}"),
        );
        (desk.files(&text), Some(at + 1))
    };
    let (told, line) = check("provider = \"cuda\"");
    told.has(
        "error",
        line,
        "vision.provider",
        "`cuda` is not built into",
        "provider = \"cpu\"",
    );
    let (told, line) = check("runtime = \"nowhere.so\"");
    told.has(
        "error",
        line,
        "vision.runtime",
        "there is no such file",
        "make models",
    );
    let (told, _) = check("vehicles = \"nonsense\"");
    told.has(
        "error",
        Some(8),
        "vision.manifest",
        "names no model `nonsense`",
        "it has",
    );
}

#[test]
fn a_file_that_is_none_and_a_wrong_call_have_their_exit_codes() {
    let desk = Desk::new();
    let run = |args: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_kakou"))
            .args(args)
            .output()
            .unwrap()
    };
    let lost = desk.dir.path().join("lost.toml").display().to_string();
    let o = run(&["check-config", &lost]);
    assert_eq!(o.status.code(), Some(1));
    let said = stderr(&o);
    assert!(
        said.contains("lost.toml: No such file") && said.contains("name the config file"),
        "{said}"
    );
    let folder = desk.dir.path().display().to_string();
    let o = run(&["check-config", &folder]);
    assert_eq!(o.status.code(), Some(1));
    assert!(
        stderr(&o).contains("name the file itself"),
        "{}",
        stderr(&o)
    );
    assert_eq!(run(&["check-config"]).status.code(), Some(2));
    assert_eq!(
        run(&["check-config", "--nonsense", &lost]).status.code(),
        Some(2)
    );
}
