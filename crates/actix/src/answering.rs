//! Who answers the core's questions here? The loop of `tokenberg_core::drive`, with what takes long off the event loop.

use crate::audit::Audit;
use crate::costly::Costly;
use crate::fault::Fault;
use std::sync::Arc;
use tokenberg_core::{
    Answers, AsksForClients, DigestSecret, FindClient, Granted, Inquiry, NotWritten, Recollection, Refusal,
    SigningFault, Step,
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
    Fault(#[from] Fault),
}

/// Answers every step from one moment.
pub(crate) async fn answer(
    mut step: Step,
    moment: Arc<dyn Answers>,
    costly: &Costly,
    audit: &mut Audit,
) -> Result<Granted, Denied> {
    loop {
        step = match step {
            Step::FindClient(question) => find(question, &*moment, audit)?,
            Step::DigestSecret(question) => digest(question, &moment, costly).await?,
            Step::VerifyToken(question) => {
                audit.token(question.token());
                let answer = moment.keys().verify(question.token(), question.now());
                question.verified(answer)?
            }
            Step::Recall(question) => {
                let recollection = Recollection::of(&*moment, question.claims());
                question.recalled(recollection)?
            }
            Step::Sign(question) => {
                let takes_long = moment.keys().is_costly(question.now());
                let world = Arc::clone(&moment);
                let sign = move || {
                    let access_token = world.keys().sign(question.claims(), question.now())?;
                    let (claims, decision) = (question.claims().clone(), question.decision().clone());
                    Ok(Granted { response: question.signed(access_token), claims, decision })
                };
                return if takes_long { costly.run(sign).await? } else { sign() };
            }
        }
    }
}

/// Answers every question about a presented token from one moment.
pub(crate) async fn inquire<End: Send + 'static>(
    mut inquiry: Inquiry<End>,
    moment: Arc<dyn Answers>,
    costly: &Costly,
    audit: &mut Audit,
) -> Result<End, Denied> {
    loop {
        inquiry = match inquiry {
            Inquiry::FindClient(question) => find(question, &*moment, audit)?,
            Inquiry::DigestSecret(question) => digest(question, &moment, costly).await?,
            Inquiry::VerifyToken(question) => {
                audit.token(question.token());
                let answer = moment.keys().verify(question.token(), question.now());
                question.verified(answer)?
            }
            Inquiry::Recall(question) => {
                let recollection = Recollection::of(&*moment, question.claims());
                question.recalled(recollection)?
            }
            Inquiry::Answered(end) => return Ok(end),
        }
    }
}

fn find<S: AsksForClients>(
    question: FindClient<S>,
    moment: &dyn Answers,
    audit: &mut Audit,
) -> Result<S, Refusal> {
    let client = moment.client(question.client_id());
    if client.is_some() {
        audit.claimed(question.client_id());
    }
    question.found(client)
}

async fn digest<S: AsksForClients + Send + 'static>(
    question: DigestSecret<S>,
    moment: &Arc<dyn Answers>,
    costly: &Costly,
) -> Result<S, Denied> {
    let takes_long = moment.is_costly(question.client_id(), question.secret());
    let world = Arc::clone(moment);
    let digest = move || {
        let digest = world.digest(question.client_id(), question.secret());
        question.digested(&digest)
    };
    if takes_long { Ok(costly.run(digest).await??) } else { Ok(digest()?) }
}
