//! Checks whether an assertion authenticates the client: RFC 7521 §4.2, RFC 7523 §3, draft-ietf-oauth-rfc7523bis; SPIFFE and Kubernetes
//! identities.

use super::Policy;
use super::foreign_times::{self, Bounds, Times};
use super::foreign_token::{self, audience, signed_by, text, token_id};
use super::proof::Authenticated;
use crate::answers::SubjectStatus;
use crate::refusal::{AgeLimit, AudienceFault, AudienceRule, NotFederated, Refusal, TokenFault};
use crate::registration::{Federation, LONGEST_ASSERTION_LIFETIME};
use crate::token::{ClaimFault, Defect, SingleUseId};
use crate::{
    AuthMethod, Client, ClientId, CompactJws, Excerpt, Issuer, Lifetime, SignatureFault, Subject, Timestamp,
    TrustedIssuer, Verified,
};
use serde_json::{Map, Value};
use std::sync::Arc;

/// How far the client's clock may be from ours (conformance OP-01).
const LEEWAY: Lifetime = Lifetime::from_seconds(30);

/// Whether the client is there, enabled, and registered for `private_key_jwt`.
pub(crate) fn signs_for_itself(client: &Client) -> Result<(), Refusal> {
    if client.rights.auth_method != AuthMethod::PrivateKeyJwt || client.rights.jwks.is_none() {
        let registered = client.rights.auth_method;
        let presented = "private_key_jwt";
        return Err(Refusal::OtherMethod { client: client.id.clone(), registered, presented });
    }
    Ok(())
}

/// Checks an assertion that the client made itself. The client is authenticated after its `jti` was used up.
pub(crate) fn check_own(
    policy: &Policy,
    client: Arc<Client>,
    token: &CompactJws,
    verified: Result<Verified, SignatureFault>,
    now: Timestamp,
) -> Result<(Authenticated, SingleUseId), Refusal> {
    let once = claims_of_own(policy, &client, token, verified, now).map_err(Refusal::ClientAssertion)?;
    signs_for_itself(&client)?;
    if !client.enabled {
        return Err(Refusal::DisabledClient(client.id.clone()));
    }
    Ok((Authenticated::by_credential(client), once))
}

fn claims_of_own(
    policy: &Policy,
    client: &Client,
    token: &CompactJws,
    verified: Result<Verified, SignatureFault>,
    now: Timestamp,
) -> Result<SingleUseId, TokenFault> {
    let verified = verified?;
    if let Some(kid) = token.header().kid.as_ref().filter(|kid| *kid != verified.key()) {
        return Err(TokenFault::Signature(SignatureFault::OtherKey(kid.clone())));
    }
    let payload = token.unverified_payload();
    // RFC 7523 §3: "For client authentication, the subject MUST be the 'client_id' of the OAuth client", and so is the issuer.
    for claim in ["iss", "sub"] {
        if text(payload, claim) != Some(client.id.as_str()) {
            let found = Excerpt::of_value(payload.get(claim));
            let expected = Excerpt::of_claim(client.id.as_str());
            return Err(ClaimFault::new(claim, Defect::Value { found, expected }).into());
        }
    }
    check_audience(policy, payload, None, client.rights.endpoint_as_audience)?;
    let max_age = client.rights.assertion_lifetime.min(LONGEST_ASSERTION_LIFETIME);
    let bounds = Bounds { leeway: LEEWAY, max_age, limit: AgeLimit::Client, needs_issued_at: false };
    let times = foreign_times::check(payload, now, bounds)?;
    // RFC 7523 §3: the server "MAY ensure that JWTs are not replayed"; here it does (conformance CJ-07).
    let id = token_id(payload)?.ok_or_else(|| ClaimFault::missing("jti"))?;
    let namespace = format!("client_assertion {}", client.id.as_str()).into();
    let until = times.expires_at.plus(LEEWAY);
    Ok(SingleUseId { namespace, id, issued_at: times.issued_at, until })
}

/// A foreign identity that stands for a client, whose assertion is valid. The operator may have disabled or revoked it.
pub(crate) struct Vouched {
    client: Arc<Client>,
    issuer: Arc<TrustedIssuer>,
    subject: Subject,
    times: Times,
}

impl Vouched {
    /// The issuer and its subject, and the subject as our tokens would name it.
    pub(crate) fn names(&self) -> (Issuer, (Subject, Subject)) {
        let sub = self.issuer.trust.sub_of(self.subject.as_str()).parse();
        (self.issuer.issuer.clone(), (self.subject.clone(), sub.unwrap_or_else(|_| self.subject.clone())))
    }

    /// The client, unless the operator has disabled the identity or revoked what it was given until now.
    pub(crate) fn check_status(self, status: &SubjectStatus) -> Result<Authenticated, Refusal> {
        let Self { client, issuer, subject, times } = self;
        foreign_token::check_status(&issuer, &subject, times, status).map_err(Refusal::ClientAssertion)?;
        Ok(Authenticated::by_identity(client, issuer.issuer.clone(), subject))
    }
}

