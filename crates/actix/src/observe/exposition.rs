//! Writes metrics in the text format 0.0.4 of Prometheus: families of samples, each announced once.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

/// A text under construction, in Prometheus' text format.
///
/// Names, help texts and labels are fixed: nothing that a client has sent gets into them (conformance SE-07).
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
}

impl Exposition {
    /// A gauge.
    pub fn gauge(&mut self, name: &'static str, help: &'static str, value: f64) {
        self.family("gauge", name, help);
        self.sample(name, &[], value);
    }

    /// A counter; its name ends with `_total`.
    pub fn counter(&mut self, name: &'static str, help: &'static str, value: u64) {
        self.family("counter", name, help);
        self.sample(name, &[], exact(value));
    }

    /// Announces samples that differ in their labels.
    pub fn family(&mut self, kind: &'static str, name: &'static str, help: &'static str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// One sample of a family.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.text.push_str(name);
        for (at, (label, value)) in labels.iter().enumerate() {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.text, "{}{label}=\"{value}\"", if at == 0 { '{' } else { ',' });
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{end} {value}");
    }

    /// The text.
    #[must_use]
    pub fn into_text(self) -> String {
        self.text
    }
}

/// Raises a counter.
pub(crate) fn one_more(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// The value of a counter.
pub(crate) fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// Prometheus has no integers; beyond 2^53 a difference of one is lost.
#[allow(clippy::cast_precision_loss, reason = "as the format has it")]
pub(crate) fn exact(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn se_07_labels_are_escaped_and_families_announced() {
        let mut exposition = Exposition::default();
        exposition.gauge("a", "What it is.", 0.5);
        exposition.family("counter", "b_total", "More.");
        exposition.sample("b_total", &[("x", "a\"b\\c\n"), ("y", "")], exact(3));
        let text = "# HELP a What it is.\n# TYPE a gauge\na 0.5\n# HELP b_total More.\n# TYPE b_total counter\n\
                    b_total{x=\"a\\\"b\\\\c\\n\",y=\"\"} 3\n";
        assert_eq!(exposition.into_text(), text);
    }
}
