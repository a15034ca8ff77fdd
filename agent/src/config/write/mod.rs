//! The config described: `configs/reference.toml` and `docs/config.md`, both made from the
//! definitions in [`super::keys`]. Tests hold the committed files to what comes out here.

mod page;
mod reference;
mod wrap;

pub use page::page;
pub use reference::reference;

use super::define::{DefaultShown, Described, Language, TakenUp};

/// Columns of the reference's comments and of the page's lines.
const COLUMNS: usize = 100;

/// Type, range, default, and whether a change needs a restart. `shows_value`: the default stands
/// beside it anyway.
fn facts(setting: &dyn Described, language: Language, shows_value: bool) -> String {
    let mut facts = setting.kind_words(language);
    let (default, restart) = match language {
        Language::En => (". Default: ", " A change needs a restart."),
        Language::Zh => ("。默认：", "更改后须重启。"),
    };
    let stop = match language {
        Language::En => ".",
        Language::Zh => "。",
    };
    match setting.default() {
        DefaultShown::Required => facts.push_str(match language {
            Language::En => ". Required.",
            Language::Zh => "。必填。",
        }),
        DefaultShown::Value(_) if shows_value => facts.push_str(stop),
        DefaultShown::Value(toml) => facts.push_str(&format!("{default}`{toml}`{stop}")),
        DefaultShown::Said(words) => {
            facts.push_str(&format!("{default}{}{stop}", words.of(language)));
        }
    }
    if setting.taken_up() == TakenUp::Restart {
        facts.push_str(restart);
    }
    facts
}

/// What stands for a setting's value where all keys are shown.
fn shown_value(setting: &dyn Described) -> String {
    match (setting.example(), setting.default()) {
        (Some(example), _) => example.to_owned(),
        (None, DefaultShown::Value(toml)) => toml,
        // A test holds that every setting has one of both.
        (None, DefaultShown::Required | DefaultShown::Said(_)) => "\"\"".to_owned(),
    }
}
