//! Checks whether a token of another issuer is valid for this use and this client: RFC 8693 §2.1, RFC 7523 §3, OpenID Connect Core 1.0
//! §3.1.3.7.

use super::Policy;
use super::foreign_times::{self, Bounds, Times};
use super::token_kind;
use crate::answers::SubjectStatus;
use crate::issuer::AcceptedAs;
use crate::jws::Algorithms;
use crate::refusal::{
    AgeLimit, AudienceFault, AudienceRule, AuthorizedParty, Involved, Involvement, NotAccepted, Principal,
    TokenFault,
};
use crate::token::{ClaimFault, Confirmation, Defect, MayAct};
use crate::types::claims::audience_fault;
use crate::types::provenance_reading::read_may_act;
use crate::types::subject::SPACE_AT_AN_END;
use crate::{
    ClientId, CompactJws, Excerpt, Lifetime, Revocation, Scope, SignatureFault, Subject, Timestamp, Trust,
    TrustedIssuer, Verified,
};
use serde_json::{Map, Value};
use std::sync::Arc;

/// RFC 7523 §3 lets "the authorization server [...] reject JWTs with an 'exp' claim value that is unreasonably far in the future": an
/// assertion that is a grant is used immediately (conformance GB-06).
const LONGEST_GRANT: Lifetime = Lifetime::from_seconds(300);

/// The claim of an e-mail address (OpenID Connect Core 1.0 §5.1).
const EMAIL: &str = "email";

/// A foreign token whose signature and claims are valid; the operator's decision about its subject is not yet known.
pub(crate) struct ForeignClaims {
    pub(crate) issuer: Arc<TrustedIssuer>,
    /// The subject, as the issuer calls it.
    pub(crate) subject: Subject,
    /// The same as `sub` of our tokens says it.
    pub(crate) sub: Subject,
    /// `exp` and `iat`.
    pub(crate) times: Times,
    /// `jti`, if it is a text of up to 256 bytes.
    pub(crate) token_id: Option<Box<str>>,
    pub(crate) confirmation: Option<Confirmation>,
    pub(crate) may_act: Option<MayAct>,
    /// The scope of the issuer's subjects, and the additional scope of this one.
    pub(crate) scope: Scope,
}

