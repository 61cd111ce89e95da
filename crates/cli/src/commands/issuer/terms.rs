//! Checks what an operator registers for another issuer, and prints notes about its effects.

use crate::failure::{note, warn, wrong_usage};
use crate::{duration, web};
use clap::ValueEnum;
use tokenberg_core::explanation::quoted;
use tokenberg_core::issuer::{AcceptedAs, LONGEST_MAX_AGE};
use tokenberg_core::{Issuer, KeySource, Lifetime, Trust};
use url::Url;

/// The longest leeway; a clock that is further off should be corrected, not tolerated.
const LONGEST_LEEWAY: Lifetime = Lifetime::from_seconds(5 * 60);

/// What tokens of an issuer are accepted as.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(super) enum Accept {
    /// Subject tokens of type id_token: the user logged in to the requesting client
    IdToken,
    /// Subject tokens of type jwt: any JWT with an accepted audience
    Jwt,
    /// Subject tokens of type access_token: an access token with an accepted audience
    AccessToken,
    /// Assertions of the jwt-bearer grant (RFC 7523)
    JwtBearer,
}

impl Accept {
    fn is(self) -> AcceptedAs {
        match self {
            Self::IdToken => AcceptedAs::IdToken,
            Self::Jwt => AcceptedAs::Jwt,
            Self::AccessToken => AcceptedAs::AccessToken,
            Self::JwtBearer => AcceptedAs::JwtBearer,
        }
    }
}

/// Checks that the values are in range and do not contradict each other.
///
/// # Errors
/// Wrong usage, with the option.
pub(in crate::commands) fn check(issuer: &Issuer, trust: &Trust) -> anyhow::Result<()> {
    if issuer.is_spiffe() && trust.keys == KeySource::Discovery {
        return Err(wrong_usage(
            "a SPIFFE trust domain has no metadata to discover: give its bundle with --jwks, or the URL of the bundle with \
             --jwks-uri",
        ));
    }
    if trust.subject_claim.is_empty() {
        return Err(wrong_usage("--subject-claim must not be empty; every token has the claim sub"));
    }
    if trust.audiences.iter().any(|audience| audience.is_empty()) {
        return Err(wrong_usage("an audience must not be empty"));
    }
    if trust.leeway > LONGEST_LEEWAY {
        return Err(wrong_usage("--leeway must be at most 5m; correct a clock that is further off"));
    }
    duration::within("--max-age", trust.max_age, LONGEST_MAX_AGE)?;
    check_transport(issuer, trust)
}

/// The error message about an address of keys that is plain http.
pub(super) const HTTPS_ONLY: &str = "the URL of keys must be https; plain http is allowed only for 127.0.0.1, [::1] and localhost, \
                                     and for trials with --insecure-http";

/// Refuses plain http to other machines, unless it was requested.
fn check_transport(issuer: &Issuer, trust: &Trust) -> anyhow::Result<()> {
    if trust.insecure_http {
        return Ok(());
    }
    if issuer.is_plain_http() {
        return Err(wrong_usage(
            "an issuer must be an https URL; plain http is allowed only for 127.0.0.1, [::1] and localhost, and for trials with --insecure-http",
        ));
    }
    let is_local = |text: &str| text.parse().is_ok_and(|url: Url| web::is_local(&url));
    match &trust.keys {
        KeySource::JwksUri(text) if text.starts_with("http:") && !is_local(text) => {
            Err(wrong_usage(HTTPS_ONLY))
        }
        KeySource::JwksUri(_) | KeySource::Jwks(_) | KeySource::Discovery => Ok(()),
    }
}

/// The uses without duplicates.
pub(super) fn accepted(given: &[Accept]) -> Vec<AcceptedAs> {
    let mut accepted = Vec::new();
    for kind in given.iter().map(|kind| kind.is()) {
        if !accepted.contains(&kind) {
            accepted.push(kind);
        }
    }
    accepted
}

/// Prints the effects of the terms, except those that were the same `before`.
pub(super) fn print_notes(issuer: &Issuer, before: Option<&Trust>, trust: &Trust) {
    if before.is_some_and(|before| decisive(before) == decisive(trust)) {
        return;
    }
    if trust.accept.is_empty() {
        note(
            "its tokens are accepted as workload identities only; `tokenberg client federate` maps them to clients, and --accept adds other uses",
        );
    }
    if issuer.is_spiffe() && !trust.accept.is_empty() {
        note(
            "for a trust domain, --accept concerns tokens with the domain in `iss`; `tokenberg client federate` maps SVIDs of workloads",
        );
    }
    if trust.insecure_http {
        warn(
            "plain http is for trials: an attacker on the network path can replace the issuer's keys and so impersonate any of its users",
        );
    }
    if &*trust.subject_claim == "email" {
        note(
            "an e-mail address can be reassigned to another person, and may be unverified: tokens whose email_verified is present and not \
             true are refused. Prefer a claim that is never reassigned, such as sub",
        );
    }
    if ends_sessions(trust) {
        note(&format!(
            "a session of its users ends when the user's token expires. After that, every query of the session fails in Trino \
             (iceberg.rest-catalog.session=USER) and other Iceberg Java clients. With --outlives-subject, a session lasts up to the \
             client's session lifetime; to set it now: `tokenberg issuer change {} --outlives-subject true`. `tokenberg revoke`, \
             `subject disable` and `issuer disable` end a session earlier",
            quoted(issuer.as_str())
        ));
    }
    if before.is_some_and(|before| before.subject_claim != trust.subject_claim && trust.names_subjects()) {
        note(&format!(
            "from now on, the claim {} identifies its users: --may-act-for of clients, `subject disable`, `revoke --subject` and grants in \
             catalogs must use its values; existing sessions keep the previous names until `tokenberg revoke --issuer {}` ends them",
            trust.subject_claim,
            quoted(issuer.as_str())
        ));
    }
}

fn decisive(trust: &Trust) -> (&[AcceptedAs], bool, &str, bool) {
    (&trust.accept, trust.outlives_subject, &trust.subject_claim, trust.insecure_http)
}

/// Whether sessions of users can begin with the issuer's tokens and end with them.
fn ends_sessions(trust: &Trust) -> bool {
    let begins = |kind: &AcceptedAs| match kind {
        AcceptedAs::IdToken | AcceptedAs::Jwt | AcceptedAs::AccessToken => true,
        AcceptedAs::JwtBearer => false,
    };
    !trust.outlives_subject && trust.accept.iter().any(begins)
}

/// Prints that a disabled issuer stays so.
pub(super) fn note_disabled(issuer: &Issuer, enabled: bool) {
    if !enabled {
        note(&format!("the issuer is still disabled; `tokenberg issuer enable {issuer}` enables it"));
    }
}
