//! Computes which part of a request may be granted. Scope, RFC 6749 §3.3; targets, RFC 8707 §2 and RFC 8693 §2.1.

use super::limits::{AudienceCeilings, ScopeCeilings};
use crate::refusal::Refusal;
use crate::token::Actor;
use crate::{AccessTokenClaims, AuthMethod, Client, GrantType, Issuer, Lifetime, Rights, Scope, Target};
use std::borrow::Cow;

/// The largest token that is issued, in bytes; proxies refuse larger headers.
const LARGEST_TOKEN: usize = 8 * 1024;

/// Header, signature and dots, at most: an RSA-4096 signature and a long `kid`.
const AROUND_PAYLOAD: usize = 1024;

/// Whether the client is registered for the grant.
pub(crate) fn check_grant(client: &Client, grant: GrantType) -> Result<(), Refusal> {
    // A client without a credential has nothing of its own.
    let is_public = client.rights.auth_method == AuthMethod::Public;
    if client.rights.grants.contains(&grant) && (!is_public || grant == GrantType::TokenExchange) {
        return Ok(());
    }
    let registered = client.rights.grants.as_slice().into();
    Err(Refusal::GrantNotAllowed { client: client.id.clone(), grant, registered })
}

/// All or nothing: the requested scope if all of it is within `ceiling`, or all of the ceiling if none is requested.
///
/// The order is that of the ceiling. Never empty, because a token without scope is useless and an empty `scope` breaks clients. The
/// parties' ceilings are computed for a refusal only.
pub(crate) fn scope_within(
    requested: &Scope,
    ceiling: &Scope,
    by_party: impl FnOnce() -> ScopeCeilings,
) -> Result<Scope, Refusal> {
    let granted = if requested.is_empty() { ceiling.clone() } else { ceiling.intersection(requested) };
    if granted.is_empty() || !requested.is_subset_of(ceiling) {
        let refused = requested.retain(|token| !ceiling.contains(token));
        return Err(Refusal::ScopeNotAllowed { refused, allowed: ceiling.clone(), ceilings: by_party() });
    }
    Ok(granted)
}

/// All or nothing, as for scope. The order is that of `ceiling`.
pub(crate) fn targets_within(
    requested: &[Target],
    ceiling: &[Box<str>],
    by_party: impl FnOnce() -> AudienceCeilings,
) -> Result<Vec<Box<str>>, Refusal> {
    let stranger = requested.iter().find(|target| !ceiling.iter().any(|known| **known == *target.as_str()));
    if stranger.is_some() || ceiling.is_empty() {
        let refused = stranger.map(|target| target.as_str().into());
        return Err(Refusal::TargetNotAllowed { refused, allowed: ceiling.to_vec(), ceilings: by_party() });
    }
    let is_requested =
        |known: &str| requested.is_empty() || requested.iter().any(|target| target.as_str() == known);
    Ok(ceiling.iter().filter(|known| is_requested(known)).cloned().collect())
}

/// The longest that a token lives, whatever is registered; a revocation has to be remembered for as long.
pub const LONGEST_TOKEN_LIFETIME: Lifetime = Lifetime::from_hours(7 * 24);

/// How long a token of the client lives: a second at least (conformance CC-01), and a week at most.
pub(crate) fn token_lifetime(client: &Client) -> Lifetime {
    client.rights.token_lifetime.clamp(Lifetime::from_seconds(1), LONGEST_TOKEN_LIFETIME)
}

/// The longest that a session lasts, whatever is registered.
pub const LONGEST_SESSION_LIFETIME: Lifetime = Lifetime::from_hours(30 * 24);

/// How long the client's sessions last: 30 days at most.
pub(crate) fn session_lifetime(client: &Client) -> Lifetime {
    client.rights.session_lifetime.min(LONGEST_SESSION_LIFETIME)
}

/// The audiences that the client may request; where none is registered, our issuer.
pub(crate) fn audiences<'a>(client: &'a Client, issuer: &Issuer) -> Cow<'a, [Box<str>]> {
    if client.rights.audiences.is_empty() {
        return Cow::Owned(vec![issuer.as_str().into()]);
    }
    Cow::Borrowed(&client.rights.audiences)
}

/// The audiences that a token issued to the client may have: those that it may request and, if it obtained the token as the resource
/// server to which another client sent it, those that it serves.
pub(crate) fn audiences_of_tokens<'a>(
    client: &'a Client,
    issuer: &'a Issuer,
    is_served: bool,
) -> impl Iterator<Item = &'a str> {
    let Rights { audiences, serves, .. } = &*client.rights;
    let ourselves = audiences.is_empty().then(|| issuer.as_str());
    let served = if is_served { serves.as_slice() } else { &[] };
    ourselves.into_iter().chain(audiences.iter().chain(served).map(AsRef::as_ref))
}

