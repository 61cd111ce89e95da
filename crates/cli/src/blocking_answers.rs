//! What if an answer has to wait, and the asker may block? For commands that answer one request on their own thread.

use std::sync::Arc;
use tokenberg_core::{
    AccessTokenClaims, Answers, Client, ClientId, CompactJws, Issuer, IssuerKeys, Keys, KeysUnavailable,
    NotWritten, Once, Revocation, Secret, SecretDigest, SignatureFault, SingleUse, SubjectStanding,
    Timestamp, TrustedIssuer, Verified,
};
use tokio::runtime::Runtime;

/// A moment that answers everything, and waits on the runtime for what is not in it. Not to be asked from within the runtime.
pub(crate) struct BlockingAnswers<'a, A> {
    moment: &'a A,
    runtime: &'a Runtime,
    single_use: &'a dyn SingleUse,
    issuer_keys: Option<&'a dyn IssuerKeys>,
}

impl<'a, A: Answers> BlockingAnswers<'a, A> {
    /// Answers from the moment, remembers with `single_use` what may be used once, and fetches with `issuer_keys`, if anything.
    pub(crate) fn new(
        moment: &'a A,
        runtime: &'a Runtime,
        single_use: &'a dyn SingleUse,
        issuer_keys: Option<&'a dyn IssuerKeys>,
    ) -> Self {
        Self { moment, runtime, single_use, issuer_keys }
    }
}

impl<A: Answers> Answers for BlockingAnswers<'_, A> {
    fn client(&self, id: &ClientId) -> Option<Arc<Client>> {
        self.moment.client(id)
    }

    fn digest(&self, client_id: &str, secret: &Secret) -> SecretDigest {
        self.moment.digest(client_id, secret)
    }

    fn is_costly(&self, client_id: &str, secret: &Secret) -> bool {
        self.moment.is_costly(client_id, secret)
    }

    fn revoked(&self, token: &AccessTokenClaims) -> Option<Revocation> {
        self.moment.revoked(token)
    }

    fn keys(&self) -> &dyn Keys {
        self.moment.keys()
    }

    fn issuer(&self, issuer: &str) -> Option<Arc<TrustedIssuer>> {
        self.moment.issuer(issuer)
    }

    fn federated(&self, issuer: &Issuer, subject: &str) -> Option<Arc<Client>> {
        self.moment.federated(issuer, subject)
    }

    fn subject(&self, issuer: Option<&Issuer>, subject: &str, sub: &str) -> SubjectStanding {
        self.moment.subject(issuer, subject, sub)
    }

    fn nonce(&self, now: Timestamp) -> Option<Box<str>> {
        self.moment.nonce(now)
    }

    fn accepts_nonce(&self, nonce: &str, now: Timestamp) -> bool {
        self.moment.accepts_nonce(nonce, now)
    }

    fn use_once(&self, once: &Once) -> Result<bool, NotWritten> {
        self.runtime.block_on(self.single_use.use_once(once))
    }

    fn verify_fetched(
        &self,
        issuer: &TrustedIssuer,
        token: &CompactJws,
        now: Timestamp,
    ) -> Result<Result<Verified, SignatureFault>, KeysUnavailable> {
        match self.issuer_keys {
            Some(keys) => self.runtime.block_on(keys.verify(issuer, token, now)),
            None => self.moment.verify_fetched(issuer, token, now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokenberg_jose::Keyring;
    use tokenberg_store::{KekSource, Store, StoreUrl};

    #[test]
    fn cj_07_what_waits_is_waited_for_on_a_plain_thread() {
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
        let moment = watched.now();
        let answers = BlockingAnswers::new(&*moment, &runtime, &watched, None);
        let once = Once { namespace: "n".into(), id: "j".into(), until: now };
        assert_eq!((answers.use_once(&once), answers.use_once(&once)), (Ok(true), Ok(false)));
        let nonce = answers.nonce(now).unwrap();
        assert!(answers.accepts_nonce(&nonce, now));
    }
}
