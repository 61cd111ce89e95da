//! Recalls the present status of a token issued earlier: revocation, RFC 7009 §2.1; disabled clients and subjects.

use crate::answers::SubjectStatus;
use crate::policy::token_status::TokenStatus;
use crate::refusal::Refusal;
use crate::{AccessTokenClaims, Answers, Issuer, Subject};
use std::sync::Arc;

/// Asks for the present status of this token of ours. [`TokenStatus::of`] gathers the answer.
pub struct CheckStatus<S> {
    claims: Arc<AccessTokenClaims>,
    then: Box<dyn FnOnce(Arc<AccessTokenClaims>, TokenStatus) -> Result<S, Refusal> + Send>,
}

impl<S> CheckStatus<S> {
    pub(super) fn new(
        claims: Arc<AccessTokenClaims>,
        then: impl FnOnce(Arc<AccessTokenClaims>, TokenStatus) -> Result<S, Refusal> + Send + 'static,
    ) -> Self {
        Self { claims, then: Box::new(then) }
    }

    /// The claims of the token, whose signature and times are valid.
    pub(crate) fn claims(&self) -> &AccessTokenClaims {
        &self.claims
    }

    /// Answers with what is known.
    pub(crate) fn recalled(self, status: TokenStatus) -> Result<S, Refusal> {
        (self.then)(self.claims, status)
    }
}

/// Asks for the operator's decision about this subject, whatever its token says.
pub struct CheckSubjectStatus<S> {
    issuer: Option<Issuer>,
    subject: Subject,
    sub: Subject,
    /// Our own issuer, as whose subject a revocation may name the user of an unsecured JWT.
    own: Option<Issuer>,
    then: Box<dyn FnOnce(SubjectStatus) -> Result<S, Refusal> + Send>,
}

impl<S> CheckSubjectStatus<S> {
    /// About the user of an unsecured JWT.
    pub(super) fn of_user(
        own: Issuer,
        name: Subject,
        then: impl FnOnce(SubjectStatus) -> Result<S, Refusal> + Send + 'static,
    ) -> Self {
        let (subject, sub) = (name.clone(), name);
        Self { issuer: None, subject, sub, own: Some(own), then: Box::new(then) }
    }

    /// About a subject of another issuer; `sub` is its name in tokens of ours.
    pub(super) fn of_subject(
        issuer: Issuer,
        (subject, sub): (Subject, Subject),
        then: impl FnOnce(SubjectStatus) -> Result<S, Refusal> + Send + 'static,
    ) -> Self {
        Self { issuer: Some(issuer), subject, sub, own: None, then: Box::new(then) }
    }

    /// The issuer that names the subject; `None` for the user of an unsecured JWT.
    pub(crate) fn issuer(&self) -> Option<&Issuer> {
        self.issuer.as_ref()
    }

    /// The subject, as its issuer calls it.
    pub(crate) fn subject(&self) -> &Subject {
        &self.subject
    }

    /// What is known, from `answers`.
    pub(crate) fn status(&self, answers: &(impl Answers + ?Sized)) -> SubjectStatus {
        let of = |issuer| answers.subject(issuer, self.subject.as_str(), self.sub.as_str());
        let status = of(self.issuer());
        let as_own = self.own.as_ref().and_then(|own| of(Some(own)).revoked_before);
        SubjectStatus { revoked_before: status.revoked_before.max(as_own), ..status }
    }

    /// Answers with what is known.
    pub(crate) fn recalled(self, status: SubjectStatus) -> Result<S, Refusal> {
        (self.then)(status)
    }
}
