//! What of a token of ours never changes? What one of our keys has signed, read once; conformance JW-40.

use super::access_token::framed;
use crate::refusal::TokenFault;
use crate::types::claims;
use crate::{
    AccessTokenClaims, ClaimFault, ClientId, CompactJws, Defect, Excerpt, Issuer, Lifetime, SignatureFault,
    Timestamp, TokenId, Verified,
};
use std::sync::Arc;

/// What an access token of ours says, which a key of ours has signed.
///
/// It says nothing about now, so it may be remembered: times, audience, possession, revocations and whether the key still verifies
/// are asked each time that the token is presented.
#[derive(Clone, Debug)]
pub struct SignedToken {
    claims: Arc<AccessTokenClaims>,
    not_before: Option<Timestamp>,
}

impl SignedToken {
    /// Reads a token that should be of this issuer; only then `verify` is asked about its signature.
    ///
    /// # Errors
    /// A [`TokenFault`] if it is malformed, of another type or of another issuer, or the signature or a claim is not good.
    pub fn read(
        text: &str,
        issuer: &Issuer,
        verify: impl FnOnce(&CompactJws) -> Result<Verified, SignatureFault>,
    ) -> Result<Self, TokenFault> {
        let token = framed(text, issuer)?;
        Self::of(&token, verify(&token))
    }

    /// Reads the claims of a token whose signature was checked.
    pub(crate) fn of(
        token: &CompactJws,
        verified: Result<Verified, SignatureFault>,
    ) -> Result<Self, TokenFault> {
        let verified = verified?;
        // An answer for another token must not pass for one about this.
        if let Some(kid) = token.header().kid.as_ref().filter(|kid| *kid != verified.key()) {
            return Err(TokenFault::Signature(SignatureFault::OtherKey(kid.clone())));
        }
        let payload = token.unverified_payload();
        // We issue none, so whoever wrote it meant a rule that we would not keep (RFC 8693 §4.4).
        if payload.contains_key("may_act") {
            return Err(ClaimFault::new("may_act", Defect::NotAllowed).into());
        }
        let claims = Arc::new(AccessTokenClaims::read(payload)?);
        let not_before = payload.contains_key("nbf").then(|| claims::time(payload, "nbf")).transpose()?;
        Ok(Self { claims, not_before })
    }

    /// Whose it is.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        &self.claims.issuer
    }

    /// What it is called, and to whom it was issued: what a log may say of it, good or not.
    #[must_use]
    pub fn name(&self) -> (&TokenId, &ClientId) {
        (&self.claims.token_id, &self.claims.client_id)
    }

    /// The claims, whatever the time is.
    pub(crate) fn claims(&self) -> &Arc<AccessTokenClaims> {
        &self.claims
    }

    /// The claims, if their time has come. Whether it is over is for the caller to ask.
    pub(crate) fn begun(
        &self,
        now: Timestamp,
        leeway: Lifetime,
    ) -> Result<&Arc<AccessTokenClaims>, TokenFault> {
        let claims = &self.claims;
        // A renewal while the clock is behind the beginning of the session would be invalid itself.
        let start = claims.session.start;
        let beginnings = [
            ("iat", Some(claims.issued_at)),
            ("tokenberg_session.start", Some(start)),
            ("nbf", self.not_before),
        ];
        for (claim, from) in beginnings {
            let Some(from) = from else { continue };
            if from > now.plus(leeway) {
                return Err(TokenFault::NotYetValid { claim, from, now, leeway });
            }
            if from > claims.expires_at {
                return Err(TokenFault::Backwards { claim, from, expires: claims.expires_at });
            }
        }
        let end = claims.session.end;
        if end < claims.expires_at {
            return Err(session_fault("tokenberg_session.end", end, "it is not before exp"));
        }
        if start > claims.issued_at.plus(leeway) {
            return Err(session_fault("tokenberg_session.start", start, "it is not after iat"));
        }
        Ok(claims)
    }
}

fn session_fault(claim: &'static str, time: Timestamp, rule: &'static str) -> TokenFault {
    let found = Excerpt::of_claim(&time.to_string());
    ClaimFault::new(claim, Defect::Rule { found, rule: rule.into() }).into()
}
