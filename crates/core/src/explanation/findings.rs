//! Looks up in the rules what a remedy needs: the principals found, and the contents of a token.

use super::facts::Registration;
use super::rule::Rule;
use crate::issuer::{AcceptedAs, Namesake};
use crate::{ClientId, Issuer, Lifetime, Subject, Timestamp, TrustedIssuer};
use serde_json::{Map, Value};

/// What the rules were last about.
#[derive(Default)]
pub(super) struct Findings<'a> {
    rules: &'a [Rule],
    /// The client that made the request.
    pub(super) client: Option<&'a Registration>,
    /// The issuer of the last token of another issuer.
    pub(super) issuer: Option<&'a TrustedIssuer>,
    /// The issuer that was looked up.
    pub(super) searched: Option<Searched<'a>>,
    /// The last subject of another issuer.
    pub(super) subject: Option<(&'a Issuer, &'a Subject)>,
    /// The claims of the last token.
    pub(super) claims: Option<&'a Map<String, Value>>,
    /// The identity that a client assertion presents, and the client for which it stands.
    pub(super) identity: Option<(&'a Issuer, &'a str, Option<&'a ClientId>)>,
}

/// An issuer that was looked up.
#[derive(Clone, Copy)]
pub(super) struct Searched<'a> {
    /// What the token claims as its issuer.
    pub(super) issuer: &'a str,
    /// A trusted issuer that is written nearly so.
    pub(super) near: Option<&'a TrustedIssuer>,
    /// What the token was presented as; `None` for the assertion of a client.
    pub(super) presented_as: Option<AcceptedAs>,
}

impl<'a> Findings<'a> {
    pub(super) fn of(rules: &'a [Rule]) -> Self {
        let mut found = Self { rules, ..Self::default() };
        for rule in rules {
            match rule {
                Rule::Client { found: Some(client), .. } => found.client = Some(client),
                Rule::Recalled { client: Some(client), .. } => {
                    found.client = found.client.or(Some(client.as_ref()));
                }
                Rule::Issuer { claimed, found: known, near, presented_as } => {
                    found.searched = Some(Searched {
                        issuer: claimed,
                        near: near.as_deref(),
                        presented_as: *presented_as,
                    });
                    found.issuer = known.as_deref();
                }
                Rule::Identity { issuer, subject, stands_for } => {
                    found.identity = Some((issuer, subject, stands_for.as_ref()));
                }
                Rule::Subject { issuer: Some(issuer), subject, .. } => {
                    found.subject = Some((issuer, subject));
                }
                Rule::Unsecured { claims } | Rule::Signature { claims, .. } => found.claims = Some(claims),
                Rule::Client { found: None, .. }
                | Rule::Recalled { client: None, .. }
                | Rule::Subject { issuer: None, .. }
                | Rule::Request { .. }
                | Rule::UnsecuredName { .. }
                | Rule::Secret { .. }
                | Rule::Supposed { .. }
                | Rule::Proof { .. }
                | Rule::FirstUse { .. } => {}
            }
        }
        found
    }

    /// The registration of this client, if a rule was about it.
    pub(super) fn registration(&self, id: &ClientId) -> Option<&'a Registration> {
        self.rules.iter().flat_map(Rule::registrations).find(|client| client.id == *id)
    }

    /// The issuer as it is registered, if a rule was about it.
    pub(super) fn trusted(&self, issuer: &Issuer) -> Option<&'a TrustedIssuer> {
        self.rules.iter().find_map(|rule| rule.trusted_issuer().filter(|known| known.issuer == *issuer))
    }

    /// The issuer of the subject that has the name of this other principal, as it is registered.
    pub(super) fn issuer_of_namesake(&self, by: &Namesake) -> Option<&'a TrustedIssuer> {
        self.trusted(self.rules.iter().find_map(|rule| rule.issuer_of_namesake(by))?)
    }

    /// The names of the client's secrets that are live.
    pub(super) fn live_secrets(&self) -> Vec<&'a str> {
        let secrets = self.rules.iter().flat_map(Rule::secrets);
        secrets.filter(|secret| secret.is_live).map(|secret| secret.id.as_str()).collect()
    }

    /// A time that the last token claims.
    pub(super) fn time(&self, claim: &str) -> Option<Timestamp> {
        let seconds = self.claims?.get(claim)?;
        let seconds = seconds.as_i64().or_else(|| seconds.as_f64().map(|seconds| seconds as i64));
        Timestamp::from_seconds(seconds?).ok()
    }

    /// How old a token has to be allowed to be so that this one is accepted: from `iat`, or from now, until `exp` and now.
    pub(super) fn needed_age(&self, now: Timestamp) -> Option<Lifetime> {
        let (begun, end) = (self.time("iat").unwrap_or(now).min(now), self.time("exp")?.max(now));
        Some(end.since(begun))
    }

    /// A text that the last token claims.
    pub(super) fn text(&self, claim: &str) -> Option<&'a str> {
        self.claims?.get(claim).and_then(Value::as_str)
    }
}
