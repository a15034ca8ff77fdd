//! Where a key stands in a config file, for whoever finds out later that what it names cannot be
//! used. Pure.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::at::line_of;

/// The text of a config, to look keys up in.
#[derive(Debug, Default)]
pub struct Places {
    text: String,
}

impl Places {
    pub fn of(text: &str) -> Self {
        Self { text: text.into() }
    }

    /// The line of a key, or of the section round it where the key is left out. A number picks one
    /// of several sections: `camera.0.url`. `None`: nothing of it is written.
    pub fn line(&self, key: &str) -> Option<usize> {
        let table = DeTable::parse(&self.text).ok()?;
        let mut steps = key.split('.');
        let first = table.get_ref().get(steps.next()?)?;
        let mut found = first;
        for step in steps {
            match within(found, step) {
                Some(next) => found = next,
                None => break,
            }
        }
        Some(line_of(&self.text, found.span().start))
    }

    /// Whether the key itself is written.
    pub fn is_written(&self, key: &str) -> bool {
        let Ok(table) = DeTable::parse(&self.text) else {
            return false;
        };
        let mut steps = key.split('.');
        let Some(first) = steps.next().and_then(|name| table.get_ref().get(name)) else {
            return false;
        };
        steps.try_fold(first, within).is_some()
    }
}

fn within<'a, 'i>(outer: &'a Spanned<DeValue<'i>>, step: &str) -> Option<&'a Spanned<DeValue<'i>>> {
    match outer.get_ref() {
        DeValue::Table(table) => table.get(step),
        DeValue::Array(all) => all.get(step.parse::<usize>().ok()?),
        _ => None,
    }
}

/// The key as people write it: without the numbers that pick one of several sections.
pub fn without_numbers(key: &str) -> String {
    let names: Vec<&str> = key
        .split('.')
        .filter(|step| step.parse::<usize>().is_err())
        .collect();
    names.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "site = \"a\"\n[broker]\nurl = \"mqtt://x\"\n[[camera]]\nid = \"1\"\n\
                        [[camera]]\nid = \"2\"\nurl = \"day\"\n[[camera.lane]]\nid = \"l\"\n";

    #[test]
    fn a_key_is_found_by_its_line_and_a_missing_one_by_its_section() {
        let places = Places::of(TEXT);
        for (key, line) in [
            ("site", Some(1)),
            ("broker.url", Some(3)),
            ("broker.ca", Some(2)),
            ("camera.0.id", Some(5)),
            ("camera.0.url", Some(4)),
            ("camera.1.url", Some(8)),
            ("camera.1.lane.0.id", Some(10)),
            ("agent", None),
            ("metrics.file", None),
        ] {
            assert_eq!(places.line(key), line, "{key}");
        }
        assert!(places.is_written("camera.1.url") && !places.is_written("camera.0.url"));
        assert!(!places.is_written("metrics.file") && !places.is_written("camera.7.url"));
    }

    #[test]
    fn what_is_no_toml_has_no_places() {
        assert_eq!(Places::of("site = ").line("site"), None);
    }

    #[test]
    fn numbers_are_no_part_of_a_keys_name() {
        assert_eq!(
            without_numbers("camera.1.lane.0.polygon"),
            "camera.lane.polygon"
        );
        assert_eq!(without_numbers("site"), "site");
    }
}
