//! Writes an audit record as an event of the log: the one list of its fields.

use crate::observe::AUDIT;
use crate::origin::ClientAddress;
use tokenberg_core::Outcome;
use tokenberg_core::audit::AuditRecord;
use tracing::field::{self, DebugValue};

/// Logs the record: as an error if the server failed, otherwise as information.
pub(super) fn log(record: &AuditRecord<'_>, source: Option<ClientAddress>, message: &'static str) {
    let is_granted = record.outcome == Outcome::Granted;
    // A level has to be a constant.
    macro_rules! event {
        ($level:ident) => {
            tracing::event!(
                target: AUDIT,
                tracing::Level::$level,
                endpoint = record.endpoint,
                request_id = record.request_id,
                source = source.map(field::display),
                client = record.client.as_deref(),
                method = record.method,
                secret = record.secret.as_deref(),
                grant = record.grant,
                owner = record.owner.as_deref(),
                subject = record.subject.as_deref(),
                subject_issuer = record.subject_issuer.as_deref(),
                issuer_subject = record.issuer_subject.as_deref(),
                actors = (is_granted || !record.actors.is_empty()).then(|| field::debug(&record.actors)),
                scope_in = record.scope_in.as_deref(),
                scope_out = record.scope_out.as_deref(),
                aud = listed(&record.aud),
                jti = record.jti.as_deref(),
                session = record.session.as_deref(),
                subject_auth = record.subject_auth.as_deref(),
                bound = listed(&record.bound),
                subject_jti = record.subject_jti.as_deref(),
                actor_jti = record.actor_jti.as_deref(),
                tokens = listed(&record.tokens),
                presented = listed(&record.presented),
                outcome = record.outcome.as_str(),
                status = record.status,
                reason = record.reason.as_deref(),
                unverified = record.is_unverified.then_some(true),
                "{message}"
            )
        };
    }
    match record.outcome {
        Outcome::Failed(_) => event!(ERROR),
        Outcome::Granted
        | Outcome::Active
        | Outcome::Inactive
        | Outcome::Revoked
        | Outcome::NothingToRevoke
        | Outcome::Refused(_) => event!(INFO),
    }
}

fn listed<T: std::fmt::Debug>(values: &[T]) -> Option<DebugValue<&[T]>> {
    (!values.is_empty()).then(|| field::debug(values))
}
