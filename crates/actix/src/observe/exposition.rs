//! Writes metrics in the text format 0.0.4 of Prometheus: families of samples, each announced once.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use tokenberg_core::Timestamp;

/// A text under construction, in Prometheus' text format.
///
/// Names, help texts and labels are fixed: nothing that a client has sent gets into them (conformance SE-07).
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
}

/// The value of a sample. Prometheus has no integers; beyond 2^53 a difference of one is lost.
#[derive(Clone, Copy, Debug)]
pub struct Figure(f64);

impl Figure {
    /// Seconds, of which each is 1,000 milliseconds.
    #[must_use]
    pub fn of_milliseconds(milliseconds: i64) -> Self {
        Self(Self::from(milliseconds).0 / 1000.0)
    }
}

impl From<f64> for Figure {
    fn from(value: f64) -> Self {
        Self(value)
    }
}

impl From<u32> for Figure {
    fn from(value: u32) -> Self {
        Self(f64::from(value))
    }
}

impl From<u64> for Figure {
    fn from(value: u64) -> Self {
        Self(exact(value))
    }
}

impl From<i64> for Figure {
    #[allow(clippy::cast_precision_loss, reason = "as the format has it")]
    fn from(value: i64) -> Self {
        Self(value as f64)
    }
}

/// 1 for yes, 0 for no.
impl From<bool> for Figure {
    fn from(value: bool) -> Self {
        Self(f64::from(u8::from(value)))
    }
}

/// Seconds since 1970.
impl From<Timestamp> for Figure {
    fn from(value: Timestamp) -> Self {
        value.as_seconds().into()
    }
}

impl Exposition {
    /// A gauge.
    pub fn gauge(&mut self, name: &'static str, help: &'static str, value: impl Into<Figure>) {
        self.family("gauge", name, help);
        self.sample(name, &[], value);
    }

    /// A counter; its name ends with `_total`.
    pub fn counter(&mut self, name: &'static str, help: &'static str, value: u64) {
        self.family("counter", name, help);
        self.sample(name, &[], exact(value));
    }

    /// A gauge that has no sample while its value is not known.
    pub fn known(&mut self, name: &'static str, help: &'static str, value: Option<impl Into<Figure>>) {
        self.family("gauge", name, help);
        value.into_iter().for_each(|value| self.sample(name, &[], value));
    }

    /// Announces samples that differ in their labels.
    pub fn family(&mut self, kind: &'static str, name: &'static str, help: &'static str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// One sample of a family.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Into<Figure>) {
        let Figure(figure) = value.into();
        self.text.push_str(name);
        for (at, (label, value)) in labels.iter().enumerate() {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.text, "{}{label}=\"{value}\"", if at == 0 { '{' } else { ',' });
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{end} {figure}");
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

/// The value of a counter as that of a sample.
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
