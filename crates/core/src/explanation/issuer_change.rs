//! Commands that change what is registered of an issuer, with the values that it has already: `tokenberg issuer change`.

use super::command::{option, options, quoted};
use crate::{
    AcceptedAs, Algorithm, Issuer, LONGEST_MAX_AGE, Lifetime, Scope, TrustedIssuer, suggested_prefix,
};

/// The command without what is to change.
pub(super) fn of(issuer: &Issuer) -> String {
    format!("tokenberg issuer change {}", quoted(issuer.as_str()))
}

/// Its tokens are accepted as this, too.
pub(super) fn accept(known: &TrustedIssuer, more: AcceptedAs) -> String {
    let all = known.trust.accept.iter().chain([&more]).map(|used_as| used_as.as_str());
    format!("{} --accept {}", of(&known.issuer), all.collect::<Vec<_>>().join(","))
}

/// It may sign with this algorithm, too.
pub(super) fn algorithm(known: &TrustedIssuer, more: Algorithm) -> String {
    let all = known.trust.algorithms.iter().chain([&more]).map(|algorithm| algorithm.as_str());
    format!("{} --alg {}", of(&known.issuer), all.collect::<Vec<_>>().join(","))
}

/// Its tokens may be for this audience, too.
pub(super) fn audience(known: &TrustedIssuer, more: &str) -> String {
    let all = known.trust.audiences.iter().map(|audience| &**audience).chain([more]);
    of(&known.issuer) + &options("--audience", all)
}

/// Its tokens may live, and be, this old; `None` if that is more than an issuer can have.
pub(super) fn max_age(known: &TrustedIssuer, age: Lifetime) -> Option<String> {
    let command = || format!("{} --max-age {age}", of(&known.issuer));
    (age > known.trust.max_age && age <= LONGEST_MAX_AGE).then(command)
}

/// Another claim is the subject.
pub(super) fn subject_claim(issuer: &Issuer, claim: &str) -> String {
    of(issuer) + &option("--subject-claim", claim)
}

/// Sessions of its users last longer than the tokens that begin them.
pub(super) fn outlives_subject(issuer: &Issuer) -> String {
    format!("{} --outlives-subject true", of(issuer))
}

/// It may be an `http` URL of another machine.
pub(super) fn insecure_http(issuer: &Issuer) -> String {
    format!("{} --insecure-http true", of(issuer))
}

/// All its subjects may have this scope, too.
pub(super) fn scope(known: &TrustedIssuer, more: &str) -> String {
    let all = match more.parse::<Scope>() {
        Ok(more) => known.trust.scope.union(&more).to_string(),
        Err(_) => more.to_owned(),
    };
    of(&known.issuer) + &option("--scope", &all)
}

/// Some of its subjects may have this scope, too; the operator has to fill in the claim and its value.
pub(super) fn map(known: &TrustedIssuer, more: &str) -> String {
    let all = known.trust.map.iter().map(ToString::to_string).chain([format!("CLAIM=VALUE:{more}")]);
    all.fold(of(&known.issuer), |command, mapping| command + &option("--map", &mapping))
}

/// Catalogs know its subjects by a prefix that it does not have yet.
pub(super) fn subject_prefix(issuer: &Issuer, present: Option<&str>) -> String {
    let prefix = suggested_prefix(issuer, |prefix| present == Some(prefix));
    of(issuer) + &option("--subject-prefix", &prefix)
}

/// Its subjects may have the names of clients.
pub(super) fn shared_names(issuer: &Issuer) -> String {
    format!("{} --shared-names", of(issuer))
}