/// Checks a foreign identity that stands for the client. It may be used repeatedly until it expires, because its issuer returns the same
/// one for an hour (conformance D16).
pub(crate) fn check_federated(
    policy: &Policy,
    client: Arc<Client>,
    token: &CompactJws,
    verified: Result<Verified, SignatureFault>,
    issuer: Arc<TrustedIssuer>,
    now: Timestamp,
) -> Result<Vouched, Refusal> {
    let (subject, times) =
        federated(policy, &client, token, verified, &issuer, now).map_err(Refusal::ClientAssertion)?;
    if !client.enabled {
        return Err(Refusal::DisabledClient(client.id.clone()));
    }
    Ok(Vouched { client, issuer, subject, times })
}

fn federated(
    policy: &Policy,
    client: &Client,
    token: &CompactJws,
    verified: Result<Verified, SignatureFault>,
    issuer: &TrustedIssuer,
    now: Timestamp,
) -> Result<(Subject, Times), TokenFault> {
    let payload = signed_by(token, verified, issuer)?;
    // A trust domain is named by the subject; `iss` of a JWT-SVID is optional and ignored (JWT-SVID §3).
    if !issuer.issuer.is_spiffe() && text(payload, "iss") != Some(issuer.issuer.as_str()) {
        let found = Excerpt::of_value(payload.get("iss"));
        let expected = Excerpt::of_claim(issuer.issuer.as_str());
        return Err(ClaimFault::new("iss", Defect::Value { found, expected }).into());
    }
    let sub = payload.get("sub");
    let subject = sub.and_then(Value::as_str);
    let subject = subject.ok_or_else(|| ClaimFault::new("sub", Defect::of_text(sub, "")))?;
    let (leeway, max_age, limit) = (issuer.trust.leeway, issuer.trust.max_age, AgeLimit::Issuer);
    let times =
        foreign_times::check(payload, now, Bounds { leeway, max_age, limit, needs_issued_at: false })?;
    let is_public = client.rights.auth_method == AuthMethod::Public;
    let stands = |f: &&Federation| !is_public && f.is_of(&issuer.issuer, subject);
    let mut registered = client.rights.federations.iter().filter(stands);
    let outcome = |federation: &Federation| {
        check_audience(policy, payload, Some((federation, &client.id)), false)?;
        check_uid(payload, federation)
    };
    let not_federated = || {
        TokenFault::NotFederated(Box::new(NotFederated {
            issuer: issuer.issuer.clone(),
            subject: Excerpt::of_claim(subject),
            client: Some(client.id.clone()),
            is_client_known: true,
            is_verified: true,
        }))
    };
    let first = registered.next().ok_or_else(not_federated)?;
    outcome(first).or_else(|fault| registered.find_map(|other| outcome(other).ok()).ok_or(fault))?;
    // Sessions name the identity, and the operator disables and revokes it, like any other subject.
    let identity = Subject::of_client(subject);
    Ok((identity.map_err(|rule| ClaimFault::new("sub", Defect::of_text(sub, rule.to_string())))?, times))
}

/// An account that was deleted and made again under the same name is another one (conformance WL-12).
fn check_uid(payload: &Map<String, Value>, federation: &Federation) -> Result<(), TokenFault> {
    let Some(pinned) = federation.uid.as_deref() else { return Ok(()) };
    let kubernetes = payload.get("kubernetes.io").and_then(Value::as_object);
    let account = kubernetes.and_then(|k| k.get("serviceaccount")).and_then(Value::as_object);
    let uid = account.and_then(|account| account.get("uid"));
    if uid.and_then(Value::as_str) == Some(pinned) {
        return Ok(());
    }
    let (found, expected) = (Excerpt::of_value(uid), Excerpt::of_claim(pinned));
    Err(ClaimFault::new("kubernetes.io.serviceaccount.uid", Defect::Value { found, expected }).into())
}

/// draft-ietf-oauth-rfc7523bis: the issuer identifier "as its sole value", a text or an array of one, to the byte. With more than one, a
/// server that received the assertion could use it here (CVE-2025-27370).
fn check_audience(
    policy: &Policy,
    payload: &Map<String, Value>,
    federation: Option<(&Federation, &ClientId)>,
    or_endpoint: bool,
) -> Result<(), TokenFault> {
    let registered = federation.and_then(|(federation, _)| federation.audience.as_deref());
    let expected = registered.unwrap_or(policy.issuer.as_str());
    let is_text = payload.get("aud").is_some_and(Value::is_string);
    let is_good = |sole: &str| sole == expected || (or_endpoint && is_text && policy.is_token_endpoint(sole));
    if matches!(audience(payload)?[..], [sole] if is_good(sole)) {
        return Ok(());
    }
    let rule = match federation {
        Some((_, client)) => {
            AudienceRule::OfFederation { client: client.clone(), accepted: Excerpt::of_claim(expected) }
        }
        None => AudienceRule::OfAssertion { accepted: Excerpt::of_claim(expected) },
    };
    let aud = Excerpt::of_value(payload.get("aud"));
    Err(TokenFault::Audience(Box::new(AudienceFault { aud, rule })))
}
