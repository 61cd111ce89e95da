//! Who answers the core's questions here? The loop of `tokenberg_core::drive`, with what takes long off the event loop.

use crate::audit::Audit;
use crate::costly::Costly;
use crate::fault::Fault;
use std::sync::Arc;
use std::time::Instant;
use tokenberg_core::{
    Answers, Asks, DigestSecret, Granted, Inquiry, IssuerKeys, KeysUnavailable, NotWritten, Question,
    Recollection, Refusal, SignatureFault, SigningFault, SingleUse, Step, UseOnce, Verified, VerifyToken,
    Who,
};

/// Why there is no answer but an error.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Denied {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Unsigned(#[from] SigningFault),
    #[error(transparent)]
    Unwritten(#[from] NotWritten),
    #[error(transparent)]
    KeysUnavailable(#[from] KeysUnavailable),
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// What is asked when an answer has to wait.
pub(crate) struct Waits {
    pub(crate) digests: Costly,
    pub(crate) signatures: Costly,
    pub(crate) single_use: Option<Box<dyn SingleUse>>,
    pub(crate) issuer_keys: Option<Box<dyn IssuerKeys>>,
}

/// Answers every step from one moment.
pub(crate) async fn answer(
    mut step: Step,
    moment: Arc<dyn Answers>,
    waits: &Waits,
    audit: &mut Audit,
) -> Result<Granted, Denied> {
    loop {
        step = match step {
            Step::Ask(asked) => question(asked, &moment, waits, audit).await?,
            Step::Sign(question) => {
                audit.authenticated();
                let takes_long = moment.keys().is_costly(question.now());
                let world = Arc::clone(&moment);
                let metrics = Arc::clone(waits.signatures.metrics());
                let sign = move || {
                    let begun = Instant::now();
                    let access_token = world.keys().sign(question.claims(), question.now())?;
                    metrics.signed(begun.elapsed());
                    Ok(question.granted(access_token))
                };
                return if takes_long { waits.signatures.run(sign).await? } else { sign() };
            }
        }
    }
}

/// Answers every question about a presented token from one moment.
pub(crate) async fn inquire<End: Send + 'static>(
    mut inquiry: Inquiry<End>,
    moment: Arc<dyn Answers>,
    waits: &Waits,
    audit: &mut Audit,
) -> Result<End, Denied> {
    loop {
        inquiry = match inquiry {
            Inquiry::Ask(asked) => question(asked, &moment, waits, audit).await?,
            Inquiry::Answered(end) => return Ok(end),
        }
    }
}

async fn question<S: Asks + Send + 'static>(
    asked: Question<S>,
    moment: &Arc<dyn Answers>,
    waits: &Waits,
    audit: &mut Audit,
) -> Result<S, Denied> {
    Ok(match asked {
        Question::FindClient(question) => {
            let client = match question.who() {
                Who::Id(id) => moment.client(id),
                Who::Federated(issuer, subject) => moment.federated(issuer, subject),
            };
            if let Some(client) = &client {
                audit.claimed(&client.id);
            }
            question.found(client)?
        }
        Question::DigestSecret(question) => digest(question, moment, &waits.digests).await?,
        Question::FindIssuer(question) => {
            let issuer = moment.issuer(question.issuer());
            question.found(issuer)?
        }
        Question::ReadToken(question) => {
            let answer = question.compute(moment.keys());
            question.read(answer)?
        }
        Question::VerifyToken(question) => {
            let answer = signature(&question, moment, waits).await?;
            question.verified(answer)?
        }
        Question::VerifyProof(question) => {
            let answer = moment.keys().verify_proof(question.proof());
            let is_ours = question.nonce().is_some_and(|nonce| moment.accepts_nonce(nonce, question.now()));
            question.verified(answer, is_ours)?
        }
        Question::Recall(question) => {
            let recollection = Recollection::of(&**moment, question.claims());
            question.recalled(recollection)?
        }
        Question::RecallSubject(question) => {
            let standing = question.standing(&**moment);
            question.recalled(standing)?
        }
        Question::UseOnce(question) => {
            let is_first = used_first(&question, waits).await?;
            question.used(is_first)?
        }
    })
}

async fn signature<S>(
    question: &VerifyToken<S>,
    moment: &Arc<dyn Answers>,
    waits: &Waits,
) -> Result<Result<Verified, SignatureFault>, Denied> {
    match (question.compute(moment.keys()), &waits.issuer_keys) {
        (Ok(answer), _) => Ok(answer),
        (Err(issuer), Some(keys)) => Ok(keys.verify(issuer, question.token(), question.now()).await?),
        (Err(issuer), None) => Err(KeysUnavailable::new(&issuer.issuer, "nothing here fetches keys").into()),
    }
}

/// Without a memory nothing is used for the first time (conformance CJ-10).
async fn used_first<S>(question: &UseOnce<S>, waits: &Waits) -> Result<bool, Denied> {
    match &waits.single_use {
        Some(memory) => Ok(memory.use_once(question.once()).await?),
        None => Err(NotWritten { reason: "nothing here remembers what was used".to_owned() }.into()),
    }
}

async fn digest<S: Asks + Send + 'static>(
    question: DigestSecret<S>,
    moment: &Arc<dyn Answers>,
    costly: &Costly,
) -> Result<S, Denied> {
    let mut takes_long = moment.is_costly(question.client_id(), question.secret());
    let mut _turn = None;
    if takes_long {
        _turn = costly.turn((question.client_id(), question.secret().expose())).await;
        // If it was right, it is known by now to whoever waited.
        takes_long = moment.is_costly(question.client_id(), question.secret());
    }
    let world = Arc::clone(moment);
    let digest = move || {
        let digest = world.digest(question.client_id(), question.secret());
        question.digested(&digest)
    };
    if takes_long { Ok(costly.run(digest).await??) } else { Ok(digest()?) }
}
