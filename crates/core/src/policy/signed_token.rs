//! The unchanging part of a token of ours, signed by one of our keys and read once; conformance JW-40.

use super::framing::{Framed, foreign, framed};
use crate::refusal::TokenFault;
use crate::token::{ClaimFault, Defect};
use crate::types::claim_reading;
use crate::{
    AccessTokenClaims, ClientId, CompactJws, Excerpt, Issuer, Lifetime, SignatureFault, Timestamp, TokenId,
    Verified,
};
use std::sync::Arc;

/// The contents of an access token that a key of ours has signed.
///
/// It contains no present status, so it may be cached: times, audience, possession, revocations and whether the key still verifies are
/// checked each time the token is presented.
#[derive(Clone, Debug)]
pub struct SignedToken {
    claims: Arc<AccessTokenClaims>,
    not_before: Option<Timestamp>,
}

impl SignedToken {
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
        // We issue none, so a token that has it was meant to follow a rule that we would not enforce (RFC 8693 §4.4).
        if payload.contains_key("may_act") {
            return Err(ClaimFault::new("may_act", Defect::NotAllowed).into());
        }
        let claims = Arc::new(AccessTokenClaims::read(payload)?);
        let not_before =
            payload.contains_key("nbf").then(|| claim_reading::time(payload, "nbf")).transpose()?;
        Ok(Self { claims, not_before })
    }

    /// Whose it is.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        &self.claims.issuer
    }

    /// Its identifier and the client it was issued to, which a log may contain whether or not the token is valid.
    #[must_use]
    pub fn name(&self) -> (&TokenId, &ClientId) {
        (&self.claims.token_id, &self.claims.client_id)
    }

    /// The claims, whatever the time is.
    pub(crate) fn claims(&self) -> &Arc<AccessTokenClaims> {
        &self.claims
    }

    /// The claims, if the token is valid yet. The caller checks whether it has expired.
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

/// What a token turned out to be that may be an access token of ours.
#[derive(Debug)]
pub enum TokenReading {
    /// An access token of ours, whose signature is valid.
    Ours(Arc<SignedToken>),
    /// Any other token, by its `typ` or its `iss`. It is not verified.
    Foreign(CompactJws),
    /// Malformed, or an access token of ours by what it says, whose signature or claims are not valid.
    Bad(TokenFault),
}

impl TokenReading {
    /// Reads a token that may be one of this issuer; `verify` checks the signature of one that says so.
    pub fn read(
        text: &str,
        issuer: &Issuer,
        verify: impl FnOnce(&CompactJws) -> Result<Verified, SignatureFault>,
    ) -> Self {
        match framed(text, issuer) {
            Ok(Framed::Ours(token)) => match SignedToken::of(&token, verify(&token)) {
                Ok(token) => Self::Ours(Arc::new(token)),
                Err(fault) => Self::Bad(fault),
            },
            Ok(Framed::Foreign(token)) => Self::Foreign(token),
            Err(fault) => Self::Bad(fault),
        }
    }

    /// The token, where only an access token of this issuer is accepted.
    ///
    /// # Errors
    /// A [`TokenFault`] if it is malformed, of another type or of another issuer, or the signature or a claim is not valid.
    pub fn ours(self, issuer: &Issuer) -> Result<Arc<SignedToken>, TokenFault> {
        match self {
            Self::Ours(token) => Ok(token),
            Self::Foreign(token) => Err(foreign(token, issuer)),
            Self::Bad(fault) => Err(fault),
        }
    }
}

fn session_fault(claim: &'static str, time: Timestamp, rule: &'static str) -> TokenFault {
    let found = Excerpt::of_claim(&time.to_string());
    ClaimFault::new(claim, Defect::Rule { found, rule: rule.into() }).into()
}
