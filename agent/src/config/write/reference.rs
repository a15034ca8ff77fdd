//! `configs/reference.toml`: every key with its meaning, its range and its default. What is the
//! default is commented out, so that the file says the same as an empty one but for the sections
//! that have no default.

use std::fmt::Write;

use super::super::define::{DefaultShown, Described, Header, Language, Section};
use super::super::keys;
use super::wrap::wrap;
use super::{COLUMNS, facts, shown_value};

/// The whole reference, as a config that the agent can read.
pub fn reference(language: Language) -> String {
    let mut text = String::new();
    comment(
        &mut text,
        match language {
            Language::En => {
                "Every key of Kakou's config, with its meaning and its default. Keys that are \
                 commented out show the default, or an example where there is none. A key that is \
                 not in this file is an error. Relative paths count from the folder of the config \
                 file."
            }
            Language::Zh => {
                "Kakou 的全部配置项、含义及默认值。注释掉的配置项为默认值；没有默认值的，给出示例。本文件中没有的配置项视为错误。相对路径以配置文件所在目录为起点。"
            }
        },
    );
    text.push_str("#\n");
    comment(
        &mut text,
        match language {
            Language::En => "Written by `kakou config reference`; do not edit.",
            Language::Zh => "由 `kakou config reference --lang zh` 生成，请勿手工修改。",
        },
    );
    section(&mut text, &keys::TOP, language);
    text
}

fn section(text: &mut String, section: &'static Section, language: Language) {
    text.push('\n');
    comment(text, section.doc.of(language));
    match section.header {
        Header::Top => {}
        Header::Inline => return inline(text, section, language),
        Header::Once | Header::Repeated => {
            let _ = writeln!(text, "{}", section.written_as());
        }
        Header::Example => {
            let _ = writeln!(text, "# {}", section.written_as());
        }
    }
    for setting in section.settings {
        text.push('\n');
        comment(text, setting.doc().of(language));
        comment(text, &facts(*setting, language, true));
        let _ = writeln!(
            text,
            "{}{} = {}",
            mark(section, *setting),
            setting.name(),
            shown_value(*setting)
        );
    }
    for child in section.sections {
        self::section(text, child, language);
    }
}

/// `hits = { max_mib = 4096, max_age_h = 2160 }`
fn inline(text: &mut String, section: &'static Section, language: Language) {
    for setting in section.settings {
        let colon = match language {
            Language::En => ": ",
            Language::Zh => "：",
        };
        let line = format!(
            "{}{colon}{} {}",
            setting.name(),
            setting.doc().of(language),
            facts(*setting, language, true)
        );
        comment(text, &line);
    }
    let all: Vec<String> = section
        .settings
        .iter()
        .map(|setting| format!("{} = {}", setting.name(), shown_value(*setting)))
        .collect();
    let _ = writeln!(text, "# {} = {{ {} }}", section.name(), all.join(", "));
}

/// Only what must be written stands there uncommented.
fn mark(section: &Section, setting: &dyn Described) -> &'static str {
    let is_needed = matches!(setting.default(), DefaultShown::Required)
        // A broker needs an address, and a camera without one is not used.
        || setting.name() == "url"
        // A list is in a file, unless it is delivered.
        || section.key(setting.name()) == "watchlist.list.file";
    if is_needed && section.header != Header::Example {
        ""
    } else {
        "# "
    }
}

fn comment(text: &mut String, words: &str) {
    for line in wrap(words, COLUMNS - 2) {
        let _ = writeln!(text, "# {line}");
    }
}
