//! Checks whether an access token of ours is valid now: RFC 9068 §4 and RFC 7519 §4.1; conformance JW items.

use super::framing::{Framed, foreign, framed, of_another_issuer};
use super::proof::{ProvenToken, ValidToken};
use super::signed_token::SignedToken;
use super::token_status::{ParticipantsStatus, TokenStatus};
use super::{Policy, address, dpop, foreign_token, rights};
use crate::issuer::Namesake;
use crate::jws::DpopProof;
use crate::refusal::{
    AudienceFault, AudienceRule, Involved, Involvement, NotPossessed, Principal, ProofFault, TokenFault,
    WithoutRight,
};
use crate::token::{ClaimFault, Defect, SingleUseId, Thumbprint};
use crate::types::confirmation::Possession;
use crate::{
    AccessTokenClaims, CompactJws, Excerpt, Issuer, Lifetime, SignatureFault, Timestamp, TrustedIssuer,
    Verified,
};
use std::sync::Arc;

/// RFC 7519 §4.1.4: a token has expired on or after `exp`; there is no leeway for our own clocks.
pub(crate) fn unexpired(claims: &AccessTokenClaims, now: Timestamp) -> Result<(), TokenFault> {
    if now >= claims.expires_at {
        return Err(TokenFault::Expired { expired: claims.expires_at, now, leeway: Lifetime::ZERO });
    }
    Ok(())
}

/// What the operator did since the token was issued.
pub(crate) fn valid(claims: Arc<AccessTokenClaims>, status: TokenStatus) -> Result<ValidToken, TokenFault> {
    if let Some(revocation) = status.revocation {
        return Err(TokenFault::Revoked(Box::new(revocation)));
    }
    // An adapter whose look-up folds case must not turn one client or issuer into another.
    let issued_to =
        || Involved::boxed(Involvement::Holder, Principal::Client(claims.client_id.as_str().into()));
    let client = status.client.filter(|client| client.id == claims.client_id);
    let client = client.ok_or_else(|| TokenFault::Gone(issued_to()))?;
    if !client.enabled {
        return Err(TokenFault::Disabled(issued_to()));
    }
    if !status.is_vouched_for {
        return Err(TokenFault::NotVouchedFor(Box::new(client.id.clone())));
    }
    match status.participants {
        ParticipantsStatus::Good => {}
        ParticipantsStatus::Gone(who) => {
            return Err(TokenFault::Gone(Involved::boxed(Involvement::Participant, who)));
        }
        ParticipantsStatus::Disabled(who) => {
            return Err(TokenFault::Disabled(Involved::boxed(Involvement::Participant, who)));
        }
        ParticipantsStatus::NotVouchedFor(client) => {
            return Err(TokenFault::NotVouchedFor(Box::new(client)));
        }
        ParticipantsStatus::NotFederated(client, issuer, subject) => {
            let identity = WithoutRight::boxed(&client, Some(issuer), subject.as_str());
            return Err(TokenFault::IdentityRemoved(identity));
        }
    }
    let issuer = claims.session.subject_issuer.as_ref();
    let mut trusted = status.issuer;
    if status.subject.disabled {
        let user = Principal::User(issuer.cloned(), claims.issuer_subject().as_str().into());
        return Err(TokenFault::Disabled(Involved::boxed(Involvement::Subject, user)));
    }
    if let Some(issuer) = issuer {
        let of_subject = || Involved::boxed(Involvement::Subject, Principal::Issuer(issuer.clone()));
        trusted = trusted.filter(|trusted| trusted.issuer == *issuer);
        if !trusted.as_ref().ok_or_else(|| TokenFault::Gone(of_subject()))?.enabled {
            return Err(TokenFault::Disabled(of_subject()));
        }
    } else if !claims.session.unsecured {
        let subject =
            || Involved::boxed(Involvement::Subject, Principal::Client(claims.subject.as_str().into()));
        let principal = status.principal.as_ref();
        let principal = principal.filter(|principal| principal.id == *claims.subject.as_str());
        if !principal.ok_or_else(|| TokenFault::Gone(subject()))?.enabled {
            return Err(TokenFault::Disabled(subject()));
        }
    }
    check_name(&claims, status.subject.namesake, trusted.as_deref())?;
    Ok(ValidToken::new(claims, client, status.principal, trusted))
}

/// RFC 9068 §5: the authorization server should "prevent collisions between sub values", because catalogs decide by `sub`. A client
/// may have been registered under the name since the session began, and a prefix that an issuer gave up may be that of another.
fn check_name(
    claims: &AccessTokenClaims,
    namesake: Option<Namesake>,
    issuer: Option<&TrustedIssuer>,
) -> Result<(), TokenFault> {
    if let Some(by) = namesake {
        return Err(TokenFault::NameTaken { sub: claims.subject.clone(), by });
    }
    let (sub, subject) = (&claims.subject, claims.issuer_subject());
    // A name without a prefix stays good when the issuer gets its first one, unless another user of the issuer has that name now.
    let has_prefix = |issuer: &TrustedIssuer| {
        let prefix = issuer.trust.subject_prefix.as_deref();
        sub != subject || prefix.is_some_and(|prefix| sub.as_str().starts_with(prefix))
    };
    match issuer {
        Some(issuer) if !issuer.trust.gives_name(sub, subject) && has_prefix(issuer) => {
            Err(TokenFault::Renamed { sub: sub.clone(), issuer: issuer.issuer.clone() })
        }
        Some(_) | None => Ok(()),
    }
}

