//! Whether a record has what a selection names, at a fraction of the cost of parsing it; conformance SE-06.

use crate::audit::selection::{AuditKind, AuditSelection, decoded, end_of_string, unquoted};
use memchr::memmem::Finder;
use serde_json::Value;
use std::borrow::Cow;
use tokenberg_core::Outcome;

/// The members of a decision that are texts and are compared.
const MEMBERS: [&str; 9] = [
    "outcome",
    "client",
    "owner",
    "request_id",
    "reason",
    "subject",
    "issuer_subject",
    "subject_issuer",
    "issuer",
];

/// A selection that is prepared for many records.
pub(super) struct Matcher<'a> {
    selection: &'a AuditSelection,
    is_everything: bool,
    /// What a selected record contains, as JSON writes it.
    texts: Vec<Finder<'static>>,
    /// The beginnings of the members, in the order of [`MEMBERS`].
    members: [Finder<'static>; MEMBERS.len()],
}

impl AuditSelection {
    /// Whether the record is selected. One that is not a JSON object may have been anything, so it always is.
    #[must_use]
    pub fn selects(&self, record: &str) -> bool {
        Matcher::new(self).selects(record)
    }
}

impl<'a> Matcher<'a> {
    pub(super) fn new(selection: &'a AuditSelection) -> Self {
        Self {
            selection,
            is_everything: selection.is_everything(),
            texts: selection.texts().map(|text| Finder::new(text.as_bytes()).into_owned()).collect(),
            members: MEMBERS.map(|name| Finder::new(format!("\"{name}\":\"").as_bytes()).into_owned()),
        }
    }

    /// [`AuditSelection::selects`]
    pub(super) fn selects(&self, record: &str) -> bool {
        if self.is_everything {
            return true;
        }
        let is_object = record.starts_with('{') && record.ends_with('}');
        if is_object && !self.texts.iter().all(|text| text.find(record.as_bytes()).is_some()) {
            return false;
        }
        if is_object && let Some(is_selected) = self.selects_decision(record) {
            return is_selected;
        }
        let parsed: Option<Value> = serde_json::from_str(record).ok();
        parsed.filter(Value::is_object).is_none_or(|record| self.matches(&record))
    }

    /// Whether a decision is selected, without parsing it; `None` if the record is none, or if that depends on members in lists.
    fn selects_decision(&self, record: &str) -> Option<bool> {
        let text = |name: &str| self.text_of(record, name);
        text("outcome")?;
        if !self.matches_texts(text, AuditKind::Decision) {
            return Some(false);
        }
        let AuditSelection { subject, issuer, .. } = self.selection;
        let has = |wanted: &Option<Box<str>>, names: [&str; 2]| {
            let Some(wanted) = wanted.as_deref() else { return true };
            names.into_iter().any(|name| text(name).is_some_and(|found| found == wanted))
        };
        let is_found =
            has(subject, ["subject", "issuer_subject"]) && has(issuer, ["subject_issuer", "issuer"]);
        is_found.then_some(true)
    }

    fn matches(&self, record: &Value) -> bool {
        let AuditSelection { subject, issuer, .. } = self.selection;
        let text = |name: &str| record.get(name).and_then(Value::as_str);
        let has = |wanted: &Option<Box<str>>, names: &[&str]| {
            wanted.as_deref().is_none_or(|wanted| names.iter().any(|name| text(name) == Some(wanted)))
        };
        let list = |name: &str| record.get(name).and_then(Value::as_array).into_iter().flatten();
        let has_actor = |wanted: &Option<Box<str>>| {
            wanted.as_deref().is_some_and(|wanted| list("actors").any(|actor| actor == wanted))
        };
        let has_claimed = |wanted: &Option<Box<str>>, claim: &str| {
            let mut claimed = list("presented").filter_map(|token| token.get(claim)?.as_str());
            wanted
                .as_deref()
                .is_some_and(|wanted| claimed.any(|shown| shown == wanted || unquoted(shown) == Some(wanted)))
        };
        let kind = AuditKind::of(|member| record.get(member).is_some());
        self.matches_texts(|name| text(name).map(Cow::Borrowed), kind)
            && (has(subject, &["subject", "issuer_subject"])
                || has_actor(subject)
                || has_claimed(subject, "sub"))
            && (has(issuer, &["issuer", "subject_issuer"]) || has_claimed(issuer, "iss"))
    }

    /// Whether the members that are texts match, but for subject and issuer, which are also in lists.
    fn matches_texts<'r>(&self, text: impl Fn(&str) -> Option<Cow<'r, str>>, kind: AuditKind) -> bool {
        let AuditSelection { client, outcome, request, reason, kind: wanted_kind, .. } = self.selection;
        let is = |wanted: &str, name: &str| text(name).is_some_and(|found| found == wanted);
        let has_outcome = outcome.as_deref().is_none_or(|wanted| match text("outcome") {
            Some(outcome) if wanted == AuditSelection::REFUSED => Outcome::is_error(&outcome),
            outcome => outcome.as_deref() == Some(wanted),
        });
        has_outcome
            && wanted_kind.is_none_or(|wanted| wanted == kind)
            && client.as_deref().is_none_or(|wanted| is(wanted, "client") || is(wanted, "owner"))
            && request
                .as_deref()
                .is_none_or(|wanted| text("request_id").is_some_and(|id| id.starts_with(wanted)))
            && reason.as_deref().is_none_or(|wanted| text("reason").is_some_and(|why| why.contains(wanted)))
    }

    /// A member of a decision that is a text, without parsing the rest: a decision has no other object with such a member in it, and
    /// in texts, quotation marks are escaped.
    fn text_of<'r>(&self, record: &'r str, name: &str) -> Option<Cow<'r, str>> {
        let member = MEMBERS.iter().position(|member| *member == name)?;
        let finder = self.members.get(member)?;
        let begun = record.get(finder.find(record.as_bytes())? + finder.needle().len()..)?;
        decoded(begun.get(..end_of_string(begun)?)?)
    }
}
