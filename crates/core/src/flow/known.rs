//! What is known of a request on its way to the grant, and its common end.

use super::grant_hook::{GrantHook, Proposal};
use super::question::ask;
use super::sign::{Decision, Sign};
use super::step::Step;
use super::use_once::UseOnce;
use super::verify_proof::VerifyProof;
use crate::jws::DpopProof;
use crate::policy::limits::Limits;
use crate::policy::proof::Authenticated;
use crate::policy::{Policy, dpop, rights};
use crate::refusal::Refusal;
use crate::request::token_request::TokenRequest;
use crate::token::{SingleUseId, Thumbprint};
use crate::types::confirmation::Possession;
use crate::{AccessTokenClaims, Excerpt, GrantType, PeerCertificate, Timestamp, TokenId};
use std::sync::Arc;

/// What holds from the start on.
pub(crate) struct Known {
    pub(crate) policy: Arc<Policy>,
    pub(crate) now: Timestamp,
    pub(crate) id: TokenId,
    pub(crate) method: &'static str,
    /// Whether the caller wants an explanation of which party allowed what.
    pub(crate) explained: bool,
    /// What the embedding program decides.
    pub(crate) hook: Option<Arc<dyn GrantHook>>,
}

impl Known {
    /// Asks the embedding program about the token, before any single-use identifier is used: it may restrict what was granted.
    pub(super) fn decided(
        &self,
        claims: AccessTokenClaims,
        decision: &Decision,
    ) -> Result<AccessTokenClaims, Refusal> {
        let Some(hook) = &self.hook else { return Ok(claims) };
        let verdict = hook.decide(&Proposal { claims: &claims, decision, now: self.now });
        let claims = verdict.apply(claims)?;
        rights::check_size(&claims)?;
        Ok(claims)
    }

    pub(super) fn explains(&self, limits: impl FnOnce() -> Limits) -> Option<Box<Limits>> {
        self.explained.then(|| Box::new(limits()))
    }
}

/// The keys of the request that a token could be bound to. A proof is verified after the client is authenticated: verifying one can cost
/// thirty times as much as the rest of a request, and no unauthenticated caller may choose the algorithm.
pub(crate) struct PresentedKeys {
    pub(super) certificate: Option<PeerCertificate>,
    pub(super) proof: Option<Result<DpopProof, Refusal>>,
}

/// The keys whose possession is proven, and the proof that is still to be used up.
pub(crate) struct Possessed {
    pub(super) possession: Possession,
    pub(super) once: Option<SingleUseId>,
}

impl PresentedKeys {
    /// Verifies the proof, if there is one, and continues with the keys that it proves.
    pub(super) fn prove(
        self,
        known: Known,
        then: impl FnOnce(Known, Possessed) -> Result<Step, Refusal> + Send + 'static,
    ) -> Result<Step, Refusal> {
        let certificate = self.certificate.map(|presented| Thumbprint::of(presented.thumbprint));
        let Some(proof) = self.proof.transpose()? else {
            return then(known, Possessed { possession: Possession { key: None, certificate }, once: None });
        };
        let now = known.now;
        Ok(ask(VerifyProof::new(proof, now, move |proof, verified, nonce_is_ours| {
            let proven = dpop::check(&known.policy, &proof, verified, nonce_is_ours, now)?;
            let possession = Possession { key: Some(proven.key), certificate };
            then(known, Possessed { possession, once: Some(proven.once) })
        })))
    }
}

/// The grant parameters of the request; none of them is checked before the client is authenticated (conformance TE-25).
pub(crate) struct GrantRequest {
    pub(super) grant_type: Result<GrantType, Refusal>,
    pub(super) request: Result<TokenRequest, Refusal>,
}

impl GrantRequest {
    /// The request, whose parameters were not checked yet, for a client that may use its grant.
    pub(super) fn of(self, client: &Authenticated) -> Result<Result<TokenRequest, Refusal>, Refusal> {
        rights::check_grant(client.client(), self.grant_type?)?;
        Ok(self.request)
    }
}

/// RFC 9449 §5.2: a client may be registered for bound tokens only.
pub(super) fn check_proof_sent(client: &Authenticated, possessed: &Possessed) -> Result<(), Refusal> {
    if client.client().rights.dpop_bound && possessed.possession.key.is_none() {
        return Err(Refusal::ProofMissing(client.id().clone()));
    }
    Ok(())
}

/// Uses up the proof after all other checks (conformance DP-09), and asks for the signature.
pub(super) fn conclude(
    known: &Known,
    claims: AccessTokenClaims,
    decision: Decision,
    limits: Option<Box<Limits>>,
    once: Option<SingleUseId>,
) -> Result<Step, Refusal> {
    let now = known.now;
    match once {
        None => Ok(Step::Sign(Sign::new(claims, decision, limits, now))),
        Some(once) => Ok(ask(UseOnce::new(
            once,
            |once| Refusal::ProofReplayed(Excerpt::of_claim(&once.id)),
            move || Ok(Step::Sign(Sign::new(claims, decision, limits, now))),
        ))),
    }
}
