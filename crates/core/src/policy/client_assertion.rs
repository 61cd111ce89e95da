//! Does this assertion prove the client? RFC 7521 §4.2, RFC 7523 §3, draft-ietf-oauth-rfc7523bis; SPIFFE and Kubernetes identities.

use super::Policy;
use super::foreign_times::{self, Bounds};
use super::foreign_token::{audience, signed_by, text, token_id};
use super::proof::Authenticated;
use crate::refusal::{Refusal, TokenFault};
use crate::{
    AuthMethod, ClaimFault, Client, CompactJws, Federation, LONGEST_ASSERTION_LIFETIME, Lifetime, Once,
    SignatureFault, Timestamp, TrustedIssuer, Verified,
};
use serde_json::{Map, Value};
use std::sync::Arc;

/// How far the client's clock may be from ours (conformance OP-01).
const LEEWAY: Lifetime = Lifetime::from_seconds(30);

/// Whether the client is there, enabled, and registered for `private_key_jwt`.
pub(crate) fn signs_for_itself(client: &Client) -> Result<(), Refusal> {
    if client.rights.auth_method != AuthMethod::PrivateKeyJwt || client.rights.jwks.is_none() {
        let registered = client.rights.auth_method;
        return Err(Refusal::OtherMethod { client: client.id.clone(), registered });
    }
    Ok(())
}

/// Checks an assertion that the client made for itself. What comes out is proven once its `jti` was used up.
pub(crate) fn check_own(
    policy: &Policy,
    client: Arc<Client>,
    token: &CompactJws,
    verified: Result<Verified, SignatureFault>,
    now: Timestamp,
) -> Result<(Authenticated, Once), Refusal> {
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
) -> Result<Once, TokenFault> {
    let verified = verified?;
    if token.header().kid.as_ref().is_some_and(|kid| kid != verified.key()) {
        return Err(TokenFault::Signature(SignatureFault::NoKey));
    }
    let payload = token.unverified_payload();
    // RFC 7523 §3: "For client authentication, the subject MUST be the 'client_id' of the OAuth client", and so is the issuer.
    for claim in ["iss", "sub"] {
        if text(payload, claim) != Some(client.id.as_str()) {
            return Err(ClaimFault(claim).into());
        }
    }
    check_audience(policy, payload, None, client.rights.endpoint_as_audience)?;
    let max_age = client.rights.assertion_lifetime.min(LONGEST_ASSERTION_LIFETIME);
    let bounds = Bounds { leeway: LEEWAY, max_age, needs_issued_at: false };
    let times = foreign_times::check(payload, now, bounds)?;
    // RFC 7523 §3: the server "MAY ensure that JWTs are not replayed"; here it does (conformance CJ-07).
    let id = token_id(payload)?.ok_or(ClaimFault("jti"))?;
    let namespace = format!("client_assertion {}", client.id.as_str()).into();
    Ok(Once { namespace, id, until: times.expires_at.plus(LEEWAY) })
}

/// Checks a foreign identity that stands for the client. It may be used as often as it is good: whoever made it hands the same
/// one out for an hour (conformance D16).
pub(crate) fn check_federated(
    policy: &Policy,
    client: Arc<Client>,
    token: &CompactJws,
    verified: Result<Verified, SignatureFault>,
    issuer: &TrustedIssuer,
    now: Timestamp,
) -> Result<Authenticated, Refusal> {
    federated(policy, &client, token, verified, issuer, now).map_err(Refusal::ClientAssertion)?;
    if !client.enabled {
        return Err(Refusal::DisabledClient(client.id.clone()));
    }
    Ok(Authenticated::by_credential(client))
}

fn federated(
    policy: &Policy,
    client: &Client,
    token: &CompactJws,
    verified: Result<Verified, SignatureFault>,
    issuer: &TrustedIssuer,
    now: Timestamp,
) -> Result<(), TokenFault> {
    let payload = signed_by(token, verified, issuer)?;
    // A trust domain is named by the subject; `iss` of a JWT-SVID is optional and nobody's business (JWT-SVID §3).
    if !issuer.issuer.is_spiffe() && text(payload, "iss") != Some(issuer.issuer.as_str()) {
        return Err(TokenFault::Issuer);
    }
    let subject = text(payload, "sub").ok_or(ClaimFault("sub"))?;
    let bounds =
        Bounds { leeway: issuer.trust.leeway, max_age: issuer.trust.max_age, needs_issued_at: false };
    foreign_times::check(payload, now, bounds)?;
    let mut registered = client.rights.federations.iter().filter(|f| f.is_of(&issuer.issuer, subject));
    let outcome = |federation: &Federation| {
        check_audience(policy, payload, federation.audience.as_deref(), false)?;
        check_uid(payload, federation)
    };
    let first = registered.next().ok_or(TokenFault::NotFederated)?;
    outcome(first).or_else(|fault| registered.find_map(|other| outcome(other).ok()).ok_or(fault))
}

/// An account that was deleted and made again under the same name is another one (conformance WL-12).
fn check_uid(payload: &Map<String, Value>, federation: &Federation) -> Result<(), TokenFault> {
    let Some(pinned) = federation.uid.as_deref() else { return Ok(()) };
    let kubernetes = payload.get("kubernetes.io").and_then(Value::as_object);
    let account = kubernetes.and_then(|k| k.get("serviceaccount")).and_then(Value::as_object);
    if account.and_then(|account| text(account, "uid")) == Some(pinned) {
        return Ok(());
    }
    Err(ClaimFault("kubernetes.io.serviceaccount.uid").into())
}

/// draft-ietf-oauth-rfc7523bis: the issuer identifier "as its sole value", a text or an array of one, to the byte. More than one
/// would let whoever got the assertion for another server use it here (CVE-2025-27370).
fn check_audience(
    policy: &Policy,
    payload: &Map<String, Value>,
    registered: Option<&str>,
    or_endpoint: bool,
) -> Result<(), TokenFault> {
    let [sole] = audience(payload)?[..] else { return Err(TokenFault::Audience) };
    let expected = registered.unwrap_or(policy.issuer.as_str());
    let is_text = payload.get("aud").is_some_and(Value::is_string);
    if sole == expected || (or_endpoint && is_text && policy.is_token_endpoint(sole)) {
        return Ok(());
    }
    Err(TokenFault::Audience)
}
