//! Logs and records requests that were refused or failed: in full, or cut and bounded if no client was authenticated.

use super::Audit;
use super::proof::Proof;
use crate::endpoint::fault::Fault;
use tokenberg_core::{Excerpt, OAuthError, Outcome, Refusal};

/// The end of a request that was refused or failed.
struct Ending<'a> {
    message: &'static str,
    outcome: Outcome,
    /// The status of the answer, and whether it is recorded: that of a refusal follows from its outcome.
    status: (u16, bool),
    reason: String,
    /// The body, if the claims of its tokens are recorded.
    body: Option<&'a [u8]>,
    /// Whether a client had been authenticated.
    is_verified: bool,
}

impl Audit {
    pub(crate) fn refused(&self, refusal: &Refusal, error: &OAuthError, body: &[u8]) {
        let is_verified = !refusal.precedes_authentication(self.proof == Proof::Bearer);
        let (outcome, reason) = (Outcome::Refused(error.code), refusal.to_string());
        let message = "refused a request";
        self.fell_through(Ending {
            message,
            outcome,
            status: (error.status(), false),
            reason,
            body: Some(body),
            is_verified,
        });
    }

    /// A fault before the tokens matter, such as 429, is recorded without them.
    pub(crate) fn failed(&self, fault: Fault) {
        self.failed_because(fault, fault.to_string(), None);
    }

    /// The same with the exact reason, and with the body if the claims of its tokens are recorded.
    pub(crate) fn failed_because(&self, fault: Fault, reason: String, body: Option<&[u8]>) {
        let (status, error) = fault.response();
        let (message, outcome) = if status.is_server_error() {
            ("failed to answer a request", Outcome::Failed(error.code))
        } else {
            ("refused a request unread", Outcome::Refused(error.code))
        };
        // An assertion is verified with keys that may be unavailable, and used up in a store that may be down.
        let is_after_secret = matches!(fault, Fault::KeysUnavailable { .. } | Fault::Unwritten)
            && matches!(self.proof, Proof::Held | Proof::Bearer);
        self.fell_through(Ending {
            message,
            outcome,
            status: (status.as_u16(), true),
            reason,
            body,
            is_verified: self.is_authenticated || is_after_secret,
        });
    }

    /// Logs and records such a request, with the unverified claims of its tokens; or only counts it, if it exceeds the limit of
    /// requests without client authentication.
    fn fell_through(&self, ending: Ending<'_>) {
        let Ending { message, outcome, status: (answered, is_recorded), reason, body, is_verified } = ending;
        self.count(outcome, answered);
        let mut record = self.failed_record(outcome, reason, body);
        record.status = is_recorded.then_some(answered);
        // A client may have sent a token or a secret in its place.
        record.scope_in = self.scope.as_ref().map(|scope| Excerpt::redacted(scope.as_str()));
        if !is_verified {
            record.cut_as_unverified();
            if !self.observer.admits(&record, self.source()) {
                return;
            }
        }
        self.report(&record, message);
    }
}
