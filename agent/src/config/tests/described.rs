//! The definitions of the keys hold what they promise: each key is read, documented in both
//! languages, and stands in the reference and on the pages as it is defined.

use toml::de::DeTable;

use super::super::define::{DefaultShown, Described, Header, Section};
use super::super::{keys, write};
use super::*;

/// Every section with the headers that lead to it, so that a config can name a key in it.
fn sections() -> Vec<(&'static Section, String)> {
    fn walk(section: &'static Section, outer: &str, all: &mut Vec<(&'static Section, String)>) {
        let headers = match section.header {
            Header::Top => String::new(),
            Header::Once | Header::Repeated | Header::Example | Header::Inline => {
                format!("{outer}{}\n", section.written_as())
            }
        };
        all.push((section, headers.clone()));
        for child in section.sections {
            walk(child, &headers, all);
        }
    }
    let mut all = Vec::new();
    walk(&keys::TOP, "", &mut all);
    all
}

fn settings() -> Vec<(&'static Section, &'static dyn Described)> {
    sections()
        .iter()
        .flat_map(|(section, _)| section.settings.iter().map(|setting| (*section, *setting)))
        .collect()
}

/// A value that is parsed on its own.
fn refused(setting: &dyn Described, toml: &str) -> Option<String> {
    let text = format!("value = {toml}");
    let table = DeTable::parse(&text).unwrap();
    setting.refuses(&table.get_ref()["value"])
}

/// A key that is defined but that nobody reads would be taken without a word, whatever it says.
#[test]
fn every_key_is_read() {
    for (section, headers) in sections() {
        for setting in section.settings {
            // No key is a date.
            let Some(reason) = refused(*setting, "2026-03-14") else {
                panic!("{} takes a date", setting.name())
            };
            let said = fault(&format!("{headers}{} = 2026-03-14", setting.name()));
            let key = format!("{}: {reason}", section.key(setting.name()));
            assert!(said.contains(&key), "{key} in: {said}");
        }
        let said = fault(&format!("{headers}zzz = 1"));
        let key = format!("{}: there is no such key", section.key("zzz"));
        assert!(said.contains(&key), "{key} in: {said}");
    }
}

#[test]
fn every_key_is_documented_and_its_example_is_taken() {
    for (section, setting) in settings() {
        let key = section.key(setting.name());
        let doc = setting.doc();
        assert!(
            doc.en.ends_with('.') && !doc.en.contains("  "),
            "{key}: {}",
            doc.en
        );
        assert!(
            doc.zh.ends_with('。') && !doc.zh.contains("  "),
            "{key}: {}",
            doc.zh
        );
        let default = match setting.default() {
            DefaultShown::Value(toml) => Some(toml),
            DefaultShown::Required | DefaultShown::Said(_) => None,
        };
        assert!(
            default.is_some() || setting.example().is_some(),
            "{key} has no value to show"
        );
        for shown in default.iter().map(String::as_str).chain(setting.example()) {
            assert_eq!(refused(setting, shown), None, "{key} = {shown}");
        }
    }
    for (section, _) in sections() {
        assert!(
            section.doc.en.ends_with('.') && section.doc.zh.ends_with('。'),
            "{}",
            section.path
        );
    }
}

#[test]
fn the_defaults_that_are_shown_are_those_that_hold() {
    let mut text = String::new();
    for (section, headers) in sections() {
        if section.header == Header::Example {
            continue;
        }
        let header = headers.lines().last().unwrap_or_default();
        text.push_str(&format!("{header}\n"));
        for setting in section.settings {
            let stands = ["broker.url", "camera.url", "watchlist.list.file"]
                .contains(&section.key(setting.name()).as_str());
            match setting.default() {
                DefaultShown::Value(toml) => {
                    text.push_str(&format!("{} = {toml}\n", setting.name()));
                }
                DefaultShown::Required => {
                    let example = setting.example().unwrap();
                    text.push_str(&format!("{} = {example}\n", setting.name()));
                }
                DefaultShown::Said(_) if section.path.is_empty() || stands => {
                    text.push_str(&format!(
                        "{} = {}\n",
                        setting.name(),
                        setting.example().unwrap()
                    ));
                }
                DefaultShown::Said(_) => {}
            }
        }
    }
    let written = parsed(&text);
    let left_out = Config::without_file().unwrap();
    assert_eq!(written.outbox, left_out.outbox);
    assert_eq!(written.look, left_out.look);
    assert_eq!(written.models, left_out.models);
    assert_eq!(written.passage, left_out.passage);
    assert_eq!(written.evidence, left_out.evidence);
    assert_eq!(written.agent_times, left_out.agent_times);
    assert_eq!(
        (written.site, written.agent),
        (left_out.site, left_out.agent)
    );
    assert_eq!(written.cameras[0].watching, Watching::default());
    assert_eq!(written.warnings, []);
}

/// `kakou config reference` and `kakou config docs` write what is committed.
#[test]
fn the_committed_reference_and_pages_are_what_comes_out() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (file, command, text) in [
        (
            "configs/reference.toml",
            "reference",
            write::reference(Language::En),
        ),
        ("docs/config.md", "docs", write::page(Language::En)),
        (
            "docs/config.zh-CN.md",
            "docs --lang zh",
            write::page(Language::Zh),
        ),
    ] {
        let committed = std::fs::read_to_string(root.join(file)).unwrap();
        assert!(
            committed == text,
            "{file} is not what comes out; write it with `kakou config {command} > {file}`"
        );
    }
}

#[test]
fn the_reference_is_a_config_in_both_languages_and_no_line_is_too_long() {
    for language in [Language::En, Language::Zh] {
        let text = write::reference(language);
        assert_eq!(parsed(&text).cameras.len(), 1);
        for line in text.lines() {
            let width = unicode_width::UnicodeWidthStr::width(line);
            assert!(
                width <= 100 || !line.contains(' '),
                "{width} columns: {line}"
            );
        }
        for (section, setting) in settings() {
            assert!(
                text.contains(&format!("{} = ", setting.name())),
                "{} is missing",
                section.key(setting.name())
            );
        }
    }
}
