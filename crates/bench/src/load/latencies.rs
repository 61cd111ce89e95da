//! Keeps millions of latencies in little memory: counts in classes that are less than one percent wide.

use serde_json::{Map, Value};
use std::time::Duration;

/// The number of classes of each octave.
const CLASSES: u64 = 128;

/// Counts of latencies in classes; the largest is kept exactly.
#[derive(Default)]
pub(super) struct Latencies {
    counts: Vec<u64>,
    total: u64,
    largest: u64,
}

impl Latencies {
    pub(super) fn add(&mut self, latency: Duration) {
        let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        let class = class(nanoseconds);
        if class >= self.counts.len() {
            self.counts.resize(class + 1, 0);
        }
        self.counts[class] += 1;
        self.total += 1;
        self.largest = self.largest.max(nanoseconds);
    }

    /// The latency that so many of a thousand do not exceed, in nanoseconds.
    fn quantile(&self, of_thousand: u64) -> u64 {
        let wanted = (self.total * of_thousand).div_ceil(1000);
        let mut seen = 0;
        for (class, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted && seen > 0 {
                return upper(class).min(self.largest);
            }
        }
        self.largest
    }

    /// In microseconds.
    pub(super) fn to_json(&self) -> Value {
        let microseconds = |nanoseconds: u64| Value::from(nanoseconds as f64 / 1000.0);
        let mut report = Map::new();
        for (name, of_thousand) in [("p50", 500), ("p90", 900), ("p99", 990), ("p99.9", 999)] {
            report.insert(name.to_owned(), microseconds(self.quantile(of_thousand)));
        }
        report.insert("max".to_owned(), microseconds(self.largest));
        Value::Object(report)
    }
}

fn class(nanoseconds: u64) -> usize {
    if nanoseconds < CLASSES {
        return nanoseconds as usize;
    }
    let octave = u64::from(nanoseconds.ilog2() - CLASSES.ilog2());
    // Between CLASSES and twice that.
    let within = nanoseconds >> octave;
    (octave * CLASSES + within) as usize
}

/// The largest number of the class.
fn upper(class: usize) -> u64 {
    let class = class as u64;
    if class < CLASSES {
        return class;
    }
    let octave = class / CLASSES - 1;
    let within = class - octave * CLASSES;
    ((within + 1) << octave) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_in_its_class_and_classes_are_narrow() {
        for number in [0, 1, 127, 128, 129, 255, 256, 257, 1000, 123_456, 10_000_000_000] {
            let (here, last) = (class(number), upper(class(number)));
            assert!(last >= number && (last - number) * CLASSES <= number.max(1) * 2, "{number}: {last}");
            assert!(
                number == 0 || upper(class(number) - 1) < number || class(number - 1) == here,
                "{number}"
            );
        }
    }

    #[test]
    fn quantiles_are_those_of_the_sorted_list() {
        let mut latencies = Latencies::default();
        (1..=1000).for_each(|n| latencies.add(Duration::from_micros(n)));
        for (of_thousand, expected) in [(500, 500.0), (900, 900.0), (990, 990.0), (999, 999.0)] {
            let found = latencies.quantile(of_thousand) as f64 / 1000.0;
            assert!((found / expected - 1.0).abs() < 0.01, "{of_thousand}: {found}");
        }
        assert_eq!(latencies.largest, 1_000_000);
    }
}
