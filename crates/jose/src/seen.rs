//! Was this very token verified a moment ago? So that a token that comes again is not computed again; conformance JW-40.

use ring::digest::{SHA256, digest};
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokenberg_core::SignedToken;

/// How many tokens are remembered; the oldest goes first.
const MOST: usize = 4096;

/// Each part has its own lock, so that the threads of a server seldom wait for each other.
const PARTS: usize = 16;

/// Which key verified which token, and what it says, under the SHA-256 of the whole token, its signature included
/// (GHSA-rp9m-7r4c-75qg).
///
/// Only good ones, so nobody fills it with garbage. It says that a signature is good, and nothing about whether the token
/// is still to be taken: who asks looks at the key, at the times and at revocations every time. As no token of ours is longer than
/// 8 KiB, neither is what is kept of one.
pub(crate) struct Seen([Mutex<Part>; PARTS]);

#[derive(Default)]
struct Part {
    tokens: HashMap<Name, Found, BuildHasherDefault<FirstBytes>>,
    oldest_first: VecDeque<Name>,
}

/// What is remembered of a token.
#[derive(Clone)]
pub(crate) struct Found {
    /// The position of the key that has verified it.
    pub(crate) key: usize,
    /// What it says, if somebody has asked for that.
    pub(crate) token: Option<Arc<SignedToken>>,
}

/// What a token is remembered under.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Name([u8; 32]);

impl Name {
    pub(crate) fn of(token: &str) -> Self {
        let mut name = [0; 32];
        name.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        Self(name)
    }
}

impl Seen {
    pub(crate) fn new() -> Self {
        Self(std::array::from_fn(|_| Mutex::default()))
    }

    /// What is remembered of the token that is called so.
    pub(crate) fn find(&self, name: &Name) -> Option<Found> {
        self.part(name).tokens.get(name).cloned()
    }

    /// Remembers that the key at this position has verified the token.
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

    /// Remembers also what the token says, if it is still known which key has verified it.
    pub(crate) fn keep_read(&self, name: &Name, token: &Arc<SignedToken>) {
        if let Some(found) = self.part(name).tokens.get_mut(name) {
            found.token = Some(Arc::clone(token));
        }
    }

    fn part(&self, name: &Name) -> MutexGuard<'_, Part> {
        // Nothing in here panics while it is locked; and what is remembered may be incomplete.
        self.0[usize::from(name.0[31]) % PARTS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A cryptographic hash of tokens that are good, hence ours, is spread well enough by itself.
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
    fn jw_40_what_is_remembered_is_bounded_and_the_oldest_goes_first() {
        let seen = Seen::new();
        let names: Vec<Name> = (0..3 * MOST).map(|n| Name::of(&n.to_string())).collect();
        names.iter().for_each(|name| seen.keep(*name, 7));
        let kept = seen.0.iter().map(|part| part.lock().unwrap().tokens.len()).sum::<usize>();
        assert_eq!(kept, MOST);
        assert!(seen.0.iter().all(|part| part.lock().unwrap().oldest_first.len() == MOST / PARTS));
        assert!(seen.find(&names[0]).is_none());
        assert_eq!(seen.find(&names[3 * MOST - 1]).map(|found| found.key), Some(7));
    }
}
