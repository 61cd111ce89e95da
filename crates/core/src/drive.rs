//! How is a request answered where nothing has to wait? The whole loop of an adapter, for programs that may block.

use crate::answers::{Answers, Recollection, SigningFault};
use crate::flow::{Decision, Inquiry, Step};
use crate::{AccessTokenClaims, Refusal, TokenResponse};

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
}

/// Answers every step from `answers`, on the calling thread: up to some 30 ms for a secret that a person chose.
///
/// # Errors
/// [`NotGranted`].
pub fn drive(mut step: Step, answers: &(impl Answers + ?Sized)) -> Result<Granted, NotGranted> {
    loop {
        step = match step {
            Step::FindClient(question) => {
                let client = answers.client(question.client_id());
                question.found(client)?
            }
            Step::DigestSecret(question) => {
                let digest = answers.digest(question.client_id(), question.secret());
                question.digested(&digest)?
            }
            Step::VerifyToken(question) => {
                let answer = answers.keys().verify(question.token(), question.now());
                question.verified(answer)?
            }
            Step::Recall(question) => {
                let recollection = Recollection::of(answers, question.claims());
                question.recalled(recollection)?
            }
            Step::Sign(question) => {
                let access_token = answers.keys().sign(question.claims(), question.now())?;
                let (claims, decision) = (question.claims().clone(), question.decision().clone());
                return Ok(Granted { response: question.signed(access_token), claims, decision });
            }
        }
    }
}

/// Answers every question about a presented token from `answers`, on the calling thread.
///
/// # Errors
/// A [`Refusal`] if the client did not prove who it is, or may not have what it asks for.
pub fn inquire<End>(mut inquiry: Inquiry<End>, answers: &(impl Answers + ?Sized)) -> Result<End, Refusal> {
    loop {
        inquiry = match inquiry {
            Inquiry::FindClient(question) => {
                let client = answers.client(question.client_id());
                question.found(client)?
            }
            Inquiry::DigestSecret(question) => {
                let digest = answers.digest(question.client_id(), question.secret());
                question.digested(&digest)?
            }
            Inquiry::VerifyToken(question) => {
                let answer = answers.keys().verify(question.token(), question.now());
                question.verified(answer)?
            }
            Inquiry::Recall(question) => {
                let recollection = Recollection::of(answers, question.claims());
                question.recalled(recollection)?
            }
            Inquiry::Answered(end) => return Ok(end),
        }
    }
}
