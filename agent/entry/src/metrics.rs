//! Prometheus' text form.

use std::fmt::Write as _;

/// The content type of [`Text`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Metrics, one family after the other.
pub struct Text {
    prefix: &'static str,
    text: String,
}

impl Text {
    /// Each name begins with `prefix`, as `kakou_`.
    pub const fn new(prefix: &'static str) -> Self {
        Self {
            prefix,
            text: String::new(),
        }
    }

    pub fn into_string(self) -> String {
        self.text
    }

    /// A family of gauges or counters: its help, and a value per set of labels.
    pub fn add(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        values: impl IntoIterator<Item = (String, f64)>,
    ) {
        self.head(name, kind, help);
        for (labels, value) in values {
            self.line(name, &labels, value);
        }
    }

    pub fn one(&mut self, name: &str, kind: &str, help: &str, value: f64) {
        self.add(name, kind, help, [(String::new(), value)]);
    }

    /// Begins a family.
    pub fn head(&mut self, name: &str, kind: &str, help: &str) {
        let prefix = self.prefix;
        // Writing to a string does not fail.
        let _ = writeln!(
            self.text,
            "# HELP {prefix}{name} {help}\n# TYPE {prefix}{name} {kind}"
        );
    }

    /// A value of the family that was begun last.
    pub fn line(&mut self, name: &str, labels: &str, value: f64) {
        let prefix = self.prefix;
        let _ = match labels.is_empty() {
            true => writeln!(self.text, "{prefix}{name} {value}"),
            false => writeln!(self.text, "{prefix}{name}{{{labels}}} {value}"),
        };
    }
}

/// `name="value"`, whatever the value holds.
pub fn label(name: &str, value: &str) -> String {
    let escaped = value
        .replace('\\', r"\\")
        .replace('"', "\\\"")
        .replace('\n', r"\n");
    format!("{name}=\"{escaped}\"")
}

/// Several labels in this order.
pub fn labels<const N: usize>(all: [(&str, &str); N]) -> String {
    all.map(|(name, value)| label(name, value)).join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_says_what_it_was_given() {
        assert_eq!(label("zone", "a\"b\\c\nd"), r#"zone="a\"b\\c\nd""#);
    }

    #[test]
    fn a_family_is_its_help_its_kind_and_a_line_per_set_of_labels() {
        let mut text = Text::new("kakou_");
        let values = [("a", 1.0), ("b", 2.5)];
        let values = values.map(|(lane, value)| (label("lane", lane), value));
        text.add("messages_total", "counter", "Messages.", values);
        text.one("up", "gauge", "Whether.", 1.0);
        assert_eq!(
            text.into_string(),
            "# HELP kakou_messages_total Messages.\n# TYPE kakou_messages_total counter\n\
             kakou_messages_total{lane=\"a\"} 1\nkakou_messages_total{lane=\"b\"} 2.5\n\
             # HELP kakou_up Whether.\n# TYPE kakou_up gauge\nkakou_up 1\n"
        );
    }
}
