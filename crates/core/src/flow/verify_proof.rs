//! Asks whether the caller holds the key of a DPoP proof: RFC 9449 §4.3.

use crate::jws::DpopProof;
use crate::refusal::Refusal;
use crate::{SignatureFault, Timestamp, Verified};
use serde_json::Value;

/// Asks whether this proof was made with the key that it carries, and whether its nonce is one of ours.
pub struct VerifyProof<S> {
    proof: DpopProof,
    now: Timestamp,
    then: Box<Then<S>>,
}

type Then<S> = dyn FnOnce(DpopProof, Result<Verified, SignatureFault>, bool) -> Result<S, Refusal> + Send;

impl<S> VerifyProof<S> {
    pub(super) fn new(
        proof: DpopProof,
        now: Timestamp,
        then: impl FnOnce(DpopProof, Result<Verified, SignatureFault>, bool) -> Result<S, Refusal>
        + Send
        + 'static,
    ) -> Self {
        Self { proof, now, then: Box::new(then) }
    }

    /// The proof.
    pub(crate) fn proof(&self) -> &DpopProof {
        &self.proof
    }

    /// The nonce in it, if there is one (RFC 9449 §8).
    pub(crate) fn nonce(&self) -> Option<&str> {
        self.proof.token().unverified_payload().get("nonce").and_then(Value::as_str)
    }

    /// When it was presented.
    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// Answers with what [`Keys::verify_proof`](crate::Keys::verify_proof) says, and whether the nonce, if there is one, was
    /// handed out lately.
    pub(crate) fn verified(
        self,
        answer: Result<Verified, SignatureFault>,
        nonce_is_ours: bool,
    ) -> Result<S, Refusal> {
        (self.then)(self.proof, answer, nonce_is_ours)
    }
}
