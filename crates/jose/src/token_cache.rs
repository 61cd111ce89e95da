//! Caches verified tokens of our own, so that a repeated token is not verified again; conformance JW-40.

use ring::digest::{SHA256, digest};
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokenberg_core::jws::SignedToken;

/// The maximum number of cached tokens; the oldest is evicted first.
const MOST: usize = 4096;

/// Each part has its own lock, so that the threads of a server seldom wait for each other.
const PARTS: usize = 16;

/// The key that verified each token, and the token's content, under the SHA-256 of the whole token including its signature
/// (GHSA-rp9m-7r4c-75qg).
///
/// Only tokens with a good signature are cached, so a client cannot fill it with garbage. An entry says that the signature is
/// good, not that the token is valid: the caller checks key, times and revocations every time. Our tokens, and so the entries,
/// are at most 8 KiB.
pub(crate) struct TokenCache([Mutex<Part>; PARTS]);

#[derive(Default)]
struct Part {
    tokens: HashMap<Name, Found, BuildHasherDefault<FirstBytes>>,
    oldest_first: VecDeque<Name>,
}

/// A cached token.
#[derive(Clone)]
pub(crate) struct Found {
    /// The position of the key that has verified it.
    pub(crate) key: usize,
    /// Its content, if it was read.
    pub(crate) token: Option<Arc<SignedToken>>,
}

/// The key of a cached token.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Name([u8; 32]);

impl Name {
    pub(crate) fn of(token: &str) -> Self {
        let mut name = [0; 32];
        name.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        Self(name)
    }
}

impl TokenCache {
    pub(crate) fn new() -> Self {
        Self(std::array::from_fn(|_| Mutex::default()))
    }

    /// The cached token of this name.
    pub(crate) fn find(&self, name: &Name) -> Option<Found> {
        self.part(name).tokens.get(name).cloned()
    }

    /// Records that the key at this position has verified the token.
    pub(crate) fn keep(&self, name: Name, key: usize) {
        let mut part = self.part(&name);
        if part.tokens.insert(name, Found { key, token: None }).is_none() {
            part.oldest_first.push_back(name);
            if part.oldest_first.len() > MOST / PARTS
                && let Some(oldest) = part.oldest_first.pop_front()
            {
                part.tokens.remove(&oldest);
            }
        }
    }

    /// Adds the token's content, if the token is still cached.
    pub(crate) fn keep_read(&self, name: &Name, token: &Arc<SignedToken>) {
        if let Some(found) = self.part(name).tokens.get_mut(name) {
            found.token = Some(Arc::clone(token));
        }
    }

    fn part(&self, name: &Name) -> MutexGuard<'_, Part> {
        // Nothing panics while holding the lock, and the cache may be incomplete.
        self.0[usize::from(name.0[31]) % PARTS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Names are cryptographic hashes of our own tokens, so their first bytes are distributed evenly.
#[derive(Default)]
struct FirstBytes(u64);

impl Hasher for FirstBytes {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_ne_bytes(*first);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jw_40_the_cache_is_bounded_and_evicts_the_oldest_token() {
        let cache = TokenCache::new();
        let names: Vec<Name> = (0..3 * MOST).map(|n| Name::of(&n.to_string())).collect();
        names.iter().for_each(|name| cache.keep(*name, 7));
        let kept = cache.0.iter().map(|part| part.lock().unwrap().tokens.len()).sum::<usize>();
        assert_eq!(kept, MOST);
        assert!(cache.0.iter().all(|part| part.lock().unwrap().oldest_first.len() == MOST / PARTS));
        assert!(cache.find(&names[0]).is_none());
        assert_eq!(cache.find(&names[3 * MOST - 1]).map(|found| found.key), Some(7));
    }
}
