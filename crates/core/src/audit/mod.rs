//! The audit record of a decision, which never contains a token or a secret; conformance SE-01, SE-05 and SE-06.

mod outcome;

pub use outcome::Outcome;

use crate::request::ClaimedToken;
use crate::text::{floor_char_boundary, is_unsafe_to_display};
use serde::Serialize;
use std::borrow::Cow;

/// One decision about one request: the request, the client and the outcome.
///
/// Texts are as they were presented, and may contain any characters, but no secrets: the recorder escapes them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub struct AuditRecord<'a> {
    /// The path of the endpoint, under the issuer.
    pub endpoint: &'static str,
    /// What the answer and the log call the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<&'a str>,
    /// The address that the request came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Cow<'a, str>>,
    /// The port there, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The registered client that it is, or that it claims to be if it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<Cow<'a, str>>,
    /// How the client authenticated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<&'static str>,
    /// The name of the client secret that authenticated the client of a granted request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<Cow<'a, str>>,
    /// The grant type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant: Option<&'static str>,
    /// The client that a presented token belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<Cow<'a, str>>,
    /// The subject of the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Cow<'a, str>>,
    /// Whose name the subject is, if it is not ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_issuer: Option<Cow<'a, str>>,
    /// The subject as its issuer calls it, where `subject` has the prefix of the issuer before that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer_subject: Option<Cow<'a, str>>,
    /// How the subject was authenticated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_auth: Option<Cow<'a, str>>,
    /// The actors of the subject, the present one first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub actors: Vec<Cow<'a, str>>,
    /// The requested scope.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope_in: Option<Cow<'a, str>>,
    /// The scope that was granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope_out: Option<Cow<'a, str>>,
    /// The audiences of the token.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aud: Vec<Cow<'a, str>>,
    /// The identifier of the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jti: Option<Cow<'a, str>>,
    /// The keys that the token is bound to, by their thumbprints.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bound: Vec<Cow<'a, str>>,
    /// The session of a presented token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<Cow<'a, str>>,
    /// The identifier of the token of the subject that was exchanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_jti: Option<Cow<'a, str>>,
    /// The identifier of the token of the actor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor_jti: Option<Cow<'a, str>>,
    /// What the tokens of a refused request claim to be: identifier and client.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<Cow<'a, str>>,
    /// What the tokens of a refused request claim as `iss`, `sub` and `aud`, each with its parameter.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub presented: Vec<ClaimedToken>,
    /// How it ended.
    pub outcome: Outcome,
    /// The status of the answer, where the request was not looked into or could not be answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why, where it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Cow<'a, str>>,
    /// Whether no client was authenticated, so that anyone may have chosen the texts; they are cut then.
    #[serde(rename = "unverified", skip_serializing_if = "is_false")]
    pub is_unverified: bool,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// The longest text of a request without client authentication, in bytes of UTF-8.
const LONGEST_UNVERIFIED: usize = 128;
/// The longest reason of such a request.
const LONGEST_UNVERIFIED_REASON: usize = 256;
/// The most texts of a list of such a request.
const MOST_UNVERIFIED: usize = 4;

impl AuditRecord<'_> {
    /// A record with no other fields set.
    #[must_use]
    pub const fn new(endpoint: &'static str, outcome: Outcome) -> Self {
        Self {
            endpoint,
            request_id: None,
            source: None,
            port: None,
            client: None,
            method: None,
            secret: None,
            grant: None,
            owner: None,
            subject: None,
            subject_issuer: None,
            issuer_subject: None,
            subject_auth: None,
            actors: Vec::new(),
            scope_in: None,
            scope_out: None,
            aud: Vec::new(),
            jti: None,
            bound: Vec::new(),
            session: None,
            subject_jti: None,
            actor_jti: None,
            tokens: Vec::new(),
            presented: Vec::new(),
            outcome,
            status: None,
            reason: None,
            is_unverified: false,
        }
    }

    /// Marks the record as one without client authentication, and cuts every text in it: to 128 bytes, the reason to 256, a list to
    /// 4 texts. A text that was cut ends with its original length. A control character, or another one that must not be displayed,
    /// becomes U+FFFD, so that neither JSON nor a log needs several bytes for it.
    pub fn cut_as_unverified(&mut self) {
        // Without `..`, so that a new field has to be cut here as well.
        let Self {
            endpoint: _,
            request_id: _,
            source,
            port: _,
            client,
            method: _,
            secret,
            grant: _,
            owner,
            subject,
            subject_issuer,
            issuer_subject,
            subject_auth,
            actors,
            scope_in,
            scope_out,
            aud,
            jti,
            bound,
            session,
            subject_jti,
            actor_jti,
            tokens,
            presented,
            outcome: _,
            status: _,
            reason,
            is_unverified,
        } = self;
        *is_unverified = true;
        cut(reason, LONGEST_UNVERIFIED_REASON);
        let texts = [
            source,
            client,
            secret,
            owner,
            subject,
            subject_issuer,
            issuer_subject,
            subject_auth,
            scope_in,
            scope_out,
            jti,
            session,
            subject_jti,
            actor_jti,
        ];
        texts.into_iter().for_each(|text| cut(text, LONGEST_UNVERIFIED));
        // Its values are excerpts, which are as short already.
        presented.truncate(MOST_UNVERIFIED);
        for list in [actors, aud, bound, tokens] {
            let left_out = list.len().saturating_sub(MOST_UNVERIFIED);
            list.truncate(MOST_UNVERIFIED);
            list.iter_mut().for_each(|text| cut_text(text, LONGEST_UNVERIFIED));
            if left_out > 0 {
                list.push(format!("… ({left_out} more)").into());
            }
        }
    }
}

