//! Checks whether an issuer is trusted, before any of its keys is fetched; RFC 7523 §3, RFC 8693 §2.1, conformance KS-06.

use crate::refusal::{Involved, Involvement, IssuerRule, Principal, Refusal, TokenFault};
use crate::{Excerpt, TrustedIssuer};
use std::sync::Arc;

/// Asks whether this issuer is on the list of trusted ones, under exactly this identifier.
pub struct FindIssuer<S> {
    issuer: Box<str>,
    then: Box<Then<S>>,
}

type Then<S> = dyn FnOnce(Result<Arc<TrustedIssuer>, TokenFault>) -> Result<S, Refusal> + Send;

impl<S> FindIssuer<S> {
    pub(super) fn new(
        issuer: &str,
        then: impl FnOnce(Result<Arc<TrustedIssuer>, TokenFault>) -> Result<S, Refusal> + Send + 'static,
    ) -> Self {
        Self { issuer: issuer.into(), then: Box::new(then) }
    }

    /// What the token claims as its issuer, or for SPIFFE the trust domain of its subject. Any text.
    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Answers with the issuer, disabled or not, or with `None` if it is not on the list.
    pub(crate) fn found(self, issuer: Option<Arc<TrustedIssuer>>) -> Result<S, Refusal> {
        let refused = |rule| TokenFault::Issuer { iss: Excerpt::of_claim(&self.issuer), rule };
        let trusted = match issuer.filter(|issuer| issuer.issuer.as_str() == &*self.issuer) {
            Some(issuer) if issuer.issuer.is_plain_http() && !issuer.trust.insecure_http => {
                Err(refused(IssuerRule::InsecureHttp))
            }
            Some(issuer) if !issuer.enabled => {
                let issuer = Principal::Issuer(issuer.issuer.clone());
                Err(TokenFault::Disabled(Involved::boxed(Involvement::Issuer, issuer)))
            }
            Some(issuer) => Ok(issuer),
            None if self.issuer.starts_with("spiffe:") => Err(refused(IssuerRule::TrustDomain)),
            None => Err(refused(IssuerRule::Trusted)),
        };
        (self.then)(trusted)
    }
}
