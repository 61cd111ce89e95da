//! Selects records of the audit by what they name; conformance SE-06.

use serde_json::Value;
use std::borrow::Cow;
use tokenberg_core::Outcome;

/// Which records are read: those that match every member that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "those who ask make it, and begin with the default")]
pub struct AuditSelection {
    /// The client: of its requests, of requests about its tokens, and of changes of it.
    pub client: Option<Box<str>>,
    /// The subject, by its name in tokens or by its issuer's name for it; also as an actor, and as a refused token claims it.
    pub subject: Option<Box<str>>,
    /// The issuer: of its users, of tokens that claim to be from it, and changes of it.
    pub issuer: Option<Box<str>>,
    /// The outcome of a decision, or [`REFUSED`](Self::REFUSED) for every error.
    pub outcome: Option<Box<str>>,
    /// The identifier of the request, or the beginning of it.
    pub request: Option<Box<str>>,
    /// A part of the reason of a refusal.
    pub reason: Option<Box<str>>,
    /// The kind of the record.
    pub kind: Option<AuditKind>,
}

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditKind {
    /// A request was decided.
    Decision,
    /// The configuration was changed.
    Change,
    /// A process began, ended, or stated something.
    Event,
}

impl AuditKind {
    /// Each with the member that only its records have.
    const ALL: [(Self, &'static str); 3] =
        [(Self::Decision, "outcome"), (Self::Change, "change"), (Self::Event, "event")];

    /// The kind of a record, by its members.
    pub fn of(has_member: impl Fn(&str) -> bool) -> Self {
        Self::ALL.into_iter().find(|(_, member)| has_member(member)).map_or(Self::Event, |(kind, _)| kind)
    }

    fn member(self) -> &'static str {
        Self::ALL.into_iter().find(|(kind, _)| *kind == self).map_or("event", |(_, member)| member)
    }
}

/// As what a record names something; a summary of records has each name with its role.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Client,
    Subject,
    Issuer,
    Outcome,
    /// The beginning of the identifier of a request.
    Request,
    Kind,
}

/// How much of the identifier of a request is in a summary, in characters.
const BEGINNING: usize = 8;

impl AuditSelection {
    /// The outcome that stands for every error.
    pub const REFUSED: &'static str = "refused";

    /// Whether every record is selected.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// The texts that a selected record contains, as JSON writes them.
    pub(super) fn texts(&self) -> impl Iterator<Item = Box<str>> {
        let Self { client, subject, issuer, outcome, request, reason, kind: _ } = self;
        let outcome = outcome.as_ref().filter(|outcome| ***outcome != *Self::REFUSED);
        [client.as_ref(), subject.as_ref(), issuer.as_ref(), request.as_ref(), reason.as_ref(), outcome]
            .into_iter()
            .flatten()
            .map(|text| {
                let written = Value::from(&**text).to_string();
                written.get(1..written.len() - 1).unwrap_or_default().into()
            })
    }

    /// The longest text that a selected record contains; empty if there is none.
    pub(crate) fn longest_text(&self) -> Box<str> {
        self.texts().max_by_key(|text| text.len()).unwrap_or_default()
    }

    /// The names that a summary of a selected record contains.
    pub(crate) fn names(&self) -> Vec<(Role, &str)> {
        let Self { client, subject, issuer, outcome, request, reason: _, kind } = self;
        let beginning = request.as_deref().and_then(beginning_of_request);
        let kind = kind.filter(|kind| *kind != AuditKind::Decision).map(AuditKind::member);
        let all = [
            (Role::Client, client.as_deref()),
            (Role::Subject, subject.as_deref()),
            (Role::Issuer, issuer.as_deref()),
            (Role::Outcome, outcome.as_deref()),
            (Role::Request, beginning),
            (Role::Kind, kind),
        ];
        all.into_iter().filter_map(|(role, name)| Some((role, name?))).collect()
    }
}

/// The text between the quotation marks of JSON.
pub(super) fn decoded(raw: &str) -> Option<Cow<'_, str>> {
    if !raw.contains('\\') {
        return Some(raw.into());
    }
    serde_json::from_str::<String>(&format!("\"{raw}\"")).ok().map(Cow::Owned)
}

/// The text between quotation marks: earlier versions recorded claims as quoted excerpts.
pub(super) fn unquoted(text: &str) -> Option<&str> {
    text.strip_prefix('"')?.strip_suffix('"')
}

/// The part of an identifier that a summary has; `None` if it is shorter.
fn beginning_of_request(id: &str) -> Option<&str> {
    let (end, _) = id.char_indices().nth(BEGINNING - 1)?;
    id.get(..end + id.get(end..)?.chars().next()?.len_utf8())
}

/// Passes on each name in a record by which it can be selected.
///
/// It reads strings and no structure, so that a summary of many records costs little. A nested member may add names that
/// [`AuditSelection::selects`] does not compare, and none is missing.
pub(crate) fn names_in(record: &str, mut found: impl FnMut(Role, &str)) {
    let (mut rest, mut role) = (record, None);
    while let Some((_, begun)) = rest.split_once('"') {
        let Some(end) = end_of_string(begun) else { return };
        let (raw, after) = begun.split_at(end);
        rest = after.get(1..).unwrap_or_default();
        if rest.trim_start().starts_with(':') {
            role = match raw {
                "client" | "owner" => Some(Role::Client),
                "subject" | "issuer_subject" | "actors" | "sub" => Some(Role::Subject),
                "issuer" | "subject_issuer" | "iss" => Some(Role::Issuer),
                "outcome" => Some(Role::Outcome),
                "request_id" => Some(Role::Request),
                "change" | "event" => {
                    found(Role::Kind, raw);
                    None
                }
                _ => None,
            };
            continue;
        }
        let Some(role) = role else { continue };
        let text = decoded(raw).unwrap_or_default();
        let text = &*text;
        match role {
            Role::Request => {
                if let Some(beginning) = beginning_of_request(text) {
                    found(role, beginning);
                }
            }
            Role::Outcome => {
                found(role, text);
                if Outcome::is_error(text) {
                    found(role, AuditSelection::REFUSED);
                }
            }
            Role::Client | Role::Subject | Role::Issuer | Role::Kind => {
                found(role, text);
                if let Some(text) = unquoted(text) {
                    found(role, text);
                }
            }
        }
    }
}

