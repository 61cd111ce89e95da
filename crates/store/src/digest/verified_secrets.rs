//! Caches verified secrets, so that a client with a chosen secret costs Argon2 once, and not at every request.

use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokenberg_core::{Secret, SecretDigest};

/// The most entries; the oldest is evicted first.
const MOST: usize = 1024;

/// Digests of verified secrets, by a keyed hash of client and secret. The key exists only in this process.
///
/// An entry is the digest of a secret. The caller checks against the present registration whether it is still valid.
pub(crate) struct VerifiedSecrets {
    key: hmac::Key,
    digests: Mutex<Digests>,
}

#[derive(Default)]
struct Digests {
    by_name: HashMap<[u8; 32], SecretDigest>,
    oldest_first: VecDeque<[u8; 32]>,
}

/// The key of an entry: a keyed hash of client and secret.
pub(crate) struct Name([u8; 32]);

impl VerifiedSecrets {
    pub(crate) fn new() -> Result<Self, ring::error::Unspecified> {
        let mut key = zeroize::Zeroizing::new([0; 32]);
        SystemRandom::new().fill(key.as_mut_slice())?;
        Ok(Self { key: hmac::Key::new(hmac::HMAC_SHA256, key.as_slice()), digests: Mutex::default() })
    }

    pub(crate) fn name(&self, client_id: &str, secret: &Secret) -> Name {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(client_id.as_bytes());
        context.update(b"\0");
        context.update(secret.expose().as_bytes());
        let mut name = [0; 32];
        name.copy_from_slice(context.sign().as_ref());
        Name(name)
    }

    pub(crate) fn find(&self, name: &Name) -> Option<SecretDigest> {
        self.lock().by_name.get(&name.0).cloned()
    }

    pub(crate) fn keep(&self, name: Name, digest: SecretDigest) {
        let mut digests = self.lock();
        if digests.by_name.insert(name.0, digest).is_none() {
            digests.oldest_first.push_back(name.0);
            if digests.oldest_first.len() > MOST
                && let Some(oldest) = digests.oldest_first.pop_front()
            {
                digests.by_name.remove(&oldest);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Digests> {
        // Nothing here panics while it is locked, and a cache may be incomplete.
        self.digests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_is_bounded_and_distinguishes_clients_and_secrets() {
        let secrets = VerifiedSecrets::new().unwrap();
        let secret = |n: usize| Secret::new(format!("secret {n}"));
        for n in 0..MOST + 5 {
            secrets.keep(secrets.name("c1", &secret(n)), SecretDigest([1; 32]));
        }
        assert_eq!(secrets.lock().by_name.len(), MOST);
        assert!(secrets.find(&secrets.name("c1", &secret(0))).is_none());
        assert!(secrets.find(&secrets.name("c1", &secret(MOST))).is_some());
        assert!(secrets.find(&secrets.name("c2", &secret(MOST))).is_none());
    }
}
