//! Waits on the calling thread for what is not in memory: for commands that answer one request.

use tokenberg_core::backends::{KeysUnavailable, NotWritten};
use tokenberg_core::token::SingleUseId;
use tokenberg_core::{
    Blocking, CompactJws, IssuerKeys, SignatureFault, SingleUse, Timestamp, TrustedIssuer, Verified,
};
use tokio::runtime::Runtime;

/// Waits on a runtime. Must not be used from within that runtime.
pub(crate) struct BlockingBackends<'a> {
    runtime: &'a Runtime,
    single_use: &'a dyn SingleUse,
    issuer_keys: &'a dyn IssuerKeys,
}

impl<'a> BlockingBackends<'a> {
    /// Records single use with `single_use`, and fetches with `issuer_keys`.
    pub(crate) fn new(
        runtime: &'a Runtime,
        single_use: &'a dyn SingleUse,
        issuer_keys: &'a dyn IssuerKeys,
    ) -> Self {
        Self { runtime, single_use, issuer_keys }
    }
}

impl Blocking for BlockingBackends<'_> {
    fn use_once(&self, once: &SingleUseId) -> Result<bool, NotWritten> {
        self.runtime.block_on(self.single_use.use_once(once))
    }

    fn verify(
        &self,
        issuer: &TrustedIssuer,
        token: &CompactJws,
        now: Timestamp,
    ) -> Result<Result<Verified, SignatureFault>, KeysUnavailable> {
        self.runtime.block_on(self.issuer_keys.verify(issuer, token, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issuer_keys::{IssuerAccess, held};
    use std::sync::Arc;
    use tokenberg_jose::{FetchLimits, Keyring};
    use tokenberg_store::{KekSource, Store, StoreUrl};

    #[test]
    fn cj_07_single_use_is_recorded_from_a_plain_thread() {
        let directory = tempfile::tempdir().unwrap();
        let url = StoreUrl::sqlite(&directory.path().join("db"));
        let runtime = crate::store_access::runtime().unwrap();
        let now = Timestamp::from_seconds(1_800_000_000).unwrap();
        let watched = runtime
            .block_on(async {
                let store = Store::open(&url, KekSource::File(url.key_file().unwrap())).await?;
                store.watch(move |keys, _: Option<&Keyring>| Keyring::read(keys, now)).await
            })
            .unwrap_or_else(|e| panic!("{e}"));
        let keys = held(&IssuerAccess::default(), FetchLimits::default(), Arc::default()).unwrap();
        let backends = BlockingBackends::new(&runtime, &watched, &keys);
        let once = SingleUseId { namespace: "n".into(), id: "j".into(), issued_at: None, until: now };
        assert_eq!((backends.use_once(&once), backends.use_once(&once)), (Ok(true), Ok(false)));
    }
}
