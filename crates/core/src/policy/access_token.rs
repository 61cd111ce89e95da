//! Is this access token of ours good now? RFC 9068 §4 and RFC 7519 §4.1; conformance JW items.

use super::proof::{ProvenToken, StandingToken};
use super::signed_token::SignedToken;
use super::{Policy, address, dpop, foreign_token, rights};
use crate::answers::{ParticipantsStanding, Recollection};
use crate::refusal::{ProofFault, TokenFault};
use crate::types::confirmation::Possession;
use crate::{
    ACCESS_TOKEN_TYPE, AccessTokenClaims, CompactJws, DpopProof, Issuer, Lifetime, Once, SignatureFault,
    Thumbprint, Timestamp, Verified,
};
use serde_json::Value;
use std::sync::Arc;

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

/// RFC 7519 §4.1.4: on or after `exp` it is over; no leeway for our own clocks.
pub(crate) fn unexpired(claims: &AccessTokenClaims, now: Timestamp) -> Result<(), TokenFault> {
    if now >= claims.expires_at {
        return Err(TokenFault::Expired { expired: claims.expires_at, now });
    }
    Ok(())
}

/// What the operator did since the token was issued.
pub(crate) fn standing(
    claims: Arc<AccessTokenClaims>,
    recollection: Recollection,
) -> Result<StandingToken, TokenFault> {
    if let Some(revocation) = recollection.revocation {
        return Err(TokenFault::Revoked(revocation));
    }
    let client = recollection.client.ok_or(TokenFault::Gone("client"))?;
    if !client.enabled || client.id != claims.client_id {
        return Err(TokenFault::Disabled("client"));
    }
    if !recollection.is_vouched_for {
        return Err(TokenFault::Disabled("issuer of the client's identity"));
    }
    match recollection.participants {
        ParticipantsStanding::Good => {}
        ParticipantsStanding::Client(_) => return Err(TokenFault::Disabled("client of an actor")),
        ParticipantsStanding::Subject(_) => return Err(TokenFault::Disabled("actor")),
        ParticipantsStanding::Issuer(_) => return Err(TokenFault::Disabled("issuer of an actor")),
    }
    let is_ours = claims.session.subject_issuer.is_none() && !claims.session.asserted;
    if recollection.subject.disabled {
        return Err(TokenFault::Disabled("subject"));
    }
    if let Some(issuer) = &claims.session.subject_issuer {
        let trusted = recollection.issuer.as_ref().ok_or(TokenFault::Gone("issuer of the subject"))?;
        if !trusted.enabled || trusted.issuer != *issuer {
            return Err(TokenFault::Disabled("issuer of the subject"));
        }
    }
    if is_ours {
        let principal = recollection.principal.as_ref().ok_or(TokenFault::Gone("subject"))?;
        if !principal.enabled || principal.id.as_str() != claims.subject.as_str() {
            return Err(TokenFault::Disabled("subject"));
        }
    }
    Ok(StandingToken::new(claims, client, recollection.principal, recollection.subject.namesake))
}

/// Whether the token is for anything that its client may still ask tokens for.
pub(crate) fn at_home(token: StandingToken) -> Result<StandingToken, TokenFault> {
    let (client, issuer) = (token.client(), &token.claims().issuer);
    let is_for_one = token
        .claims()
        .audience
        .iter()
        .any(|aud| rights::audiences_of_tokens(client, issuer).any(|known| *known == **aud));
    if is_for_one { Ok(token) } else { Err(TokenFault::Audience) }
}

/// The last check: every key that the token is bound to was proven with this very request (RFC 9700 §2.2.1).
pub(crate) fn possessed(token: StandingToken, possession: &Possession) -> Result<ProvenToken, TokenFault> {
    check_possession(token.claims(), possession)?;
    Ok(ProvenToken::of(token))
}

fn check_possession(claims: &AccessTokenClaims, possession: &Possession) -> Result<(), TokenFault> {
    match &claims.confirmation {
        Some(confirmation) if !possession.fulfils(confirmation) => Err(TokenFault::Bound),
        Some(_) | None => Ok(()),
    }
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

    /// Checks the claims of a token whose signature was checked, of which whoever presents it has proven this `possession`.
    ///
    /// # Errors
    /// A [`TokenFault`] if the signature, a claim, a time or the audience is not good, or the token is bound to a key that was
    /// not proven.
    pub fn claims(
        &self,
        token: &CompactJws,
        verified: Result<Verified, SignatureFault>,
        now: Timestamp,
        possession: &Possession,
    ) -> Result<Arc<AccessTokenClaims>, TokenFault> {
        self.signed(&SignedToken::of(token, verified)?, now, possession)
    }

    /// The same for a token that [`Keys::signed`](crate::Keys::signed) has read, now or earlier: all that changes is asked each time.
    ///
    /// # Errors
    /// As [`TokenVerification::claims`], and if it is the token of another issuer.
    pub fn signed(
        &self,
        token: &SignedToken,
        now: Timestamp,
        possession: &Possession,
    ) -> Result<Arc<AccessTokenClaims>, TokenFault> {
        if *token.issuer() != self.issuer {
            return Err(TokenFault::Issuer);
        }
        let claims = token.begun(now, self.leeway)?;
        unexpired(claims, now)?;
        if !claims.audience.iter().any(|aud| self.audience.contains(aud)) {
            return Err(TokenFault::Audience);
        }
        check_possession(claims, possession)?;
        Ok(Arc::clone(claims))
    }

    /// Whose tokens are accepted.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// Checks what the operator did since the token was issued, where the resource server can know.
    ///
    /// # Errors
    /// A [`TokenFault`] if the token was revoked, or its client or subject is gone or disabled.
    pub fn recalled(
        &self,
        claims: Arc<AccessTokenClaims>,
        recollection: Recollection,
    ) -> Result<Arc<AccessTokenClaims>, TokenFault> {
        standing(claims, recollection).and_then(at_home).map(StandingToken::into_claims)
    }

    /// Checks a DPoP proof that came with the token, for a request with this method to this address (RFC 9449 §4.3 and §7.1).
    /// `token_hash` is the SHA-256 of the token as it was presented.
    ///
    /// Returns what was proven, and what has to be used once: a resource server that has a memory asks it.
    ///
    /// # Errors
    /// A [`ProofFault`] if the proof is not good, or not for this request and this token.
    pub fn proof(
        &self,
        proof: &DpopProof,
        verified: Result<Verified, SignatureFault>,
        request: (&str, &str),
        token_hash: [u8; 32],
        now: Timestamp,
    ) -> Result<(Possession, Once), ProofFault> {
        let (method, address) = request;
        let (key, id, issued) =
            dpop::made_for(proof, verified, method, |sent| address::is_same(sent, address), now)?;
        let hash = Thumbprint::of(token_hash);
        if foreign_token::text(proof.token().unverified_payload(), "ath") != Some(hash.as_str()) {
            return Err(ProofFault::Claim("ath"));
        }
        let namespace = format!("dpop at a resource {}", key.as_str()).into();
        let once = Once { namespace, id, until: dpop::remembered_until(issued) };
        Ok((Possession { key: Some(key), certificate: None }, once))
    }
}