/// Whether the token has an audience that its client may still request.
pub(crate) fn at_home(token: ValidToken) -> Result<ValidToken, TokenFault> {
    let (client, claims) = (token.client(), token.claims());
    let accepted = || rights::audiences_of_tokens(client, &claims.issuer, claims.session.served().is_some());
    if claims.audience.iter().any(|aud| accepted().any(|known| *known == **aud)) {
        return Ok(token);
    }
    let accepted = Excerpt::of_list(accepted());
    let rule = AudienceRule::OfClient { client: client.id.clone(), accepted };
    Err(not_for(token.claims(), rule))
}

fn not_for(claims: &AccessTokenClaims, rule: AudienceRule) -> TokenFault {
    let aud = Excerpt::of_list(claims.audience.iter().map(AsRef::as_ref));
    TokenFault::Audience(Box::new(AudienceFault { aud, rule }))
}

/// The last check: this request proves possession of every key that the token is bound to (RFC 9700 §2.2.1).
pub(crate) fn possessed(token: ValidToken, possession: &Possession) -> Result<ProvenToken, TokenFault> {
    check_possession(token.claims(), possession)?;
    Ok(ProvenToken::of(token))
}

fn check_possession(claims: &AccessTokenClaims, possession: &Possession) -> Result<(), TokenFault> {
    match &claims.confirmation {
        Some(confirmation) if !possession.fulfils(confirmation) => {
            Err(TokenFault::Bound(NotPossessed::boxed(confirmation, possession)))
        }
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

    /// Reads a token before any key is fetched.
    ///
    /// # Errors
    /// A [`TokenFault`] if it is malformed, of another type or of another issuer.
    pub fn framed(&self, token: &str) -> Result<CompactJws, TokenFault> {
        match framed(token, &self.issuer)? {
            Framed::Ours(token) => Ok(token),
            Framed::Foreign(token) => Err(foreign(token, &self.issuer)),
        }
    }

    /// Checks the claims of a token whose signature was checked, presented by a caller that has proven this `possession`.
    ///
    /// # Errors
    /// A [`TokenFault`] if the signature, a claim, a time or the audience is not valid, or if possession of a key that the token is bound
    /// to is not proven.
    pub fn claims(
        &self,
        token: &CompactJws,
        verified: Result<Verified, SignatureFault>,
        now: Timestamp,
        possession: &Possession,
    ) -> Result<Arc<AccessTokenClaims>, TokenFault> {
        self.signed(&SignedToken::of(token, verified)?, now, possession)
    }

    /// The same for a token that [`Keys::read`](crate::Keys::read) has read, now or earlier: everything that can change is checked each
    /// time.
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
            let iss = Excerpt::of_claim(token.issuer().as_str());
            return Err(of_another_issuer(Some(iss), &self.issuer));
        }
        let claims = token.begun(now, self.leeway)?;
        unexpired(claims, now)?;
        if !claims.audience.iter().any(|aud| self.audience.contains(aud)) {
            let accepted = Excerpt::of_list(self.audience.iter().map(AsRef::as_ref));
            return Err(not_for(claims, AudienceRule::OfResource { accepted }));
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
        status: TokenStatus,
    ) -> Result<Arc<AccessTokenClaims>, TokenFault> {
        valid(claims, status).and_then(at_home).map(ValidToken::into_claims)
    }

    /// Checks a DPoP proof that came with the token, for a request with this method to this address (RFC 9449 §4.3 and §7.1).
    /// `token_hash` is the SHA-256 of the token as it was presented.
    ///
    /// Returns the proven keys and the single-use identifier; a resource server that has a store records its use there.
    ///
    /// # Errors
    /// A [`ProofFault`] if the proof is not valid, or not for this request and this token.
    pub fn proof(
        &self,
        proof: &DpopProof,
        verified: Result<Verified, SignatureFault>,
        request: (&str, &str),
        token_hash: [u8; 32],
        now: Timestamp,
    ) -> Result<(Possession, SingleUseId), ProofFault> {
        let (method, address) = request;
        let is_address = |sent: &str| address::is_same(sent, address);
        let (key, id, issued) =
            dpop::made_for(proof, verified, method, (is_address, || address.to_owned()), now)?;
        let (claims, hash) = (proof.token().unverified_payload(), Thumbprint::of(token_hash));
        let ath = foreign_token::text(claims, "ath").ok_or_else(|| {
            ProofFault::Claim(ClaimFault::new("ath", Defect::of_text(claims.get("ath"), "")))
        })?;
        if ath != hash.as_str() {
            return Err(ProofFault::Token);
        }
        let namespace = format!("dpop at a resource {}", key.as_str()).into();
        let (issued_at, until) = (Some(issued), dpop::remembered_until(issued));
        let once = SingleUseId { namespace, id, issued_at, until };
        Ok((Possession { key: Some(key), certificate: None }, once))
    }
}
