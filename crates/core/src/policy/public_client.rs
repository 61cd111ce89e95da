//! Authenticates a client without a credential by the ID token that was issued to it: RFC 6749 §2.1, OpenID Connect Core 1.0 §3.1.3.7.

use super::foreign_token::{self, audience};
use super::{Policy, proof::Authenticated};
use crate::issuer::AcceptedAs;
use crate::refusal::{AudienceFault, AudienceRule, Refusal, TokenFault};
use crate::token::{ClaimFault, Defect};
use crate::{
    AuthMethod, Client, ClientId, CompactJws, Excerpt, Issuer, SignatureFault, Timestamp, TrustedIssuer,
    Verified,
};
use serde_json::Value;
use std::sync::Arc;

/// Whether the client is registered without a credential.
pub(crate) fn has_no_credential(client: &Client) -> Result<(), Refusal> {
    let registered = client.rights.auth_method;
    if registered == AuthMethod::Public {
        return Ok(());
    }
    Err(Refusal::OtherMethod { client: client.id.clone(), registered, presented: "none" })
}

/// Checks that the ID token is valid and was issued to the client.
pub(crate) fn check(
    policy: &Policy,
    client: Arc<Client>,
    token: &CompactJws,
    verified: Result<Verified, SignatureFault>,
    issuer: &Arc<TrustedIssuer>,
    now: Timestamp,
) -> Result<Authenticated, Refusal> {
    has_no_credential(&client)?;
    foreign_token::claims(policy, token, verified, issuer, AcceptedAs::IdToken, &client.id, now)
        .and_then(|_| issued_to(&client.id, token, &issuer.issuer))
        .map_err(Refusal::ClientAssertion)?;
    if !client.enabled {
        return Err(Refusal::DisabledClient(client.id.clone()));
    }
    Ok(Authenticated::by_id_token(client))
}

/// `aud` has the client, and no other party unless `azp` says that the token was issued to the client. An audience that is registered
/// for the issuer does not count: a token for another client of the issuer would authenticate this one.
fn issued_to(client: &ClientId, token: &CompactJws, issuer: &Issuer) -> Result<(), TokenFault> {
    let payload = token.unverified_payload();
    let names = audience(payload)?;
    let azp = payload.get("azp");
    if !names.contains(&client.as_str()) {
        let accepted = Excerpt::of_claim(client.as_str());
        let rule = AudienceRule::OfIssuer { issuer: issuer.clone(), accepted };
        let aud = Excerpt::of_value(payload.get("aud"));
        return Err(TokenFault::Audience(Box::new(AudienceFault { aud, rule })));
    }
    let is_client = azp.and_then(Value::as_str) == Some(client.as_str());
    if is_client || (azp.is_none() && names.len() == 1) {
        return Ok(());
    }
    let (found, expected) = (Excerpt::of_value(azp), Excerpt::of_claim(client.as_str()));
    Err(ClaimFault::new("azp", Defect::Value { found, expected }).into())
}
