//! Sessions of browsers, in memory: a restart of the server ends them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokenberg_core::{Lifetime, Timestamp};

/// How long a session lasts, in seconds.
pub(crate) const LASTS: u32 = 3600;
/// The most sessions at a time. Each needs a code of an operator; another one takes the place of the one that ends first.
const MOST: usize = 64;

/// The open sessions by the hash of their identifier: comparing a hash reveals nothing of the identifier by its duration.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<[u8; 32], Timestamp>>);

impl Sessions {
    /// Opens a session and returns its identifier: 256 random bits. `None` if the operating system provides none.
    pub(crate) fn open(&self, now: Timestamp) -> Option<String> {
        let mut bits = [0; 32];
        SystemRandom::new().fill(&mut bits).ok()?;
        let id = URL_SAFE_NO_PAD.encode(bits);
        let mut sessions = self.locked();
        sessions.retain(|_, end| now < *end);
        if sessions.len() >= MOST
            && let Some(first) = sessions.iter().min_by_key(|(_, end)| **end).map(|(id, _)| *id)
        {
            sessions.remove(&first);
        }
        sessions.insert(hash(&id), now.plus(Lifetime::from_seconds(LASTS)));
        Some(id)
    }

    /// Whether the session was opened and has not ended.
    pub(crate) fn is_open(&self, id: &str, now: Timestamp) -> bool {
        self.locked().get(&hash(id)).is_some_and(|end| now < *end)
    }

    pub(crate) fn end(&self, id: &str) {
        self.locked().remove(&hash(id));
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<[u8; 32], Timestamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hash(id: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, id.as_bytes()).as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_after_an_hour_and_there_are_never_too_many() {
        let at = |seconds| Timestamp::from_seconds(seconds).unwrap_or(Timestamp::EPOCH);
        let sessions = Sessions::default();
        let first = sessions.open(at(0)).unwrap_or_default();
        assert!(sessions.is_open(&first, at(3599)) && !sessions.is_open(&first, at(3600)));
        assert!(!sessions.is_open("", at(0)) && !sessions.is_open(&first[1..], at(0)));
        let others: Vec<String> = (1..=64).filter_map(|n| sessions.open(at(n))).collect();
        assert!(!sessions.is_open(&first, at(65)), "the one that ends first made room");
        assert!(others.iter().all(|id| sessions.is_open(id, at(65))));
        sessions.end(&others[0]);
        assert!(!sessions.is_open(&others[0], at(65)));
    }
}