/// Reads the issuer that a foreign token names, if the token may be used in this way. No key has been fetched.
pub(crate) fn issuer_of(token: &CompactJws, used_as: AcceptedAs) -> Result<Box<str>, TokenFault> {
    token_kind::check(token, used_as)?;
    match token.unverified_payload().get("iss") {
        Some(Value::String(issuer)) => Ok(issuer.as_str().into()),
        iss @ (Some(_) | None) => {
            Err(TokenFault::UnverifiedClaim(ClaimFault::new("iss", Defect::of_text(iss, ""))))
        }
    }
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
    check_accepted(issuer, used_as)?;
    let payload = signed_by(token, verified, issuer)?;
    let needs_issued_at = used_as == AcceptedAs::IdToken;
    let (max_age, limit) = match used_as {
        AcceptedAs::JwtBearer if LONGEST_GRANT <= trust.max_age => (LONGEST_GRANT, AgeLimit::Grant),
        AcceptedAs::JwtBearer | AcceptedAs::IdToken | AcceptedAs::Jwt | AcceptedAs::AccessToken => {
            (trust.max_age, AgeLimit::Issuer)
        }
    };
    let bounds = Bounds { leeway: trust.leeway, max_age, limit, needs_issued_at };
    let times = foreign_times::check(payload, now, bounds)?;
    check_audience(policy, payload, issuer, used_as, client)?;
    let subject = subject(payload, &trust.subject_claim)?;
    let sub = trust.sub_of(subject.as_str()).parse().map_err(|_| with_prefix_fault(trust, &subject))?;
    Ok(ForeignClaims {
        issuer: Arc::clone(issuer),
        sub,
        subject,
        times,
        token_id: token_id(payload)?,
        confirmation: payload.get("cnf").map(Confirmation::read).transpose()?,
        may_act: payload.get("may_act").map(read_may_act).transpose()?,
        scope: trust
            .map
            .iter()
            // An unverified email address grants no scope.
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
    let value = payload.get(claim);
    let fault = |rule: String| ClaimFault::new(claim.to_owned(), Defect::of_text(value, rule)).into();
    match value.and_then(Value::as_str).map(str::parse) {
        Some(Ok(subject)) if Subject::has_space_at_an_end(&subject) => Err(fault(SPACE_AT_AN_END.to_owned())),
        Some(Ok(subject)) => Ok(subject),
        Some(Err(rule)) => Err(fault(crate::token::SubjectError::to_string(&rule))),
        None => Err(fault(String::new())),
    }
}

/// A subject that is too long only because of the prefix that its issuer is registered with.
fn with_prefix_fault(trust: &Trust, subject: &Subject) -> ClaimFault {
    let prefix = trust.subject_prefix.as_deref().unwrap_or_default();
    let bytes = prefix.len() + subject.as_str().len();
    let found = Excerpt::of_claim(subject.as_str());
    let defect = Defect::TooLongWithPrefix { found, prefix: prefix.into(), bytes };
    ClaimFault::new(trust.subject_claim.to_string(), defect)
}

/// Whether the operator accepts tokens of the issuer as this.
pub(crate) fn check_accepted(issuer: &TrustedIssuer, used_as: AcceptedAs) -> Result<(), TokenFault> {
    let accepted = &issuer.trust.accept;
    if accepted.contains(&used_as) {
        return Ok(());
    }
    let (issuer, accepted) = (issuer.issuer.clone(), accepted.as_slice().into());
    Err(TokenFault::NotAcceptedAs(Box::new(NotAccepted { issuer, used_as, accepted })))
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
            let value = Box::new(Excerpt::of_value(payload.get(claim)));
            return Err(TokenFault::UnverifiedEmail { claim, value });
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
    let accepted: Algorithms = issuer.trust.accepted_algorithms();
    let verified = match verified {
        Err(SignatureFault::NotAccepted(algorithm)) => {
            return Err(TokenFault::Algorithm { algorithm, accepted });
        }
        other => other?,
    };
    if !accepted.is_empty() && !accepted.contains(verified.algorithm()) {
        return Err(TokenFault::Algorithm { algorithm: verified.algorithm(), accepted });
    }
    // An answer for another token must not pass for one about this.
    if let Some(kid) = token.header().kid.as_ref().filter(|kid| *kid != verified.key()) {
        return Err(TokenFault::Signature(SignatureFault::OtherKey(kid.clone())));
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
        let endpoint = policy.token_endpoint();
        let ours = [policy.issuer.as_str(), &endpoint].into_iter();
        let clients = Some(client.as_str()).filter(|_| used_as == AcceptedAs::IdToken);
        let registered = issuer.trust.audiences.iter().map(AsRef::as_ref);
        let accepted = Excerpt::of_list(registered.chain(clients).chain(ours));
        let (aud, rule) = (
            Excerpt::of_value(payload.get("aud")),
            AudienceRule::OfIssuer { issuer: issuer.issuer.clone(), accepted },
        );
        return Err(TokenFault::Audience(Box::new(AudienceFault { aud, rule })));
    }
    // OpenID Connect Core 1.0 §3.1.3.7: "If an azp (authorized party) Claim is present, the Client SHOULD verify that its client_id is
    // the Claim Value." In other tokens it names the party they were issued to, which need not be the client.
    if used_as == AcceptedAs::IdToken {
        match payload.get("azp") {
            None => {}
            Some(Value::String(azp)) if is_client(azp) || is_registered(azp) => {}
            azp @ Some(_) => {
                return Err(TokenFault::AuthorizedParty(Box::new(AuthorizedParty {
                    azp: Excerpt::of_value(azp),
                    client: client.clone(),
                    issuer: issuer.issuer.clone(),
                    registered: Excerpt::of_list(issuer.trust.audiences.iter().map(AsRef::as_ref)),
                })));
            }
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
    audience.filter(is_good).ok_or_else(|| audience_fault(payload).into())
}

/// RFC 7519 §4.1.7: `jti` is a text; RFC 7523 §3 lets it be absent.
pub(crate) fn token_id(payload: &Map<String, Value>) -> Result<Option<Box<str>>, TokenFault> {
    match payload.get("jti") {
        None => Ok(None),
        Some(Value::String(id)) if (1..=256).contains(&id.len()) => Ok(Some(id.as_str().into())),
        jti @ Some(_) => Err(ClaimFault::new("jti", Defect::of_text(jti, "it has 1 to 256 bytes")).into()),
    }
}

pub(crate) fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    members.get(name).and_then(Value::as_str)
}

/// Checks what the operator has decided about the subject of a token of the issuer with these times.
///
/// A token from before a revocation is refused. The clock of the issuer may be ahead of ours by the leeway, so a token that says that it
/// was issued within the leeway after the revocation may be from before it, too.
pub(crate) fn check_status(
    issuer: &TrustedIssuer,
    subject: &Subject,
    times: Times,
    status: &SubjectStatus,
) -> Result<(), TokenFault> {
    if status.disabled {
        let user = Principal::User(Some(issuer.issuer.clone()), subject.as_str().into());
        return Err(TokenFault::Disabled(Involved::boxed(Involvement::Subject, user)));
    }
    let Trust { leeway, max_age, .. } = issuer.trust;
    // Without leeway: a user who signs in again has to be accepted at once, however far the issuer's clock may be off.
    let is_from =
        |before: Timestamp, unknown: bool| times.issued_at.map_or(unknown, |issued| issued < before);
    // A token that does not say when it was issued may be from before.
    let of_subject = status.revoked_before.filter(|before| is_from(*before, true));
    // Tokens without `iat` are not refused for ever: they could not be presented until `max_age` before they expire.
    let of_issuer = status
        .issuer_revoked_before
        .filter(|before| is_from(*before, times.expires_at < before.plus(max_age).plus(leeway)));
    let of_subject = of_subject.map(|before| Revocation::Subject { before });
    match of_subject.or_else(|| of_issuer.map(|before| Revocation::Issuer { before })) {
        Some(revocation) => Err(TokenFault::Revoked(Box::new(revocation))),
        None => Ok(()),
    }
}
