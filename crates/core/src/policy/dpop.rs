//! Is this a proof for this very request? DPoP, RFC 9449 §4.3.

use super::Policy;
use super::address;
use super::foreign_times::numeric_date;
use super::foreign_token::text;
use crate::refusal::{ProofFault, Refusal};
use crate::{DpopProof, Lifetime, Once, SignatureFault, Thumbprint, Timestamp, Verified};

/// How old a proof may be (RFC 9449 §11.1: "within a relatively brief period").
const OLDEST: Lifetime = Lifetime::from_seconds(60);

/// How far ahead the clock of the client may be: what the FAPI 2.0 Security Profile asks of authorization servers.
const AHEAD: Lifetime = Lifetime::from_seconds(10);

/// What a good proof proves; its `jti` is still to be used up.
#[derive(Clone)]
pub(crate) struct Proven {
    pub(crate) key: Thumbprint,
    pub(crate) once: Once,
}

/// Checks all of RFC 9449 §4.3 but whether the proof was seen before.
pub(crate) fn check(
    policy: &Policy,
    proof: &DpopProof,
    verified: Result<Verified, SignatureFault>,
    nonce_is_ours: bool,
    now: Timestamp,
) -> Result<Proven, Refusal> {
    let is_ours = |address: &str| address::is_of_token_endpoint(policy, address);
    let (key, id, issued) = made_for(proof, verified, "POST", is_ours, now).map_err(Refusal::Proof)?;
    let has_nonce = proof.token().unverified_payload().contains_key("nonce");
    if (has_nonce || policy.require_dpop_nonce) && !nonce_is_ours {
        return Err(Refusal::ProofNonce);
    }
    let namespace = format!("dpop {}", key.as_str()).into();
    Ok(Proven { key, once: Once { namespace, id, until: remembered_until(issued) } })
}

/// From when on a proof of that time is too old for whichever node (conformance DP-08).
pub(crate) fn remembered_until(issued: Timestamp) -> Timestamp {
    issued.plus(OLDEST).plus(AHEAD)
}

/// The key, `jti` and `iat` of a proof for this method, and for an address of which the caller says whether it is the one.
pub(crate) fn made_for(
    proof: &DpopProof,
    verified: Result<Verified, SignatureFault>,
    method: &str,
    is_address: impl FnOnce(&str) -> bool,
    now: Timestamp,
) -> Result<(Thumbprint, Box<str>, Timestamp), ProofFault> {
    let verified = verified.map_err(ProofFault::Signature)?;
    let key = Thumbprint::parse(verified.key().as_str()).ok_or(ProofFault::Claim("jwk"))?;
    let claims = proof.token().unverified_payload();
    let id =
        text(claims, "jti").filter(|id| (1..=256).contains(&id.len())).ok_or(ProofFault::Claim("jti"))?;
    // RFC 9449 §4.3(8): compared to the byte.
    if text(claims, "htm").ok_or(ProofFault::Claim("htm"))? != method {
        return Err(ProofFault::Method);
    }
    if !is_address(text(claims, "htu").ok_or(ProofFault::Claim("htu"))?) {
        return Err(ProofFault::Address);
    }
    let issued = numeric_date(claims, "iat").ok().flatten().ok_or(ProofFault::Claim("iat"))?;
    if issued > now.plus(AHEAD) || now > issued.plus(OLDEST) {
        return Err(ProofFault::Time { issued, now });
    }
    Ok((key, id.into(), issued))
}
