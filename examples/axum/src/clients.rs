//! The program's own table of clients, and what the core is answered from: one moment, in memory.

use ring::digest::{SHA256, digest};
use std::collections::HashMap;
use std::sync::Arc;
use tokenberg_core::answers::SubjectStatus;
use tokenberg_core::registration::{AllowedScope, StoredSecret};
use tokenberg_core::{
    AccessTokenClaims, Answers, Client, ClientId, Issuer, Keys, Revocation, Rights, Secret, SecretDigest,
    Timestamp, TrustedIssuer,
};

/// The clients, and the keys that sign. A program with a database makes a new one when it changes, and swaps the `Arc`.
pub struct Table<K> {
    pub clients: HashMap<ClientId, Arc<Client>>,
    pub keys: K,
}

impl<K> Table<K> {
    pub fn add(&mut self, id: ClientId, secret: &Secret, scope: AllowedScope) {
        let digest = quick_digest(id.as_str(), secret);
        let stored = StoredSecret { id: "1".into(), digest, expires_at: None };
        let client = Client::new(id.clone(), vec![stored], Rights::new(scope));
        self.clients.insert(id, Arc::new(client));
    }
}

/// Good only for secrets of 256 random bits. For others, compute Argon2id or the like, with `is_costly` true.
fn quick_digest(client_id: &str, secret: &Secret) -> SecretDigest {
    let hash = digest(&SHA256, format!("{client_id}\0{}", secret.expose()).as_bytes());
    SecretDigest(hash.as_ref().try_into().unwrap_or([0; 32]))
}

impl<K: Keys> Answers for Table<K> {
    fn client(&self, id: &ClientId) -> Option<Arc<Client>> {
        self.clients.get(id).cloned()
    }

    fn digest(&self, client_id: &str, secret: &Secret) -> SecretDigest {
        quick_digest(client_id, secret)
    }

    fn is_costly(&self, _: &str, _: &Secret) -> bool {
        false
    }

    fn may_be_guessed(&self, _: &Secret) -> bool {
        false
    }

    fn revoked(&self, _: &AccessTokenClaims) -> Option<Revocation> {
        None
    }

    fn keys(&self) -> &dyn Keys {
        &self.keys
    }

    // No other issuer is trusted, and proofs need no nonce.
    fn issuer(&self, _: &str) -> Option<Arc<TrustedIssuer>> {
        None
    }

    fn federated(&self, _: &Issuer, _: &str) -> Option<Arc<Client>> {
        None
    }

    fn subject(&self, _: Option<&Issuer>, _: &str, _: &str) -> SubjectStatus {
        SubjectStatus::default()
    }

    fn nonce(&self, _: Timestamp) -> Option<Box<str>> {
        None
    }

    fn accepts_nonce(&self, _: &str, _: Timestamp) -> bool {
        false
    }
}
