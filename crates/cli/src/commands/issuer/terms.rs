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
    /// Subject token of the type id_token: a user who logged in for the asking client
    IdToken,
    /// Subject token of the type jwt: any JWT for us
    Jwt,
    /// Subject token of the type access_token: an access token for us
    AccessToken,
    /// Assertion of the jwt-bearer grant (RFC 7523)
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
pub(super) fn check(issuer: &Issuer, trust: &Trust) -> anyhow::Result<()> {
    if issuer.is_spiffe() && trust.keys == KeySource::Discovery {
        return Err(wrong_usage(
            "a SPIFFE trust domain has no metadata to discover: give its bundle with --jwks, or the address of it with \
             --jwks-uri",
        ));
    }
    if trust.subject_claim.is_empty() {
        return Err(wrong_usage("--subject-claim is empty; the claim that every token has is sub"));
    }
    if trust.audiences.iter().any(|audience| audience.is_empty()) {
        return Err(wrong_usage("an audience is not empty"));
    }
    if trust.leeway > LONGEST_LEEWAY {
        return Err(wrong_usage("--leeway is 5m at most; a clock that is further off should be set"));
    }
    duration::within("--max-age", trust.max_age, LONGEST_MAX_AGE)?;
    check_transport(issuer, trust)
}

/// The error message about an address of keys that is plain http.
pub(super) const HTTPS_ONLY: &str = "keys are fetched from an https address; plain http is for 127.0.0.1, [::1] and localhost only, \
                                     and for trials with --insecure-http";

/// Refuses plain http to other machines, unless it was requested.
fn check_transport(issuer: &Issuer, trust: &Trust) -> anyhow::Result<()> {
    if trust.insecure_http {
        return Ok(());
    }
    if issuer.is_plain_http() {
        return Err(wrong_usage(
            "an issuer is an https URL; plain http is for 127.0.0.1, [::1] and localhost only, and for trials with --insecure-http",
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
            "its tokens are accepted as nothing but workload identities: `tokenberg client federate` says which, --accept what else",
        );
    }
    if issuer.is_spiffe() && !trust.accept.is_empty() {
        note(
            "of a trust domain, --accept is for tokens that name it in `iss`; SVIDs of workloads are for `tokenberg client federate`",
        );
    }
    if trust.insecure_http {
        warn(
            "plain http is for trials: an attacker on the way to the issuer can replace its keys, and so be any of its users",
        );
    }
    if &*trust.subject_claim == "email" {
        note(
            "an address may be given to another person, and the issuer has to have verified it: tokens whose email_verified is present \
             and not true are refused. Prefer a claim that stays the same, as sub",
        );
    }
    if ends_sessions(trust) {
        note(&format!(
            "sessions of its users end with the user's own token, and every query of a session fails after that in Trino \
             (iceberg.rest-catalog.session=USER) and other Iceberg Java clients; with --outlives-subject, or now with `tokenberg \
             issuer change {} --outlives-subject true`, a session lasts up to the client's session lifetime, and `tokenberg revoke`, \
             `subject disable` and `issuer disable` end it earlier",
            quoted(issuer.as_str())
        ));
    }
    if before.is_some_and(|before| before.subject_claim != trust.subject_claim && trust.names_subjects()) {
        note(&format!(
            "its users are known by the claim {} from now on: --may-act-for of clients, `subject disable` and `revoke --subject` have to \
             name its values, and so do grants in catalogs; sessions that began before keep the former names until \
             `tokenberg revoke --issuer {}` ends them",
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
        note(&format!("it is disabled still; `tokenberg issuer enable {issuer}` changes that"));
    }
}
