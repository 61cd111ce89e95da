//! Answers token requests from one moment of the store, without I/O.

use crate::digest::{Digester, Quick};
use crate::snapshot::in_memory::Snapshot;
use crate::store::Store;
use std::sync::Arc;
use tokenberg_core::answers::SubjectStatus;
use tokenberg_core::{
    AccessTokenClaims, Answers, Client, ClientId, Issuer, Keys, Revocation, Secret, SecretDigest, Timestamp,
    TrustedIssuer,
};

/// A snapshot, and the keys that were built from it. A request is answered from one moment from beginning to end.
pub struct Moment<K> {
    pub(crate) store: Store,
    pub(crate) snapshot: Snapshot,
    pub(crate) keys: Arc<K>,
}

impl<K> Moment<K> {
    fn verified(&self, client_id: &str, secret: &Secret) -> Option<SecretDigest> {
        let verified = &self.store.0.verified_secrets;
        let digest = verified.find(&verified.name(client_id, secret))?;
        self.snapshot.vouches(client_id, &digest).then_some(digest)
    }

    fn derive(&self, client_id: &str, secret: &Secret) -> SecretDigest {
        let store = &self.store.0;
        let stretch = match store.digester.quick(client_id, secret) {
            Quick::Done(digest) => return digest,
            Quick::Costly(stretch) => stretch,
        };
        if let Some(digest) = self.verified(client_id, secret) {
            return digest;
        }
        let digest = stretch.compute();
        // Only a right secret is cached: a wrong one, or that of an unknown client, costs the same every time.
        if self.snapshot.vouches(client_id, &digest) {
            store.verified_secrets.keep(store.verified_secrets.name(client_id, secret), digest.clone());
        }
        digest
    }

    /// How often this process has computed Argon2id for a chosen secret, its most expensive computation.
    #[must_use]
    pub fn stretched_digests(&self) -> u64 {
        self.store.0.digester.count()
    }

    /// The snapshot of the store.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The keys that were built from the snapshot.
    #[must_use]
    pub fn signing_keys(&self) -> &K {
        &self.keys
    }
}

impl<K: Keys> Answers for Moment<K> {
    fn client(&self, id: &ClientId) -> Option<Arc<Client>> {
        self.snapshot.client(id).cloned()
    }

    fn digest(&self, client_id: &str, secret: &Secret) -> SecretDigest {
        let digest = self.derive(client_id, secret);
        if let Some(id) = self.snapshot.secret_of(client_id, &digest) {
            self.store.0.used_secrets.note(client_id, id);
        }
        digest
    }

    // Only a caller that has the right secret can find out that it was verified before.
    fn is_costly(&self, client_id: &str, secret: &Secret) -> bool {
        Digester::is_costly(secret) && self.verified(client_id, secret).is_none()
    }

    fn may_be_guessed(&self, secret: &Secret) -> bool {
        Digester::is_costly(secret)
    }

    fn revoked(&self, token: &AccessTokenClaims) -> Option<Revocation> {
        self.snapshot.revoked(token)
    }

    fn keys(&self) -> &dyn Keys {
        &*self.keys
    }

    fn issuer(&self, issuer: &str) -> Option<Arc<TrustedIssuer>> {
        self.snapshot.issuer(issuer).cloned()
    }

    fn similar_issuer(&self, issuer: &str) -> Option<Arc<TrustedIssuer>> {
        let similar = self.snapshot.issuers_in_order().find(|known| known.issuer.is_similar_to(issuer))?;
        self.issuer(similar.issuer.as_str())
    }

    fn federated(&self, issuer: &Issuer, subject: &str) -> Option<Arc<Client>> {
        self.snapshot.federated(issuer, subject).cloned()
    }

    fn subject(&self, issuer: Option<&Issuer>, subject: &str, sub: &str) -> SubjectStatus {
        self.snapshot.subject(issuer, subject, sub)
    }

    fn nonce(&self, now: Timestamp) -> Option<Box<str>> {
        Some(self.store.0.nonces.at(now))
    }

    fn accepts_nonce(&self, nonce: &str, now: Timestamp) -> bool {
        self.store.0.nonces.accepts(nonce, now)
    }
}
