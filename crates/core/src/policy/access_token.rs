//! Is this access token of ours good now? RFC 9068 §4 and RFC 7519 §4.1; conformance JW items.

use super::proof::{ProvenToken, StandingToken};
use super::{Policy, rights};
use crate::answers::Recollection;
use crate::refusal::TokenFault;
use crate::{
    ACCESS_TOKEN_TYPE, AccessTokenClaims, ClaimFault, CompactJws, Issuer, Lifetime, SignatureFault,
    Timestamp, Verified,
};
use serde_json::Value;

/// Reads the framing of a token that should be ours, before any key is asked for.
pub(crate) fn framed(text: &str, issuer: &Issuer) -> Result<CompactJws, TokenFault> {
    let token = CompactJws::parse(text)?;
    // RFC 9068 §4: "The resource server MUST verify that the 'typ' header value is 'at+jwt' or 'application/at+jwt'".
    if !token.header().is_type(ACCESS_TOKEN_TYPE) {
        return Err(TokenFault::Type);
    }
    match token.unverified_payload().get("iss") {
        Some(Value::String(iss)) if iss.as_str() == issuer.as_str() => Ok(token),
        Some(_) | None => Err(TokenFault::Issuer),
    }
}

/// Reads the claims of a token whose signature was checked. Whether it has expired is for the caller to ask.
pub(crate) fn claims(
    token: &CompactJws,
    verified: Result<Verified, SignatureFault>,
    now: Timestamp,
    leeway: Lifetime,
) -> Result<AccessTokenClaims, TokenFault> {
    let verified = verified?;
    // An answer for another token must not pass for one about this.
    if token.header().kid.as_ref().is_some_and(|kid| kid != verified.key()) {
        return Err(TokenFault::Signature(SignatureFault::NoKey));
    }
    let payload = token.unverified_payload();
    // We issue none, so whoever wrote it meant a rule that we would not keep (RFC 8693 §4.4).
    if payload.contains_key("may_act") {
        return Err(ClaimFault("may_act").into());
    }
    let claims = AccessTokenClaims::read(payload)?;
    let not_before = match payload.get("nbf").map(Value::as_i64) {
        None => None,
        Some(Some(seconds)) => Some(Timestamp::from_seconds(seconds).map_err(|_| ClaimFault("nbf"))?),
        Some(None) => return Err(ClaimFault("nbf").into()),
    };
    for from in [Some(claims.issued_at), not_before].into_iter().flatten() {
        if from > now.plus(leeway) || from > claims.expires_at {
            return Err(TokenFault::NotYetValid { from, now });
        }
    }
    if claims.session.end < claims.expires_at || claims.session.start > claims.issued_at.plus(leeway) {
        return Err(ClaimFault("tokenberg_session").into());
    }
    Ok(claims)
}

/// RFC 7519 §4.1.4: on or after `exp` it is over; no leeway for our own clocks.
pub(crate) fn unexpired(claims: &AccessTokenClaims, now: Timestamp) -> Result<(), TokenFault> {
    if now >= claims.expires_at {
        return Err(TokenFault::Expired { expired: claims.expires_at, now });
    }
    Ok(())
}

/// What the operator did since the token was issued.
pub(crate) fn standing(
    claims: AccessTokenClaims,
    recollection: Recollection,
) -> Result<StandingToken, TokenFault> {
    if let Some(revocation) = recollection.revocation {
        return Err(TokenFault::Revoked(revocation));
    }
    let client = recollection.client.ok_or(TokenFault::Gone("client"))?;
    if !client.enabled || client.id != claims.client_id {
        return Err(TokenFault::Disabled("client"));
    }
    if claims.session.subject_issuer.is_none() {
        let principal = recollection.principal.as_ref().ok_or(TokenFault::Gone("subject"))?;
        if !principal.enabled || principal.id.as_str() != claims.subject.as_str() {
            return Err(TokenFault::Disabled("subject"));
        }
    }
    Ok(StandingToken::new(claims, client, recollection.principal))
}

/// Whether the token is for anything that its client may still ask tokens for.
pub(crate) fn at_home(token: StandingToken) -> Result<StandingToken, TokenFault> {
    let registered = rights::audiences_of_tokens(token.client(), &token.claims().issuer);
    let is_for_one = token.claims().audience.iter().any(|aud| registered.contains(aud));
    if is_for_one { Ok(token) } else { Err(TokenFault::Audience) }
}

/// The last check: nobody here proves possession of a key.
pub(crate) fn unbound(token: StandingToken) -> Result<ProvenToken, TokenFault> {
    if token.claims().confirmation.is_some() {
        return Err(TokenFault::Bound);
    }
    Ok(ProvenToken::of(token))
}

/// What a resource server, such as a catalog, checks of a token that it is presented with.
///
/// The same functions decide here as at the token endpoint, so both always agree.
#[derive(Clone, Debug)]
pub struct TokenVerification {
    issuer: Issuer,
    audience: Vec<Box<str>>,
    leeway: Lifetime,
}

impl TokenVerification {
    /// Accepts tokens of this issuer for any of these audiences (RFC 9068 §4).
    ///
    /// Tokens of clients without a registered audience are for the issuer itself.
    #[must_use]
    pub fn new(issuer: Issuer, audience: Vec<Box<str>>) -> Self {
        let leeway = Policy::new(issuer.clone()).clock_leeway;
        Self { issuer, audience, leeway }
    }

    /// Reads a token before any key is asked for.
    ///
    /// # Errors
    /// A [`TokenFault`] if it is malformed, of another type or of another issuer.
    pub fn framed(&self, token: &str) -> Result<CompactJws, TokenFault> {
        framed(token, &self.issuer)
    }

    /// Checks the claims of a token whose signature was checked.
    ///
    /// # Errors
    /// A [`TokenFault`] if the signature, a claim, a time or the audience is not good, or the token is bound to a key.
    pub fn claims(
        &self,
        token: &CompactJws,
        verified: Result<Verified, SignatureFault>,
        now: Timestamp,
    ) -> Result<AccessTokenClaims, TokenFault> {
        let claims = claims(token, verified, now, self.leeway)?;
        unexpired(&claims, now)?;
        if !claims.audience.iter().any(|aud| self.audience.contains(aud)) {
            return Err(TokenFault::Audience);
        }
        if claims.confirmation.is_some() {
            return Err(TokenFault::Bound);
        }
        Ok(claims)
    }

    /// Checks what the operator did since the token was issued, where the resource server can know.
    ///
    /// # Errors
    /// A [`TokenFault`] if the token was revoked, or its client or subject is gone or disabled.
    pub fn recalled(
        &self,
        claims: AccessTokenClaims,
        recollection: Recollection,
    ) -> Result<AccessTokenClaims, TokenFault> {
        standing(claims, recollection)
            .and_then(at_home)
            .and_then(unbound)
            .map(|proven| proven.claims().clone())
    }
}
