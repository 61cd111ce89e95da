//! What the pages are made from.

use crate::samples::Samples;
use crate::sessions::Sessions;
use std::sync::Arc;
use std::time::SystemTime;
use tokenberg_actix::{BearerConfig, Operations};
use tokenberg_core::{Answers, Issuer, IssuerKeys, Timestamp, TokenEndpoint};
use tokenberg_store::Store;

pub(crate) struct Parts {
    pub(crate) store: Store,
    pub(crate) operations: Operations,
    pub(crate) bearer: BearerConfig,
    pub(crate) issuer: Issuer,
    pub(crate) endpoint: TokenEndpoint,
    pub(crate) answers: Box<dyn Fn() -> Arc<dyn Answers> + Send + Sync>,
    /// Holds the keys of trusted issuers; the same, with the same limits, as for requests.
    pub(crate) issuer_keys: Box<dyn IssuerKeys>,
    pub(crate) sessions: Sessions,
    pub(crate) samples: Samples,
}

impl Parts {
    /// The time; the beginning of 1970 if the clock is before it.
    pub(crate) fn now() -> Timestamp {
        Timestamp::try_from(SystemTime::now()).unwrap_or(Timestamp::EPOCH)
    }
}
