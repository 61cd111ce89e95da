//! Commands that change the registration of an issuer and keep its present values: `tokenberg issuer change`.

use super::command::{option, options, quoted};
use crate::issuer::{AcceptedAs, LONGEST_MAX_AGE, SubjectNames, suggested_prefix};
use crate::jws::Algorithm;
use crate::{Issuer, KeySource, Lifetime, Scope, Trust, TrustedIssuer};

/// The command without what is to change.
pub(super) fn of(issuer: &Issuer) -> String {
    format!("tokenberg issuer change {}", quoted(issuer.as_str()))
}

/// Registers this issuer with the terms of another one. Keys in a file are not part of the other's registration, so the operator has to
/// add them to the command, which is then not in backticks.
pub(super) fn add(issuer: &Issuer, trust: &Trust) -> String {
    let mut command = format!("tokenberg issuer add {}", quoted(issuer.as_str()));
    match &trust.keys {
        KeySource::Jwks(_) => command += " --jwks FILE",
        KeySource::JwksUri(address) => command += &option("--jwks-uri", address),
        KeySource::Discovery => command += " --discover",
    }
    let listed = |names: Vec<&str>| names.join(",");
    let accept = listed(trust.accept.iter().map(|used_as| used_as.as_str()).collect());
    let algorithms = listed(trust.algorithms.iter().map(|algorithm| algorithm.as_str()).collect());
    let (plain, mut texts) = (Trust::new(trust.keys.clone()), Vec::new());
    let mut differing = |name: &'static str, value: String, usual: String| {
        texts.extend(Some((name, value)).filter(|(_, value)| *value != usual));
    };
    differing("--accept", accept, String::new());
    differing("--alg", algorithms, String::new());
    differing("--subject-claim", trust.subject_claim.to_string(), plain.subject_claim.to_string());
    differing(
        "--subject-prefix",
        trust.subject_prefix.as_deref().unwrap_or_default().to_owned(),
        String::new(),
    );
    differing("--scope", trust.scope.to_string(), plain.scope.to_string());
    differing("--leeway", trust.leeway.to_string(), plain.leeway.to_string());
    differing("--max-age", trust.max_age.to_string(), plain.max_age.to_string());
    texts.iter().for_each(|(name, value)| command += &option(name, value));
    command += &options("--audience", trust.audiences.iter().map(AsRef::as_ref));
    trust.map.iter().for_each(|mapping| command += &option("--map", &mapping.to_string()));
    for (flag, is_set) in [
        (" --shared-names", trust.subject_names == SubjectNames::Shared && trust.subject_prefix.is_none()),
        (" --outlives-subject", trust.outlives_subject),
        (" --insecure-http", trust.insecure_http),
    ] {
        command += if is_set { flag } else { "" };
    }
    match &trust.keys {
        KeySource::Jwks(_) => command,
        KeySource::JwksUri(_) | KeySource::Discovery => format!("`{command}`"),
    }
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
