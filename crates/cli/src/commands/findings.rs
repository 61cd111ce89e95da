//! The findings of `tokenberg check`.

use crate::moment_text;
use tokenberg_core::Timestamp;

/// The findings.
#[derive(Default)]
pub(super) struct Findings(pub(super) Vec<Finding>);

/// A finding about a part of the installation.
pub(super) struct Finding {
    pub(super) about: &'static str,
    pub(super) state: &'static str,
    pub(super) text: String,
}

impl Findings {
    pub(super) fn add(&mut self, about: &'static str, state: &'static str, text: impl Into<String>) {
        self.0.push(Finding { about, state, text: text.into() });
    }

    pub(super) fn ok(&mut self, about: &'static str, text: impl Into<String>) {
        self.add(about, "ok", text);
    }

    /// The clock comes first: a wrong one explains what follows.
    pub(super) fn wrong_clock(&mut self, now: Timestamp, reason: &str) {
        self.0.retain(|finding| finding.about != "clock");
        let text = format!("{}: {reason}; synchronize the clocks by NTP", moment_text::written(now));
        self.0.insert(0, Finding { about: "clock", state: "problem", text });
    }

    pub(super) fn note(&mut self, about: &'static str, text: impl Into<String>) {
        self.add(about, "note", text);
    }

    pub(super) fn problem(&mut self, about: &'static str, text: impl Into<String>) {
        self.add(about, "problem", text);
    }
}
