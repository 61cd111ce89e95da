//! Requests that were not answered as they wished: logged and recorded in full, or cut and bounded where no client was authenticated.

use super::{AUDIT, Audit};
use crate::fault::Fault;
use std::borrow::Cow;
use tokenberg_core::{
    AuditRecord, ClaimedToken, Credential, Excerpt, KeysUnavailable, NotWritten, OAuthError, Refusal,
    SigningFault,
};
use tracing::field;

/// What a client authenticates with, as far as it says what a failure comes after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    None,
    /// A secret or a certificate, which is checked before anything is asked of an issuer or of the store.
    Held,
    Assertion,
    Bearer,
}

impl Proof {
    pub(super) fn of(credential: &Credential) -> Self {
        match credential {
            Credential::Secret(_) | Credential::Certificate(_) => Self::Held,
            Credential::Assertion(_) => Self::Assertion,
        }
    }
}

/// How a request ended that was not answered as it wished.
struct Ending<'a> {
    said: &'static str,
    code: &'a str,
    status: Option<u16>,
    reason: String,
    /// The body, if what its tokens claim is recorded.
    body: Option<&'a [u8]>,
    /// Whether a client had been authenticated.
    is_verified: bool,
}

/// Logs such a request, at a level that is a constant.
macro_rules! log {
    ($level:ident, $audit:expr, $record:expr, $said:expr) => {
        tracing::event!(
            target: AUDIT,
            tracing::Level::$level,
            endpoint = $record.endpoint,
            request_id = $record.request_id,
            source = $audit.source.map(field::display),
            client = $record.client.as_deref(),
            method = $record.method,
            grant = $record.grant,
            scope_in = $record.scope_in.as_deref(),
            tokens = (!$record.tokens.is_empty()).then(|| field::debug(&$record.tokens)),
            presented = (!$record.presented.is_empty()).then(|| field::debug(&$record.presented)),
            outcome = $record.outcome,
            status = $record.status,
            reason = $record.reason.as_deref(),
            unverified = $record.is_unverified.then_some(true),
            "{}",
            $said
        )
    };
}

impl Audit {
    pub(crate) fn refused(&self, refusal: &Refusal, error: &OAuthError, body: &[u8]) {
        let is_verified = !refusal.precedes_authentication(self.proof == Proof::Bearer);
        let (said, code, reason) = ("refused a request", error.code.as_str(), refusal.to_string());
        self.fell_through(Ending { said, code, status: None, reason, body: Some(body), is_verified });
    }

    pub(crate) fn unsigned(&self, fault: &SigningFault, body: &[u8]) {
        self.error(Fault::Unsigned, fault.to_string(), Some(body));
    }

    pub(crate) fn unwritten(&self, fault: &NotWritten, body: &[u8]) {
        self.error(Fault::Unwritten, fault.to_string(), Some(body));
    }

    pub(crate) fn without_keys(&self, fault: &KeysUnavailable, body: &[u8]) {
        let seconds = fault.retry_after.as_seconds();
        self.error(Fault::KeysUnavailable { seconds }, fault.to_string(), Some(body));
    }

    /// What is answered before the tokens matter, such as 429, costs nothing for them.
    pub(crate) fn failed(&self, fault: Fault) {
        self.error(fault, fault.to_string(), None);
    }

    fn error(&self, fault: Fault, reason: String, body: Option<&[u8]>) {
        let (status, error) = fault.told();
        let said = if status.is_server_error() {
            "failed to answer a request"
        } else {
            "did not look into a request"
        };
        // An assertion is verified with keys that may be missing, and used up in a store that may be away.
        let is_after_secret = matches!(fault, Fault::KeysUnavailable { .. } | Fault::Unwritten)
            && matches!(self.proof, Proof::Held | Proof::Bearer);
        self.fell_through(Ending {
            said,
            code: error.code.as_str(),
            status: Some(status.as_u16()),
            reason,
            body,
            is_verified: self.is_authenticated || is_after_secret,
        });
    }

    /// Logs and records a request that was not answered as it wished, with what its tokens claim to be; or counts it, if it is one
    /// of too many without client authentication.
    fn fell_through(&self, ending: Ending<'_>) {
        let Ending { said, code, status, reason, body, is_verified } = ending;
        self.count(code);
        let presented = body.map(ClaimedToken::all_of).unwrap_or_default();
        let mut record = AuditRecord {
            status,
            reason: Some(reason.into()),
            tokens: presented.iter().map(|token| token.name().into()).collect(),
            presented,
            scope_in: self.scope.as_ref().map(|scope| without_secret(scope.as_str())),
            ..self.begun_record(code)
        };
        if !is_verified {
            record.cut_as_unverified();
            if !self.observer.admits(&record, self.source()) {
                return;
            }
        }
        let is_error = status.is_some_and(|status| status >= 500);
        if is_error {
            log!(ERROR, self, record, said)
        } else {
            log!(INFO, self, record, said)
        }
        if let Some(recorder) = self.observer.recorder() {
            recorder.record(&record);
        }
    }
}

/// The scope of a refused request. A client may have sent a token or a secret in its place.
fn without_secret(scope: &str) -> Cow<'_, str> {
    let excerpt = Excerpt::of_claim(scope);
    if excerpt.is_redacted() { excerpt.to_plain().into() } else { scope.into() }
}
