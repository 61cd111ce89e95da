//! Is this token of another issuer good, for this use and this client? RFC 8693 §2.1, RFC 7523 §3, OpenID Connect Core 1.0 §3.1.3.7.

use super::Policy;
use super::foreign_times::{self, Bounds};
use super::token_kind;
use crate::refusal::TokenFault;
use crate::types::provenance::read_may_act;
use crate::{
    AcceptedAs, ClaimFault, ClientId, CompactJws, Confirmation, Lifetime, MayAct, Scope, SignatureFault,
    Subject, SubjectStanding, Timestamp, TrustedIssuer, Verified,
};
use serde_json::{Map, Value};
use std::sync::Arc;

/// RFC 7523 §3 lets "the authorization server [...] reject JWTs with an 'exp' claim value that is unreasonably far in the
/// future": an assertion that is a grant is used at once (conformance GB-06).
const LONGEST_GRANT: Lifetime = Lifetime::from_seconds(300);

/// The claim of an e-mail address (OpenID Connect Core 1.0 §5.1).
const EMAIL: &str = "email";

/// A foreign token whose signature and claims are good; nobody has asked the operator yet.
pub(crate) struct ForeignClaims {
    pub(crate) issuer: Arc<TrustedIssuer>,
    /// The subject, as the issuer calls it.
    pub(crate) subject: Subject,
    /// The same as `sub` of our tokens says it.
    pub(crate) sub: Subject,
    pub(crate) expires_at: Timestamp,
    pub(crate) issued_at: Option<Timestamp>,
    /// `jti`, if it is a text of up to 256 bytes.
    pub(crate) token_id: Option<Box<str>>,
    pub(crate) confirmation: Option<Confirmation>,
    pub(crate) may_act: Option<MayAct>,
    /// What the issuer's subjects may have, and this one besides.
    pub(crate) scope: Scope,
}

/// Reads the framing of a token that others made, and whom it names as its issuer. No key was asked for.
pub(crate) fn framed(text: &str, used_as: AcceptedAs) -> Result<(CompactJws, Box<str>), TokenFault> {
    let token = CompactJws::parse(text)?;
    token_kind::check(&token, used_as)?;
    let issuer = match token.unverified_payload().get("iss") {
        Some(Value::String(issuer)) => issuer.as_str().into(),
        Some(_) | None => return Err(TokenFault::Issuer),
    };
    Ok((token, issuer))
}

/// Reads the claims of a token whose signature was checked with the keys of `issuer`, for a use that the issuer is trusted for.
pub(crate) fn claims(
    policy: &Policy,
    token: &CompactJws,
    verified: Result<Verified, SignatureFault>,
    issuer: &Arc<TrustedIssuer>,
    used_as: AcceptedAs,
    client: &ClientId,
    now: Timestamp,
) -> Result<ForeignClaims, TokenFault> {
    let trust = &issuer.trust;
    if !trust.accept.contains(&used_as) {
        return Err(TokenFault::NotAcceptedAs(used_as));
    }
    let payload = signed_by(token, verified, issuer)?;
    let needs_issued_at = used_as == AcceptedAs::IdToken;
    let max_age = match used_as {
        AcceptedAs::JwtBearer => trust.max_age.min(LONGEST_GRANT),
        AcceptedAs::IdToken | AcceptedAs::Jwt | AcceptedAs::AccessToken => trust.max_age,
    };
    let bounds = Bounds { leeway: trust.leeway, max_age, needs_issued_at };
    let times = foreign_times::check(payload, now, bounds)?;
    check_audience(policy, payload, issuer, used_as, client)?;
    let subject = subject(payload, &trust.subject_claim)?;
    Ok(ForeignClaims {
        issuer: Arc::clone(issuer),
        sub: trust.sub_of(subject.as_str()).parse().map_err(|_| ClaimFault("sub"))?,
        subject,
        expires_at: times.expires_at,
        issued_at: times.issued_at,
        token_id: token_id(payload)?,
        confirmation: payload.get("cnf").map(Confirmation::read).transpose()?,
        may_act: payload.get("may_act").map(read_may_act).transpose()?,
        scope: trust
            .map
            .iter()
            // An address that nobody has verified gives nothing.
            .filter(|mapping| mapping.claim() != EMAIL || verified_email(payload).is_ok())
            .filter_map(|mapping| mapping.scope_for(payload))
            .fold(trust.scope.clone(), |all, more| all.union(more)),
    })
}

/// The claim that the operator chose to be the subject.
fn subject(payload: &Map<String, Value>, claim: &str) -> Result<Subject, TokenFault> {
    if claim == EMAIL {
        verified_email(payload)?;
    }
    let subject = text(payload, claim).and_then(|subject| subject.parse().ok());
    subject.ok_or_else(|| ClaimFault("sub").into())
}

