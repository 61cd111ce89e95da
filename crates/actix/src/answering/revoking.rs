//! Carries out what the core decided about a token that its client revokes.

use crate::answering::Denied;
use std::sync::Arc;
use tokenberg_core::backends::NotWritten;
use tokenberg_core::refusal::TokenFault;
use tokenberg_core::revocation::{Revoked, Revoking};
use tokenberg_core::{Answers, Revocations, SignatureFault};

/// Revokes the token, or says why it is invalid already. `before` is the moment of the decision, and `now` reads the present one.
///
/// RFC 7009 §2.2 responds 200 to an invalid token. A token whose key is unknown may be a good one of another node, which has changed the
/// keys since. So the store is read before the token is called invalid, and if that fails or finds other keys, the client retries.
pub(crate) async fn carry_out(
    decided: Revoking,
    revocations: &dyn Revocations,
    before: &dyn Answers,
    now: impl Fn() -> Arc<dyn Answers>,
) -> Result<Result<Revoked, TokenFault>, Denied> {
    match decided {
        Revoking::Nothing(fault) => {
            if matches!(fault, TokenFault::Signature(SignatureFault::NoKey(_))) {
                revocations.catch_up().await?;
                if now().keys().jwks() != before.keys().jwks() {
                    let reason = "the signing keys have changed meanwhile".to_owned();
                    return Err(NotWritten { reason }.into());
                }
            }
            Ok(Err(fault))
        }
        Revoking::Write(revoke) => {
            revocations.revoke(&revoke).await?;
            Ok(Ok(revoke.written()))
        }
    }
}
