//! Answers the questions of a request, from memory and on a thread that may block.

use crate::answers::TokenStatus;
use crate::answers::{Answers, SigningFault};
use crate::backends::{KeysUnavailable, NotWritten};
use crate::flow::{Answered, Asks, Granted, Inquiry, Listener, Pending, Question, Step, Who};
use crate::{Blocking, Refusal};

/// A request that was not granted. Its `Display` is the exact reason, for the operator; the client receives what
/// [`Policy::error_for`](crate::Policy::error_for) makes of the refusal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotGranted {
    /// The protocol refuses it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// We failed to sign.
    #[error(transparent)]
    Unsigned(#[from] SigningFault),
    /// The use of a single-use identifier could not be recorded.
    #[error(transparent)]
    Unwritten(#[from] NotWritten),
    /// The keys of another issuer cannot be obtained.
    #[error(transparent)]
    KeysUnavailable(#[from] KeysUnavailable),
}

/// Answers every step on the calling thread. It takes up to 30 ms for a secret chosen by a person, and as long as `blocking` needs to
/// query a disk or another server.
///
/// # Errors
/// [`NotGranted`].
pub fn drive(
    mut step: Step,
    answers: &(impl Answers + ?Sized),
    blocking: &(impl Blocking + ?Sized),
) -> Result<Granted, NotGranted> {
    loop {
        step = match step {
            Step::Ask(question) => wait(question, answers, blocking)?,
            Step::Sign(question) => {
                let access_token = answers.keys().sign(question.claims(), question.now())?;
                return Ok(question.granted(access_token));
            }
        }
    }
}

/// Answers every question about a presented token on the calling thread.
///
/// # Errors
/// [`NotGranted`] if the client is not authenticated, or the request is not allowed.
pub fn inquire<End>(
    mut inquiry: Inquiry<End>,
    answers: &(impl Answers + ?Sized),
    blocking: &(impl Blocking + ?Sized),
) -> Result<End, NotGranted> {
    loop {
        inquiry = match inquiry {
            Inquiry::Ask(question) => wait(question, answers, blocking)?,
            Inquiry::Answered(end) => return Ok(end),
        }
    }
}

fn wait<S: Asks>(
    question: Question<S>,
    answers: &(impl Answers + ?Sized),
    blocking: &(impl Blocking + ?Sized),
) -> Result<S, NotGranted> {
    let pending = match question.answer(answers, &mut ())? {
        Answered::Next(step) => return Ok(step),
        Answered::Pending(pending) => pending,
    };
    Ok(match pending {
        Pending::Digest(question) => question.computed(answers, &mut ())?,
        Pending::FetchKeys(question) => {
            let answer = blocking.verify(question.issuer(), question.token(), question.now())?;
            question.verified(answer, &mut ())?
        }
        Pending::UseOnce(question) => {
            let is_first = blocking.use_once(question.once())?;
            question.used(is_first)?
        }
    })
}

impl<S: Asks> Question<S> {
    /// Answers the question from `answers`, or returns what the adapter has to wait for. Never blocks.
    ///
    /// # Errors
    /// A [`Refusal`] that the answer leads to.
    pub fn answer(
        self,
        answers: &(impl Answers + ?Sized),
        listener: &mut (impl Listener + ?Sized),
    ) -> Result<Answered<S>, Refusal> {
        Ok(Answered::Next(match self {
            Question::FindClient(question) => {
                let client = match question.who() {
                    Who::Id(id) => answers.client(id),
                    Who::Federated(issuer, subject) => answers.federated(issuer, subject),
                };
                listener.client_found(question.who(), client.as_deref());
                question.found(client)?
            }
            Question::DigestSecret(question) => {
                if answers.is_costly(question.client_id(), question.secret()) {
                    return Ok(Answered::Pending(Pending::Digest(question)));
                }
                question.computed(answers, listener)?
            }
            Question::FindIssuer(question) => {
                let issuer = answers.issuer(question.issuer());
                listener.issuer_found(question.issuer(), issuer.as_deref());
                question.found(issuer)?
            }
            Question::ReadToken(question) => {
                let reading = question.compute(answers.keys());
                listener.token_read(question.token(), &reading);
                question.read(reading)?
            }
            Question::VerifyToken(question) => {
                listener.verification_begun(question.token(), question.keys());
                match question.compute(answers.keys()) {
                    Ok(answer) => question.answered(answer, listener)?,
                    Err(issuer) => {
                        return Ok(Answered::Pending(Pending::FetchKeys(question.fetching(issuer))));
                    }
                }
            }
            Question::VerifyProof(question) => {
                let answer = answers.keys().verify_proof(question.proof());
                let nonce_is_ours =
                    question.nonce().map(|nonce| answers.accepts_nonce(nonce, question.now()));
                listener.proof_checked(question.proof(), &answer, nonce_is_ours);
                question.verified(answer, nonce_is_ours == Some(true))?
            }
            Question::CheckStatus(question) => {
                let known = TokenStatus::of(answers, question.claims());
                listener.token_recalled(question.claims(), &known);
                question.recalled(known)?
            }
            Question::CheckSubjectStatus(question) => {
                let status = question.status(answers);
                listener.subject_recalled(question.issuer(), question.subject(), &status);
                question.recalled(status)?
            }
            Question::UseOnce(question) => return Ok(Answered::Pending(Pending::UseOnce(question))),
        }))
    }
}
