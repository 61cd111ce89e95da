//! How is a request answered where nothing has to wait? The whole loop of an adapter, for programs that may block.

use crate::answers::{Answers, Recollection, SigningFault};
use crate::flow::{Asks, Decision, Inquiry, Question, Step, Who};
use crate::{AccessTokenClaims, KeysUnavailable, NotWritten, Refusal, TokenResponse};

/// A request that was granted.
pub struct Granted {
    /// What the client gets.
    pub response: TokenResponse,
    /// What was signed.
    pub claims: AccessTokenClaims,
    /// On what it was decided.
    pub decision: Decision,
}

/// A request that was not granted. Its `Display` is the exact reason, for the operator; the client is told what
/// [`Policy::error_for`](crate::Policy::error_for) makes of the refusal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotGranted {
    /// The protocol refuses it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// We failed to sign.
    #[error(transparent)]
    Unsigned(#[from] SigningFault),
    /// We cannot remember what must be used only once.
    #[error(transparent)]
    Unwritten(#[from] NotWritten),
    /// The keys of another issuer are not to be had.
    #[error(transparent)]
    KeysUnavailable(#[from] KeysUnavailable),
}

/// Answers every step from `answers`, on the calling thread: up to some 30 ms for a secret that a person chose, and as long as
/// a disk or another server takes where one is asked.
///
/// # Errors
/// [`NotGranted`].
pub fn drive(mut step: Step, answers: &(impl Answers + ?Sized)) -> Result<Granted, NotGranted> {
    loop {
        step = match step {
            Step::Ask(question) => question.answer(answers)?,
            Step::Sign(question) => {
                let access_token = answers.keys().sign(question.claims(), question.now())?;
                return Ok(question.granted(access_token));
            }
        }
    }
}

/// Answers every question about a presented token from `answers`, on the calling thread.
///
/// # Errors
/// [`NotGranted`] if the client did not prove who it is, or may not have what it asks for.
pub fn inquire<End>(mut inquiry: Inquiry<End>, answers: &(impl Answers + ?Sized)) -> Result<End, NotGranted> {
    loop {
        inquiry = match inquiry {
            Inquiry::Ask(question) => question.answer(answers)?,
            Inquiry::Answered(end) => return Ok(end),
        }
    }
}

impl<S: Asks> Question<S> {
    /// Answers the question from `answers`, on the calling thread.
    ///
    /// # Errors
    /// [`NotGranted`] if the answer leads to a refusal, or there is none to be had.
    pub fn answer(self, answers: &(impl Answers + ?Sized)) -> Result<S, NotGranted> {
        Ok(match self {
            Self::FindClient(question) => {
                let client = match question.who() {
                    Who::Id(id) => answers.client(id),
                    Who::Federated(issuer, subject) => answers.federated(issuer, subject),
                };
                question.found(client)?
            }
            Self::DigestSecret(question) => {
                let digest = answers.digest(question.client_id(), question.secret());
                question.digested(&digest)?
            }
            Self::FindIssuer(question) => {
                let issuer = answers.issuer(question.issuer());
                question.found(issuer)?
            }
            Self::ReadToken(question) => {
                let answer = question.compute(answers.keys());
                question.read(answer)?
            }
            Self::VerifyToken(question) => {
                let answer = match question.compute(answers.keys()) {
                    Ok(answer) => answer,
                    Err(issuer) => answers.verify_fetched(issuer, question.token(), question.now())?,
                };
                question.verified(answer)?
            }
            Self::VerifyProof(question) => {
                let answer = answers.keys().verify_proof(question.proof());
                let is_ours = question.nonce().is_some_and(|n| answers.accepts_nonce(n, question.now()));
                question.verified(answer, is_ours)?
            }
            Self::Recall(question) => {
                let recollection = Recollection::of(answers, question.claims());
                question.recalled(recollection)?
            }
            Self::RecallSubject(question) => {
                let standing = question.standing(answers);
                question.recalled(standing)?
            }
            Self::UseOnce(question) => {
                let is_first = answers.use_once(question.once())?;
                question.used(is_first)?
            }
        })
    }
}
