//! Who answers the core's questions here? The loop of `tokenberg_core::drive`, with what takes long off the event loop.

use crate::audit::Audit;
use crate::costly::Costly;
use crate::fault::Fault;
use std::sync::Arc;
use tokenberg_core::{Answers, Granted, Recollection, Refusal, SigningFault, Step};

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Denied {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Unsigned(#[from] SigningFault),
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
            Step::FindClient(question) => {
                let client = moment.client(question.client_id());
                if client.is_some() {
                    audit.claimed(question.client_id());
                }
                question.found(client)?
            }
            Step::DigestSecret(question) => {
                let takes_long = moment.is_costly(question.secret());
                let world = Arc::clone(&moment);
                let digest = move || {
                    let digest = world.digest(question.client_id(), question.secret());
                    question.digested(&digest)
                };
                if takes_long { costly.run(digest).await?? } else { digest()? }
            }
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