/// OpenID Connect Core 1.0 §5.1: `email_verified` is "[t]rue if the End-User's e-mail address has been verified; otherwise false". Some
/// providers write it as a text, many do not write it. Entra says in `xms_edov` whether the owner of the domain was verified.
fn verified_email(payload: &Map<String, Value>) -> Result<(), TokenFault> {
    for claim in ["email_verified", "xms_edov"] {
        let is_true = match payload.get(claim) {
            None | Some(Value::Bool(true)) => true,
            Some(Value::String(text)) => text == "true" || (claim == "xms_edov" && text == "1"),
            Some(Value::Number(number)) => claim == "xms_edov" && number.as_u64() == Some(1),
            Some(Value::Null | Value::Bool(false) | Value::Array(_) | Value::Object(_)) => false,
        };
        if !is_true {
            return Err(TokenFault::UnverifiedEmail(claim));
        }
    }
    Ok(())
}

/// The payload, if it is signed by one of the issuer's keys with an algorithm that is accepted, and says so itself.
pub(crate) fn signed_by<'a>(
    token: &'a CompactJws,
    verified: Result<Verified, SignatureFault>,
    issuer: &TrustedIssuer,
) -> Result<&'a Map<String, Value>, TokenFault> {
    let verified = match verified {
        Err(SignatureFault::NotAccepted(algorithm)) => return Err(TokenFault::Algorithm(algorithm)),
        other => other?,
    };
    let accepted = &issuer.trust.algorithms;
    if !accepted.is_empty() && !accepted.contains(&verified.algorithm()) {
        return Err(TokenFault::Algorithm(verified.algorithm()));
    }
    // An answer for another token must not pass for one about this.
    if token.header().kid.as_ref().is_some_and(|kid| kid != verified.key()) {
        return Err(TokenFault::Signature(SignatureFault::NoKey));
    }
    Ok(token.unverified_payload())
}

/// RFC 7519 §4.1.3: "the principal processing the claim" has to be one of the audience.
fn check_audience(
    policy: &Policy,
    payload: &Map<String, Value>,
    issuer: &TrustedIssuer,
    used_as: AcceptedAs,
    client: &ClientId,
) -> Result<(), TokenFault> {
    let audience = audience(payload)?;
    let is_registered = |aud: &str| issuer.trust.audiences.iter().any(|known| **known == *aud);
    let is_us = |aud: &str| aud == policy.issuer.as_str() || policy.is_token_endpoint(aud);
    let is_client = |aud: &str| used_as == AcceptedAs::IdToken && aud == client.as_str();
    if !audience.iter().any(|aud| is_registered(aud) || is_us(aud) || is_client(aud)) {
        return Err(TokenFault::Audience);
    }
    // OpenID Connect Core 1.0 §3.1.3.7: "If an azp (authorized party) Claim is present, the Client SHOULD verify that its
    // client_id is the Claim Value." Of other tokens it says to whom they were issued, who may well be somebody else.
    if used_as == AcceptedAs::IdToken {
        match payload.get("azp") {
            None => {}
            Some(Value::String(azp)) if is_client(azp) || is_registered(azp) => {}
            Some(_) => return Err(TokenFault::Audience),
        }
    }
    Ok(())
}

/// `aud` as a list: a text, or an array of texts, neither empty.
pub(crate) fn audience(payload: &Map<String, Value>) -> Result<Vec<&str>, TokenFault> {
    let audience: Option<Vec<&str>> = match payload.get("aud") {
        Some(Value::String(one)) => Some(vec![one]),
        Some(Value::Array(many)) => many.iter().map(Value::as_str).collect(),
        Some(_) | None => None,
    };
    let is_good = |audience: &Vec<&str>| !audience.is_empty() && audience.iter().all(|aud| !aud.is_empty());
    audience.filter(is_good).ok_or_else(|| ClaimFault("aud").into())
}

/// RFC 7519 §4.1.7: `jti` is a text; RFC 7523 §3 lets it be absent.
pub(crate) fn token_id(payload: &Map<String, Value>) -> Result<Option<Box<str>>, TokenFault> {
    match payload.get("jti") {
        None => Ok(None),
        Some(Value::String(id)) if (1..=256).contains(&id.len()) => Ok(Some(id.as_str().into())),
        Some(_) => Err(ClaimFault("jti").into()),
    }
}

pub(crate) fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    members.get(name).and_then(Value::as_str)
}

/// What the operator has decided about the subject since, or before.
pub(crate) fn standing(claims: &ForeignClaims, standing: &SubjectStanding) -> Result<(), TokenFault> {
    if standing.disabled {
        return Err(TokenFault::Disabled("subject"));
    }
    match standing.revoked_before {
        // A token that does not say when it was made may be from before.
        Some(before) if claims.issued_at.is_none_or(|issued| issued < before) => {
            Err(TokenFault::Revoked(crate::Revocation::Subject { before }))
        }
        Some(_) | None => Ok(()),
    }
}
