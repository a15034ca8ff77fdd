//! Prometheus' text form.

use std::fmt::Write as _;

use super::super::tally::{DELAY_EDGES, Histogram, Sum};

/// Metrics, one family after the other.
#[derive(Default)]
pub struct Text(String);

impl Text {
    pub fn into_string(self) -> String {
        self.0
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

    pub fn histograms(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (String, Histogram)>,
    ) {
        self.head(name, "histogram", help);
        for (labels, histogram) in values {
            let mut below = 0;
            let edges = DELAY_EDGES.iter().map(f64::to_string);
            for (edge, count) in edges.chain(["+Inf".to_owned()]).zip(histogram.counts) {
                below += count;
                let with_edge = [labels.as_str(), &label("le", &edge)].join(",");
                self.line(&format!("{name}_bucket"), &with_edge, below as f64);
            }
            self.line(&format!("{name}_sum"), &labels, histogram.sum);
            self.line(&format!("{name}_count"), &labels, histogram.count() as f64);
        }
    }

    /// Sums and how many they are of, without quantiles.
    pub fn summaries(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (String, Sum)>,
    ) {
        self.head(name, "summary", help);
        for (labels, sum) in values {
            self.line(&format!("{name}_sum"), &labels, sum.sum);
            self.line(&format!("{name}_count"), &labels, sum.of as f64);
        }
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(
            self.0,
            "# HELP kakou_{name} {help}\n# TYPE kakou_{name} {kind}"
        );
    }

    fn line(&mut self, name: &str, labels: &str, value: f64) {
        let _ = match labels.is_empty() {
            true => writeln!(self.0, "kakou_{name} {value}"),
            false => writeln!(self.0, "kakou_{name}{{{labels}}} {value}"),
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
    fn a_histogram_counts_what_lies_below_each_edge() {
        let mut histogram = Histogram::default();
        [0.05, 0.15, 400.0].iter().for_each(|s| histogram.add(*s));
        let mut text = Text::default();
        text.histograms("d_seconds", "Delay.", [(label("camera", "a"), histogram)]);
        let text = text.into_string();
        for line in [
            "# TYPE kakou_d_seconds histogram",
            "kakou_d_seconds_bucket{camera=\"a\",le=\"0.1\"} 1",
            "kakou_d_seconds_bucket{camera=\"a\",le=\"300\"} 2",
            "kakou_d_seconds_bucket{camera=\"a\",le=\"+Inf\"} 3",
            "kakou_d_seconds_count{camera=\"a\"} 3",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
    }

    #[test]
    fn a_label_says_what_it_was_given() {
        assert_eq!(label("zone", "a\"b\\c\nd"), r#"zone="a\"b\\c\nd""#);
    }
}
