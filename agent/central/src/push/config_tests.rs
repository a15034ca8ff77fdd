#![allow(clippy::unwrap_used)]

use super::*;

const KEY: &str = "a key of thirty-two bytes, or so";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    recipient: Vec<RecipientConfig>,
    #[serde(default)]
    agreement: Vec<AgreementConfig>,
    #[serde(default)]
    push: PushSettings,
}

/// `KEYFILE` in the text is a file with a key.
fn read(text: &str) -> Result<Recipients, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, KEY).unwrap();
    let text = text.replace("KEYFILE", &file.to_string_lossy());
    let config: Config = toml::from_str(&text).map_err(|e| e.to_string())?;
    Recipients::check(&config.recipient, &config.agreement, &config.push).map_err(|e| e.to_string())
}

const WHOLE: &str = r#"
[push]
prefecture = "130100"
late_after_s = { red = 60, orange = 60, yellow = 300, blue = 600 }

[[recipient]]
name = "duty"
levels = ["red", "orange"]
states = ["provisional", "confirmed", "retracted"]
areas = ["all"]
webhook = { url = "https://duty.example/hits", secret_file = "KEYFILE" }
mqtt = { topic = "platform/{recipient}/hit/{level}" }

[[recipient]]
name = "neighbour"
prefecture = "130200"
levels = ["red"]
states = ["confirmed"]
areas = ["130100"]
categories = ["stolen"]
mqtt = { topic = "platform/{recipient}/{site}/{level}" }

[[agreement]]
from = "130100"
to = "130200"
levels = ["red"]
categories = ["stolen"]
pictures = true
"#;

#[test]
fn a_whole_config_is_taken() {
    let taken = read(WHOLE).unwrap();
    assert!(taken.needs_broker() && !taken.is_empty());
    assert_eq!(
        taken.list[0].prefecture.as_ref().unwrap().as_str(),
        "130100"
    );
    assert!(taken.list[0].areas.is_none());
    let shown = format!("{taken:?}");
    assert!(!shown.contains(KEY) && !shown.contains("/hits"), "{shown}");
    assert!(read("").unwrap().is_empty());
}

/// Each line: what is put in the place of what, and what the error says.
#[test]
fn what_is_wrong_is_named_with_its_mend() {
    let table = [
        (r#"areas = ["all"]"#, "", "missing field `areas`"),
        (
            r#"areas = ["all"]"#,
            "areas = []",
            "recipient \"duty\".areas: empty",
        ),
        (
            r#"areas = ["all"]"#,
            r#"areas = ["all", "130100"]"#,
            "beside others",
        ),
        (
            r#"areas = ["all"]"#,
            r#"areas = ["a/b"]"#,
            "prefecture codes",
        ),
        (r#"["red", "orange"]"#, r#"["pink"]"#, "pink"),
        (r#"["red", "orange"]"#, "[]", "levels: empty"),
        (r#", "retracted"]"#, "]", "add \"retracted\""),
        ("https://", "http://", "plain HTTP beyond this machine"),
        ("https://", "ftp://", "neither http nor https"),
        ("https://", "https://u:p4ssw0rd@", "a user or a password"),
        ("https://duty.example/hits", "hits", "webhook.url"),
        ("KEYFILE", "/nowhere/key", "/nowhere/key"),
        ("hit/{level}\"", "hit/{plate}\"", "placeholder"),
        ("hit/{level}\"", "hit/#\"", "wildcard"),
        (
            "\"platform/{recipient}/hit",
            "\"kakou/v1",
            "where agents speak",
        ),
        ("name = \"neighbour\"", "name = \"duty\"", "given twice"),
        ("prefecture = \"130100\"", "", "set [push] prefecture"),
        ("to = \"130200\"", "to = \"130100\"", "agreement 1.to"),
        (
            "[push]",
            "[push]\ntimeout_s = 0",
            "push.timeout_s: 0; give 1 to 60",
        ),
        ("[push]", "[push]\nat_once = 65", "push.at_once"),
        ("red = 60,", "red = 0,", "push.late_after_s.red"),
        ("[push]", "[push]\nretry = 3", "unknown field"),
        ("[\"stolen\"]\nmqtt", "[]\nmqtt", "categories: empty"),
    ];
    for (there, instead, told) in table {
        assert!(WHOLE.contains(there), "{there}");
        let error = read(&WHOLE.replacen(there, instead, 1)).unwrap_err();
        assert!(error.contains(told), "{instead:?}: {error}");
        assert!(
            !error.contains("p4ssw0rd") && !error.contains(KEY),
            "{error}"
        );
    }
}

#[test]
fn plain_http_is_taken_on_this_machine_or_where_it_is_said() {
    for url in [
        "http://127.0.0.1:8/x",
        "http://[::1]:8/x",
        "http://localhost/x",
    ] {
        read(&WHOLE.replace("https://duty.example/hits", url)).unwrap();
    }
    let said = WHOLE
        .replace("https://", "http://")
        .replace("\"KEYFILE\"", "\"KEYFILE\", plain_http = true");
    read(&said).unwrap();
}

#[test]
fn a_recipient_without_a_channel_is_refused() {
    let none = "[[recipient]]\nname = \"a\"\nlevels = [\"red\"]\nstates = [\"confirmed\"]\nareas = [\"all\"]";
    let error = read(none).unwrap_err();
    assert!(error.contains("say how it is told"), "{error}");
}
