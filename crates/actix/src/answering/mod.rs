//! Answers the core's questions from one moment in memory, and runs slow work on other threads.

pub(crate) mod compute_pool;
pub(crate) mod random_bits;
pub(crate) mod revoking;
pub(crate) mod throttle;
pub(crate) mod world;

use crate::answering::compute_pool::ComputePool;
use crate::endpoint::fault::Fault;
use crate::observe::audit::Audit;
use futures_util::future::LocalBoxFuture;
use std::sync::Arc;
use std::time::Instant;
use tokenberg_core::flow::{Asks, DigestSecret, Sign};
use tokenberg_core::jws::{Algorithm, KeyId};
use tokenberg_core::{
    Answered, Answers, Blocking, Granted, Inquiry, IssuerKeys, NotGranted, Pending, Signer, SingleUse, Step,
};

/// The cause of an error response.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Denied {
    #[error(transparent)]
    NotGranted(NotGranted),
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl<E: Into<NotGranted>> From<E> for Denied {
    fn from(reason: E) -> Self {
        Self::NotGranted(reason.into())
    }
}

/// The services that an answer may have to wait for.
pub(crate) struct Backends {
    pub(crate) digests: ComputePool,
    pub(crate) signatures: ComputePool,
    pub(crate) signer: Option<Box<dyn Signer>>,
    pub(crate) single_use: Option<Box<dyn SingleUse>>,
    pub(crate) issuer_keys: Option<Box<dyn IssuerKeys>>,
}

/// Answers every step from one moment.
pub(crate) async fn answer(
    mut step: Step,
    moment: Arc<dyn Answers>,
    backends: &Backends,
    audit: &mut Audit,
) -> Result<Granted, Denied> {
    loop {
        step = match step {
            Step::Ask(question) => match question.answer(&*moment, audit)? {
                Answered::Next(step) => step,
                Answered::Pending(pending) => waited_for(pending, &moment, backends, audit).await?,
            },
            Step::Sign(question) => {
                audit.authenticated();
                let elsewhere = backends.signer.as_deref();
                if let Some((signer, key)) = elsewhere.and_then(|s| Some((s, s.key(question.now())?))) {
                    return Box::pin(signed(question, signer, key, backends)).await;
                }
                let takes_long = moment.keys().is_costly(question.now());
                let world = Arc::clone(&moment);
                let metrics = Arc::clone(backends.signatures.metrics());
                let sign = move || {
                    let begun = Instant::now();
                    let access_token = world.keys().sign(question.claims(), question.now())?;
                    metrics.signed(begun.elapsed());
                    Ok(question.granted(access_token))
                };
                return if takes_long { Box::pin(backends.signatures.run(sign)).await? } else { sign() };
            }
        }
    }
}

/// Asks a signer elsewhere; meanwhile the worker answers other requests.
async fn signed(
    question: Sign,
    signer: &dyn Signer,
    (key, algorithm): (KeyId, Algorithm),
    backends: &Backends,
) -> Result<Granted, Denied> {
    let begun = Instant::now();
    let input = question.signing_input(&key, algorithm)?;
    let signature = signer.sign(&key, input.as_bytes()).await?;
    backends.signatures.metrics().signed(begun.elapsed());
    Ok(input.signed_by(&signature))
}

/// Answers every question about a presented token from one moment.
pub(crate) async fn inquire<End: Send + 'static>(
    mut inquiry: Inquiry<End>,
    moment: Arc<dyn Answers>,
    backends: &Backends,
    audit: &mut Audit,
) -> Result<End, Denied> {
    loop {
        inquiry = match inquiry {
            Inquiry::Ask(question) => match question.answer(&*moment, audit)? {
                Answered::Next(inquiry) => inquiry,
                Answered::Pending(pending) => waited_for(pending, &moment, backends, audit).await?,
            },
            Inquiry::Answered(end) => return Ok(end),
        }
    }
}

/// Waits for an answer. In a box: the future of every request would be as large as this one otherwise, and few wait.
fn waited_for<'a, S: Asks + Send + 'static>(
    pending: Pending<S>,
    moment: &'a Arc<dyn Answers>,
    backends: &'a Backends,
    audit: &'a mut Audit,
) -> LocalBoxFuture<'a, Result<S, Denied>> {
    Box::pin(wait(pending, moment, backends, audit))
}

async fn wait<S: Asks + Send + 'static>(
    pending: Pending<S>,
    moment: &Arc<dyn Answers>,
    backends: &Backends,
    audit: &mut Audit,
) -> Result<S, Denied> {
    Ok(match pending {
        Pending::Digest(question) => digest(question, moment, &backends.digests, audit).await?,
        Pending::FetchKeys(question) => {
            let (issuer, token, now) = (question.issuer(), question.token(), question.now());
            let answer = match &backends.issuer_keys {
                Some(keys) => keys.verify(issuer, token, now).await?,
                None => ().verify(issuer, token, now)?,
            };
            question.verified(answer, audit)?
        }
        Pending::UseOnce(question) => {
            let is_first = match &backends.single_use {
                Some(memory) => memory.use_once(question.once()).await?,
                // Without a memory, no use counts as the first (conformance CJ-10).
                None => ().use_once(question.once())?,
            };
            question.used(is_first)?
        }
    })
}

async fn digest<S: Asks + Send + 'static>(
    question: DigestSecret<S>,
    moment: &Arc<dyn Answers>,
    pool: &ComputePool,
    audit: &mut Audit,
) -> Result<S, Denied> {
    let turn = pool.single_flight((question.client_id(), question.secret().expose())).await;
    // After a wait for the same secret, the cache may have it.
    if !moment.is_costly(question.client_id(), question.secret()) {
        return Ok(question.computed(&**moment, audit)?);
    }
    let world = Arc::clone(moment);
    let compute = move || {
        let digest = world.digest(question.client_id(), question.secret());
        (question, digest)
    };
    let (question, digest) = pool.run(compute).await?;
    drop(turn);
    Ok(question.digested(&digest, audit)?)
}