/// Where the string ends, whose first quotation mark is before `text`.
pub(super) fn end_of_string(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    text.bytes().position(|byte| match byte {
        _ if is_escaped => {
            is_escaped = false;
            false
        }
        b'\\' => {
            is_escaped = true;
            false
        }
        byte => byte == b'"',
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(option: &str, value: &str) -> AuditSelection {
        let mut selection = AuditSelection::default();
        let to = match option {
            "client" => &mut selection.client,
            "subject" => &mut selection.subject,
            "issuer" => &mut selection.issuer,
            "outcome" => &mut selection.outcome,
            "reason" => &mut selection.reason,
            _ => &mut selection.request,
        };
        *to = Some(value.into());
        selection
    }

    /// Whether a summary of the record lets the selection find it.
    fn may_find(selection: &AuditSelection, record: &str) -> bool {
        let mut names: Vec<(Role, String)> = Vec::new();
        names_in(record, |role, name| names.push((role, name.to_owned())));
        selection.names().iter().all(|(role, name)| names.iter().any(|(r, n)| r == role && n == name))
    }

    #[test]
    fn se_06_a_record_is_selected_by_everything_that_it_names() {
        let granted = r#"{"client":"trino","outcome":"granted","subject":"okta:alice","issuer_subject":"alice",
            "subject_issuer":"https://idp.example","actors":["trino"],"request_id":"0f02ab13"}"#;
        let refused = r#"{"client":"etl","outcome":"invalid_client","request_id":"0f03ab13","reason":"wrong secret",
            "presented":[{"parameter":"client_assertion","iss":"\"https://idp.example\"","sub":"\"bob\""}]}"#;
        let changed =
            r#"{"change":"issuer added","issuer":"https://idp.example","source":"command line of uid 0"}"#;
        let all = [granted, refused, changed];
        for (option, value, selected) in [
            ("client", "trino", [true, false, false]),
            ("client", "tri", [false; 3]),
            ("subject", "okta:alice", [true, false, false]),
            ("subject", "alice", [true, false, false]),
            ("subject", "trino", [true, false, false]),
            ("subject", "bob", [false, true, false]),
            ("issuer", "https://idp.example", [true; 3]),
            ("issuer", "https://idp.example/", [false; 3]),
            ("outcome", "granted", [true, false, false]),
            ("outcome", "refused", [false, true, false]),
            ("request", "0f02", [true, false, false]),
            ("request", "0f02ab13", [true, false, false]),
            ("request", "0f", [true, true, false]),
            ("reason", "secret", [false, true, false]),
        ] {
            let selection = given(option, value);
            assert_eq!(all.map(|record| selection.selects(record)), selected, "{option} {value}");
            for (record, is_selected) in all.iter().zip(selected) {
                assert!(!is_selected || may_find(&selection, record), "{option} {value}: {record}");
            }
        }
        for (kind, selected) in [
            (AuditKind::Decision, [true, true, false]),
            (AuditKind::Change, [false, false, true]),
            (AuditKind::Event, [false; 3]),
        ] {
            let selection = AuditSelection { kind: Some(kind), ..AuditSelection::default() };
            assert_eq!(all.map(|record| selection.selects(record)), selected, "{kind:?}");
            assert!(kind == AuditKind::Event || all.iter().any(|record| may_find(&selection, record)));
        }
        let both = AuditSelection { issuer: Some("https://idp.example".into()), ..given("client", "etl") };
        assert_eq!(all.map(|record| both.selects(record)), [false, true, false]);
        // What such a row said is unknown, so no filter hides it.
        for damaged in ["", "no object", "{\"client\":\"trino\"", "[1]"] {
            assert!(given("client", "trino").selects(damaged), "{damaged}");
        }
    }

    #[test]
    fn se_06_no_name_is_missing_in_a_summary_whatever_is_in_it() {
        let hostile =
            ["a", "\"", "\\", "\\\"", "a\":\"b", "é\u{202e}", "\n", "\u{0}", "{\"client\":\"x\"}", "", " "];
        for name in hostile {
            for other in hostile {
                let record = serde_json::json!({
                    "client": name, "owner": other, "scope_in": other, "subject": other, "actors": [name, other],
                    "n": null, "presented": [{"iss": other, "sub": format!("\"{name}\"")}], "outcome": "granted",
                    "request_id": format!("{name}12345678"),
                })
                .to_string();
                for selection in [
                    given("client", name),
                    given("client", other),
                    given("subject", name),
                    given("issuer", other),
                    given("request", &format!("{name}12345678")),
                ] {
                    assert!(selection.selects(&record), "{selection:?}: {record}");
                    assert!(may_find(&selection, &record), "{selection:?}: {record}");
                }
                assert!(!given("client", "someone else").selects(&record));
                assert!(!may_find(&given("client", "someone else"), &record));
            }
        }
    }
}
