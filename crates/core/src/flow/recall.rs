//! What is known now about a token that was issued earlier? Revocation, RFC 7009 §2.1; disabled clients and subjects.

use super::question::{Asks, Question};
use crate::answers::Recollection;
use crate::refusal::Refusal;
use crate::{AccessTokenClaims, Answers, Issuer, Subject, SubjectStanding};
use std::sync::Arc;

/// What is known now about this token of ours? [`Recollection::of`] gathers the answer.
pub struct Recall<S> {
    claims: Arc<AccessTokenClaims>,
    then: Box<dyn FnOnce(Arc<AccessTokenClaims>, Recollection) -> Result<S, Refusal> + Send>,
}

pub(crate) fn ask<S: Asks>(
    claims: Arc<AccessTokenClaims>,
    then: impl FnOnce(Arc<AccessTokenClaims>, Recollection) -> Result<S, Refusal> + Send + 'static,
) -> S {
    Question::Recall(Recall { claims, then: Box::new(then) }).into()
}

impl<S> Recall<S> {
    /// The claims of the token, whose signature and times are good.
    pub(crate) fn claims(&self) -> &AccessTokenClaims {
        &self.claims
    }

    /// Answers with what is known.
    pub(crate) fn recalled(self, recollection: Recollection) -> Result<S, Refusal> {
        (self.then)(self.claims, recollection)
    }
}

/// What has the operator decided about this subject, whatever his token says?
pub struct RecallSubject<S> {
    issuer: Option<Issuer>,
    subject: Subject,
    sub: Subject,
    then: Box<dyn FnOnce(SubjectStanding) -> Result<S, Refusal> + Send>,
}

pub(crate) fn ask_subject<S: Asks>(
    issuer: Option<Issuer>,
    (subject, sub): (Subject, Subject),
    then: impl FnOnce(SubjectStanding) -> Result<S, Refusal> + Send + 'static,
) -> S {
    Question::RecallSubject(RecallSubject { issuer, subject, sub, then: Box::new(then) }).into()
}

impl<S> RecallSubject<S> {
    /// The issuer that names the subject; `None` for the user of an unsecured JWT.
    pub(crate) fn issuer(&self) -> Option<&Issuer> {
        self.issuer.as_ref()
    }

    /// The subject, as its issuer calls it.
    pub(crate) fn subject(&self) -> &Subject {
        &self.subject
    }

    /// What is known, from `answers`.
    pub(crate) fn standing(&self, answers: &(impl Answers + ?Sized)) -> SubjectStanding {
        answers.subject(self.issuer(), self.subject.as_str(), self.sub.as_str())
    }

    /// Answers with what is known.
    pub(crate) fn recalled(self, standing: SubjectStanding) -> Result<S, Refusal> {
        (self.then)(standing)
    }
}
