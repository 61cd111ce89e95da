//! The counters of the last hour, read every fifteen seconds, for the charts of the overview.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// How long samples are kept.
const KEPT: Duration = Duration::from_secs(3600);

/// What the charts need of the figures at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sample {
    at: SystemTime,
    granted: f64,
    refused: f64,
}

/// The samples of the last hour.
#[derive(Default)]
pub(crate) struct Samples(Mutex<VecDeque<Sample>>);

/// Requests in one interval between samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Interval {
    /// The length of the interval, in seconds.
    pub(crate) seconds: f64,
    pub(crate) granted: f64,
    pub(crate) refused: f64,
}

impl Samples {
    /// Adds the figures of `/metrics`.
    pub(crate) fn add(&self, exposition: &str, at: SystemTime) {
        let (mut granted, mut refused) = (0.0, 0.0);
        for (name, labels, value) in samples(exposition) {
            if name == "tokenberg_requests_total" {
                if labels.contains("outcome=\"granted\"") { granted += value } else { refused += value }
            }
        }
        let mut samples = self.locked();
        samples.push_back(Sample { at, granted, refused });
        while samples.front().is_some_and(|first| at.duration_since(first.at).is_ok_and(|age| age > KEPT)) {
            samples.pop_front();
        }
    }

    /// The requests between each two samples. A counter begins again with a process, and this memory is of one process.
    pub(crate) fn intervals(&self) -> Vec<Interval> {
        let samples = self.locked();
        let pairs = samples.iter().zip(samples.iter().skip(1));
        pairs
            .map(|(from, to)| Interval {
                seconds: to.at.duration_since(from.at).map_or(0.0, |time| time.as_secs_f64()),
                granted: (to.granted - from.granted).max(0.0),
                refused: (to.refused - from.refused).max(0.0),
            })
            .collect()
    }

    fn locked(&self) -> MutexGuard<'_, VecDeque<Sample>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Name, labels and value of each line of an exposition in Prometheus' text format.
pub(crate) fn samples(exposition: &str) -> impl Iterator<Item = (&str, &str, f64)> {
    exposition.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        Some((name, labels, value.parse().ok()?))
    })
}

/// The value of a series without labels.
pub(crate) fn value(exposition: &str, name: &str) -> Option<f64> {
    samples(exposition)
        .find(|(found, labels, _)| *found == name && labels.is_empty())
        .map(|(_, _, value)| value)
}

/// The label of a series, without escapes: the labels that pages read are URLs and names of ours.
pub(crate) fn label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    let parts = labels.trim_end_matches('}').split("\",");
    let mut values = parts.filter_map(|part| part.trim_end_matches('"').split_once("=\""));
    values.find(|(found, _)| *found == name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read() {
        let labels = "issuer=\"https://a.example/x?a=b,c\",outcome=\"failed\"}";
        assert_eq!(label(labels, "issuer"), Some("https://a.example/x?a=b,c"));
        assert_eq!(label(labels, "outcome"), Some("failed"));
        assert_eq!((label(labels, "sue"), label("", "issuer")), (None, None));
    }

    #[test]
    fn intervals_are_differences_of_the_counters() {
        let all = Samples::default();
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let text = |granted, refused| {
            format!(
                "# HELP x\ntokenberg_requests_total{{grant=\"a\",outcome=\"granted\"}} {granted}\n\
                 tokenberg_requests_total{{grant=\"a\",outcome=\"invalid_client\"}} {refused}\ntokenberg_ready 1\n"
            )
        };
        all.add(&text(1, 0), at(0));
        all.add(&text(4, 2), at(15));
        assert_eq!(all.intervals(), [Interval { seconds: 15.0, granted: 3.0, refused: 2.0 }]);
        all.add(&text(4, 2), at(4000));
        assert_eq!(all.intervals(), [], "older samples are gone");
        assert_eq!(value(&text(1, 1), "tokenberg_ready"), Some(1.0));
        assert_eq!(value(&text(1, 1), "tokenberg"), None);
    }
}
