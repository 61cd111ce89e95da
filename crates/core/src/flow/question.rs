//! The questions that every endpoint asks of an adapter, and how each is answered from memory.

use super::check_status::{CheckStatus, CheckSubjectStatus};
use super::find_client::{DigestSecret, FindClient};
use super::find_issuer::FindIssuer;
use super::read_token::ReadToken;
use super::use_once::UseOnce;
use super::verify_proof::VerifyProof;
use super::verify_token::VerifyToken;

/// A question of the flow to its adapter; `S` is the step that its answer leads to.
///
/// Exhaustive on purpose: an adapter that does not answer a question does not compile.
#[must_use = "a request makes no progress until its question is answered"]
pub enum Question<S> {
    /// The client registered under this identifier.
    FindClient(FindClient<S>),
    /// The stored form of this secret.
    DigestSecret(DigestSecret<S>),
    /// Whether this issuer is on the list of trusted ones.
    FindIssuer(FindIssuer<S>),
    /// The contents of this token, if it is ours.
    ReadToken(ReadToken<S>),
    /// Whether this signature is valid.
    VerifyToken(VerifyToken<S>),
    /// Whether this proof of possession was made with the key that it carries.
    VerifyProof(VerifyProof<S>),
    /// The present status of this token of ours.
    CheckStatus(CheckStatus<S>),
    /// The present status of this subject of another issuer.
    CheckSubjectStatus(CheckSubjectStatus<S>),
    /// Whether this identifier was used before.
    UseOnce(UseOnce<S>),
}

/// A step of an endpoint: the questions on the way to its end.
pub trait Asks: From<Question<Self>> + Sized {}

impl<S: From<Question<S>>> Asks for S {}

/// Asks the question, as the next step.
pub(super) fn ask<S: Asks>(question: impl Into<Question<S>>) -> S {
    question.into().into()
}

impl<S> From<FindClient<S>> for Question<S> {
    fn from(question: FindClient<S>) -> Self {
        Self::FindClient(question)
    }
}

impl<S> From<DigestSecret<S>> for Question<S> {
    fn from(question: DigestSecret<S>) -> Self {
        Self::DigestSecret(question)
    }
}

impl<S> From<FindIssuer<S>> for Question<S> {
    fn from(question: FindIssuer<S>) -> Self {
        Self::FindIssuer(question)
    }
}

impl<S> From<ReadToken<S>> for Question<S> {
    fn from(question: ReadToken<S>) -> Self {
        Self::ReadToken(question)
    }
}

impl<S> From<VerifyToken<S>> for Question<S> {
    fn from(question: VerifyToken<S>) -> Self {
        Self::VerifyToken(question)
    }
}

impl<S> From<VerifyProof<S>> for Question<S> {
    fn from(question: VerifyProof<S>) -> Self {
        Self::VerifyProof(question)
    }
}

impl<S> From<CheckStatus<S>> for Question<S> {
    fn from(question: CheckStatus<S>) -> Self {
        Self::CheckStatus(question)
    }
}

impl<S> From<CheckSubjectStatus<S>> for Question<S> {
    fn from(question: CheckSubjectStatus<S>) -> Self {
        Self::CheckSubjectStatus(question)
    }
}

impl<S> From<UseOnce<S>> for Question<S> {
    fn from(question: UseOnce<S>) -> Self {
        Self::UseOnce(question)
    }
}
