//! Checks that a DPoP proof is for this very request: RFC 9449 §4.3.

use super::Policy;
use super::address;
use super::foreign_times::numeric_date;
use super::foreign_token::text;
use crate::jws::DpopProof;
use crate::refusal::{NonceFault, ProofFault, Refusal};
use crate::token::{ClaimFault, Defect, SingleUseId, Thumbprint};
use crate::{Excerpt, Lifetime, SignatureFault, Timestamp, Verified};
use serde_json::{Map, Value};

/// How old a proof may be (RFC 9449 §11.1: "within a relatively brief period").
const OLDEST: Lifetime = Lifetime::from_seconds(60);

/// How far ahead the clock of the client may be, as the FAPI 2.0 Security Profile requires of authorization servers.
const AHEAD: Lifetime = Lifetime::from_seconds(10);

/// The key and the `jti` of a valid proof; the `jti` is still to be used up.
#[derive(Clone)]
pub(crate) struct Proven {
    pub(crate) key: Thumbprint,
    pub(crate) once: SingleUseId,
}

/// Checks all of RFC 9449 §4.3 except whether the proof was used before.
pub(crate) fn check(
    policy: &Policy,
    proof: &DpopProof,
    verified: Result<Verified, SignatureFault>,
    nonce_is_ours: bool,
    now: Timestamp,
) -> Result<Proven, Refusal> {
    let is_ours =
        |address: &str| address::is_of_token_endpoint(&policy.issuer, policy.base_path.as_deref(), address);
    let ours = || policy.token_endpoint();
    let (key, id, issued) =
        made_for(proof, verified, "POST", (is_ours, ours), now).map_err(Refusal::Proof)?;
    let has_nonce = proof.token().unverified_payload().contains_key("nonce");
    if (has_nonce || policy.require_dpop_nonce) && !nonce_is_ours {
        return Err(Refusal::ProofNonce(if has_nonce { NonceFault::NotOurs } else { NonceFault::Missing }));
    }
    let namespace = format!("dpop {}", key.as_str()).into();
    let (issued_at, until) = (Some(issued), remembered_until(issued));
    Ok(Proven { key, once: SingleUseId { namespace, id, issued_at, until } })
}

/// From when on a proof of that time is too old for whichever node (conformance DP-08).
pub(crate) fn remembered_until(issued: Timestamp) -> Timestamp {
    issued.plus(OLDEST).plus(AHEAD)
}

/// The key, `jti` and `iat` of a proof for this method, and for an address of which the caller says whether it is the one, and which
/// one it has to be.
pub(crate) fn made_for(
    proof: &DpopProof,
    verified: Result<Verified, SignatureFault>,
    method: &str,
    (is_address, address): (impl FnOnce(&str) -> bool, impl FnOnce() -> String),
    now: Timestamp,
) -> Result<(Thumbprint, Box<str>, Timestamp), ProofFault> {
    let verified = verified.map_err(ProofFault::Signature)?;
    let key = Thumbprint::parse(verified.key().as_str());
    let key = key.ok_or_else(|| ProofFault::Signature(SignatureFault::OtherKey(verified.key().clone())))?;
    let claims = proof.token().unverified_payload();
    let id = required(claims, "jti", |id| (1..=256).contains(&id.len()), "it has 1 to 256 bytes")?;
    // RFC 9449 §4.3(8): compared to the byte.
    let htm = required(claims, "htm", |_| true, "")?;
    if htm != method {
        let [htm, method] = [htm, method].map(|text| Box::new(Excerpt::of_claim(text)));
        return Err(ProofFault::Method { htm, method });
    }
    let htu = required(claims, "htu", |_| true, "")?;
    if !is_address(htu) {
        let [htu, address] = [htu, &address()].map(|text| Box::new(Excerpt::of_claim(text)));
        return Err(ProofFault::Address { htu, address });
    }
    let issued = numeric_date(claims, "iat").map_err(ProofFault::Claim)?;
    let issued = issued.ok_or_else(|| ProofFault::Claim(ClaimFault::missing("iat")))?;
    if issued > now.plus(AHEAD) || now > issued.plus(OLDEST) {
        return Err(ProofFault::Time { issued, now, oldest: OLDEST, ahead: AHEAD });
    }
    check_optional_times(claims, now).map_err(ProofFault::Claim)?;
    Ok((key, id.into(), issued))
}

/// RFC 9449 §4.2 requires neither claim, but RFC 7519 §4.1.4 and §4.1.5 hold where one is present.
fn check_optional_times(claims: &Map<String, Value>, now: Timestamp) -> Result<(), ClaimFault> {
    let fault = |name, rule: String| {
        let found = Excerpt::of_value(claims.get(name));
        Err(ClaimFault::new(name, Defect::Rule { found, rule: rule.into() }))
    };
    if numeric_date(claims, "exp")?.is_some_and(|end| now >= end.plus(AHEAD)) {
        return fault("exp", format!("the proof has expired; it is {now}, and the leeway is {AHEAD}"));
    }
    if numeric_date(claims, "nbf")?.is_some_and(|begin| begin > now.plus(AHEAD)) {
        return fault("nbf", format!("the proof is not valid yet; it is {now}, and the leeway is {AHEAD}"));
    }
    Ok(())
}

fn required<'a>(
    claims: &'a Map<String, Value>,
    name: &'static str,
    is_good: impl FnOnce(&str) -> bool,
    rule: &'static str,
) -> Result<&'a str, ProofFault> {
    let text = text(claims, name).filter(|text| is_good(text));
    text.ok_or_else(|| ProofFault::Claim(ClaimFault::new(name, Defect::of_text(claims.get(name), rule))))
}
