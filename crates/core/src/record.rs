//! What is kept of a decision? An audit record, which never holds a token or a secret; conformance SE-01, SE-05 and SE-06.

use serde::Serialize;
use std::borrow::Cow;

/// One decision about one request: what was asked, by whom, and what came of it.
///
/// Texts are as they were presented, and may hold anything but secrets: whoever writes a record escapes them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct AuditRecord<'a> {
    /// The path that was asked, under the issuer.
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
    /// The grant type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant: Option<&'static str>,
    /// The client that a presented token belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<Cow<'a, str>>,
    /// Whom the token is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Cow<'a, str>>,
    /// Whose name the subject is, if it is not ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_issuer: Option<Cow<'a, str>>,
    /// The subject as its issuer calls it, where `subject` has the prefix of the issuer before that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer_subject: Option<Cow<'a, str>>,
    /// How the subject was proven.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_auth: Option<Cow<'a, str>>,
    /// Who acts for the subject, the present actor first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub actors: Vec<Cow<'a, str>>,
    /// The scope that was asked for.
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
    /// `granted`, `active`, `inactive`, `revoked`, `nothing to revoke`, or the code of the error.
    pub outcome: &'a str,
    /// The status of the answer, where the request was not looked into or could not be answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why, where it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Cow<'a, str>>,
}

impl AuditRecord<'_> {
    /// Whether something came of it. Of what came to nothing a stranger can make any number, and each alike.
    #[must_use]
    pub fn is_effective(&self) -> bool {
        matches!(self.outcome, "granted" | "active" | "revoked")
    }
}

/// Keeps audit records.
pub trait Recorder: Send + Sync {
    /// Takes a record, and never waits: what cannot be kept is counted as lost.
    fn record(&self, record: &AuditRecord<'_>);

    /// Whether another record would be kept. Who answers `false` asks for requests to be refused rather than not recorded.
    fn has_room(&self) -> bool;
}