/// Whether the token would still travel in a header (conformance AT-08).
pub(crate) fn check_size(claims: &AccessTokenClaims) -> Result<(), Refusal> {
    if texts(claims) < LARGEST_TOKEN / 8 {
        return Ok(());
    }
    let payload = serde_json::to_string(claims).unwrap_or_default().len();
    let bytes = payload.div_ceil(3) * 4 + AROUND_PAYLOAD;
    if bytes > LARGEST_TOKEN {
        return Err(Refusal::TokenTooLarge { bytes, most: LARGEST_TOKEN });
    }
    Ok(())
}

/// The length of all texts of the token that can be long, with the bytes written around each. An eighth of the largest token remains a
/// fraction of it even if each byte is escaped and everything else is added.
fn texts(claims: &AccessTokenClaims) -> usize {
    const AROUND_EACH: usize = 64;
    let issuer = |issuer: Option<&Issuer>| issuer.map_or(0, |issuer| issuer.as_str().len());
    let audience: usize = claims.audience.iter().map(|audience| audience.len() + 4).sum();
    let actors = claims.actor.iter().flat_map(Actor::chain);
    let actors: usize =
        actors.map(|a| a.subject.as_str().len() + issuer(a.issuer.as_ref()) + AROUND_EACH).sum();
    let origins: usize =
        claims.participants().map(|p| p.subject.len() + issuer(p.issuer) + 2 * AROUND_EACH).sum();
    let subject = claims.subject.as_str().len() + claims.issuer_subject().as_str().len();
    let extra = claims.extra.as_map().map_or(0, |extra| serde_json::to_vec(extra).unwrap_or_default().len());
    claims.scope.as_str().len() + audience + actors + origins + subject + extra
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// A token in which one member repeats a text that is doubled when it is written.
    fn claims(kind: &str, length: usize) -> AccessTokenClaims {
        let text = "\"".repeat(length.min(200));
        let url = format!("https://{}.test", "a".repeat(length.min(2000)));
        let actor = |prior: Option<Value>| {
            let mut actor = json!({"sub": text, "iss": url});
            prior.into_iter().for_each(|prior| actor["act"] = prior);
            actor
        };
        let origin = json!({"iss": url, "sub": text, "since": 1});
        let mut token = json!({"iss": "https://as.test", "aud": "https://cat.test", "sub": "p:alice", "client_id": "c1", "iat": 1,
            "exp": 2, "jti": "x", "scope": "catalog", "tokenberg_session": {"id": "x", "start": 1, "end": 9,
            "sub_iss": "https://idp.test"}});
        let session = "tokenberg_session";
        match kind {
            "scope" => token["scope"] = "a".repeat(length.min(4000)).into(),
            "aud" => token["aud"] = (0..length).map(|n| format!("https://{n}.test")).collect(),
            "sub" => (token["sub"], token[session]["sub"]) = (format!("p:{text}").into(), text.into()),
            "act" => token["act"] = (0..5).fold(None, |prior, _| Some(actor(prior))).unwrap(),
            "with" => token[session]["with"] = vec![origin; 16].into(),
            "may_act" => token[session]["may_act"] = json!({"iss": url, "sub": text}),
            "served" => token[session]["served"] = url.into(),
            "sub_iss" => token[session]["sub_iss"] = url.into(),
            other => panic!("{other}"),
        }
        AccessTokenClaims::read(token.as_object().unwrap()).unwrap()
    }

    #[test]
    fn at_08_no_token_above_the_largest_size_is_issued() {
        for kind in ["scope", "aud", "sub", "act", "with", "may_act", "served", "sub_iss"] {
            let mut has_both = (false, false);
            for length in (0..11).map(|power| 1 << power).chain([60, 700, 800, 900]) {
                let claims = claims(kind, length);
                let bytes = serde_json::to_string(&claims).unwrap().len().div_ceil(3) * 4 + AROUND_PAYLOAD;
                assert_eq!(check_size(&claims).is_ok(), bytes <= LARGEST_TOKEN, "{kind} {length}: {bytes}");
                assert!(bytes <= 8 * texts(&claims) + 3 * AROUND_PAYLOAD, "{kind} {length}: {bytes}");
                has_both.0 |= bytes <= LARGEST_TOKEN;
                has_both.1 |= bytes > LARGEST_TOKEN;
            }
            assert!(has_both.0, "{kind}");
        }
    }
}
