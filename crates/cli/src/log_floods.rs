//! Bounds the lines of the log that anyone can cause without a decision of the audit: by what is no HTTP, and at `/v1/oauth/verify`.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// The maximum number of such lines per minute.
const MOST: u32 = 60;
const MINUTE: Duration = Duration::from_secs(60);

/// Drops events of these targets above [`MOST`] a minute, and logs the number of dropped events.
#[derive(Default)]
pub(crate) struct LogFloods([Mutex<Lines>; KINDS.len()]);

/// The targets of which strangers can cause any number of events, each with what they are about; so a flood of one kind leaves the
/// others in the log. Events about other requests are bounded where requests are decided.
const KINDS: [(&str, &str); 5] = [
    ("actix", "broken connections"),
    ("tokenberg_actix::guard", "requests with a malformed head"),
    ("tokenberg_actix::connection", "connections without HTTP"),
    ("tokenberg_actix::misdirected", "requests to a wrong path or with a wrong method"),
    ("tokenberg_actix::verify", "requests at /v1/oauth/verify"),
];

/// The place of the target's kind in [`KINDS`].
fn kind(target: &str) -> Option<usize> {
    KINDS.iter().position(|(prefix, _)| target.starts_with(prefix))
}

/// The lines of the present minute.
#[derive(Default)]
struct Lines {
    since: Option<Instant>,
    written: u32,
    left_out: u64,
}

/// What to do with an event.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Write,
    /// Write it, and the number of events that were dropped in the minute before.
    WriteAfter(u64),
    Drop,
}

impl Lines {
    fn judge(&mut self, now: Instant) -> Verdict {
        if self.since.is_none_or(|since| now.saturating_duration_since(since) >= MINUTE) {
            let left_out = self.left_out;
            *self = Self { since: Some(now), written: 1, left_out: 0 };
            return if left_out > 0 { Verdict::WriteAfter(left_out) } else { Verdict::Write };
        }
        if self.written >= MOST {
            self.left_out += 1;
            return Verdict::Drop;
        }
        self.written += 1;
        Verdict::Write
    }
}

impl<S: Subscriber> Layer<S> for LogFloods {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let Some(kind) = kind(event.metadata().target()) else { return true };
        let verdict = self.0[kind].lock().unwrap_or_else(PoisonError::into_inner).judge(Instant::now());
        match verdict {
            Verdict::Write => true,
            Verdict::WriteAfter(left_out) => {
                tracing::warn!(left_out, "dropped log lines about {}", KINDS[kind].1);
                true
            }
            Verdict::Drop => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn se_06_cwe_779_log_lines_about_broken_connections_are_bounded_and_counted() {
        let begun = Instant::now();
        let at = |seconds: u64| begun + Duration::from_secs(seconds);
        let mut lines = Lines::default();
        let written =
            |lines: &mut Lines, now, count| (0..count).filter(|_| lines.judge(now) != Verdict::Drop).count();
        assert_eq!(written(&mut lines, at(0), 10_000), 60);
        assert_eq!(written(&mut lines, at(59), 10_000), 0);
        assert_eq!(lines.judge(at(60)), Verdict::WriteAfter(10_000 - 60 + 10_000));
        assert_eq!(written(&mut lines, at(61), 10_000), 59);
        assert_eq!(lines.judge(at(120)), Verdict::WriteAfter(10_000 - 59));
        assert_eq!(lines.judge(at(300)), Verdict::Write);
        for (target, bounded) in [
            ("actix_http::h1::dispatcher", Some(0)),
            ("tokenberg_actix::guard", Some(1)),
            ("tokenberg_actix::connection", Some(2)),
            ("tokenberg_actix::misdirected", Some(3)),
            ("tokenberg_actix::verify", Some(4)),
            (tokenberg_actix::AUDIT, None),
            ("tokenberg_store::watch", None),
        ] {
            assert_eq!(kind(target), bounded, "{target}");
        }
    }
}