/// Keeps audit records.
///
/// ```
/// use std::sync::mpsc::{SyncSender, TrySendError};
/// use tokenberg_core::Outcome;
/// use tokenberg_core::audit::{AuditRecord, Recorder};
///
/// /// Hands records, as JSON, to a thread that writes them; what finds no room is lost, and reported.
/// struct Queue(SyncSender<String>);
///
/// impl Recorder for Queue {
///     fn record(&self, record: &AuditRecord<'_>) {
///         let text = serde_json::to_string(record).unwrap_or_default();
///         if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = self.0.try_send(text) {
///             eprintln!("lost a record of the audit");
///         }
///     }
///     fn left_out(&self, outcomes: &[(Outcome, u64)]) {
///         eprintln!("left out of the audit: {outcomes:?}");
///     }
///     fn has_room_for_unverified(&self) -> bool {
///         true
///     }
///     fn has_room(&self) -> bool {
///         true
///     }
/// }
/// ```
pub trait Recorder: Send + Sync {
    /// Takes a record. Never waits: what cannot be kept is counted as lost.
    fn record(&self, record: &AuditRecord<'_>);

    /// Adds to the number of decisions, by outcome, that were neither recorded nor logged, because requests without client authentication
    /// exceeded their quota of records. Never waits.
    fn left_out(&self, outcomes: &[(Outcome, u64)]);

    /// Whether another record of a request without client authentication would be kept. If not, it is left out and counted.
    fn has_room_for_unverified(&self) -> bool;

    /// Whether there is room for another record. `false` means that requests should be refused rather than left unrecorded.
    fn has_room(&self) -> bool;
}

fn cut(text: &mut Option<Cow<'_, str>>, longest: usize) {
    if let Some(text) = text {
        cut_text(text, longest);
    }
}

fn cut_text(text: &mut Cow<'_, str>, longest: usize) {
    if text.len() <= longest && !text.chars().any(is_unsafe_to_display) {
        return;
    }
    let end = floor_char_boundary(text, longest);
    let mut kept: String =
        text[..end].chars().map(|c| if is_unsafe_to_display(c) { '\u{fffd}' } else { c }).collect();
    // A replaced character may be longer than the one that it stands for.
    kept.truncate(floor_char_boundary(&kept, longest));
    if end < text.len() {
        kept.push_str(&format!("… (cut, {} bytes)", text.len()));
    }
    *text = kept.into();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claimed(text: &str) -> ClaimedToken {
        let claims = serde_json::json!({"iss": text, "sub": text, "aud": [text, text]});
        ClaimedToken::of(crate::request::Parameter::ClientAssertion, claims.as_object().unwrap())
    }

    fn hostile(text: &str) -> AuditRecord<'_> {
        let some = || Some(Cow::Borrowed(text));
        let many = || vec![Cow::Borrowed(text); 300];
        AuditRecord {
            endpoint: "/v1/oauth/introspect",
            request_id: Some("0123456789abcdef"),
            source: Some("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff".into()),
            port: Some(65_535),
            client: some(),
            method: Some("self_signed_tls_client_auth"),
            secret: some(),
            grant: Some("urn:ietf:params:oauth:grant-type:token-exchange"),
            owner: some(),
            subject: some(),
            subject_issuer: some(),
            issuer_subject: some(),
            subject_auth: some(),
            actors: many(),
            scope_in: some(),
            scope_out: some(),
            aud: many(),
            jti: some(),
            bound: many(),
            session: some(),
            subject_jti: some(),
            actor_jti: some(),
            tokens: many(),
            presented: vec![claimed(text); 300],
            outcome: Outcome::Failed(crate::ErrorCode::TemporarilyUnavailable),
            status: Some(503),
            reason: some(),
            is_unverified: false,
        }
    }

    #[test]
    fn se_06_cwe_779_a_record_of_an_unauthenticated_request_is_bounded_and_states_what_was_cut() {
        for text in ["a", "\u{0}", "\u{202e}", "é", "\u{10ffff}", "\\", "\"", "\u{7f}\n", "\u{e0041}"] {
            let long = text.repeat(8192);
            let mut record = hostile(&long);
            record.cut_as_unverified();
            let written = serde_json::to_string(&record).unwrap();
            // All fields at once, which no request has; a quotation mark takes two bytes, in an excerpt four.
            assert!(written.len() < 13_000, "{text:?}: {}", written.len());
            assert!(written.contains("\"unverified\":true") && written.contains("(296 more)"), "{written}");
            let reason = record.reason.unwrap();
            assert!(reason.ends_with(&format!("… (cut, {} bytes)", long.len())), "{reason}");
            assert!(
                reason.len() <= LONGEST_UNVERIFIED_REASON + 30 && !reason.chars().any(is_unsafe_to_display)
            );
        }
        let mut short = hostile("spark");
        short.cut_as_unverified();
        assert_eq!(short.scope_in.as_deref(), Some("spark"), "what is short stays as it is");
    }
}
