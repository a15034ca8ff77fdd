//! A config as it may be shown to somebody else: every value that may be secret hidden. Comments are
//! left out, because nobody knows what stands in them.

use kakou_guard::mask;
use toml::{Table, Value};

use super::define::{Described, Kind, Language, Section};
use super::keys::TOP;
use super::kinds::SecretFile;

const STARS: &str = "***";

/// `None`: it is no TOML. `other` is asked for every text that is shown.
pub fn masked(text: &str, other: &dyn Fn(&str) -> String) -> Option<String> {
    let mut table: Table = toml::from_str(text).ok()?;
    section(&mut table, Some(&TOP), other);
    toml::to_string(&table).ok()
}

fn section(table: &mut Table, known: Option<&Section>, other: &dyn Fn(&str) -> String) {
    for (name, value) in table.iter_mut() {
        let inner = known.and_then(|s| s.sections.iter().find(|s| s.name() == name));
        let setting = known.and_then(|s| s.settings.iter().find(|s| s.name() == name));
        match (inner, setting) {
            (Some(inner), _) => sections(value, inner, other),
            (None, Some(setting)) => leaf(value, *setting, other),
            // A key that somebody mistyped may be that of a password.
            (None, None) => *value = STARS.into(),
        }
    }
}

fn sections(value: &mut Value, known: &Section, other: &dyn Fn(&str) -> String) {
    match value {
        Value::Table(table) => section(table, Some(known), other),
        Value::Array(all) => {
            for value in all {
                sections(value, known, other);
            }
        }
        wrong => *wrong = STARS.into(),
    }
}

fn leaf(value: &mut Value, setting: &dyn Described, other: &dyn Fn(&str) -> String) {
    let secret_file = SecretFile.words(Language::En);
    let is_file = setting.kind_words(Language::En) == secret_file;
    texts(value, &|text: &str| match setting.name() {
        "user" => STARS.to_owned(),
        // `-headers` is an option, and what stands behind it may be anything.
        "ffmpeg_args" if !text.starts_with('-') => STARS.to_owned(),
        _ if is_file => name_of(text),
        _ => other(&address(text)),
    });
}

fn texts(value: &mut Value, shown: &dyn Fn(&str) -> String) {
    match value {
        Value::String(text) => *text = shown(text),
        Value::Array(all) => all.iter_mut().for_each(|value| texts(value, shown)),
        Value::Table(table) => table.iter_mut().for_each(|(_, value)| texts(value, shown)),
        _ => {}
    }
}

/// The name of a file, and not where it lies. What is no path is not shown.
fn name_of(text: &str) -> String {
    match text.strip_prefix("credential:") {
        Some(name) => format!("credential:{}", mask(name)),
        None => mask(text.rsplit('/').next().unwrap_or_default()),
    }
}

/// A URL without user, password and query.
fn address(text: &str) -> String {
    match text.split_once('?') {
        Some((front, _)) if text.contains("://") => format!("{}?{STARS}", mask(front)),
        _ => mask(text),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_of_a_config_is_shown() {
        let text = r#"
site = "west"   # the old password was S3CRET
password = "S3CRET"
[broker]
url = "mqtts://S3CRET:S3CRET@broker.example:8883"
user = "S3CRET"
pasword_file = "S3CRET"
password_file = "/etc/S3CRET/broker-password"
key = "credential:box-key"
[[camera]]
id = "entry"
url = "rtsp://S3CRET:S3CRET@10.0.0.5/a?user=S3CRET&x=S3CRET"
ffmpeg_args = ["-headers", "S3CRET"]
[[camera]]
id = "exit"
url = "rtsp://10.0.0.6/user=S3CRET_password=S3CRET_channel=1"
password_file = "exit-password"
[nonsense]
pin = 1234
[metrics]
file = "/var/鲁E6K829"
"#;
        let shown = masked(text, &|text| text.replace("鲁E6K829", "(plate)")).unwrap();
        for gone in ["S3CRET", "1234", "鲁E6K829", "#"] {
            assert!(!shown.contains(gone), "{gone}\n{shown}");
        }
        for kept in [
            "site = \"west\"",
            "url = \"mqtts://***@broker.example:8883\"",
            "password_file = \"broker-password\"",
            "key = \"credential:box-key\"",
            "url = \"rtsp://***@10.0.0.5/a?***\"",
            "ffmpeg_args = [\"-headers\", \"***\"]",
            "password_file = \"exit-password\"",
            "file = \"/var/(plate)\"",
        ] {
            assert!(shown.contains(kept), "{kept}\n{shown}");
        }
        assert_eq!(masked("site = ", &str::to_owned), None);
    }
}
