//! Pictures as SVG within the page: requests of the last hour, and chains of actors.

use crate::samples::Interval;
use crate::shown;
use maud::{Markup, html};

const WIDTH: usize = 600;
const HEIGHT: usize = 80;
/// The most bars: one for a minute.
const BARS: usize = 60;

/// Bars of one kind of request, the youngest on the right.
pub(crate) fn bars(name: &str, class: &str, intervals: &[Interval], of: impl Fn(&Interval) -> f64) -> Markup {
    let minutes = minutes(intervals, of);
    let most = minutes.iter().copied().fold(1.0, f64::max);
    // Not `sum`, which is -0 for nothing.
    let total = minutes.iter().fold(0.0, |sum, value| sum + value);
    let width = WIDTH / BARS;
    html! {
        figure {
            figcaption { (name) ": " strong { (total) } ", at most " (most_of(&minutes)) " in a minute" }
            svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" class=(class)
                aria-label=(format!("{name} in each minute of the last hour: {total} together")) {
                @for (n, value) in minutes.iter().rev().enumerate() {
                    @let tall = bar(*value, most);
                    rect x=(WIDTH - (n + 1) * width) y=(HEIGHT - tall) width=(width - 2) height=(tall) {}
                }
            }
        }
    }
}

fn most_of(minutes: &[f64]) -> f64 {
    minutes.iter().copied().fold(0.0, f64::max)
}

/// The height of a bar: at least a pixel if there is anything.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0 and the height of a picture"
)]
fn bar(value: f64, most: f64) -> usize {
    let tall = (value / most * 80.0).ceil().clamp(0.0, 80.0) as usize;
    tall.min(HEIGHT)
}

/// Sums for each minute, the oldest first.
fn minutes(intervals: &[Interval], of: impl Fn(&Interval) -> f64) -> Vec<f64> {
    let (mut minutes, mut seconds, mut sum) = (Vec::new(), 0.0, 0.0);
    for interval in intervals.iter().rev() {
        seconds += interval.seconds;
        sum += of(interval);
        if seconds >= 59.0 {
            minutes.push(sum);
            (seconds, sum) = (0.0, 0.0);
        }
    }
    if seconds > 0.0 {
        minutes.push(sum);
    }
    minutes.truncate(BARS);
    minutes.reverse();
    minutes
}

/// The subject and those who act for it, the present actor first.
pub(crate) fn chain(subject: &str, actors: &[String]) -> Markup {
    let boxes: Vec<(&str, String)> = std::iter::once(("subject", subject.to_owned()))
        .chain(
            actors
                .iter()
                .enumerate()
                .map(|(n, actor)| (if n == 0 { "acts now" } else { "acted before" }, actor.clone())),
        )
        .collect();
    html! {
        ol.chain aria-label="Chain of actors" {
            @for (role, name) in &boxes {
                li { span.dim { (role) } " " strong { (shown::text(name)) } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_sum_minutes_and_hold_their_size() {
        let interval = |granted| Interval { seconds: 15.0, granted, refused: 0.0 };
        let intervals: Vec<Interval> = (0..9).map(|n| interval(f64::from(n))).collect();
        assert_eq!(minutes(&intervals, |interval| interval.granted), [0.0, 10.0, 26.0]);
        assert_eq!([bar(0.0, 5.0), bar(0.001, 5.0), bar(5.0, 5.0)], [0, 1, 80]);
        let many: Vec<Interval> = (0..1000).map(|_| interval(1.0)).collect();
        assert_eq!(minutes(&many, |interval| interval.granted).len(), 60);
    }
}
