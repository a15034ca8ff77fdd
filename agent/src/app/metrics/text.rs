//! What the agent adds to Prometheus' text form: sums, and how often something took how long.

use kakou_entry::metrics::{Text, label};

use super::super::tally::{DELAY_EDGES, Histogram, Sum};

pub fn histograms(
    text: &mut Text,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = (String, Histogram)>,
) {
    text.head(name, "histogram", help);
    for (labels, histogram) in values {
        let mut below = 0;
        let edges = DELAY_EDGES.iter().map(f64::to_string);
        for (edge, count) in edges.chain(["+Inf".to_owned()]).zip(histogram.counts) {
            below += count;
            let with_edge = [labels.as_str(), &label("le", &edge)].join(",");
            text.line(&format!("{name}_bucket"), &with_edge, below as f64);
        }
        text.line(&format!("{name}_sum"), &labels, histogram.sum);
        text.line(&format!("{name}_count"), &labels, histogram.count() as f64);
    }
}

/// Sums and how many they are of, without quantiles.
pub fn summaries(
    text: &mut Text,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = (String, Sum)>,
) {
    text.head(name, "summary", help);
    for (labels, sum) in values {
        text.line(&format!("{name}_sum"), &labels, sum.sum);
        text.line(&format!("{name}_count"), &labels, sum.of as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_counts_what_lies_below_each_edge() {
        let mut histogram = Histogram::default();
        [0.05, 0.15, 400.0].iter().for_each(|s| histogram.add(*s));
        let mut text = Text::new("kakou_");
        let values = [(label("camera", "a"), histogram)];
        histograms(&mut text, "d_seconds", "Delay.", values);
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
}
