//! `docs/config.md` and its Chinese twin.

use std::fmt::Write;

use super::super::define::{DefaultShown, Header, Language, Section};
use super::super::keys;
use super::wrap::wrap;
use super::{COLUMNS, facts};

/// The whole page, in Markdown.
pub fn page(language: Language) -> String {
    let mut text = String::new();
    text.push_str(match language {
        Language::En => HEAD_EN,
        Language::Zh => HEAD_ZH,
    });
    text.push('\n');
    let sections = flat(&keys::TOP);
    for section in &sections {
        let colon = match language {
            Language::En => ": ",
            Language::Zh => "：",
        };
        let entry = format!(
            "[{}](#{}){colon}{}",
            title(section, language),
            anchor(section, language),
            first_sentence(section.doc.of(language))
        );
        for (number, line) in wrap(&entry, COLUMNS - 2).iter().enumerate() {
            let _ = writeln!(text, "{} {line}", if number == 0 { "-" } else { " " });
        }
    }
    for section in &sections {
        let _ = writeln!(text, "\n## {}\n", title(section, language));
        paragraph(&mut text, section.doc.of(language));
        for setting in section.settings {
            let _ = writeln!(text, "\n### `{}`\n", section.key(setting.name()));
            paragraph(&mut text, setting.doc().of(language));
            text.push('\n');
            paragraph(&mut text, &facts(*setting, language, false));
            let needs_example = !matches!(setting.default(), DefaultShown::Value(_));
            if let (Some(example), true) = (setting.example(), needs_example) {
                let _ = writeln!(text, "\n```toml\n{} = {example}\n```", setting.name());
            }
        }
    }
    text
}

const HEAD_EN: &str = "\
<!-- Written by `kakou config docs`; do not edit. -->

# The config

Kakou reads one TOML file. 中文：[config.zh-CN.md](config.zh-CN.md).

- A key that is not on this page is an error. The message names the file, the line and the nearest
  known key. `kakou check-config FILE` checks a file without starting anything.
- Relative paths count from the folder of the config file.
- `kill -HUP`, `systemctl reload kakou` or the platform's command `reload` takes changes into use.
  The few keys that need a restart say so.
- [configs/reference.toml](../configs/reference.toml) has the same keys in the form of a config.
  Start from [configs/single-lane-gate.toml](../configs/single-lane-gate.toml) or
  [configs/checkpoint.toml](../configs/checkpoint.toml).
";

const HEAD_ZH: &str = "\
<!-- 由 `kakou config docs --lang zh` 生成，请勿手工修改。 -->

# 配置

Kakou 读取一个 TOML 文件。English: [config.md](config.md).

- 本页没有的配置项视为错误，提示中给出文件、行号和最接近的配置项。
  `kakou check-config 文件` 只检查，不启动任何程序。
- 相对路径以配置文件所在目录为起点。
- `kill -HUP`、`systemctl reload kakou` 或平台的 `reload` 命令使更改生效。
  少数需要重启的配置项会注明。
- [configs/reference.toml](../configs/reference.toml) 以配置文件的形式列出同样的配置项。
  可从 [configs/single-lane-gate.toml](../configs/single-lane-gate.toml) 或
  [configs/checkpoint.toml](../configs/checkpoint.toml) 开始修改。
";

fn flat(section: &'static Section) -> Vec<&'static Section> {
    let mut all = vec![section];
    all.extend(section.sections.iter().copied().flat_map(flat));
    all
}

fn title(section: &Section, language: Language) -> String {
    match (section.header, language) {
        (Header::Top, Language::En) => "Before the first section".to_owned(),
        (Header::Top, Language::Zh) => "文件开头".to_owned(),
        (Header::Once | Header::Repeated | Header::Example | Header::Inline, _) => {
            format!("`{}`", section.written_as())
        }
    }
}

/// As Markdown viewers make it of a heading.
fn anchor(section: &Section, language: Language) -> String {
    title(section, language)
        .to_lowercase()
        .chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            c if c.is_alphanumeric() || c == '_' || c == '-' => Some(c),
            _ => None,
        })
        .collect()
}

fn first_sentence(text: &str) -> &str {
    let english = text.find(". ").map(|at| at + 1);
    let chinese = text.find('。').map(|at| at + '。'.len_utf8());
    text.get(..english.or(chinese).unwrap_or(text.len()))
        .unwrap_or(text)
}

fn paragraph(text: &mut String, words: &str) {
    for line in wrap(words, COLUMNS) {
        let _ = writeln!(text, "{line}");
    }
}
